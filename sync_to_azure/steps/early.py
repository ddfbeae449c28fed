"""While a run goes on (``incremental``): files that stand still are carried, so that only the tail remains at its end.

Nothing is published, and nothing of it has to be believed later: when the run is complete, every file is compared with
the listing as always. A file that became another meanwhile, by size, mtime or ctime, is sent again.
"""

from __future__ import annotations

import logging

from sync_to_azure.errors import RunChanged, UploadFailed
from sync_to_azure.ledger.still import Still
from sync_to_azure.steps import adopt, carry, look, sheets
from sync_to_azure.steps.rooms import Rooms, Work
from sync_to_azure.tell.terminal import human_size

_log = logging.getLogger(__name__)

_LAST_FOLDERS = frozenset({"interop", "logs", "log", "thumbnail_images"})
_LAST_SUFFIXES = (
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


def wanted(rooms: Rooms, work: Work) -> bool:
    run = work.run
    return rooms.settings.incremental and not rooms.settings.dry_run and not run.is_published


def ahead(rooms: Rooms, work: Work) -> str:
    """Carry what has stood still for ``stable-for``; how much of the run is at the destination, in words."""
    run, files, now = work.run, rooms.files, rooms.clock.now()
    files.clear_try()
    adopt.publication(rooms, work)
    if run.is_published or run.taken_over:
        # Somebody else's: the whole is compared when it is complete.
        return ""
    sheet, _ = sheets.read(work)
    sheets.place_own(rooms, work, sheet)
    look.into_ledger(rooms, work)
    still = Still(rooms.ledger)
    still.note(run, now)
    files.merge_walk(run)
    carry.take_listing(rooms, work)
    until = now - rooms.settings.stable_for
    files.hold((blob, "moving") for blob, since in still.since(run) if since > until or goes_last(blob))
    try:
        carry.what_stands_still(rooms, work)
    except (RunChanged, UploadFailed) as error:
        _log.info("%s: carried while it is written: %s; looked at again in the next pass", work.key, error)
    there, size = files.proved(run)
    return f"{there} files, {human_size(size)}" if there else ""


def settled(rooms: Rooms, work: Work) -> None:
    """The run is complete: called after its walk, so that a late write under an old mtime is found."""
    still = Still(rooms.ledger)
    if still.knows(work.run):
        still.note(work.run, rooms.clock.now())


def forget(rooms: Rooms, work: Work) -> None:
    """It is published: its manifest says how each file was."""
    still = Still(rooms.ledger)
    if still.knows(work.run):
        still.forget(work.run)
