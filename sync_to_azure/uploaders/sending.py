"""Sends one opened file: as one Put Blob up to 8 MiB, above in blocks that go out while the next are read.

The same for files of a run and for single ones; what they may look like, and who waits for the outcome, is theirs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sync_to_azure.core.errors import (
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    Overtaken,
    RunError,
    SourceUnavailable,
    SyncError,
    UploadFailed,
)
from sync_to_azure.core.model import Blob, Evidence
from sync_to_azure.files.digests import Digests
from sync_to_azure.files.walk import SHARE_GONE
from sync_to_azure.uploaders import blocks
from sync_to_azure.uploaders.buffers import Buffer
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.hot_calls import HotCalls
from sync_to_azure.uploaders.threads import Parts
from sync_to_azure.uploaders.under_way import UnderWay

_log = logging.getLogger(__name__)


class Storage(Protocol):
    """What is asked of a store beside the writing itself."""

    def stat(self, name: str) -> Blob | None: ...

    def read(
        self, name: str, etag: str | None = None, offset: int = 0, *, length: int | None = None
    ) -> Iterator[bytes]: ...

    def uncommitted_blocks(self, name: str) -> Sequence[tuple[bytes, int]]: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """``name``: of the blob, whole; ``size``: bytes that the file has; ``replaces``: the ETag of the blob that may be
    replaced, None if none may be there."""

    name: str
    size: int
    replaces: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """``etag``: of the answer to our own commit; with ``listed`` of what was found there when that answer was lost."""

    etag: str
    evidence: Evidence
    digests: dict[str, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A file that is held open. ``digests`` has ``md5`` in it. ``is_unchanged``: is it still the file that it was
    before it was read?"""

    target: Target
    handle: int
    digests: Sequence[str]
    is_unchanged: Callable[[os.stat_result], bool]


Outcome = Written | SyncError | None
"""None: the file is not as it was before it was read; nothing was committed."""


@dataclasses.dataclass(slots=True)
class _Cut:
    """How one file is cut: bytes a block, bytes an id; ``there``: (id, size) of blocks that need not be sent;
    ``unproved``: (offset, size, MD5) of those of them that the file has, and of all whose ids do not name their bytes:
    somebody else, or our own late request, may have written under them."""

    size: int
    id_length: int
    there: frozenset[tuple[bytes, int]]
    unproved: list[tuple[int, int, bytes]] = dataclasses.field(default_factory=list)


