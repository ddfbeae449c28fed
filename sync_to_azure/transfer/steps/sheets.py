"""The sample sheet: NAME.csv of the sheet folder becomes DEST/RUN/SampleSheet.csv, when it was quiet for as long as a
run must be. Sheets are small: they are read whole and written by the lake, service-checked (``sheet_writing``).
"""

from __future__ import annotations

import errno
import hashlib
import os

from sync_to_azure.instruments import completion
from sync_to_azure.core.clock import mtime_ns
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.transfer.ledger.sheet_memory import Sheets
from sync_to_azure.core.model import Evidence, FileToSend
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import SheetFile, nearly_sheets
from sync_to_azure.transfer.steps.looks import Sheet
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.ledger import Files, Ledger, Run

OWN_PATH = SHEET_BLOB.encode()
NOT_THERE = ("no-sheet-yet", "sheet-named-otherwise")
NOT_QUIET = "sheet-not-quiet"
AWAITED = (*NOT_THERE, "sheet-ambiguous", "sheet-unreadable", NOT_QUIET)
"""Codes of reasons: an uploaded run waits for its sheet."""
LARGEST = 64 * 1024 * 1024
_A_LINK = "it is a symlink, which is not followed; put the sheet itself there"


def look(context: PassContext, current: RunContext) -> None:
    """The quiet time of a sheet that is not published begins when it is seen, whatever its run waits for. No file is
    opened."""
    if len(current.sheets) == 1 and not _is_carried(current.sheets, current.run):
        sheet = current.sheets[0]
        _judge(context, current, sheet.size, sheet.mtime_ns)
        if current.run.is_published and current.sheet_waits is not None:
            context.sheets_moving.add(current.key)


def has_changed(current: RunContext) -> bool:
    """Is there a sheet other than the one that was carried, judged by size and mtime, and is it quiet?"""
    return (
        bool(current.sheets) and current.sheet_waits is None and not _is_carried(current.sheets, current.run)
    )


def _is_carried(sheets: list[SheetFile], run: Run) -> bool:
    if len(sheets) != 1:
        return False
    sheet = sheets[0]
    return (run.sheet_size, run.sheet_mtime_ns) == (sheet.size, sheet.mtime_ns)


def _judge(context: PassContext, current: RunContext, size: int, mtime: int) -> None:
    """Was it found unchanged for ``completion-delay``? ``current.sheet_waits`` says."""
    memory = Sheets(context.ledger)
    remembered, now = memory.remembered(current.run), context.clock.now()
    decision = completion.decide(
        f"{size}:{mtime}", remembered, now, context.settings.completion.completion_delay
    )
    if decision.remember is not None and decision.remember != remembered:
        memory.remember(current.run, decision.remember)
    current.sheet_waits = None
    if decision.reason is not None:
        parameters = {"sheet": current.sheets[0].path.name, **decision.reason.parameters}
        current.sheet_waits = Reason(NOT_QUIET, parameters)


def read(context: PassContext, current: RunContext) -> tuple[Sheet | None, Reason | None]:
    """The outside sheet of this run, or why there is none that can be used. ``current.sheet_waits``: it is not
    quiet."""
    sheet, problem = read_file(current.sheets)
    if sheet is not None and (current.run.sheet_size, current.run.sheet_mtime_ns) != (
        sheet.size,
        sheet.mtime_ns,
    ):
        _judge(context, current, sheet.size, sheet.mtime_ns)
    elif sheet is None and problem is None and current.sheets:
        current.sheet_waits = moves(context, current, None)
    return sheet, problem


def quiet(context: PassContext, current: RunContext, sheet: Sheet | None) -> Sheet | None:
    """The sheet, if it is quiet, or just what is published already."""
    if sheet is None or current.sheet_waits is None:
        return sheet
    row = context.files.get(current.run, SHEET_BLOB) if current.run.is_published else None
    return sheet if row is not None and row.md5 == sheet.md5 else None


