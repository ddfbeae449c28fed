"""Rows of a manifest and the verdict on it, as values."""

from __future__ import annotations

import dataclasses
from typing import Any

from sync_to_azure.core.model import Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class FileRow:
    """One line of the manifest. ``blob`` is the name below DEST/RUN/; ``origin`` is ``run`` or ``sheet``.
    ``etag_is_own``: ``evidence`` rests on an answer to a request of our own that named exactly ``etag``: that of our
    upload, or of reading that version back. ``ctime_ns``: of the file at the source, just before ``md5`` was computed
    of it; None if that is not known."""

    blob: str
    path: bytes
    origin: str
    size: int
    mtime_ns: int
    md5: bytes
    evidence: Evidence
    etag: str
    generation: int = 0
    etag_is_own: bool = False
    ctime_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Manifest against listing, for one run. ``wrong`` holds up to 20 blob names with what is the matter."""

    files: int
    bytes: int
    verified: int
    wrong: tuple[str, ...]
    wrong_count: int
    extras: int
    weakest: Evidence

    @property
    def is_verified(self) -> bool:
        return self.wrong_count == 0


ROW_COLUMNS = (
    "f.blob, f.path, f.origin, f.size, f.mtime_ns, f.md5, f.evidence, coalesce(f.etag, ''), f.generation,"
    " f.etag_is_own, f.ctime_ns"
)
"""Of a table ``file f``, in the order of ``file_row``."""
ROW_LENGTH = 11


def file_row(row: tuple[Any, ...]) -> FileRow:
    blob, path, origin, size, mtime_ns, md5, evidence, etag, generation, own, ctime_ns = row
    return FileRow(
        blob,
        path,
        origin,
        size,
        mtime_ns,
        md5 or b"",
        Evidence(evidence),
        etag,
        generation,
        bool(own),
        ctime_ns,
    )
