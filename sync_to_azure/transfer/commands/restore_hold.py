"""A run that is brought back into the main folder is held first: with ``remove-source`` the next pass would find it
published and proved, and remove it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.transfer.views.records import place
from sync_to_azure.transfer.commands.set_override import speaker
from sync_to_azure.core.errors import ConfigurationError, StateUnavailable
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.overrides import HOLD, RELEASE, current, set_override
from sync_to_azure.core.model import State
from sync_to_azure.core.names import shown
from sync_to_azure.transfer.own_paths import relative_to
from sync_to_azure.manifest.origin import MACHINE_FILES, Origin, machine_of, origin_in
from sync_to_azure.transfer.steps.placing import key_of
from sync_to_azure.transfer.steps.override_checks import command
from sync_to_azure.notify.redact import plain

if TYPE_CHECKING:
    from sync_to_azure.settings import Settings

_log = logging.getLogger(__name__)

_ELSEWHERE = "name another folder with --to"


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """The run of the main folder that is written into, and what takes the hold back."""

    key: str
    release: str

    def __str__(self) -> str:
        return (
            f"{self.key} is held, so that no pass removes it again: nothing of it is uploaded or removed until it is"
            f" released ({self.release})"
        )


def hold_if_removed(settings: "Settings", folder: Path, run: str, source: object) -> Held | None:
    """Before the first byte is written to ``folder``/``run``. ``source``: what the run's receipt says of it. None: that
    is not in the main folder, or nothing removes it there. Raises ConfigurationError or StateUnavailable where it is,
    and cannot be held."""
    target = Path(os.path.realpath(folder)) / run
    if settings.origin["main-folder"] == "not given":
        _refuse_where_published(target, run, origin_in(source))
        return None
    main = Path(os.path.realpath(settings.source.main_folder))
    if relative_to(main, target) is not None:
        raise ConfigurationError(
            f"{run} would be restored into {shown(os.fsencode(target))}, which holds the main folder {main}: its"
            " folders would be runs, and uploaded",
            _ELSEWHERE,
        )
    relative = relative_to(target, main)
    if relative is None:
        return None
    key = key_of(settings.completion, shown(os.fsencode(relative.parts[0])))
    try:
        path, flow = place(settings)
        ledger = Ledger.open(path, flow)
        try:
            return _held(settings, ledger, key)
        finally:
            ledger.close()
    except (sqlite3.Error, OSError) as error:
        raise StateUnavailable(
            f"{key} would be restored into the main folder and cannot be held there, so that a pass may remove it"
            f" again: the state file cannot be written: {error}",
            f"{_ELSEWHERE}, or restore as the user who runs the passes (sudo -u …)",
        ) from error


def _refuse_where_published(target: Path, run: str, source: Origin) -> None:
    """No config says where the main folder is; the receipt may."""
    if source.machine is None or source.machine != machine_of(MACHINE_FILES):
        return
    # Anything may stand in a receipt, such as a NUL.
    with contextlib.suppress(OSError, ValueError):
        main = Path(os.path.realpath(source.main_folder or os.devnull))
        if relative_to(target, main) is not None:
            raise ConfigurationError(
                f"{shown(os.fsencode(main))} is the main folder that {run} was published from; without its config file"
                " the run cannot be held there, so that a pass may remove it again",
                f"give --config-file (or main-folder and state-file), or {_ELSEWHERE}",
            )


def _held(settings: "Settings", ledger: Ledger, key: str) -> Held | None:
    state = _state(ledger, key)
    if not settings.removal.remove_source and state not in (State.REMOVED, State.REMOVING):
        return None
    _not_while_removed(state, key)
    held = Held(key, command(settings.general, RELEASE, key))
    before = current(ledger, key)
    if before is not None and before.stops:
        return held
    set_override(ledger, key, HOLD, speaker(), time.time(), "restore writes it into the main folder", {})
    try:
        # A pass that began to remove it before it could see the hold; a later one sees it.
        _not_while_removed(_state(ledger, key), key)
    except ConfigurationError:
        set_override(ledger, key, RELEASE, speaker(), time.time(), "it was being removed", {})
        raise
    _log.warning("%s", held)
    if before is not None:
        _log.warning("%s: this replaces: %s by %s", key, before.action, plain(before.by))
    return held


def _state(ledger: Ledger, key: str) -> State | None:
    run = ledger.runs().get(key)
    return None if run is None else run.state


def _not_while_removed(state: State | None, key: str) -> None:
    if state is State.REMOVING:
        raise ConfigurationError(
            f"{key} is being removed from the main folder, so nothing is restored there now",
            f"{_ELSEWHERE}, or wait until status says that it is removed",
        )