def moves(context: PassContext, current: RunContext, sheet: Sheet | None) -> Reason:
    """It was modified just now: its quiet time begins."""
    since = context.clock.now()
    seen = f"{sheet.size}:{sheet.mtime_ns}" if sheet is not None else "?"
    Sheets(context.ledger).remember(current.run, completion.Remembered(seen, since))
    begins = {"since": since, "from": since + context.settings.completion.completion_delay}
    return Reason(NOT_QUIET, {"sheet": current.sheets[0].path.name, **begins})


def read_file(sheets: list[SheetFile]) -> tuple[Sheet | None, Reason | None]:
    if not sheets:
        return None, None
    if len(sheets) > 1:
        return None, Reason("sheet-ambiguous", {"sheets": [sheet.path.name for sheet in sheets]})
    file = sheets[0]
    try:
        opened, before = file.folder.file(os.fsencode(file.path.name))
        with open(opened, "rb") as handle:
            content = handle.read(LARGEST + 1)
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
    if len(content) > LARGEST:
        problem = "it is larger than 64 MiB, which no sample sheet is"
    elif (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(
        content
    ) != after.st_size:
        return None, None  # it is being written: the next pass sees it whole
    elif not content:
        problem = "it is empty"
    if problem:
        return None, Reason("sheet-unreadable", {"sheet": file.path.name, "problem": problem})
    return Sheet(content, md5_of(content), after.st_size, mtime_ns(after)), None


def row_of(sheets: list[SheetFile], sheet: Sheet, evidence: Evidence, etag: str) -> FileRow:
    """The manifest's line of a sheet that was just written, or found."""
    name = sheets[0].path.name.encode("utf-8", "backslashreplace")
    own = evidence >= Evidence.VALIDATED
    return FileRow(
        SHEET_BLOB, name, "sheet", sheet.size, sheet.mtime_ns, sheet.md5, evidence, etag, etag_is_own=own
    )


def recognise(files: Files, run: Run, sheets: list[SheetFile], sheet: Sheet | None) -> list[FileToSend]:
    """A sheet that the tool before this one wrote: the same bytes count as carried, others are not overwritten and
    returned."""
    if sheet is None or not run.foreign_blobs or files.get(run, SHEET_BLOB) is not None:
        return []
    listed = files.scratch.listed(SHEET_BLOB)
    if listed is None:
        return []
    if (listed.size, listed.md5) == (sheet.size, sheet.md5):
        files.put(run, [row_of(sheets, sheet, Evidence.LISTED, listed.etag)])
        return []
    files.scratch.hold([(SHEET_BLOB, "taken-over")])
    return [FileToSend(os.fsencode(sheets[0].path.name), SHEET_BLOB, sheet.size, sheet.mtime_ns)]


def is_lost(files: Files, run: Run) -> bool:
    """The outside sheet's blob is missing or wrong (by the verdict just made, or after ``carry`` could not heal it)."""
    row = files.get(run, SHEET_BLOB)
    return row is not None and row.origin == "sheet" and row.evidence is Evidence.NONE


def note_carried(ledger: Ledger, run: Run, sheet: Sheet | None) -> None:
    if sheet is not None and (run.sheet_size, run.sheet_mtime_ns) != (sheet.size, sheet.mtime_ns):
        ledger.set(run, sheet_size=sheet.size, sheet_mtime_ns=sheet.mtime_ns)
        Sheets(ledger).forget(run)


def is_awaited(context: PassContext, current: RunContext, sheet: Sheet | None) -> bool:
    """Must publishing wait for a sheet? Only with a sheet folder, and not if one was carried before; also where it is
    optional for one that is there and not quiet yet."""
    settings = context.settings
    if current.sheet_waits is not None and not current.run.is_published:
        return True
    if settings.source.samplesheet_folder is None or settings.source.sheet_optional or sheet is not None:
        return False
    carried = context.files.get(current.run, SHEET_BLOB)
    return carried is None or carried.origin != "sheet" and current.run.sheet_size is None


def missing(context: PassContext, current: RunContext) -> Reason:
    """What a run without its sheet waits for, and the file that may be meant as it."""
    about: dict[str, object] = {"sheet": f"{current.key}.csv"}
    near = nearly_sheets(context.settings.source.samplesheet_folder, current.key)
    if near:
        return Reason("sheet-named-otherwise", about | {"near": ", ".join(near)})
    return Reason("no-sheet-yet", about)


def md5_of(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
