"""The sample sheet: NAME.csv of the sheet folder becomes DEST/RUN/SampleSheet.csv; an instrument's own, different one
is kept as SampleSheet.instrument.csv. Sheets are small: they are read whole and written by the lake, service-checked.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import logging
import os

from sync_to_azure.clock import mtime_ns
from sync_to_azure.errors import RunError
from sync_to_azure.ledger.files import FileRow
from sync_to_azure.model import Evidence, FileToSend
from sync_to_azure.names import INSTRUMENT_SHEET_BLOB, SHEET_BLOB
from sync_to_azure.reasons import Reason
from sync_to_azure.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

_OWN_PATH = SHEET_BLOB.encode()
_LARGEST = 64 * 1024 * 1024
_A_LINK = "it is a symlink, which is not followed; put the sheet itself there"


class OwnSheetInTheWay(RunError):
    """Its own SampleSheet.csv would have to stand where a published file of the run stands already."""

    def __init__(self, run: str) -> None:
        self.reason = Reason("sheet-in-the-way", {"blob": INSTRUMENT_SHEET_BLOB, "sheet": f"{run}.csv"})
        super().__init__(f"{run}: {self.reason.text}")


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was read: whole, between two equal looks at its size and mtime."""

    content: bytes
    md5: bytes
    size: int
    mtime_ns: int


