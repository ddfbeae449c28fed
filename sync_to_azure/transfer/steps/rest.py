"""How a run comes to rest in a pass: published, waiting or flagged; and what is told of it, once."""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import FilesChanged
from sync_to_azure.transfer.ledger.audits import Audits
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import nearly_sheets
from sync_to_azure.transfer.steps import continuous, early, flagging, instruments, override_checks
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.rooms import Rooms, Work

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


def settle(rooms: Rooms, work: Work, changed: Differences) -> None:
    """A published run at rest: remembered by its folder's mtime, or flagged because its source became another."""
    if work.continuous is None:
        early.forget(rooms.ledger, work.run)
    # Also here: a pass that was killed after the marker told nothing.
    instruments.tell_end(rooms, work)
    if changed.count:
        flagging.flag(rooms, work, changed.reason)
        return
    never_ended = continuous.never_ended(rooms, work)
    if never_ended is not None:
        flagging.flag(rooms, work, never_ended)
        return
    if work.sheet_refused is not None:
        # What else a person accepted is done.
        override_checks.accepted(rooms, work)
        flagging.flag(rooms, work, work.sheet_refused)
        return
    if work.run.state is State.FLAGGED and work.sheet_counted is not None:
        # The end of the pass decides whether that is solved.
        return
    if work.run.state is State.FLAGGED:
        _log.info("%s: what was flagged is solved", work.key)
    if work.continuous is not None:
        rooms.set_state(work, State.VERIFIED, continuous.at_rest(rooms, work), scanned_at=rooms.clock.now())
        override_checks.accepted(rooms, work)
        return
    rooms.set_state(work, State.PUBLISHED, None, folder_mtime_ns=at_rest(rooms, work))
    override_checks.accepted(rooms, work)


def at_rest(rooms: Rooms, work: Work) -> int | None:
    """The run was walked and nothing of it is left to do: its folders are remembered, and by them (its own mtime is
    returned) it is known what comes later."""
    if work.folder is None:
        return None
    if work.scanned is not None and work.scanned.began is not None:
        Folders(rooms.ledger).keep(work.run, work.scanned.began)
    return work.folder.mtime_ns


def wait(rooms: Rooms, work: Work, reason: Reason | None, changed: Differences | None = None) -> None:
    if work.run.is_published:
        settle(rooms, work, changed or Differences())
        if work.run.state is State.PUBLISHED:
            # Not at rest: the next pass must look again, whatever the folder's mtime says.
            rooms.set_state(work, State.PUBLISHED, reason, folder_mtime_ns=None)
    else:
        rooms.set_state(
            work, State.WAITING, reason and early.told(rooms.files, rooms.ledger, work.run, reason)
        )


def tell_change(rooms: Rooms, work: Work, changed: Differences) -> None:
    """Beside what keeps its new files from being carried: the graver of the two must not wait for that to end."""
    if changed.count:
        reason = changed.reason
        rooms.report_problem(
            f"{work.key}:{reason.code}", f"{work.key}: {reason.text}{flagging.advice(reason)}"
        )


def changed_meanwhile(rooms: Rooms, work: Work, error: FilesChanged) -> None:
    """The source moved while it was carried: nothing failed, the quiet time starts over."""
    _log.warning("%s", error)
    columns = {"fingerprint": None, "quiet_since": None}
    if work.run.is_published and not rooms.files.changes.pending(work.run):
        state = State.PUBLISHED if work.continuous is None else State.WAITING
        rooms.set_state(work, state, Reason("changed-meanwhile"), **columns, folder_mtime_ns=None)
    else:
        rooms.set_state(work, State.WAITING, Reason("changed-meanwhile"), **columns)


def sheet_waits(rooms: Rooms, work: Work, waits: Reason) -> None:
    """Its sheet was modified while the run was carried: published with the next quiet state of it, and not before."""
    _log.info("%s: %s", work.key, waits.text)
    if work.folder is None:
        return
    if not work.run.is_published:
        rooms.set_state(work, State.VERIFIED, waits, folder_mtime_ns=at_rest(rooms, work))
    elif work.run.state is State.PUBLISHED:
        rooms.set_state(work, State.PUBLISHED, waits, folder_mtime_ns=None)


def tell_missing_sheet(rooms: Rooms, work: Work) -> None:
    reason = work.run.reason
    now = rooms.clock.now()
    if work.sheet_waits is not None:
        return
    if reason is not None and reason.code in ("sheet-ambiguous", "sheet-unreadable"):
        tell_sheet_problem(rooms, work, reason)
    elif now - work.run.first_seen >= SHEET_PATIENCE and rooms.ledger.report_once(
        f"no-sheet:{work.key}", now
    ):
        near = ", ".join(nearly_sheets(rooms.settings.source.samplesheet_folder, work.key))
        beside = f" (the sample sheet folder has {near}: save it as {work.key}.csv)" if near else ""
        text = (
            f"{work.key} has been without its sample sheet for 48 h; without it, it is not published{beside}"
        )
        rooms.report_problem(f"{work.key}:no-sheet", text, once=True)


def tell_sheet_problem(rooms: Rooms, work: Work, reason: Reason) -> None:
    if rooms.ledger.report_once(f"{reason.code}:{work.key}", rooms.clock.now()):
        rooms.report_problem(f"{work.key}:{reason.code}", f"{work.key}: {reason.text}", once=True)


def answer_audit(rooms: Rooms, work: Work) -> None:
    """Files and documents of a published run were just proved: what an audit found before may be solved by that."""
    if Audits(rooms.ledger).answer(work.run, rooms.clock.now()):
        _log.info("%s: what an audit found is solved", work.key)
