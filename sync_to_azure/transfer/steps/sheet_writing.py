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
from sync_to_azure.transfer.steps.context import PassContext, RunContext
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


def place_own(context: PassContext, current: RunContext, sheet: Sheet | None) -> None:
    """Decide under which blob the run's own SampleSheet.csv stands; a published one stays until the outside one is
    written."""
    if sheet is not None and current.run.is_published and not context.settings.mode.dry_run:
        _go_on_setting_aside(context, current, sheet)
    kept, standing = context.files.get(current.run, INSTRUMENT_SHEET_BLOB), context.files.get(
        current.run, SHEET_BLOB
    )
    if kept is not None and kept.path == OWN_PATH and kept.generation > 0:
        current.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif standing is not None and standing.origin == "sheet":
        # An outside sheet has the place already, even if it was taken away since: the own one is not dropped for it.
        current.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}
    elif standing is not None and standing.generation > 0:
        current.renamed = {}
    elif sheet is not None and current.folder is not None and _own_differs(current.root, sheet):
        current.renamed = {OWN_PATH: INSTRUMENT_SHEET_BLOB}


def _own_differs(root: Place, sheet: Sheet) -> bool:
    try:
        with root.open() as folder, open(folder.file(OWN_PATH)[0], "rb") as handle:
            return handle.read(sheets.LARGEST + 1) != sheet.content
    except OSError:
        # What is no regular file is the walk's to tell.
        return False


def carry(context: PassContext, current: RunContext, sheet: Sheet | None) -> None:
    """Write the outside sheet if it is new, changed, or its blob went wrong. The run's own data is verified by now.
    Raises SheetChanged, NotWritten, BlobReplaced."""
    if sheet is None:
        return
    must_be_as_read(context, current, sheet)
    row = context.files.get(current.run, SHEET_BLOB)
    if row is not None and row.md5 == sheet.md5 and (row.origin != "sheet" or row.evidence > Evidence.NONE):
        return
    if row is not None and row.origin != "sheet" and row.generation > 0:
        _set_aside(context, current, sheet, row)
    else:
        _tell_own_is_kept(context, current)
        context.files.put(current.run, [_write(context, current, sheet, row)])
    current.republish = True
    current.sent_files += 1
    current.sent_bytes += sheet.size
    _log.info("%s: its sample sheet is uploaded", current.key)


def must_be_as_read(context: PassContext, current: RunContext, sheet: Sheet) -> None:
    """Just before it is written: what is published is no earlier state. Raises SheetChanged."""
    now, _ = sheets.read_file(current.sheets)
    if now != sheet:
        raise SheetChanged(current.key, sheets.moves(context, current, now))


def must_be_as_published(context: PassContext, current: RunContext) -> None:
    """Just before documents name it, and before the marker stands for it. Raises SheetChanged."""
    if current.sheet is not None:
        must_be_as_read(context, current, current.sheet)


def _tell_own_is_kept(context: PassContext, current: RunContext) -> None:
    kept = current.renamed and context.files.get(current.run, INSTRUMENT_SHEET_BLOB) is not None
    if kept and context.ledger.report_once(f"own-sheet:{current.key}", context.clock.now()):
        _log.warning(
            "%s: its own %s differs from the sample sheet folder's and is kept as %s",
            current.key,
            SHEET_BLOB,
            INSTRUMENT_SHEET_BLOB,
        )


def _write(context: PassContext, current: RunContext, sheet: Sheet, row: FileRow | None) -> FileRow:
    """``row``: what our manifest says of the blob."""
    name = current.prefix + SHEET_BLOB
    stands = context.lake().stat(name)
    if stands is not None and _is_precious(row, stands, sheet):
        _keep(context, current, stands)
    return _put(context, current, sheet, stands)


def _is_precious(row: FileRow | None, stands: Blob, sheet: Sheet) -> bool:
    """Would anything be lost? Neither the same bytes, nor what is not as we published it and is healed, nor what we
    wrote ourselves and never published."""
    if (stands.size, stands.md5) == (sheet.size, sheet.md5):
        return False
    if row is None:
        return True
    return row.md5 != sheet.md5 and (row.generation > 0 or row.etag != stands.etag)


