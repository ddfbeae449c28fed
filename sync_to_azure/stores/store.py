"""The port to an object store: what every store promises, whatever it is made of. ``azure`` and ``local`` implement
it; tests/contract/stores holds both to it.

**Names** are text of 1 to 1,024 characters; ``/`` makes levels, nothing else is special. A store that cannot hold a
name raises BlobRefused and writes nothing. Where it has real folders (local, accounts with a hierarchical
namespace), an object and a folder of one name exclude each other: BlobRefused.

**An object** is replaced as a whole: a reader meets the bytes of one write, never a mixture, and never a half of
one. Each write gives an ETag that this name never had before.

**Success** means that the store has all of it: what returned without an error survives a crash of this process.
An error means that nothing was written, or, of ``put`` and ``append``, that all of it was and the answer was lost.
``put``, asked again with the same arguments, finds out and returns the ETag; ``append`` raises BlobReplaced then, as
the object has another ETag: look at its blocks. Every other call may be repeated.

**Conditions.** There is no unconditional write or deletion: a writer says what it may replace (an ETag, or None for
"nothing may be there"), and of two writers that expect the same, one gets BlobReplaced; but where both write the same
bytes, both succeed, with one ETag: a lost answer looks just so. Who counts or takes turns by the store writes
something of its own into the bytes. The store compares and writes in one step, also between processes and machines.

**Errors** (core.errors): ConfigurationError (credentials, endpoint or folder malformed), StorageUnavailable (does
not answer, answers with what cannot be read, container or folder missing, disk full), Redirected, TokenRefused
(``pages``), AccessRefused (credentials, rights), BlobMissing, BlobReplaced (another ETag than asked for),
BlobRefused (lease, policy, archive tier, name), DocumentTooLarge (``most``), ContentDiffers (``put``, ``append``),
OutOfRange (``read``). A store raises nothing else; what is in the arguments and can never be right (a negative
offset) is a ValueError.

Used by several threads at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Protocol

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import BlobRefused, BlobReplaced
from sync_to_azure.core.model import Blob

PAGE = 5000
"""Objects that one answer to a listing holds at most."""
CHUNK = 4 * 1024 * 1024
"""Bytes that one answer to a read holds at most."""
_LONGEST_NAME = 1024

Block = tuple[bytes, int]
"""(id, size in bytes)"""


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One answer to a listing. ``token``: where the listing goes on after it, "" at its end. It is opaque, belongs to
    the store and the prefix, and may be kept for days."""

    blobs: Sequence[Blob]
    token: str


@dataclasses.dataclass(frozen=True, slots=True)
class Dated:
    """The beginning of an object. ``age``: seconds since the store saw it written, by the store's own clock; 0
    where it does not say what time it is."""

    content: bytes
    etag: str
    age: float


