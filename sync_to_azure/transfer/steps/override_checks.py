"""What a person's word means in a pass. It is asked for anew before anything that cannot be taken back, as it may be
given while the pass is at work on that very run."""

from __future__ import annotations

import logging
from typing import Any

from sync_to_azure.transfer.ledger import Ledger, overrides
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.settings.values import GeneralSettings
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.notify.output import quoted
from sync_to_azure.transfer.ledger.overrides import Override

_log = logging.getLogger(__name__)

_ON_ITS_WAY = (State.SEEN, State.UPLOADING)
_LEFT = (State.EXPECTED, State.REMOVED, State.REMOVING, State.GONE)


class OverrideChanged(Exception):
    """Operator override came, or was taken back, while the run was worked on: it is left where it is."""


def command(general: GeneralSettings, verb: str, run: str) -> str:
    """The words that a person types about a run, with the config file of this flow."""
    if run.startswith("-"):
        # Else it would be taken for an option.
        return f"sync_to_azure {verb}{config_option(general)} -- {quoted(run)}"
    return f"sync_to_azure {verb} {quoted(run)}{config_option(general)}"


def config_option(general: GeneralSettings) -> str:
    return f" --config-file {quoted(str(general.config_file))}" if general.config_file else ""


def stops(context: PassContext, current: RunContext) -> bool:
    """Is the run held or ignored now?"""
    current.override = overrides.current(context.ledger, current.key)
    return current.override is not None and current.override.stops


def go_on(context: PassContext, current: RunContext) -> None:
    """Before anything that cannot be taken back. Raises Spoken when the run was held or ignored meanwhile, or what was
    accepted was taken back; LockLost."""
    context.must_hold_lock()
    before = current.override
    if stops(context, current):
        raise OverrideChanged
    if (
        before is not None
        and before.action == overrides.ACCEPT
        and (current.override is None or current.override.id != before.id)
    ):
        raise OverrideChanged


def stand_still(context: PassContext, current: RunContext) -> None:
    """Held or ignored: its state stays what it was, and is gone on with when the word is taken back."""
    run, override = current.run, current.override
    if override is None:
        return
    if current.folder is None and run.state not in _LEFT:
        reason = Reason("not-there" if run.is_published else "vanished")
        context.set_state(current, State.GONE, reason)
        if override.action == overrides.HOLD and not run.is_published:
            context.report_problem(f"{current.key}:vanished", f"{current.key}: {reason.text}", once=True)
    elif run.state in _ON_ITS_WAY and not run.is_published:
        context.set_state(current, State.WAITING, Reason("held"))
    if override.action == overrides.HOLD:
        _log.info(
            "%s: held by %s%s", current.key, override.by, f": {override.reason}" if override.reason else ""
        )


def begin(context: PassContext, current: RunContext) -> None:
    """``retry``: forget what was told, the flag, and the memory of its rest; once for this pass."""
    run, override = current.run, current.override
    if override is None or override.action != overrides.RETRY:
        return
    context.ledger.clear_reported_run(current.key)
    columns: dict[str, Any] = {"fingerprint": None, "quiet_since": None, "folder_mtime_ns": None}
    context.ledger.doubt_remote(run)
    if run.state in (State.FLAGGED, State.FAILING):
        state = State.PUBLISHED if run.is_published else State.SEEN
        context.set_state(current, State.GONE if current.folder is None else state, None, **columns)
    else:
        context.ledger.set(run, **columns)
    _log.info("%s: checked again from the start, as %s asked", current.key, override.by)


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


def accepted(context: PassContext, current: RunContext) -> None:
    """What was accepted is published."""
    if current.override is not None and current.override.action == overrides.ACCEPT:
        overrides.mark_used(context.ledger, current.override)
        current.override = None
    context.files.changes.forget_changes(current.run)


def thorough(context: PassContext, current: RunContext) -> bool:
    """Is this run looked at thoroughly: the whole pass is, a person asked for this one, or its turn has come?"""
    asked = current.override is not None and current.override.action == overrides.RETRY
    return context.settings.mode.thorough or asked or current.key in context.due
