"""Files that come late into a published run: its folders are compared with what its last walk saw. Where one changed,
the run is walked again, and what is new is uploaded as an addition."""

from __future__ import annotations

import logging
import os

from sync_to_azure.core.clock import mtime_ns
from sync_to_azure.files.folder import Folder
from sync_to_azure.transfer.ledger import Run
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.transfer.ledger.overrides import STOPPING, all_current
from sync_to_azure.transfer.source import MainFolderContents, RunFolder
from sync_to_azure.transfer.decisions import scan_schedule
from sync_to_azure.transfer.steps.context import PassContext

_log = logging.getLogger(__name__)

_SAME, _CHANGED, _IN_PART = range(3)


def look(context: PassContext, found: MainFolderContents) -> None:
    """Look at the folders of the runs that are due. A run with a folder that changed is noted, to be walked in this
    pass, or in the next if this one is interrupted."""
    settings, ledger = context.settings, context.ledger
    if context.continuous is not None or settings.mode.thorough:
        # All of them are walked.
        return
    here = {folder.key: folder for folder in found.runs}
    runs = [run for run in ledger.runs().values() if _rests(run, here.get(run.key))]
    overrides = all_current(ledger.connection, ledger.flow_id)
    stopped = {key for key, override in overrides.items() if override.action in STOPPING}
    runs = [run for run in runs if run.key not in stopped]
    looks = scan_schedule.due(
        runs, context.clock.now(), settings.source.only_run, scan_schedule.ENTRIES_A_PASS
    )
    until = context.clock.monotonic() + scan_schedule.SECONDS_A_PASS
    left = scan_schedule.ENTRIES_A_PASS
    for each in looks:
        if context.clock.monotonic() >= until or left <= 0:
            break
        if each.run.folders is None:
            left -= each.entries
            ledger.set(each.run, folder_mtime_ns=None)
            continue
        left -= each.entries
        # To be walked costs as many entries as it has files.
        left -= each.run.files if _look_at(context, each, here[each.run.key], until) == _CHANGED else 0


def _rests(run: Run, folder: RunFolder | None) -> bool:
    """Would this pass not walk it?"""
    return folder is not None and run.folder_mtime_ns == folder.mtime_ns


def _look_at(context: PassContext, look: scan_schedule.Look, folder: RunFolder, until: float) -> int:
    run, now = look.run, context.clock.now()
    outcome, cursor = _SAME, None
    try:
        root = folder.place.open()
    except OSError:
        # The walk says what it is.
        context.ledger.set(run, folder_mtime_ns=None)
        return _CHANGED
    for number, (path, remembered) in enumerate(Folders(context.ledger).known(run)):
        if number >= look.entries or (number % 100 == 99 and context.clock.monotonic() >= until):
            outcome = _IN_PART
            break
        if _mtime(root, path) != remembered:
            outcome = _CHANGED
            break
        cursor = path
    if outcome == _IN_PART:
        context.ledger.set(run, scan_cursor=cursor or run.scan_cursor)
    elif outcome == _CHANGED:
        _log.info("%s: a folder in it changed; it is scanned again", run.key)
        context.ledger.set(run, folder_mtime_ns=None, folders_changed_at=now, scan_cursor=None)
    else:
        context.ledger.set(run, scanned_at=now, scan_cursor=None)
    return outcome


def _mtime(root: Folder, path: bytes) -> int | None:
    """None where it cannot be asked: the walk says why, and whose trouble that is. Nothing is opened, so that a link in
    the path leads to no more than another time."""
    try:
        return mtime_ns(os.stat(path, dir_fd=root.handle, follow_symlinks=False))
    except OSError:
        return None
