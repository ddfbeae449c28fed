"""Removals that were cut off: folders of ours that stand aside in the main folder."""

from __future__ import annotations

import logging
import os

from sync_to_azure.errors import RunError
from sync_to_azure.model import State
from sync_to_azure.names import ASIDE_PREFIX, shown
from sync_to_azure.reasons import Reason
from sync_to_azure.source import Found, RunFolder
from sync_to_azure.steps import adopt, remove
from sync_to_azure.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)


def removals(rooms: Rooms, found: Found) -> None:
    """Go on with each. With the ledger lost, the published manifest says whose they are; unpublished ones go back."""
    if rooms.settings.dry_run:
        return
    for aside in found.aside:
        name = aside.removeprefix(os.fsencode(ASIDE_PREFIX))
        key = shown(name)
        run = rooms.ledger.runs().get(key) or rooms.ledger.add_run(key, State.SEEN, rooms.clock.now())
        path = os.path.join(os.fsencode(rooms.settings.main_folder), aside)
        work = Work(run, RunFolder(name, path, 0), [], rooms.base(key), rooms.clock.monotonic())
        if run.state is State.REMOVED or not run.rows_kept or not run.lake_known:
            try:
                adopt.publication(rooms, work)
            except RunError as error:
                rooms.trouble(f"{key}:failed", str(error))
                continue
        if not run.is_published:
            _back(rooms, work, path, "nothing is published of it")
            continue
        if run.state is not State.REMOVING:
            rooms.set_state(work, State.REMOVING, Reason("moved-aside"))
        remove.go_on(rooms, work, aside)


def _back(rooms: Rooms, work: Work, path: bytes, why: str) -> None:
    home = os.path.join(os.fsencode(rooms.settings.main_folder), work.run.key.encode())
    if os.path.lexists(home):
        return
    try:
        os.rename(path, home)
    except OSError as error:
        rooms.trouble(f"{work.key}:left-behind", f"{shown(path)} cannot be put back: {error.strerror}")
        return
    _log.warning("%s: put back at the source: %s", work.key, why)
