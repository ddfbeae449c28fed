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
    incremental,
    flagging,
    publish,
    remove,
    outcomes,
    sheet_changes,
    sheet_writing,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.looks import Sheet
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)


def without_folder(context: PassContext, current: RunContext) -> None:
    """Only a sheet, or only the ledger, knows this run: its folder is not there (yet, or any more)."""
    run, now = current.run, context.clock.now()
    if run.state is State.REMOVING:
        remove.settle_absent(context, current)
        return
    accept.take_back(context, current)
    first_look_at_sheet = (
        run.state is State.EXPECTED and not run.remote_state_current and bool(current.sheets)
    )
    must_ask = first_look_at_sheet or (
        run.is_published and (not run.remote_state_current or override_checks.thorough(context, current))
    )
    if must_ask or (run.is_published and sheets.has_changed(current)):
        found, problem = sheets.read(context, current)
        if problem is not None and run.is_published:
            outcomes.tell_sheet_problem(context, current, problem)
        is_quiet = found is not None and current.sheet_waits is None
        refused = (
            sheet_changes.refused_before(context, current, found) if found is not None and is_quiet else None
        )
        if must_ask or (is_quiet and refused is None):
            in_the_lake_only(context, current, found)
        elif refused is not None:
            flagging.flag(context, current, refused)
    if run.is_published:
        if _is_solved(current) and run.state not in (State.REMOVED, State.GONE):
            reason = continuous.left(context.files, current.run) or Reason("not-there")
            context.set_state(current, *_absent(run, reason))
            Folders(context.ledger).forget(run)
            _log.info("%s: %s", current.key, reason.text)
            if reason.advice:
                context.report_problem(
                    f"{current.key}:{reason.code}",
                    f"{current.key}: {reason.text} ({reason.advice})",
                    once=True,
                )
        elif (
            not _is_solved(current)
            and current.sheet_counted is None
            and run.reason is not None
            and not any(t.key.startswith(f"{run.key}:") for t in context.problems)
        ):
            flagging.flag(context, current, run.reason)
    elif run.state is State.EXPECTED:
        if not current.sheets:
            context.set_state(current, State.GONE, None)
        elif now - run.first_seen >= outcomes.SHEET_PATIENCE and context.ledger.report_once(
            f"no-run:{current.key}", now
        ):
            text = f"sample sheet {current.key}.csv has been waiting for its run for 48 h"
            context.report_problem(f"{current.key}:no-run", text, once=True)
    elif run.state is not State.GONE:
        reason = incremental.told(context.files, context.ledger, current.run, Reason("vanished"))
        context.set_state(current, State.GONE, reason)
        context.report_problem(f"{current.key}:vanished", f"{current.key}: {reason.text}", once=True)
    elif current.sheets:
        context.set_state(current, State.EXPECTED, Reason("no-run-yet"))


def in_the_lake_only(context: PassContext, current: RunContext, found: Sheet | None) -> None:
    """The source is gone: what is published is looked at in the lake, and a late or changed sheet is carried."""
    run, files = current.run, context.files
    files.scratch.clear_try()
    if not run.remote_state_current or (run.is_published and not run.manifest_cached):
        adopt.publication(context, current)
    if not run.is_published or context.settings.mode.dry_run:
        return
    sheet = sheet_changes.usable(context, current, found)
    if run.manifest_cached:
        sheet_writing.place_own(context, current, sheet)
        carry.take_listing(context, current)
    verdict = files.verdict(run)
    context.ledger.set(run, weakest=int(verdict.weakest), verified_at=context.clock.now())
    is_replaced = sheet is not None or current.sheet_counted is not None
    of_the_sheet = int(is_replaced and sheets.is_lost(context.files, current.run))
    if not run.manifest_cached or verdict.wrong_count > of_the_sheet:
        names = list(verdict.wrong) or [f"{current.key}.sync"]
        flagging.flag(
            context, current, Reason("blob-lost", {"count": max(verdict.wrong_count, 1), "names": names})
        )
        return
    state, reason = _absent(run, Reason("not-there"))
    sheet_writing.carry(context, current, sheet)
    if current.republish or not adopt.documents_stand(context, current):
        publish.publish(context, current, verdict)
    sheets.note_carried(context.ledger, current.run, sheet)
    outcomes.answer_audit(context, current)
    if current.sheet_refused is not None:
        flagging.flag(context, current, current.sheet_refused)
    elif current.sheet_counted is None or run.state is not State.FLAGGED:
        context.set_state(current, state, reason)
        if override_checks.accepts(current.override, sheet_changes.SHEET):
            override_checks.accepted(context, current)
    context.ledger.set(run, manifest_cached=0)
    files.forget(run)


def _is_solved(current: RunContext) -> bool:
    """Is nothing of it flagged, or only what ends with its folder? Of a sheet: it was put back, or taken away."""
    run = current.run
    code = run.reason.code if run.reason is not None else ""
    if run.state is not State.FLAGGED or code in outcomes.AT_THE_SOURCE:
        return True
    return (
        flagging.is_flagged_for_its_sheet(current.run)
        and current.sheet_waits is None
        and not sheets.has_changed(current)
    )


def _absent(run: Run, reason: Reason) -> tuple[State, Reason | None]:
    """Its state when nothing is wrong: removed by us, or gone."""
    removed = run.state is State.REMOVED or (
        run.reason is not None and bool(run.reason.parameters.get("removed"))
    )
    return (State.REMOVED, None) if removed else (State.GONE, reason)