class FileSender:
    """Of one job or one single file. Used by many threads."""

    def __init__(self, calls: HotCalls, storage: Storage, crew: Crew, work: UnderWay) -> None:
        self._calls = calls
        self._storage = storage
        self._crew = crew
        self._buffers = crew.buffers
        self._work = work

    def put_whole(self, target: Target, body: "memoryview | bytes", md5: bytes) -> Written:
        """Raises Overtaken."""
        try:
            return self._committed(
                target,
                {"md5": md5},
                lambda: self._calls.put_blob(self._work, target.name, body, md5, target.replaces),
            )
        except Overtaken:
            left = self._leftovers(target)
            if not left:
                raise
            # Blocks that are not committed count as a blob for some (Azurite); a list of blocks takes their place.
            identity = blocks.block_id(0, md5, blocks.id_length(left))
            written = self._committed(
                target, {"md5": md5}, lambda: self._put_as_block(target, body, md5, identity)
            )
            # More than one request: nobody checked the whole.
            return dataclasses.replace(written, evidence=Evidence.LISTED)

    def _put_as_block(self, target: Target, body: "memoryview | bytes", md5: bytes, identity: bytes) -> str:
        if body:
            self._calls.put_block(self._work, target.name, identity, body)
        listed = blocks.block_list([identity] if body else [])
        return self._calls.put_block_list(self._work, target.name, listed, md5, target.replaces)

    def _committed(self, target: Target, digests: dict[str, bytes], commit: Callable[[], str]) -> Written:
        """Raises Overtaken if what stands there is neither what may be replaced nor, by its size and MD5, our own."""
        try:
            return Written(commit(), Evidence.VALIDATED, digests)
        except BlobReplaced as error:
            found = self._storage.stat(target.name)
            if found is not None and (found.size, found.md5) == (target.size, digests["md5"]):
                return Written(found.etag, Evidence.LISTED, digests)
            raise Overtaken(
                f"{error.message}, and was not written by sync_to_azure", "planned again"
            ) from error

    def send(self, file: Opened, done: Callable[[Outcome], None]) -> None:
        """In a reader's thread; ``done`` gets the outcome, maybe from another thread after this has returned, and is
        called once. Nothing reads from the handle after the return."""
        try:
            if file.target.size <= blocks.SINGLE_PUT:
                self._send_whole(file, done)
                return
            outcome: Outcome = self._send_in_blocks(file)
        except Exception as error:
            outcome = as_ours(file.target.name, error)
        done(outcome)

    def _send_whole(self, file: Opened, done: Callable[[Outcome], None]) -> None:
        size = file.target.size
        buffer = self._buffers.take(self._work, blocks.BLOCK, size)
        body = self._buffers.filled(file.handle, buffer, 0, size)
        if len(body) != size or not file.is_unchanged(os.fstat(file.handle)):
            self._buffers.give_back(buffer)
            done(None)
            return

        def send() -> None:
            self._crew.cores.apart()
            outcome: Outcome
            try:
                digests = Digests(file.digests)
                digests.update(body)
                found = digests.results()
                outcome = dataclasses.replace(self.put_whole(file.target, body, found["md5"]), digests=found)
            except Exception as error:
                outcome = as_ours(file.target.name, error)
            self._buffers.give_back(buffer)
            done(outcome)

        self._crew.send(send)

    def _send_in_blocks(self, file: Opened) -> Written | None:
        """The list of blocks is written when all are there. What an earlier try left is not sent again, and read back
        instead: somebody else may have written under those ids."""
        with contextlib.suppress(OSError):
            os.posix_fadvise(file.handle, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        left = self._leftovers(file.target)
        cut = _Cut(blocks.block_size(file.target.size), blocks.id_length(left), blocks.reusable(left))
        written = self._send_blocks(file, cut)
        if written is not None and cut.unproved and written.evidence is Evidence.VALIDATED:
            written = self._read_back(file, written, cut)
        return written

    def _read_back(self, file: Opened, written: Written, cut: _Cut) -> Written | None:
        """Does the blob that was just written hold our bytes where blocks are unproved? Else it is sent again."""
        try:
            if self._holds(file.target, written, cut):
                return written
        except (BlobMissing, BlobRefused, BlobReplaced):
            # Somebody else wrote there, or it cannot be read: what the listing says counts.
            return dataclasses.replace(written, evidence=Evidence.LISTED)
        _log.warning(
            "%s: blocks that were left there hold other bytes; the file is sent again", file.target.name
        )
        whole = _Cut(cut.size, blocks.OWN_LENGTH, frozenset())
        again = dataclasses.replace(file, target=dataclasses.replace(file.target, replaces=written.etag))
        problem = (
            f"{file.target.name} contains blocks of another writer instead (ETag {written.etag}), and the file could"
            " not be sent again over them"
        )
        try:
            found = self._send_blocks(again, whole)
        except Overtaken:
            raise
        except (RunError, SourceUnavailable) as error:
            raise UploadFailed(f"{problem}: {error.message}", error.advice) from error
        if found is None:
            raise UploadFailed(
                f"{problem}: it changed while it was read", "upload it again once nothing else writes to it"
            )
        return found

    def _send_blocks(self, file: Opened, cut: _Cut) -> Written | None:
        target, parts = file.target, Parts()
        try:
            read, digests, ids = self._read_and_send(file, cut, parts)
        finally:
            parts.wait()
        self._work.go_on()
        if parts.error is not None:
            raise parts.error
        if read != target.size or not file.is_unchanged(os.fstat(file.handle)):
            return None
        found, listed = digests.results(), blocks.block_list(ids)
        return self._committed(
            target,
            found,
            lambda: self._calls.put_block_list(
                self._work, target.name, listed, found["md5"], target.replaces
            ),
        )

    def _read_and_send(self, file: Opened, cut: _Cut, parts: Parts) -> tuple[int, Digests, list[bytes]]:
        """(bytes that were read, their digests, the ids of their blocks)"""
        target = file.target
        digests = Digests(file.digests)
        ids: list[bytes] = []
        read = 0
        while read < target.size and parts.error is None:
            wanted = min(cut.size, target.size - read)
            buffer = self._buffers.take(self._work, cut.size, wanted)
            body = self._buffers.filled(file.handle, buffer, read, wanted)
            if len(body) < wanted:
                self._buffers.give_back(buffer)
                break
            digests.update(body)
            ids.append(self._block_id(target, len(ids), digests.so_far("md5"), cut))
            is_there = (ids[-1], len(body)) in cut.there
            if is_there or cut.id_length < blocks.OWN_LENGTH:
                cut.unproved.append((read, len(body), hashlib.md5(body, usedforsecurity=False).digest()))
            if is_there:
                self._buffers.give_back(buffer)
                self._work.moved(len(body))
            else:
                parts.begin()
                self._crew.send(self._block_sender(target.name, ids[-1], body, buffer, parts))
            read += len(body)
        return read, digests, ids

    def _holds(self, target: Target, written: Written, cut: _Cut) -> bool:
        for offset, length, md5 in cut.unproved:
            digest = hashlib.md5(usedforsecurity=False)
            for chunk in self._storage.read(target.name, written.etag, offset, length=length):
                self._work.alive()
                digest.update(chunk)
            if digest.digest() != md5:
                return False
        return True

    def _block_id(self, target: Target, number: int, md5: bytes, cut: _Cut) -> bytes:
        try:
            return blocks.block_id(number, md5, cut.id_length)
        except ValueError as error:
            advice = (
                "the service drops blocks that are not committed a week after the last of them was written"
            )
            raise UploadFailed(f"{target.name}: {error}", advice) from error

    def _block_sender(
        self, blob: str, identity: bytes, body: memoryview, buffer: Buffer, parts: Parts
    ) -> Callable[[], None]:
        def send() -> None:
            self._crew.cores.apart()
            problem: SyncError | None = None
            try:
                self._calls.put_block(self._work, blob, identity, body)
            except Exception as error:
                problem = as_ours(blob, error)
            self._buffers.give_back(buffer)
            parts.end(problem)

        return send

    def _leftovers(self, target: Target) -> list[blocks.Leftover]:
        return [blocks.Leftover(*each) for each in self._storage.uncommitted_blocks(target.name)]


def as_ours(blob: str, error: Exception) -> SyncError:
    """A thread that died of an error would leave its user waiting for the file, so each becomes a SyncError."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, OSError):
        kind = SourceUnavailable if error.errno in SHARE_GONE else RunError
        return kind(f"{blob} cannot be read: {error.strerror}")
    _log.error("%s: internal error, please report it", blob, exc_info=error)
    return UploadFailed(f"{blob}: internal error: {type(error).__name__}: {error}")
