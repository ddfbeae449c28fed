"""Values that cross rooms. What can be a million is never a list of these, but a stream or a table."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping


class Evidence(enum.IntEnum):
    """How strongly a file at the destination is proved, weakest first (docs/glossary.md)."""

    NONE = 0
    LISTED = 1
    VALIDATED = 2
    READ_BACK = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> "Evidence":
        return cls[label.upper().replace("-", "_")]


class State(enum.StrEnum):
    """Where a run stands. ``EXPECTED``: only its sample sheet is there; ``GONE``: its folder left, not by us."""

    EXPECTED = "expected"
    SEEN = "seen"
    WAITING = "waiting"
    UPLOADING = "uploading"
    VERIFIED = "verified"
    PUBLISHED = "published"
    REMOVING = "removing"
    REMOVED = "removed"
    FLAGGED = "flagged"
    FAILING = "failing"
    GONE = "gone"


class Kind(enum.StrEnum):
    """What an entry under a run is, or why it is not carried. Of a continuous folder: ``LEFT``, its profile has no
    place for it; ``WAITING``, it is carried later."""

    FILE = "file"
    EMPTY_FOLDER = "empty-folder"
    SYMLINK = "symlink"
    JUNK = "junk"
    EXCLUDED = "excluded"
    SYMLINK_OUTSIDE = "symlink-outside"
    SPECIAL = "special-file"
    UNREADABLE = "unreadable"
    BAD_NAME = "bad-name"
    NAME_CLASH = "name-clash"
    LEFT = "left"
    WAITING = "waiting"

    @property
    def holds_up(self) -> bool:
        """True for entries that must be solved before a run may be published."""
        return self in _HOLDS_UP


_HOLDS_UP = {Kind.SYMLINK_OUTSIDE, Kind.SPECIAL, Kind.UNREADABLE, Kind.BAD_NAME, Kind.NAME_CLASH}


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One thing found under a run folder. ``path`` is relative to it, raw bytes with ``/``; times in ns since 1970.
    ``ctime_ns`` only of files; ``blob`` where its name below DEST/RUN/ is not its path."""

    path: bytes
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    detail: str = ""
    ctime_ns: int = dataclasses.field(default=0, compare=False)
    blob: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digest of a whole tree, free of order: equal ones mean the same paths, sizes and mtimes."""

    digest: str
    entries: int
    newest_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class FileToSend:
    """``path``: bytes below the run folder; ``blob``: name below DEST/RUN/; ``size`` in bytes. ``etag``: of the blob
    that the plan's listing showed under this name, None if there was none: the condition under which it is written.
    """

    path: bytes
    blob: str
    size: int
    mtime_ns: int
    etag: str | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """What an uploader believes of one file; the listing decides. ``md5``: only if the uploader computed it.
    ``etag``: that of the answer to our own request, None where the uploader is not told it (AzCopy); ``nonce``:
    what AzCopy's job wrote into the blob's metadata instead. ``ctime_ns``: of the file, just before the bytes of
    ``md5`` were read.
    """

    blob: str
    evidence: Evidence
    md5: bytes | None = None
    etag: str | None = None
    nonce: str | None = None
    ctime_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Blob:
    """Facts of one object in a store. ``name`` is whole; ``size`` in bytes; ``md5`` 16 bytes or None: what its writer
    said; ``etag`` without quotes; ``folder_stub`` as of HNS accounts; ``nonce``: of the AzCopy job that uploaded
    it, by its metadata. ``modified``: when the store saw it written, in seconds since 1970 by its own clock;
    ``version``: where the store keeps versions; names of ``metadata`` in small letters."""

    name: str
    size: int
    md5: bytes | None
    etag: str
    tier: str | None = None
    folder_stub: bool = False
    nonce: str | None = None
    modified: float | None = None
    content_type: str | None = None
    version: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_archived(self) -> bool:
        """It can be listed, and not be read before it is rehydrated (hours)."""
        return (self.tier or "").casefold() == "archive"


NONCE_KEY = "sync_to_azure_job"
"""Metadata of blobs that AzCopy uploaded: the nonce of its job. AzCopy does not report ETags."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far one step of one run is. Bytes and files; ``rate`` in bytes a second."""

    run: str
    step: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    rate: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class RunLine:
    """One row of the table at the end of a pass. ``seconds`` of wall time spent on the run in this pass."""

    run: str
    state: State
    reason: str
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    sent_files: int = 0
    sent_bytes: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now. ``key`` stays the same while it is the same trouble (``run:code``);
    ``new`` if it arose in this pass; ``once`` if it is told a single time and then no more trouble."""

    key: str
    text: str
    exit_code: int = 1
    new: bool = True
    once: bool = False


UNAVAILABLE = "unavailable:"
"""How the key of a trouble begins that is no run's; the class of its error follows."""


@dataclasses.dataclass(slots=True)
class Summary:
    """What a pass did, for the table, the mail and the exit code. ``counted``: in a sentence, where the counts do not
    say it (an audit)."""

    runs: list[RunLine] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    published: int = 0
    waiting: int = 0
    idle: int = 0
    counted: str = ""
