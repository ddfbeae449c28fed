"""Removals that were cut off: folders of ours that stand aside in the main folder."""

from __future__ import annotations

import errno
import fnmatch
import logging
import os
import stat

from sync_to_azure.core.errors import FilesChanged, RunError, StateUnavailable
from sync_to_azure.files.folder import Place
from sync_to_azure.core.model import State
from sync_to_azure.core.names import ASIDE_PREFIX, shown
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import MainFolderContents, RunFolder
from sync_to_azure.transfer.steps import adopt, scan, moved_aside, removal_preview, override_checks
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)


def removals(context: PassContext, found: MainFolderContents) -> None:
    """Go on with each, those that ``--only-run`` lets through; one run's trouble stops no other."""
    settings = context.settings
    for aside in found.aside:
        name = aside.removeprefix(os.fsencode(ASIDE_PREFIX))
        key = shown(name)
        if settings.source.only_run and not fnmatch.fnmatchcase(key, settings.source.only_run):
            continue
        place = Place(context.main(), aside)
        try:
            if not _is_ours(context, place):
                continue
            run = context.ledger.runs().get(key) or context.ledger.add_run(
                key, State.SEEN, context.clock.now()
            )
            current = RunContext(
                run, RunFolder(name, place, 0), [], context.base(key), context.clock.monotonic()
            )
            _go_on(context, current, place)
        except FilesChanged as error:
            # Another machine was faster, or a person.
            _log.warning("%s", error)
        except RunError as error:
            context.report_problem(f"{key}:failed", str(error))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StateUnavailable(f"no space left: {error}") from error
            # The share, or only this folder? Raises if it is the share.
            scan.at_main_folder(context)
            moved_aside.tell(context, f"unlink-refused:{key}", f"{key}: its removal cannot go on: {error}")


def _is_ours(context: PassContext, place: Place) -> bool:
    """We move folders aside, nothing else; a symlink of that name is never followed."""
    try:
        if stat.S_ISDIR(place.above.stat(place.name).st_mode):
            return True
    except FileNotFoundError:
        return False
    path = place.path
    text = (
        f"{shown(path)} is a file or a symbolic link, not a folder: sync_to_azure did not put it there and does not"
        " change it; move it away"
    )
    moved_aside.tell(context, f"not-ours:{shown(path)}", text)
    return False


def _go_on(context: PassContext, current: RunContext, place: Place) -> None:
    """With the ledger lost, the published manifest says what it is; what is not published goes back. The lake is asked
    again: it may have been long ago, and ``remove-source`` may be off by now.
    """
    run, dry = current.run, context.settings.mode.dry_run
    if run.state is State.REMOVED or not (
        run.manifest_cached and run.remote_state_current and run.is_published
    ):
        adopt.publication(context, current)
    why = "" if run.is_published else "nothing is published of it"
    if run.is_published and not context.settings.removal.remove_source:
        why = "remove-source is off"
    if override_checks.stops(context, current):
        why = "it is held by the operator"
    if why and dry:
        _log.info("%s: its folder %s would be put back: %s", current.key, shown(place.name), why)
    elif why:
        moved_aside.put_back(context, current, place, why)
    elif dry:
        removal_preview.show(context, current, again=True)
    else:
        _log.info("%s: its removal was interrupted and continues", current.key)
        if not moved_aside.has_begun(current.run):
            context.set_state(current, State.REMOVING, Reason("moved-aside"))
        moved_aside.go_on(context, current, place.name)
