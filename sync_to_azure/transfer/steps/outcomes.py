"""How a run comes to rest in a pass: published, waiting or flagged; and what is told of it, once."""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import FilesChanged
from sync_to_azure.transfer.ledger.audits import Audits
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import nearly_sheets
from sync_to_azure.transfer.steps import continuous, incremental, flagging, instruments, override_checks
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

SHEET_PATIENCE = 48 * 3600.0
"""Seconds after which a run without its sheet, or a sheet without its run, is told."""

AT_THE_SOURCE = (
    "changed-after-verification",
    "changed-after-accept",
    "withdraw-refused",
    "snapshot-refused",
    "never-ended",
)
"""Flags that lie at the source alone: the lake need not be asked again, and they end when the folder goes."""


def settle(context: PassContext, current: RunContext, changed: Differences) -> None:
    """A published run at rest: remembered by its folder's mtime, or flagged because its source became another."""
    if current.continuous is None:
        incremental.forget(context.ledger, current.run)
    # Also here: a pass that was killed after the marker told nothing.
    instruments.tell_end(context, current)
    if changed.count:
        flagging.flag(context, current, changed.reason)
        return
    never_ended = continuous.never_ended(context, current)
    if never_ended is not None:
        flagging.flag(context, current, never_ended)
        return
    if current.sheet_refused is not None:
        # What else a person accepted is done.
        override_checks.accepted(context, current)
        flagging.flag(context, current, current.sheet_refused)
        return
    if current.run.state is State.FLAGGED and current.sheet_counted is not None:
        # The end of the pass decides whether that is solved.
        return
    if current.run.state is State.FLAGGED:
        _log.info("%s: what was flagged is solved", current.key)
    if current.continuous is not None:
        context.set_state(
            current, State.VERIFIED, continuous.at_rest(context, current), scanned_at=context.clock.now()
        )
        override_checks.accepted(context, current)
        return
    context.set_state(current, State.PUBLISHED, None, folder_mtime_ns=at_rest(context, current))
    override_checks.accepted(context, current)


def at_rest(context: PassContext, current: RunContext) -> int | None:
    """The run was walked and nothing of it is left to do: its folders are remembered, and by them (its own mtime is
    returned) it is known what comes later."""
    if current.folder is None:
        return None
    if current.scanned is not None and current.scanned.began is not None:
        Folders(context.ledger).keep(current.run, current.scanned.began)
    return current.folder.mtime_ns


def wait(
    context: PassContext, current: RunContext, reason: Reason | None, changed: Differences | None = None
) -> None:
    if current.run.is_published:
        settle(context, current, changed or Differences())
        if current.run.state is State.PUBLISHED:
            # Not at rest: the next pass must look again, whatever the folder's mtime says.
            context.set_state(current, State.PUBLISHED, reason, folder_mtime_ns=None)
    else:
        context.set_state(
            current,
            State.WAITING,
            reason and incremental.told(context.files, context.ledger, current.run, reason),
        )


def tell_change(context: PassContext, current: RunContext, changed: Differences) -> None:
    """Beside what keeps its new files from being carried: the graver of the two must not wait for that to end."""
    if changed.count:
        reason = changed.reason
        context.report_problem(
            f"{current.key}:{reason.code}", f"{current.key}: {reason.text}{flagging.advice(reason)}"
        )


def changed_meanwhile(context: PassContext, current: RunContext, error: FilesChanged) -> None:
    """The source moved while it was carried: nothing failed, the quiet time starts over."""
    _log.warning("%s", error)
    columns = {"fingerprint": None, "quiet_since": None}
    if current.run.is_published and not context.files.changes.pending(current.run):
        state = State.PUBLISHED if current.continuous is None else State.WAITING
        context.set_state(current, state, Reason("changed-meanwhile"), **columns, folder_mtime_ns=None)
    else:
        context.set_state(current, State.WAITING, Reason("changed-meanwhile"), **columns)


def sheet_waits(context: PassContext, current: RunContext, waits: Reason) -> None:
    """Its sheet was modified while the run was carried: published with the next quiet state of it, and not before."""
    _log.info("%s: %s", current.key, waits.text)
    if current.folder is None:
        return
    if not current.run.is_published:
        context.set_state(current, State.VERIFIED, waits, folder_mtime_ns=at_rest(context, current))
    elif current.run.state is State.PUBLISHED:
        context.set_state(current, State.PUBLISHED, waits, folder_mtime_ns=None)


def tell_missing_sheet(context: PassContext, current: RunContext) -> None:
    reason = current.run.reason
    now = context.clock.now()
    if current.sheet_waits is not None:
        return
    if reason is not None and reason.code in ("sheet-ambiguous", "sheet-unreadable"):
        tell_sheet_problem(context, current, reason)
    elif now - current.run.first_seen >= SHEET_PATIENCE and context.ledger.report_once(
        f"no-sheet:{current.key}", now
    ):
        near = ", ".join(nearly_sheets(context.settings.source.samplesheet_folder, current.key))
        beside = f" (the sample sheet folder has {near}: save it as {current.key}.csv)" if near else ""
        text = f"{current.key} has been without its sample sheet for 48 h; without it, it is not published{beside}"
        context.report_problem(f"{current.key}:no-sheet", text, once=True)


def tell_sheet_problem(context: PassContext, current: RunContext, reason: Reason) -> None:
    if context.ledger.report_once(f"{reason.code}:{current.key}", context.clock.now()):
        context.report_problem(f"{current.key}:{reason.code}", f"{current.key}: {reason.text}", once=True)


def answer_audit(context: PassContext, current: RunContext) -> None:
    """Files and documents of a published run were just proved: what an audit found before may be solved by that."""
    if Audits(context.ledger).answer(current.run, context.clock.now()):
        _log.info("%s: what an audit found is solved", current.key)
