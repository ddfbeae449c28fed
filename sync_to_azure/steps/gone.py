"""A run without its folder: removed by us, moved away, not yet there, or continued in the lake alone."""

from __future__ import annotations

import logging

from sync_to_azure.ledger.folders import Folders
from sync_to_azure.model import State
from sync_to_azure.reasons import Reason
from sync_to_azure.steps import (
    accept,
    adopt,
    carry,
    continuous,
    early,
    publish,
    remove,
    rest,
    sheet_writing,
    sheets,
    words,
)
from sync_to_azure.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)


def without_folder(rooms: Rooms, work: Work) -> None:
    """Only a sheet, or only the ledger, knows this run: its folder is not there (yet, or any more)."""
    run, now = work.run, rooms.clock.now()
    if run.state is State.REMOVING:
        remove.settle_absent(rooms, work)
        return
    accept.take_back(rooms, work)
    first_look_at_sheet = run.state is State.EXPECTED and not run.lake_known and bool(work.sheets)
    must_ask = first_look_at_sheet or (
        run.is_published and (not run.lake_known or words.thorough(rooms, work))
    )
    if must_ask or (run.is_published and sheets.has_changed(work)):
        found, problem = sheets.read(rooms, work)
        if problem is not None and run.is_published:
            rest.tell_sheet_problem(rooms, work, problem)
        if must_ask or (found is not None and work.sheet_waits is None):
            in_the_lake_only(rooms, work, found)
    if run.is_published:
        solved = run.state is not State.FLAGGED or (run.reason and run.reason.code in rest.AT_THE_SOURCE)
        if solved and run.state not in (State.REMOVED, State.GONE):
            reason = continuous.left(rooms, work) or Reason("not-there")
            rooms.set_state(work, State.GONE, reason)
            Folders(rooms.ledger).forget(run)
            _log.info("%s: %s", work.key, reason.text)
            if reason.advice:
                rooms.trouble(
                    f"{work.key}:{reason.code}", f"{work.key}: {reason.text} ({reason.advice})", once=True
                )
        elif (
            not solved
            and run.reason is not None
            and not any(t.key.startswith(f"{run.key}:") for t in rooms.troubles)
        ):
            rest.flag(rooms, work, run.reason)
    elif run.state is State.EXPECTED:
        if not work.sheets:
            rooms.set_state(work, State.GONE, None)
        elif now - run.first_seen >= rest.SHEET_PATIENCE and rooms.ledger.tell_once(
            f"no-run:{work.key}", now
        ):
            text = f"sample sheet {work.key}.csv has been waiting for its run for 48 h"
            rooms.trouble(f"{work.key}:no-run", text, once=True)
    elif run.state is not State.GONE:
        reason = early.told(rooms, work, Reason("vanished"))
        rooms.set_state(work, State.GONE, reason)
        rooms.trouble(f"{work.key}:vanished", f"{work.key}: {reason.text}", once=True)
    elif work.sheets:
        rooms.set_state(work, State.EXPECTED, Reason("no-run-yet"))


def in_the_lake_only(rooms: Rooms, work: Work, found: sheets.Sheet | None) -> None:
    """The source is gone: what is published is looked at in the lake, and a late or changed sheet is carried."""
    run, files = work.run, rooms.files
    files.clear_try()
    if not run.lake_known or (run.is_published and not run.rows_kept):
        adopt.publication(rooms, work)
    if not run.is_published or rooms.settings.dry_run:
        return
    sheet = sheets.usable(rooms, work, found)
    if run.rows_kept:
        sheet_writing.place_own(rooms, work, sheet)
        carry.take_listing(rooms, work)
    verdict = files.verdict(run)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    of_the_sheet = int(sheet is not None and sheets.is_lost(rooms, work))
    if not run.rows_kept or verdict.wrong_count > of_the_sheet:
        names = list(verdict.wrong) or [f"{work.key}.sync"]
        rest.flag(rooms, work, Reason("blob-lost", {"count": max(verdict.wrong_count, 1), "names": names}))
        return
    state = State.REMOVED if run.state is State.REMOVED else State.GONE
    sheet_writing.carry(rooms, work, sheet)
    if work.republish or not adopt.documents_stand(rooms, work):
        publish.publish(rooms, work, verdict)
    sheets.note_carried(rooms, work, sheet)
    rest.answer_audit(rooms, work)
    rooms.set_state(work, state, Reason("not-there") if state is State.GONE else None)
    rooms.ledger.set(run, rows_kept=0)
    files.forget(run)
