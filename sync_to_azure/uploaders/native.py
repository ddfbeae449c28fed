"""Our own uploader: one read of each file, every byte checked by the service as it comes, memory flat.

Files are read in the order of their names (a network share is read sequentially), never more than ``source-readers``
at once. A small file is read, hashed and sent by one thread: handing it from one to another costs more than its own
work. Of larger ones, readers fill buffers that others check and send: up to 8 MiB as one Put Blob, above as Put Blocks,
each with its CRC64 or MD5; the file's own MD5 comes from the same buffers. A file that is not as the walk saw it,
before or after it was read, is not committed. Every commit is conditional on what the plan's listing showed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import ctime_ns
from sync_to_azure.core.errors import (
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    Overtaken,
    RunError,
    SourceUnavailable,
    SurroundingsError,
    SyncError,
    UploadFailed,
)
from sync_to_azure.files.folder import Folder, is_gone_or_replaced
from sync_to_azure.files.hashing import as_seen
from sync_to_azure.core.model import Evidence, FileToSend, Sent
from sync_to_azure.core.few import Few
from sync_to_azure.uploaders import Job, Tick, blocks
from sync_to_azure.uploaders.config import UploadConfig
from sync_to_azure.uploaders.buffers import Buffer, Buffers, read_whole
from sync_to_azure.uploaders.hot_calls import HotCalls, Signer, crc64_for
from sync_to_azure.uploaders.threads import Cores, Parts
from sync_to_azure.files.walk import SHARE_GONE

if TYPE_CHECKING:
    from sync_to_azure.stores.azure import AzureStore

_log = logging.getLogger(__name__)

_SMALL = 128 * 1024
"""Up to this size a file has a buffer of its own; larger ones take turns at those below: what many threads free is not
given back to the system (300 MB were seen)."""

_AHEAD = 512
"""Files handed out and not yet back: so many that the caller need not wake for each."""

_GATHER = 0.005
"""Seconds that results are let gather for, once one is there."""

_TICK = 0.1


class NativeUploader:
    """See the package's promises. Everything that it sent is ``validated``, and its MD5 known; ``listed`` is what
    stands there by a call of ours whose answer was lost."""

    computes_md5 = True

    def __init__(self, config: UploadConfig, signer: Signer, lake: "AzureStore") -> None:
        self._config = config
        self._signer = signer
        self._lake = lake

    def prepare(self) -> None:
        """Nothing to install, but what ``block-check`` asks for has to be there."""
        if self._config.block_check == "crc64":
            crc64_for(self._config.block_check)

    @property
    def described(self) -> str:
        return f"our own, {self._config.concurrency} requests at once"

    def can_carry(self, file: FileToSend) -> bool:
        return True

    def carry(self, job: Job, tick: Callable[[Tick], None]) -> Iterator[Sent]:
        with _Session(self._config, self._signer, self._lake, job) as session:
            for file in job.files:
                while not session.offer(file):
                    yield from session.results(0.1)
                    session.tell(tick)
                session.tell(tick)
            session.no_more()
            while not session.finished:
                yield from session.results(0.2)
                session.tell(tick)
            tick(session.at)
        session.raise_what_failed()


@dataclasses.dataclass(slots=True)
class _Cut:
    """How one file is cut: its ctime before it was read, bytes a block, bytes an id; ``there``: (id, size) of blocks
    that need not be sent; ``unproved``: (offset, size, MD5) of those of them that the file has, and of all whose ids do
    not name their bytes: somebody else, or a late request of ours, may have written under them."""

    ctime: int
    size: int
    id_length: int
    there: frozenset[tuple[bytes, int]]
    unproved: list[tuple[int, int, bytes]] = dataclasses.field(default_factory=list)


class _Session:
    """The threads and buffers of one job. Only ``carry``'s thread calls its public methods."""

    def __init__(self, config: UploadConfig, signer: Signer, lake: "AzureStore", job: Job) -> None:
        self._job = job
        self._source = _opened(job)
        self._lake = lake
        self._stop = threading.Event()
        self._calls = HotCalls(config, signer, config.concurrency, self._stop, self._moved)
        self._cores = Cores()
        # Neither grows: files waiting are at most _AHEAD, blocks waiting have a buffer each.
        self._files: queue.SimpleQueue[FileToSend | None] = queue.SimpleQueue()
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._reading = threading.Semaphore(config.source_readers)
        self._buffers = Buffers(self._stop, self._reading)
        self._done: queue.SimpleQueue[tuple[FileToSend, Sent | SyncError | None]] = queue.SimpleQueue()
        self._waiting = 0
        self._refusals = Few(_log, logging.ERROR, "%s: … and %d more files are refused", job.run)
        self._changed = Few(_log, logging.WARNING, "%s: … and %d more files changed while read", job.run)
        self._closed = False
        self._bytes = 0
        self._through = 0
        self._count_lock = threading.Lock()
        self._failures: list[SyncError] = []
        self._refused: BlobRefused | None = None
        self._overtaken: Overtaken | None = None
        self._timeout = config.timeout
        self._signs = self._last_signs = 0
        self._last_moved = self._last_tick = time.monotonic()
        self._failed = 0
        readers = [threading.Thread(target=self._read, daemon=True) for _ in range(config.source_readers)]
        senders = [threading.Thread(target=self._send, daemon=True) for _ in range(config.concurrency)]
        self._threads = readers + senders
        for thread in self._threads:
            thread.start()

    # The caller's side

    @property
    def at(self) -> Tick:
        return Tick(self._through, self._bytes)

    @property
    def finished(self) -> bool:
        return self._closed and self._waiting == 0

    def offer(self, file: FileToSend) -> bool:
        if self._waiting >= _AHEAD:
            return False
        self._waiting += 1
        if file.size <= _SMALL:
            self._cores.together()
            self._tasks.put(functools.partial(self._carry_small, file))
        else:
            self._files.put(file)
        return True

    def no_more(self) -> None:
        self._closed = True

    def results(self, wait: float) -> Iterator[Sent]:
        """What is through. Raises at once for trouble that all files share."""
        while self._waiting:
            try:
                file, outcome = self._done.get(timeout=wait) if wait else self._done.get_nowait()
            except queue.Empty:
                return
            if wait:
                wait = 0.0
                time.sleep(_GATHER)
            self._waiting -= 1
            if isinstance(outcome, Sent):
                self._through += 1
                yield outcome
            elif isinstance(outcome, SurroundingsError):
                raise outcome
            elif isinstance(outcome, SyncError):
                self._failed += 1
                if isinstance(outcome, BlobRefused):
                    self._refusals.show("%s: %s", self._job.run, outcome)
                    self._refused = self._refused or outcome
                if isinstance(outcome, Overtaken):
                    self._overtaken = self._overtaken or outcome
                if len(self._failures) < 5:
                    self._failures.append(outcome)
            else:
                self._changed.show(
                    "%s: %s changed while it was read; it is not committed", self._job.run, file.blob
                )

    def tell(self, tick: Callable[[Tick], None]) -> None:
        """Ten times a second."""
        now = time.monotonic()
        if now - self._last_tick >= _TICK:
            self._last_tick = now
            tick(self.at)
            self.raise_if_still()

    def raise_if_still(self) -> None:
        """Nothing moved for long, though each call has its own limit: a share that hangs while it is read."""
        now = time.monotonic()
        if self._signs != self._last_signs:
            self._last_signs, self._last_moved = self._signs, now
        elif now - self._last_moved > 2 * self._timeout:
            raise UploadFailed(
                f"nothing moved for {2 * self._timeout:g} s", "check the share and the network"
            )

    def raise_what_failed(self) -> None:
        """What no try can put right first, so that it is told; then what needs another plan; else UploadFailed."""
        if not self._failed:
            return
        if self._refused is not None:
            raise self._refused
        if self._overtaken is not None:
            raise self._overtaken
        told = "; ".join(str(failure) for failure in self._failures)
        raise UploadFailed(f"{self._failed} files were not sent: {told}")

    def __enter__(self) -> "_Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._cores.apart()
        for _ in self._threads:
            self._files.put(None)
            self._tasks.put(None)
        self._calls.close()
        self._refusals.end()
        self._changed.end()
        # A reader that hangs on a dead share cannot be ended: it is a daemon, and sends nothing any more.
        deadline = time.monotonic() + 2.0
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _moved(self, size: int) -> None:
        with self._count_lock:
            self._bytes += size
            self._signs += 1

    # The threads' side

    def _read(self) -> None:
        while not self._stop.is_set():
            file = self._files.get()
            if file is None:
                return
            try:
                self._read_file(file)
            except Exception as error:
                self._done.put((file, _as_ours(file.blob, error)))

    def _carry_small(self, file: FileToSend) -> None:
        self._cores.together()
        outcome: Sent | SyncError | None = None
        try:
            read = self._read_small(file)
            if read is not None:
                outcome = self._put_whole(file, *read)
        except Exception as error:
            outcome = _as_ours(file.blob, error)
        self._done.put((file, outcome))

    def _read_small(self, file: FileToSend) -> tuple[bytes, int] | None:
        """And the file's ctime before that."""
        with self._reading:
            opened = self._opened(file)
            if opened is None:
                return None
            handle, status = opened
            try:
                if not as_seen(status, file):
                    return None
                body = read_whole(handle, file.size)
                if len(body) != file.size or not as_seen(os.fstat(handle), file):
                    return None
                return body, ctime_ns(status)
            finally:
                os.close(handle)

    def _put_whole(self, file: FileToSend, body: "memoryview | bytes", ctime: int) -> Sent:
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        try:
            return self._committed(
                file, md5, ctime, lambda: self._calls.put_blob(self._blob(file), body, md5, file.etag)
            )
        except Overtaken:
            left = self._leftovers(file)
            if not left:
                raise
            # Blocks that are not committed count as a blob for some (Azurite); a list of blocks takes their place.
            identity = blocks.block_id(0, md5, blocks.id_length(left))
            sent = self._committed(file, md5, ctime, lambda: self._put_as_block(file, body, md5, identity))
            # More than one request: nobody checked the whole.
            return dataclasses.replace(sent, evidence=Evidence.LISTED)

    def _put_as_block(self, file: FileToSend, body: "memoryview | bytes", md5: bytes, identity: bytes) -> str:
        blob = self._blob(file)
        if body:
            self._calls.put_block(blob, identity, body)
        listed = blocks.block_list([identity] if body else [])
        return self._calls.put_block_list(blob, listed, md5, file.etag)

    def _blob(self, file: FileToSend) -> str:
        return f"{self._job.destination}/{file.blob}"

    def _committed(self, file: FileToSend, md5: bytes, ctime: int, commit: Callable[[], str]) -> Sent:
        """Raises Overtaken if what stands there is neither what the plan's listing showed nor, by its size and MD5, our
        own."""
        try:
            return Sent(file.blob, Evidence.VALIDATED, md5, commit(), ctime_ns=ctime)
        except BlobReplaced as error:
            stands = self._lake.stat(self._blob(file))
            if stands is not None and (stands.size, stands.md5) == (file.size, md5):
                return Sent(file.blob, Evidence.LISTED, md5, stands.etag, ctime_ns=ctime)
            raise Overtaken(f"{error.message}, and was not written by us", "planned again") from error

    def _opened(self, file: FileToSend) -> tuple[int, os.stat_result] | None:
        """None: it is gone, or something else took its place."""
        try:
            return self._source.file(file.path)
        except OSError as error:
            if is_gone_or_replaced(error):
                return None
            raise

    def _read_file(self, file: FileToSend) -> None:
        opened = self._opened(file)
        if opened is None:
            self._done.put((file, None))
            return
        handle, status = opened
        try:
            if not as_seen(status, file):
                self._done.put((file, None))
            elif file.size <= blocks.SINGLE_PUT:
                self._read_middling(file, handle, ctime_ns(status))
            else:
                self._read_large(file, handle, ctime_ns(status))
        finally:
            os.close(handle)

    def _read_middling(self, file: FileToSend, handle: int, ctime: int) -> None:
        buffer = self._buffers.take(blocks.BLOCK, file.size)
        body = self._buffers.filled(handle, buffer, file.size)
        if len(body) != file.size or not as_seen(os.fstat(handle), file):
            self._buffers.give_back(buffer)
            self._done.put((file, None))
            return

        def send() -> None:
            self._cores.apart()
            outcome: Sent | SyncError
            try:
                outcome = self._put_whole(file, body, ctime)
            except Exception as error:
                outcome = _as_ours(file.blob, error)
            self._buffers.give_back(buffer)
            self._done.put((file, outcome))

        self._tasks.put(send)

    def _read_large(self, file: FileToSend, handle: int, ctime: int) -> None:
        """Blocks go out while the next are read; the list of blocks is written when all are there. What an earlier try
        left is not sent again, and read back instead: somebody else may have written under those ids."""
        with contextlib.suppress(OSError):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        left = self._leftovers(file)
        cut = _Cut(ctime, blocks.block_size(file.size), blocks.id_length(left), blocks.reusable(left))
        sent = self._send_blocks(file, handle, cut)
        if sent is not None and cut.unproved and sent.evidence is Evidence.VALIDATED:
            sent = self._read_back(file, handle, sent, cut)
        self._done.put((file, sent))

    def _read_back(self, file: FileToSend, handle: int, sent: Sent, cut: "_Cut") -> Sent | None:
        """Does the blob that was just written hold our bytes where blocks are unproved? Else it is sent again."""
        try:
            if self._holds(file, sent, cut):
                return sent
        except (BlobMissing, BlobReplaced, BlobRefused):
            # Somebody else wrote there, or it cannot be read: what the listing says counts.
            return dataclasses.replace(sent, evidence=Evidence.LISTED)
        _log.warning(
            "%s: blocks that were left there hold other bytes; the file is sent again", self._blob(file)
        )
        os.lseek(handle, 0, os.SEEK_SET)
        whole = _Cut(cut.ctime, cut.size, blocks.OWN_LENGTH, frozenset())
        return self._send_blocks(dataclasses.replace(file, etag=sent.etag), handle, whole)

    def _send_blocks(self, file: FileToSend, handle: int, cut: "_Cut") -> Sent | None:
        """None: the file is not as the walk saw it."""
        whole = hashlib.md5(usedforsecurity=False)
        parts = Parts()
        ids: list[bytes] = []
        read = 0
        while read < file.size and parts.error is None:
            wanted = min(cut.size, file.size - read)
            buffer = self._buffers.take(cut.size, wanted)
            body = self._buffers.filled(handle, buffer, wanted)
            if len(body) < wanted:
                self._buffers.give_back(buffer)
                break
            whole.update(body)
            ids.append(self._block_id(file, len(ids), whole.copy().digest(), cut))
            is_there = (ids[-1], len(body)) in cut.there
            if is_there or cut.id_length < blocks.OWN_LENGTH:
                cut.unproved.append((read, len(body), hashlib.md5(body, usedforsecurity=False).digest()))
            if is_there:
                self._buffers.give_back(buffer)
                self._moved(len(body))
            else:
                parts.begin()
                self._tasks.put(self._block_sender(self._blob(file), ids[-1], body, buffer, parts))
            read += len(body)
        parts.wait(self._stop)
        if parts.error is not None:
            raise parts.error
        if read != file.size or not as_seen(os.fstat(handle), file):
            return None
        md5 = whole.digest()
        listed = blocks.block_list(ids)
        return self._committed(
            file,
            md5,
            cut.ctime,
            lambda: self._calls.put_block_list(self._blob(file), listed, md5, file.etag),
        )

    def _holds(self, file: FileToSend, sent: Sent, cut: "_Cut") -> bool:
        for offset, length, md5 in cut.unproved:
            digest = hashlib.md5(usedforsecurity=False)
            for chunk in self._lake.read(self._blob(file), sent.etag, offset, length=length):
                if self._stop.is_set():
                    raise UploadFailed("stopped")
                digest.update(chunk)
                self._moved(0)
            if digest.digest() != md5:
                return False
        return True

    def _block_id(self, file: FileToSend, number: int, md5: bytes, cut: "_Cut") -> bytes:
        try:
            return blocks.block_id(number, md5, cut.id_length)
        except ValueError as error:
            advice = (
                "the service drops blocks that are not committed a week after the last of them was written"
            )
            raise UploadFailed(f"{self._blob(file)}: {error}", advice) from error

    def _block_sender(
        self, blob: str, identity: bytes, body: memoryview, buffer: Buffer, parts: Parts
    ) -> Callable[[], None]:
        def send() -> None:
            self._cores.apart()
            problem: SyncError | None = None
            try:
                self._calls.put_block(blob, identity, body)
            except Exception as error:
                problem = _as_ours(blob, error)
            self._buffers.give_back(buffer)
            parts.end(problem)

        return send

    def _leftovers(self, file: FileToSend) -> list[blocks.Leftover]:
        return [blocks.Leftover(*each) for each in self._lake.uncommitted_blocks(self._blob(file))]

    def _send(self) -> None:
        while not self._stop.is_set():
            task = self._tasks.get()
            if task is None:
                return
            task()


def _opened(job: Job) -> Folder:
    try:
        return job.source.open()
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{job.run} cannot be read: {error.strerror}") from error
        raise UploadFailed(f"{job.run} cannot be read: {error.strerror}") from error


def _as_ours(blob: str, error: Exception) -> SyncError:
    """A thread that died of an error would leave the pass waiting for its file, so each becomes one of ours."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, OSError):
        kind = SourceUnavailable if error.errno in SHARE_GONE else RunError
        return kind(f"{blob} cannot be read: {error.strerror}")
    _log.error("%s: internal error, please report it", blob, exc_info=error)
    return UploadFailed(f"{blob}: internal error: {type(error).__name__}: {error}")