def read(work: Work) -> tuple[Sheet | None, Reason | None]:
    """The outside sheet of this run, or why there is none that can be used."""
    if not work.sheets:
        return None, None
    if len(work.sheets) > 1:
        return None, Reason("sheet-ambiguous", {"sheets": [sheet.path.name for sheet in work.sheets]})
    file = work.sheets[0]
    try:
        opened, before = file.folder.file(os.fsencode(file.path.name))
        with open(opened, "rb") as handle:
            content = handle.read(_LARGEST + 1)
            after = os.fstat(handle.fileno())
    except OSError as error:
        return None, Reason(
            "sheet-unreadable",
            {
                "sheet": file.path.name,
                "problem": _A_LINK if error.errno == errno.ELOOP else str(error.strerror),
            },
        )
    problem = ""
    if len(content) > _LARGEST:
        problem = "it is larger than 64 MiB, which no sample sheet is"
    elif (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(
        content
    ) != after.st_size:
        return None, None  # it is being written: the next pass sees it whole
    elif not content:
        problem = "it is empty"
    if problem:
        return None, Reason("sheet-unreadable", {"sheet": file.path.name, "problem": problem})
    return Sheet(content, _md5(content), after.st_size, mtime_ns(after)), None


def place_own(rooms: Rooms, work: Work, sheet: Sheet | None) -> None:
    """Decide under which blob the run's own SampleSheet.csv stands; a published one gives way first, if it must."""
    if sheet is not None and work.run.is_published and not rooms.settings.dry_run:
        _set_aside(rooms, work, sheet)
    kept, standing = rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB), rooms.files.get(work.run, SHEET_BLOB)
    if kept is not None and kept.path == _OWN_PATH and kept.generation > 0:
        work.renamed = {_OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif standing is not None and standing.origin == "sheet":
        # An outside sheet has the place already, even if it was taken away since: the own one is not dropped for it.
        work.renamed = {_OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif sheet is not None and work.folder is not None and _own_differs(work, sheet):
        work.renamed = {_OWN_PATH: INSTRUMENT_SHEET_BLOB}


def _own_differs(work: Work, sheet: Sheet) -> bool:
    try:
        with work.root.open() as folder, open(folder.file(_OWN_PATH)[0], "rb") as handle:
            return handle.read(_LARGEST + 1) != sheet.content
    except OSError:
        # What is no regular file is the walk's to tell.
        return False


def _set_aside(rooms: Rooms, work: Work, sheet: Sheet) -> None:
    """The published SampleSheet.csv is the instrument's and the outside one differs: copy it, checked, to its own
    name, before the outside one takes its place. Works from the lake: the source may be gone."""
    own = rooms.files.get(work.run, SHEET_BLOB)
    if own is None or own.origin == "sheet" or own.generation == 0 or own.md5 == sheet.md5:
        return
    aside = rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB)
    if aside is not None and aside.generation > 0 and aside.md5 != own.md5:
        raise OwnSheetInTheWay(work.key)
    content = rooms.lake().get(work.prefix + SHEET_BLOB)
    if content is None or _md5(content) != own.md5:
        # Cut off after both blobs were written: the own one stands aside already.
        content = rooms.lake().get(work.prefix + INSTRUMENT_SHEET_BLOB)
    if content is None or _md5(content) != own.md5:
        raise RunError(
            f"{work.key}: the published {SHEET_BLOB} is not what its manifest says, so it is not replaced by the sheet"
            " of the sample sheet folder",
            "run with --thorough to have it healed first",
        )
    rooms.must_hold_lock()
    etag = _written(rooms, work, INSTRUMENT_SHEET_BLOB, content, own.md5)
    moved = dataclasses.replace(
        own, blob=INSTRUMENT_SHEET_BLOB, evidence=Evidence.VALIDATED, etag=etag, etag_is_own=True
    )
    outside = _put(rooms, work, sheet)
    # Both rows in one transaction, after both blobs: a crash before it does this again, from the copy.
    rooms.files.put(work.run, [moved, outside])
    work.republish = True
    _log.warning("%s: the instrument's own sample sheet is kept as %s", work.key, INSTRUMENT_SHEET_BLOB)


def _put(rooms: Rooms, work: Work, sheet: Sheet) -> FileRow:
    rooms.must_hold_lock()
    etag = _written(rooms, work, SHEET_BLOB, sheet.content, sheet.md5)
    return _row(work, sheet, Evidence.VALIDATED, etag)


def _written(rooms: Rooms, work: Work, blob: str, content: bytes, md5: bytes) -> str:
    """Over what stands there now, and nothing newer; returns the ETag."""
    name = work.prefix + blob
    stands = rooms.lake().stands(name)
    replaces = stands.etag if stands is not None else None
    return rooms.lake().put(name, content, len(content), md5, "text/csv", replaces=replaces)


def _row(work: Work, sheet: Sheet, evidence: Evidence, etag: str) -> FileRow:
    name = work.sheets[0].path.name.encode("utf-8", "backslashreplace")
    own = evidence >= Evidence.VALIDATED
    return FileRow(
        SHEET_BLOB, name, "sheet", sheet.size, sheet.mtime_ns, sheet.md5, evidence, etag, etag_is_own=own
    )


def recognise(rooms: Rooms, work: Work, sheet: Sheet | None) -> list[FileToSend]:
    """A sheet that the tool before this one wrote: the same bytes count as carried, others are not overwritten and
    returned."""
    if sheet is None or not work.run.taken_over or rooms.files.get(work.run, SHEET_BLOB) is not None:
        return []
    listed = rooms.files.listed(SHEET_BLOB)
    if listed is None:
        return []
    if (listed.size, listed.md5) == (sheet.size, sheet.md5):
        rooms.files.put(work.run, [_row(work, sheet, Evidence.LISTED, listed.etag)])
        return []
    rooms.files.hold([(SHEET_BLOB, "taken-over")])
    return [FileToSend(os.fsencode(work.sheets[0].path.name), SHEET_BLOB, sheet.size, sheet.mtime_ns)]


def is_lost(rooms: Rooms, work: Work) -> bool:
    """The outside sheet's blob is missing or wrong (by the verdict just made, or after ``carry`` could not heal it)."""
    row = rooms.files.get(work.run, SHEET_BLOB)
    return row is not None and row.origin == "sheet" and row.evidence is Evidence.NONE


def carry(rooms: Rooms, work: Work, sheet: Sheet | None) -> None:
    """Write the outside sheet if it is new, changed, or its blob went wrong. The run's own data is verified by now."""
    if sheet is None:
        return
    row = rooms.files.get(work.run, SHEET_BLOB)
    if row is not None and row.origin != "sheet" and row.md5 == sheet.md5:
        return
    if row is not None and row.md5 == sheet.md5 and row.evidence > Evidence.NONE:
        return
    kept = work.renamed and rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB) is not None
    if kept and rooms.ledger.tell_once(f"own-sheet:{work.key}", rooms.clock.now()):
        _log.warning(
            "%s: its own %s differs from the sample sheet folder's and is kept as %s",
            work.key,
            SHEET_BLOB,
            INSTRUMENT_SHEET_BLOB,
        )
    rooms.files.put(work.run, [_put(rooms, work, sheet)])
    work.republish = True
    work.sent_files += 1
    work.sent_bytes += sheet.size
    _log.info("%s: its sample sheet is carried", work.key)


def note_carried(rooms: Rooms, work: Work, sheet: Sheet | None) -> None:
    if sheet is not None and (work.run.sheet_size, work.run.sheet_mtime_ns) != (sheet.size, sheet.mtime_ns):
        rooms.ledger.set(work.run, sheet_size=sheet.size, sheet_mtime_ns=sheet.mtime_ns)


def is_awaited(rooms: Rooms, work: Work, sheet: Sheet | None) -> bool:
    """Must publishing wait for a sheet? Only with a sheet folder, and not if one was carried before."""
    settings = rooms.settings
    if settings.samplesheet_folder is None or settings.sheet_optional or sheet is not None:
        return False
    carried = rooms.files.get(work.run, SHEET_BLOB)
    return carried is None or carried.origin != "sheet" and work.run.sheet_size is None


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
