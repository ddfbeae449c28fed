"""What a person's word means in a pass. It is asked for anew before anything that cannot be taken back, as it may be
given while the pass is at work on that very run."""

from __future__ import annotations

import logging
from typing import Any

from sync_to_azure.transfer.ledger import Ledger, overrides
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.settings.values import GeneralSettings
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.notify.output import quoted
from sync_to_azure.transfer.ledger.overrides import Override

_log = logging.getLogger(__name__)

_ON_ITS_WAY = (State.SEEN, State.UPLOADING)
_LEFT = (State.EXPECTED, State.REMOVED, State.REMOVING, State.GONE)


class OverrideChanged(Exception):
    """A person's word came, or was taken back, while the run was worked on: it is left where it is."""


def command(general: GeneralSettings, verb: str, run: str) -> str:
    """The words that a person types about a run, with the config file of this flow."""
    if run.startswith("-"):
        # Else it would be taken for an option.
        return f"sync_to_azure {verb}{config_option(general)} -- {quoted(run)}"
    return f"sync_to_azure {verb} {quoted(run)}{config_option(general)}"


def config_option(general: GeneralSettings) -> str:
    return f" --config-file {quoted(str(general.config_file))}" if general.config_file else ""


def stops(rooms: Rooms, work: Work) -> bool:
    """Is the run held or ignored now?"""
    work.override = overrides.current(rooms.ledger, work.key)
    return work.override is not None and work.override.stops


def go_on(rooms: Rooms, work: Work) -> None:
    """Before anything that cannot be taken back. Raises Spoken when the run was held or ignored meanwhile, or what was
    accepted was taken back; LockLost."""
    rooms.must_hold_lock()
    before = work.override
    if stops(rooms, work):
        raise OverrideChanged
    if (
        before is not None
        and before.action == overrides.ACCEPT
        and (work.override is None or work.override.id != before.id)
    ):
        raise OverrideChanged


def stand_still(rooms: Rooms, work: Work) -> None:
    """Held or ignored: its state stays what it was, and is gone on with when the word is taken back."""
    run, override = work.run, work.override
    if override is None:
        return
    if work.folder is None and run.state not in _LEFT:
        reason = Reason("not-there" if run.is_published else "vanished")
        rooms.set_state(work, State.GONE, reason)
        if override.action == overrides.HOLD and not run.is_published:
            rooms.report_problem(f"{work.key}:vanished", f"{work.key}: {reason.text}", once=True)
    elif run.state in _ON_ITS_WAY and not run.is_published:
        rooms.set_state(work, State.WAITING, Reason("held"))
    if override.action == overrides.HOLD:
        _log.info(
            "%s: held by %s%s", work.key, override.by, f": {override.reason}" if override.reason else ""
        )


def begin(rooms: Rooms, work: Work) -> None:
    """``retry``: forget what was told, the flag, and the memory of its rest; once for this pass."""
    run, override = work.run, work.override
    if override is None or override.action != overrides.RETRY:
        return
    rooms.ledger.clear_reported_run(work.key)
    columns: dict[str, Any] = {"fingerprint": None, "quiet_since": None, "folder_mtime_ns": None}
    rooms.ledger.doubt_remote(run)
    if run.state in (State.FLAGGED, State.FAILING):
        state = State.PUBLISHED if run.is_published else State.SEEN
        rooms.set_state(work, State.GONE if work.folder is None else state, None, **columns)
    else:
        rooms.ledger.set(run, **columns)
    _log.info("%s: looked at anew, as %s asked", work.key, override.by)


def end(ledger: Ledger, override: Override | None) -> None:
    """The run was looked at as ``retry`` asked."""
    if override is not None and override.action == overrides.RETRY:
        overrides.mark_used(ledger, override)


def spoken(ledger: Ledger, key: str) -> list[overrides.Override]:
    """Every word on this run that counts: one that was taken back or replaced accepted nothing."""
    ever = overrides.override_history(ledger.connection, ledger.flow_id, key)
    return [
        override
        for override in ever
        if override.action != overrides.ACCEPT or override.ended in (None, overrides.USED)
    ]


def accepts(override: Override | None, kind: str) -> bool:
    return override is not None and override.accepts(kind)


def accepted(rooms: Rooms, work: Work) -> None:
    """What was accepted is published."""
    if work.override is not None and work.override.action == overrides.ACCEPT:
        overrides.mark_used(rooms.ledger, work.override)
        work.override = None
    rooms.files.changes.forget_changes(work.run)


def thorough(rooms: Rooms, work: Work) -> bool:
    """Is this run looked at thoroughly: the whole pass is, a person asked for this one, or its turn has come?"""
    asked = work.override is not None and work.override.action == overrides.RETRY
    return rooms.settings.mode.thorough or asked or work.key in rooms.due
