"""While a run goes on (``incremental``): files that stand still are carried, so that only the tail remains at its end.

Nothing is published, and nothing of it has to be believed later: when the run is complete, every file is compared with
the listing as always. A file that may have become another meanwhile, by size, mtime or ctime, is hashed again.
"""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import FilesChanged, SourceUnavailable, UploadFailed
from sync_to_azure.transfer.ledger.removal_queries import CARRIED_EARLY, happened
from sync_to_azure.transfer.ledger.stability import Stability
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import adopt, carry, scan, sheet_changes, sheet_writing, sheets
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.notify.terminal import human_size
from sync_to_azure.transfer.ledger import Files, Ledger, Run

_log = logging.getLogger(__name__)

_LAST_FOLDERS = frozenset({"interop", "logs", "log", "thumbnail_images"})
_LAST_SUFFIXES = (
    ".transferdone",
    ".log",
    ".txt",
    ".tmp",
    ".temp",
    ".part",
    ".xml",
    ".json",
    ".csv",
    ".html",
    ".db",
    ".sqlite",
)


def goes_last(blob: str) -> bool:
    """Would an instrument write it anew: what lies at the top of the run (flags, parameters, sheets), metrics, logs.

    Pure. Base calls, spectra and reads are written once; what is small and rewritten costs nothing at the end.
    """
    folders = blob.casefold().split("/")
    return (
        len(folders) == 1
        or not _LAST_FOLDERS.isdisjoint(folders[:-1])
        or folders[-1].endswith(_LAST_SUFFIXES)
    )


def wanted(context: PassContext, current: RunContext) -> bool:
    run = current.run
    return context.settings.early.incremental and not context.settings.mode.dry_run and not run.is_published


def ahead(context: PassContext, current: RunContext) -> None:
    """Carry what has stood still for ``stable-for``."""
    run, files = current.run, context.files
    files.scratch.clear_try()
    adopt.publication(context, current)
    if run.is_published or run.foreign_blobs:
        # Somebody else's: the whole is compared when it is complete.
        return
    found, _ = sheets.read(context, current)
    sheet_writing.place_own(context, current, sheet_changes.usable(context, current, found))
    # A walk may take long: a file was seen somewhen between its begin and its end.
    began = context.clock.now()
    scan.into_ledger(context, current)
    files.plan.merge_walk(run)
    still = Stability(context.ledger)
    still.note(run, context.clock.now())
    carry.take_listing(context, current)
    files.scratch.hold(
        (blob, "moving")
        for blob, since in still.since(run)
        if goes_last(blob) or not _stands_still(since, began, context.settings.early.stable_for)
    )
    if _something_to_do(context.files, current.run) and not happened(
        context.ledger.connection, run, CARRIED_EARLY
    ):
        context.ledger.append_event(run, context.clock.now(), CARRIED_EARLY, {})
    try:
        carry.what_stands_still(context, current)
    except (FilesChanged, UploadFailed) as error:
        _log.info("%s: incremental upload: %s; retried in the next pass", current.key, error)
    except SourceUnavailable as error:
        # A file that the instrument has locked, or the share? Raises if it is the share.
        scan.at_main_folder(context)
        _log.info("%s: incremental upload: %s; retried in the next pass", current.key, error)


def _something_to_do(files: Files, run: Run) -> bool:
    return files.plan.to_send(run)[0] > 0 or next(files.plan.to_hash_early(run), None) is not None


def _stands_still(since: float, began: float, stable_for: float) -> bool:
    """Two looks so far apart saw it as it is (the first one ended at ``since``, the last one ``began`` then); one look
    says nothing, whatever ``stable_for`` is."""
    return since < began and began - since >= stable_for


def told(files: Files, ledger: Ledger, run: Run, reason: Reason) -> Reason:
    """The reason why a run is not published, and how much of it stands at the destination all the same."""
    there, size = 0, 0
    if not run.is_published and Stability(ledger).knows(run):
        there, size = files.proved(run)
    if not there:
        return reason
    return Reason(reason.code, {**reason.parameters, "ahead": f"{there} files, {human_size(size)}"})


def settled(context: PassContext, current: RunContext) -> None:
    """The run is complete: called after its walk came into the manifest. A late write under an old mtime is found."""
    still = Stability(context.ledger)
    if still.knows(current.run):
        still.note(current.run, context.clock.now())


def forget(ledger: Ledger, run: Run) -> None:
    """It is published: its manifest says how each file was."""
    still = Stability(ledger)
    if still.knows(run):
        still.forget(run)
