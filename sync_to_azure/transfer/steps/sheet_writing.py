"""Writing the outside sheet as SampleSheet.csv. What is published there is kept before: as a snapshot, or, if it is the
instrument's own sheet, as SampleSheet.instrument.csv. Each write replaces just what was looked at.
"""

from __future__ import annotations

import dataclasses
import logging

from sync_to_azure.core.errors import AccessRefused, BlobMissing, BlobRefused, RunError
from sync_to_azure.transfer.ledger.changes import Replaced
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.core.model import Blob, Evidence
from sync_to_azure.core.names import INSTRUMENT_SHEET_BLOB, SHEET_BLOB
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import sheets
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.transfer.steps.looks import Sheet
from sync_to_azure.transfer.steps.sheets import OWN_PATH
from sync_to_azure.files.folder import Place

_log = logging.getLogger(__name__)

KEPT = "sheet-kept"
"""Event: a published sheet was kept as a snapshot before it was replaced."""


class SheetChanged(RunError):
    """It was modified while the run was carried: a later pass publishes it as it is then. ``waits``: how it stands."""

    def __init__(self, run: str, waits: Reason) -> None:
        self.waits = waits
        super().__init__(f"{run}: {waits.text}")


class SheetNotWritten(RunError):
    """The sheet cannot be written without losing what is published. ``reason`` flags the run."""

    def __init__(self, run: str, reason: Reason) -> None:
        self.reason = reason
        super().__init__(f"{run}: {reason.text}", reason.advice)


def place_own(rooms: Rooms, work: Work, sheet: Sheet | None) -> None:
    """Decide under which blob the run's own SampleSheet.csv stands; a published one stays until the outside one is
    written."""
    if sheet is not None and work.run.is_published and not rooms.settings.mode.dry_run:
        _go_on_setting_aside(rooms, work, sheet)
    kept, standing = rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB), rooms.files.get(work.run, SHEET_BLOB)
    if kept is not None and kept.path == OWN_PATH and kept.generation > 0:
        work.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif standing is not None and standing.origin == "sheet":
        # An outside sheet has the place already, even if it was taken away since: the own one is not dropped for it.
        work.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif standing is not None and standing.generation > 0:
        work.renamed = {}
    elif sheet is not None and work.folder is not None and _own_differs(work.root, sheet):
        work.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}


def _own_differs(root: Place, sheet: Sheet) -> bool:
    try:
        with root.open() as folder, open(folder.file(OWN_PATH)[0], "rb") as handle:
            return handle.read(sheets.LARGEST + 1) != sheet.content
    except OSError:
        # What is no regular file is the walk's to tell.
        return False


def carry(rooms: Rooms, work: Work, sheet: Sheet | None) -> None:
    """Write the outside sheet if it is new, changed, or its blob went wrong. The run's own data is verified by now.
    Raises SheetChanged, NotWritten, BlobReplaced."""
    if sheet is None:
        return
    must_be_as_read(rooms, work, sheet)
    row = rooms.files.get(work.run, SHEET_BLOB)
    if row is not None and row.md5 == sheet.md5 and (row.origin != "sheet" or row.evidence > Evidence.NONE):
        return
    if row is not None and row.origin != "sheet" and row.generation > 0:
        _set_aside(rooms, work, sheet, row)
    else:
        _tell_own_is_kept(rooms, work)
        rooms.files.put(work.run, [_write(rooms, work, sheet, row)])
    work.republish = True
    work.sent_files += 1
    work.sent_bytes += sheet.size
    _log.info("%s: its sample sheet is carried", work.key)


def must_be_as_read(rooms: Rooms, work: Work, sheet: Sheet) -> None:
    """Just before it is written: what is published is no earlier state. Raises SheetChanged."""
    now, _ = sheets.read_file(work.sheets)
    if now != sheet:
        raise SheetChanged(work.key, sheets.moves(rooms, work, now))


def must_be_as_published(rooms: Rooms, work: Work) -> None:
    """Just before documents name it, and before the marker stands for it. Raises SheetChanged."""
    if work.sheet is not None:
        must_be_as_read(rooms, work, work.sheet)


def _tell_own_is_kept(rooms: Rooms, work: Work) -> None:
    kept = work.renamed and rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB) is not None
    if kept and rooms.ledger.report_once(f"own-sheet:{work.key}", rooms.clock.now()):
        _log.warning(
            "%s: its own %s differs from the sample sheet folder's and is kept as %s",
            work.key,
            SHEET_BLOB,
            INSTRUMENT_SHEET_BLOB,
        )


def _write(rooms: Rooms, work: Work, sheet: Sheet, row: FileRow | None) -> FileRow:
    """``row``: what our manifest says of the blob."""
    name = work.prefix + SHEET_BLOB
    stands = rooms.lake().stat(name)
    if stands is not None and _is_precious(row, stands, sheet):
        _keep(rooms, work, stands)
    return _put(rooms, work, sheet, stands)