@dataclasses.dataclass(frozen=True, slots=True)
class Appended:
    """``blocks``: of the whole object, in their order: what the next append may keep."""

    etag: str
    blocks: tuple[Block, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class SignedUrl:
    """Whoever has it reads the object until ``expires`` (seconds since 1970): a secret."""

    url: str = dataclasses.field(repr=False)
    expires: float


class Store(Protocol):
    """One container. There is no way to delete here: see DeletingStore."""

    @property
    def clock_ahead(self) -> float | None:
        """Seconds that this machine's clock is ahead of the store's, by its last answer; None if it said no time."""

    @property
    def service_date(self) -> float | None:
        """The store's time in its last answer, in seconds since 1970; None if it said none."""

    def check(self, prefix: str) -> None:
        """Does the store answer, with our rights? Raises StorageUnavailable, AccessRefused, ConfigurationError."""

    def pages(self, prefix: str, after: str = "", page_size: int = PAGE) -> Iterator[Page]:
        """Objects whose names start with ``prefix``, page by page, in no agreed order; ``after``: a token of an
        earlier page of the same listing. What is there from the beginning to the end of a listing comes exactly
        once; what is written or deleted in between may come or not. A page may be empty and still not be the last.
        Raises TokenRefused where it cannot go on from ``after``.
        """

    def list(self, prefix: str) -> Iterator[Blob]:
        """``pages`` as one stream."""

    def list_level(self, prefix: str, folders: bool = False) -> Iterator[str]:
        """Names of the objects at ``prefix`` itself (DEST/, or empty), not in folders below it. With ``folders``
        their names too, which end in ``/``."""

    def stat(self, name: str) -> Blob | None:
        """One object as it is now, or None if it is not there."""

    def exists(self, name: str) -> bool: ...

    def modified(self, name: str) -> float | None:
        """When the store saw it written, in seconds since 1970 by its own clock; None if it is not there."""

    def read(
        self,
        name: str,
        etag: str | None = None,
        offset: int = 0,
        most: int | None = None,
        length: int | None = None,
        snapshot: str | None = None,
    ) -> Iterator[bytes]:
        """The bytes of one version, in chunks: from ``offset`` on, up to ``length`` of them or to the end.
        ``etag``: only of that version. Without it the version is the one that the first chunk came from.
        ``snapshot``: of that one.

        Raises BlobMissing, BlobReplaced (at once or between two chunks; what came before is of the right version),
        DocumentTooLarge if the object has more than ``most`` bytes, OutOfRange.
        """

    def get(self, name: str, most: int = bounded.MOST_DOCUMENT) -> bytes | None:
        """A small object, whole, or None if it is not there. Raises DocumentTooLarge."""

    def get_dated(self, name: str, most: int) -> Dated | None:
        """The first ``most`` bytes of an object and how old it is, or None if it is not there."""

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a manifest, without their ends; one above 1 MiB, which is none of ours, comes in pieces.
        Raises BlobMissing, DocumentTooLarge."""

    def md5_of(self, name: str, etag: str) -> bytes:
        """Read one version back and hash it: the strongest evidence. Raises BlobMissing, BlobReplaced."""

    def put(
        self,
        name: str,
        data: bytes | IO[bytes],
        size: int,
        md5: bytes,
        content_type: str,
        replaces: str | None,
        hot: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write one object; returns its ETag. Every byte was compared on its way: what the store has is what
        ``md5`` is of, or ContentDiffers is raised and nothing was written.

        ``replaces``: the ETag of what may be replaced, None if nothing may be there. Raises BlobReplaced if something
        else is, unless it reads back as the very bytes that were to be written: then our own first try came through
        without its answer. ``hot``: in the hot tier, where the store has tiers, whatever its default is.
        """

    def append(
        self,
        name: str,
        etag: str | None,
        kept: Sequence[bytes],
        tail: bytes | IO[bytes],
        size: int,
        content_type: str = "application/octet-stream",
        md5: bytes | None = None,
    ) -> Appended:
        """Write the object whose ETag is ``etag`` again, as its blocks ``kept`` (ids, in the order wanted) and
        ``size`` bytes of ``tail`` after them: a file that grew is not sent again. ``etag`` None: it is not there yet.

        All or nothing, as ``put``. Each new block was compared on its way. ``md5``, of the whole, is only stored:
        nobody compares it with what was kept. Content type and metadata stay, of a new object ``content_type``
        counts. What ``put`` wrote may have no blocks, so that nothing of it can be kept. Raises BlobMissing,
        BlobReplaced, ContentDiffers; BlobRefused where a block is not there or the store takes no more of them.
        """

    def committed_blocks(self, name: str) -> tuple[str, tuple[Block, ...]]:
        """(ETag, its blocks in their order). Raises BlobMissing."""

    def uncommitted_blocks(self, name: str) -> tuple[Block, ...]:
        """Blocks that an upload left behind, none if nothing of that name is there or the store knows no such
        thing."""

    def snapshot(self, name: str, etag: str | None = None) -> str:
        """Keep the bytes as they are now under its name; returns the snapshot's time, which names it. They stay
        when the object is replaced. Raises BlobMissing; with ``etag`` BlobReplaced where it has another by now.
        """

    def sign_url(
        self, name: str, seconds: float, file_name: str | None = None, version: str | None = None
    ) -> SignedUrl | None:
        """A URL by which anybody reads this object for so long (or shorter: see ``expires``), and nothing else. None
        where the store, or what we log in with, cannot give one. ``file_name``: under which a browser saves it;
        ``version``: of that version, else of whatever is there. Nothing looks whether the object is there. Raises
        AccessRefused where the right to sign is missing."""


class DeletingStore(Store, Protocol):
    """A store that was opened with the right to delete."""

    def delete(self, name: str, etag: str) -> None:
        """Delete the object while it has this ETag. One that is not there is deleted already. Its snapshots stay; a
        store that cannot keep them without it raises BlobRefused. Raises BlobReplaced, AccessRefused."""

    def may_delete(self, name: str) -> None:
        """Have we the right to delete this object? Nothing changes. Raises AccessRefused; BlobMissing."""


def check_etag(etag: str) -> None:
    """Raises BlobReplaced for what is no version's ETag: of a service that is asked with it, a star would be any
    version (Azurite takes it so in quotes, too)."""
    if not _ETAG.fullmatch(etag):
        raise BlobReplaced(f"no version has the ETag {etag!r}")


_ETAG = re.compile(r"[!#-)+-~]+")
"""What an ETag is made of, without its quotes (RFC 9110), and without the star."""


def check_address(name: str) -> None:
    """``check_name``, for stores that are asked by URL: parts ``.`` and ``..`` are resolved on the way there, so that
    another object would be read or written."""
    check_name(name)
    if not {".", ".."}.isdisjoint(name.split("/")):
        raise BlobRefused(f"{name!r} has a part . or .., which no URL keeps", "give it another name")


def check_name(name: str) -> None:
    """Raises BlobRefused for a name that no store takes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise BlobRefused(f"{name!r} is not UTF-8, so no store can hold it", "give it another name") from None
    if not 0 < len(name) <= _LONGEST_NAME:
        raise BlobRefused(
            f"{name[:60]!r} has {len(name):,} characters; a store takes names of 1 to {_LONGEST_NAME:,}",
            "give it another name",
        )
