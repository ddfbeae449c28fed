"""Removals that were cut off: folders of ours that stand aside in the main folder."""

from __future__ import annotations

import errno
import fnmatch
import logging
import os

from sync_to_azure.errors import RunError, SourceUnavailable, StateUnavailable
from sync_to_azure.model import State
from sync_to_azure.names import ASIDE_PREFIX, shown
from sync_to_azure.reasons import Reason
from sync_to_azure.source import Found, RunFolder
from sync_to_azure.steps import adopt, remove
from sync_to_azure.steps.rooms import Rooms, Work
from sync_to_azure.walk import SHARE_GONE

_log = logging.getLogger(__name__)


def removals(rooms: Rooms, found: Found) -> None:
    """Go on with each, those that ``--only-run`` lets through; one run's trouble stops no other."""
    settings = rooms.settings
    for aside in found.aside:
        name = aside.removeprefix(os.fsencode(ASIDE_PREFIX))
        key = shown(name)
        if settings.only_run and not fnmatch.fnmatchcase(key, settings.only_run):
            continue
        run = rooms.ledger.runs().get(key) or rooms.ledger.add_run(key, State.SEEN, rooms.clock.now())
        path = os.path.join(os.fsencode(settings.main_folder), aside)
        work = Work(run, RunFolder(name, path, 0), [], rooms.base(key), rooms.clock.monotonic())
        try:
            _go_on(rooms, work, aside, path)
        except RunError as error:
            rooms.trouble(f"{key}:failed", str(error))
        except OSError as error:
            if error.errno in SHARE_GONE:
                raise SourceUnavailable(f"{shown(path)}: {error.strerror}") from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StateUnavailable(f"no space left: {error}") from error
            rooms.trouble(f"{key}:failed", f"{key}: its removal cannot go on: {error}")


def _go_on(rooms: Rooms, work: Work, aside: bytes, path: bytes) -> None:
    """With the ledger lost, the published manifest says what it is; what is not published goes back. As long as nothing
    was unlinked, the lake is asked again: it may have been long ago, and ``remove-source`` may be off by now.
    """
    run = work.run
    if run.state is State.REMOVED or not (run.rows_kept and run.lake_known and run.is_published):
        adopt.publication(rooms, work)
    if not run.is_published:
        _back(rooms, work, path, "nothing is published of it")
        return
    if not remove.has_begun(work):
        rooms.set_state(work, State.REMOVING, Reason("moved-aside"))
        why = "remove-source is off"
        if rooms.settings.remove_source:
            why = remove.unproved(rooms, work)
        if why:
            remove.put_back(rooms, work, path, why)
            return
    remove.go_on(rooms, work, aside)


def _back(rooms: Rooms, work: Work, path: bytes, why: str) -> None:
    home = os.path.join(os.fsencode(rooms.settings.main_folder), work.run.key.encode())
    if os.path.lexists(home):
        if rooms.ledger.tell_once(f"left-behind:{work.key}", rooms.clock.now()):
            text = f"{shown(path)} cannot be put back: there is a folder {work.key} again; look at both"
            rooms.trouble(f"{work.key}:left-behind", text, once=True)
        return
    try:
        os.rename(path, home)
    except OSError as error:
        rooms.trouble(f"{work.key}:left-behind", f"{shown(path)} cannot be put back: {error.strerror}")
        return
    _log.warning("%s: put back at the source: %s", work.key, why)