def _is_precious(row: FileRow | None, stands: Blob, sheet: Sheet) -> bool:
    """Would anything be lost? Neither the same bytes, nor what is not as we published it and is healed, nor what we
    wrote ourselves and never published."""
    if (stands.size, stands.md5) == (sheet.size, sheet.md5):
        return False
    if row is None:
        return True
    return row.md5 != sheet.md5 and (row.generation > 0 or row.etag != stands.etag)


def _keep(rooms: Rooms, work: Work, stands: Blob) -> None:
    rooms.must_hold_lock()
    try:
        snapshot = rooms.lake().snapshot(stands.name, stands.etag)
    except BlobMissing:
        return
    except (AccessRefused, BlobRefused) as error:
        raise SheetNotWritten(work.key, Reason("sheet-not-kept", {"problem": error.message})) from error
    work.replaced.append(Replaced(SHEET_BLOB, stands.size, stands.md5, snapshot))
    md5 = stands.md5.hex() if stands.md5 else None
    about = {"blob": SHEET_BLOB, "size": stands.size, "md5": md5, "snapshot": snapshot}
    rooms.ledger.append_event(work.run, rooms.clock.now(), KEPT, about)
    _log.info("%s: the sample sheet that was published is kept as snapshot %s", work.key, snapshot)


def _put(rooms: Rooms, work: Work, sheet: Sheet, stands: Blob | None) -> FileRow:
    rooms.must_hold_lock()
    name, replaces = work.prefix + SHEET_BLOB, None if stands is None else stands.etag
    etag = rooms.lake().put(name, sheet.content, sheet.size, sheet.md5, "text/csv", replaces)
    return sheets.row_of(work.sheets, sheet, Evidence.VALIDATED, etag)


def _go_on_setting_aside(rooms: Rooms, work: Work, sheet: Sheet) -> None:
    """Cut off after both blobs were written: the ledger knows of neither, and what it knows is not there any more."""
    own = rooms.files.get(work.run, SHEET_BLOB)
    if own is None or own.origin == "sheet" or own.generation == 0 or own.md5 == sheet.md5:
        return
    aside = rooms.lake().stat(work.prefix + INSTRUMENT_SHEET_BLOB)
    if aside is None or aside.md5 != own.md5:
        return
    stands = rooms.lake().stat(work.prefix + SHEET_BLOB)
    if stands is not None and stands.md5 != own.md5:
        must_be_as_read(rooms, work, sheet)
        _set_aside(rooms, work, sheet, own)
        work.republish = True


def _set_aside(rooms: Rooms, work: Work, sheet: Sheet, own: FileRow) -> None:
    """The published SampleSheet.csv is the instrument's and the outside one differs: copy it, checked, to its own
    name, before the outside one takes its place. Works from the lake: the source may be gone."""
    lake, name, aside = rooms.lake(), work.prefix + SHEET_BLOB, work.prefix + INSTRUMENT_SHEET_BLOB
    known = rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB)
    there, stands = lake.stat(aside), lake.stat(name)
    others = (known is not None and known.md5 != own.md5) or (there is not None and there.md5 != own.md5)
    if others:
        in_the_way = {"blob": INSTRUMENT_SHEET_BLOB, "sheet": f"{work.key}.csv"}
        raise SheetNotWritten(work.key, Reason("sheet-in-the-way", in_the_way))
    content = _content(rooms, own, stands)
    is_own = content is not None
    if content is None:
        # Cut off after both blobs were written: the own one stands aside already.
        content = _content(rooms, own, there)
    if content is None:
        raise RunError(
            f"{work.key}: the published {SHEET_BLOB} is not what its manifest says, so it is not replaced by the sheet"
            " of the sample sheet folder",
            "run with --thorough to have it healed first",
        )
    rooms.must_hold_lock()
    replaces = None if there is None else there.etag
    etag = lake.put(aside, content, len(content), own.md5, "text/csv", replaces)
    moved = dataclasses.replace(
        own,
        blob=INSTRUMENT_SHEET_BLOB,
        evidence=Evidence.VALIDATED,
        etag=etag,
        etag_is_own=True,
    )
    # What is kept under a name of its own needs no snapshot.
    outside = _put(rooms, work, sheet, stands) if is_own else _write(rooms, work, sheet, None)
    # Both rows in one transaction, after both blobs: a crash before it does this again, from the copy.
    rooms.files.put(work.run, [moved, outside])
    _log.warning("%s: the instrument's own sample sheet is kept as %s", work.key, INSTRUMENT_SHEET_BLOB)


def _content(rooms: Rooms, own: FileRow, blob: Blob | None) -> bytes | None:
    """What the blob holds, if it is the own sheet."""
    if blob is None or blob.size != own.size:
        return None
    content = b"".join(rooms.lake().read(blob.name, blob.etag))
    return content if sheets.md5_of(content) == own.md5 else None
