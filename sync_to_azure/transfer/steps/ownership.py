"""Whose is a published run: does its receipt name this flow, or may this flow take it over?

Losing the ledger costs time only: the same folder seen from the same machine continues at once, and any folder that
holds every published file is taken for the run's source, so that a main folder that was moved flags nothing.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from sync_to_azure.core.clock import mtime_ns
from sync_to_azure.core.errors import BlobMissing, SourceUnavailable
from sync_to_azure.files.folder import Folder
from sync_to_azure.files.hashing import hash_below
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.transfer.ledger.flows import ACCEPTED, DIFFERS, SAME_FILES, Flows
from sync_to_azure.transfer.ledger.overrides import mark_used
from sync_to_azure.core.model import Evidence, FileToSend, Progress
from sync_to_azure.core.names import ASIDE_PREFIX
from sync_to_azure.transfer.steps import claims, override_checks
from sync_to_azure.manifest import documents
from sync_to_azure.manifest.origin import Origin, origin_in
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.files.walk import SHARE_GONE
from sync_to_azure.transfer.source import RunFolder

_log = logging.getLogger(__name__)

COMPARED_AGAIN = 24 * 3600.0
"""Seconds until a source that differed is compared again: its files may have to be read for it."""


def of_receipt(context: PassContext, current: RunContext, receipt: Mapping[str, Any]) -> None:
    """Raises OtherFlow if the receipt is another flow's and this source is not that of the published run."""
    ours, theirs = context.origin, origin_in(receipt.get("source"))
    if _is_ours(ours, theirs) or _is_aside(current.folder):
        return
    identity = theirs.flow or f"main folder {theirs.main_folder}"
    flows, now = Flows(context.ledger), context.clock.now()
    how, at = flows.judged(current.key, identity) or (None, 0.0)
    if how in (SAME_FILES, ACCEPTED):
        return
    if claims.takes_over(current.override, identity) and current.override is not None:
        flows.judge(current.key, identity, ACCEPTED, now)
        mark_used(context.ledger, current.override)
        current.override = None
        _log.warning(
            "%s: taken over from another flow (%s), as accepted", current.key, theirs.described(ours)
        )
        return
    is_known = (
        how == DIFFERS and 0 <= now - at < COMPARED_AGAIN and not override_checks.thorough(context, current)
    )
    if not is_known and current.folder is not None:
        holds_all = _holds_all(context, current)
        flows.judge(current.key, identity, SAME_FILES if holds_all else DIFFERS, now)
        if holds_all:
            text = "%s: published by another flow (%s); the source has every file of it, so it is taken over"
            _log.warning(text, current.key, theirs.described(ours))
            return
    raise claims.OtherFlow(context, current, "other-main-folder", theirs, identity)


def _is_ours(ours: Origin, theirs: Origin) -> bool:
    """Receipts of versions without an identity are known by the path of the main folder."""
    if theirs.flow is None:
        return theirs.main_folder == ours.main_folder
    return theirs.flow == ours.flow or ours.is_same_folder(theirs)


def _is_aside(folder: RunFolder | None) -> bool:
    """It was moved aside for removal, by us: what is left of it is compared with the manifest entry by entry before
    anything is unlinked, whoever published it."""
    return folder is not None and os.path.basename(folder.path).startswith(os.fsencode(ASIDE_PREFIX))


def _holds_all(context: PassContext, current: RunContext) -> bool:
    """Is every file of the published manifest at the source? Sizes first, of all; where an mtime differs, the file is
    read. Equal name, size and mtime count as equal: before such a file is removed, it is read anyway, as the manifest
    came from the lake."""
    try:
        with current.root.open() as folder:
            return _holds_all_in(context, current, folder)
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{current.key} cannot be accessed: {error.strerror}") from error
        return False


def _holds_all_in(context: PassContext, current: RunContext, folder: Folder) -> bool:
    touched = files = 0
    for row, status in _both(context, current, folder):
        if status is None:
            return False
        files += 1
        touched += mtime_ns(status) != row.mtime_ns
    if not touched:
        return files > 0
    for row, status in _both(context, current, folder):
        if status is None:
            return False
        now_ns = mtime_ns(status)
        if now_ns == row.mtime_ns:
            continue
        hashed = hash_below(folder, FileToSend(row.path, row.blob, row.size, now_ns))
        if hashed.problem == "share":
            raise SourceUnavailable(f"{current.key}: {row.blob} cannot be read: {hashed.detail}")
        if hashed.md5 != row.md5:
            return False
    return True


def _both(
    context: PassContext, current: RunContext, folder: Folder
) -> Iterator[tuple[FileRow, os.stat_result | None]]:
    """Each file of the published manifest and how it is at the source; None where it is not, or has another size. One
    None if the manifest cannot be read."""
    number = 0
    try:
        for row in documents.file_rows(context.lake().lines(current.base + ".files.jsonl"), 1):
            if row.origin == "sheet":
                continue
            number += 1
            if number % 1000 == 0:
                context.progress(current, Progress(current.key, "comparing", number))
            yield row, _at_source(folder, row)
    except (BlobMissing, ValueError):
        yield _NO_ROW, None


_NO_ROW = FileRow("", b"", "run", 0, 0, b"", Evidence.NONE, "")


def _at_source(folder: Folder, row: FileRow) -> os.stat_result | None:
    try:
        status = folder.stat(row.path)
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise
        return None
    return status if stat.S_ISREG(status.st_mode) and status.st_size == row.size else None