def _keep(context: PassContext, current: RunContext, stands: Blob) -> None:
    context.must_hold_lock()
    try:
        snapshot = context.lake().snapshot(stands.name, stands.etag)
    except BlobMissing:
        return
    except (AccessRefused, BlobRefused) as error:
        raise SheetNotWritten(current.key, Reason("sheet-not-kept", {"problem": error.message})) from error
    current.replaced.append(Replaced(SHEET_BLOB, stands.size, stands.md5, snapshot))
    md5 = stands.md5.hex() if stands.md5 else None
    about = {"blob": SHEET_BLOB, "size": stands.size, "md5": md5, "snapshot": snapshot}
    context.ledger.append_event(current.run, context.clock.now(), KEPT, about)
    _log.info("%s: the sample sheet that was published is kept as snapshot %s", current.key, snapshot)


def _put(context: PassContext, current: RunContext, sheet: Sheet, stands: Blob | None) -> FileRow:
    context.must_hold_lock()
    name, replaces = current.prefix + SHEET_BLOB, None if stands is None else stands.etag
    etag = context.lake().put(name, sheet.content, sheet.size, sheet.md5, "text/csv", replaces)
    return sheets.row_of(current.sheets, sheet, Evidence.VALIDATED, etag)


def _go_on_setting_aside(context: PassContext, current: RunContext, sheet: Sheet) -> None:
    """Cut off after both blobs were written: the ledger knows of neither, and what it knows is not there any more."""
    own = context.files.get(current.run, SHEET_BLOB)
    if own is None or own.origin == "sheet" or own.generation == 0 or own.md5 == sheet.md5:
        return
    aside = context.lake().stat(current.prefix + INSTRUMENT_SHEET_BLOB)
    if aside is None or aside.md5 != own.md5:
        return
    stands = context.lake().stat(current.prefix + SHEET_BLOB)
    if stands is not None and stands.md5 != own.md5:
        must_be_as_read(context, current, sheet)
        _set_aside(context, current, sheet, own)
        current.republish = True


def _set_aside(context: PassContext, current: RunContext, sheet: Sheet, own: FileRow) -> None:
    """The published SampleSheet.csv is the instrument's and the outside one differs: copy it, checked, to its own
    name, before the outside one takes its place. Works from the lake: the source may be gone."""
    lake, name, aside = context.lake(), current.prefix + SHEET_BLOB, current.prefix + INSTRUMENT_SHEET_BLOB
    known = context.files.get(current.run, INSTRUMENT_SHEET_BLOB)
    there, stands = lake.stat(aside), lake.stat(name)
    others = (known is not None and known.md5 != own.md5) or (there is not None and there.md5 != own.md5)
    if others:
        in_the_way = {"blob": INSTRUMENT_SHEET_BLOB, "sheet": f"{current.key}.csv"}
        raise SheetNotWritten(current.key, Reason("sheet-in-the-way", in_the_way))
    content = _content(context, own, stands)
    is_own = content is not None
    if content is None:
        # Cut off after both blobs were written: the own one stands aside already.
        content = _content(context, own, there)
    if content is None:
        raise RunError(
            f"{current.key}: the published {SHEET_BLOB} differs from its manifest, so it is not replaced by the"
            " sheet of the sample sheet folder",
            "run with --thorough to upload it again first",
        )
    context.must_hold_lock()
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
    outside = _put(context, current, sheet, stands) if is_own else _write(context, current, sheet, None)
    # Both rows in one transaction, after both blobs: a crash before it does this again, from the copy.
    context.files.put(current.run, [moved, outside])
    _log.warning("%s: the instrument's own sample sheet is kept as %s", current.key, INSTRUMENT_SHEET_BLOB)


def _content(context: PassContext, own: FileRow, blob: Blob | None) -> bytes | None:
    """What the blob holds, if it is the own sheet."""
    if blob is None or blob.size != own.size:
        return None
    content = b"".join(context.lake().read(blob.name, blob.etag))
    return content if sheets.md5_of(content) == own.md5 else None
