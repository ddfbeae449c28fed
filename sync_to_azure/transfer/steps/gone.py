"""A run without its folder: removed by us, moved away, not yet there, or continued in the lake alone."""

from __future__ import annotations

import logging

from sync_to_azure.transfer.ledger import Run
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import (
    accept,
    adopt,
    carry,
    continuous,
    early,
    flagging,
    publish,
    remove,
    rest,
    sheet_changes,
    sheet_writing,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.looks import Sheet
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)


def without_folder(rooms: Rooms, work: Work) -> None:
    """Only a sheet, or only the ledger, knows this run: its folder is not there (yet, or any more)."""
    run, now = work.run, rooms.clock.now()
    if run.state is State.REMOVING:
        remove.settle_absent(rooms, work)
        return
    accept.take_back(rooms, work)
    first_look_at_sheet = run.state is State.EXPECTED and not run.remote_state_current and bool(work.sheets)
    must_ask = first_look_at_sheet or (
        run.is_published and (not run.remote_state_current or override_checks.thorough(rooms, work))
    )
    if must_ask or (run.is_published and sheets.has_changed(work)):
        found, problem = sheets.read(rooms, work)
        if problem is not None and run.is_published:
            rest.tell_sheet_problem(rooms, work, problem)
        is_quiet = found is not None and work.sheet_waits is None
        refused = sheet_changes.refused_before(rooms, work, found) if found is not None and is_quiet else None
        if must_ask or (is_quiet and refused is None):
            in_the_lake_only(rooms, work, found)
        elif refused is not None:
            flagging.flag(rooms, work, refused)
    if run.is_published:
        if _is_solved(work) and run.state not in (State.REMOVED, State.GONE):
            reason = continuous.left(rooms.files, work.run) or Reason("not-there")
            rooms.set_state(work, *_absent(run, reason))
            Folders(rooms.ledger).forget(run)
            _log.info("%s: %s", work.key, reason.text)
            if reason.advice:
                rooms.report_problem(
                    f"{work.key}:{reason.code}", f"{work.key}: {reason.text} ({reason.advice})", once=True
                )
        elif (
            not _is_solved(work)
            and work.sheet_counted is None
            and run.reason is not None
            and not any(t.key.startswith(f"{run.key}:") for t in rooms.problems)
        ):
            flagging.flag(rooms, work, run.reason)
    elif run.state is State.EXPECTED:
        if not work.sheets:
            rooms.set_state(work, State.GONE, None)
        elif now - run.first_seen >= rest.SHEET_PATIENCE and rooms.ledger.report_once(
            f"no-run:{work.key}", now
        ):
            text = f"sample sheet {work.key}.csv has been waiting for its run for 48 h"
            rooms.report_problem(f"{work.key}:no-run", text, once=True)
    elif run.state is not State.GONE:
        reason = early.told(rooms.files, rooms.ledger, work.run, Reason("vanished"))
        rooms.set_state(work, State.GONE, reason)
        rooms.report_problem(f"{work.key}:vanished", f"{work.key}: {reason.text}", once=True)
    elif work.sheets:
        rooms.set_state(work, State.EXPECTED, Reason("no-run-yet"))


def in_the_lake_only(rooms: Rooms, work: Work, found: Sheet | None) -> None:
    """The source is gone: what is published is looked at in the lake, and a late or changed sheet is carried."""
    run, files = work.run, rooms.files
    files.scratch.clear_try()
    if not run.remote_state_current or (run.is_published and not run.manifest_cached):
        adopt.publication(rooms, work)
    if not run.is_published or rooms.settings.mode.dry_run:
        return
    sheet = sheet_changes.usable(rooms, work, found)
    if run.manifest_cached:
        sheet_writing.place_own(rooms, work, sheet)
        carry.take_listing(rooms, work)
    verdict = files.verdict(run)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    is_replaced = sheet is not None or work.sheet_counted is not None
    of_the_sheet = int(is_replaced and sheets.is_lost(rooms.files, work.run))
    if not run.manifest_cached or verdict.wrong_count > of_the_sheet:
        names = list(verdict.wrong) or [f"{work.key}.sync"]
        flagging.flag(
            rooms, work, Reason("blob-lost", {"count": max(verdict.wrong_count, 1), "names": names})
        )
        return
    state, reason = _absent(run, Reason("not-there"))
    sheet_writing.carry(rooms, work, sheet)
    if work.republish or not adopt.documents_stand(rooms, work):
        publish.publish(rooms, work, verdict)
    sheets.note_carried(rooms.ledger, work.run, sheet)
    rest.answer_audit(rooms, work)
    if work.sheet_refused is not None:
        flagging.flag(rooms, work, work.sheet_refused)
    elif work.sheet_counted is None or run.state is not State.FLAGGED:
        rooms.set_state(work, state, reason)
        if override_checks.accepts(work.override, sheet_changes.SHEET):
            override_checks.accepted(rooms, work)
    rooms.ledger.set(run, manifest_cached=0)
    files.forget(run)


def _is_solved(work: Work) -> bool:
    """Is nothing of it flagged, or only what ends with its folder? Of a sheet: it was put back, or taken away."""
    run = work.run
    code = run.reason.code if run.reason is not None else ""
    if run.state is not State.FLAGGED or code in rest.AT_THE_SOURCE:
        return True
    return (
        flagging.is_flagged_for_its_sheet(work.run)
        and work.sheet_waits is None
        and not sheets.has_changed(work)
    )


def _absent(run: Run, reason: Reason) -> tuple[State, Reason | None]:
    """Its state when nothing is wrong: removed by us, or gone."""
    removed = run.state is State.REMOVED or (
        run.reason is not None and bool(run.reason.parameters.get("removed"))
    )
    return (State.REMOVED, None) if removed else (State.GONE, reason)
