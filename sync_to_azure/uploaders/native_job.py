"""One job of the native uploader: hands files out, takes what became of them, and ends what it started.

A small file is read, hashed and sent by one thread: handing it from one to another costs more than its own work. Of
larger ones, readers fill buffers that others check and send.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import queue
import time
from collections.abc import Callable, Iterator

from sync_to_azure.core.clock import ctime_ns
from sync_to_azure.core.errors import (
    BlobRefused,
    Overtaken,
    SourceUnavailable,
    UnavailableError,
    SyncError,
    UploadFailed,
)
from sync_to_azure.core.few import Few
from sync_to_azure.core.model import FileToSend, Sent
from sync_to_azure.files.folder import Folder, is_gone_or_replaced
from sync_to_azure.files.hashing import as_seen
from sync_to_azure.files.walk import SHARE_GONE
from sync_to_azure.uploaders import Job, Tick
from sync_to_azure.uploaders.buffers import read_whole
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.sending import FileSender, Opened, Outcome, Target, as_ours
from sync_to_azure.uploaders.under_way import UnderWay

_log = logging.getLogger(__name__)

_SMALL = 128 * 1024
"""Up to this size a file has a buffer of its own; larger ones take turns at those of the crew: what many threads free
is not given back to the system (300 MB were seen)."""

_AHEAD = 512
"""Files handed out and not yet back: so many that the caller need not wake for each."""

_GATHER = 0.005
"""Seconds that results are let gather for, once one is there."""

_TICK = 0.1
_MD5 = ("md5",)


class NativeJob:
    """Only ``carry``'s thread calls its public methods."""

    def __init__(self, job: Job, crew: Crew, sender: FileSender, work: UnderWay, timeout: float) -> None:
        self._job = job
        self._source = _opened(job)
        self._crew = crew
        self._sender = sender
        self._work = work
        self._longest = 2 * timeout
        self._done: queue.SimpleQueue[tuple[FileToSend, Sent | SyncError | None]] = queue.SimpleQueue()
        self._waiting = 0
        self._refusals = Few(_log, logging.ERROR, "%s: … and %d more files are refused", job.run)
        self._changed = Few(_log, logging.WARNING, "%s: … and %d more files changed while read", job.run)
        self._closed = False
        self._through = 0
        self._failures: list[SyncError] = []
        self._refused: BlobRefused | None = None
        self._overtaken: Overtaken | None = None
        self._last_tick = time.monotonic()
        self._failed = 0
        crew.cores.choose()
        crew.gate.begin_job()

    # The caller's side

    @property
    def at(self) -> Tick:
        return Tick(self._through, self._work.bytes)

    @property
    def finished(self) -> bool:
        return self._closed and self._waiting == 0

    def offer(self, file: FileToSend) -> bool:
        if self._waiting >= _AHEAD:
            return False
        self._waiting += 1
        if file.size <= _SMALL:
            self._crew.cores.together()
            self._crew.send(functools.partial(self._carry_small, file))
        else:
            self._crew.read(functools.partial(self._carry_large, file))
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
            elif isinstance(outcome, UnavailableError):
                raise outcome
            elif isinstance(outcome, SyncError):
                self._note(outcome)
            else:
                self._changed.show(
                    "%s: %s changed while it was read; it is not committed", self._job.run, file.blob
                )

    def _note(self, error: SyncError) -> None:
        self._failed += 1
        if isinstance(error, BlobRefused):
            self._refusals.show("%s: %s", self._job.run, error)
            self._refused = self._refused or error
        if isinstance(error, Overtaken):
            self._overtaken = self._overtaken or error
        if len(self._failures) < 5:
            self._failures.append(error)

    def tell(self, tick: Callable[[Tick], None]) -> None:
        """Ten times a second. Raises UploadFailed if it has to stop, or hangs."""
        now = time.monotonic()
        if now - self._last_tick >= _TICK:
            self._last_tick = now
            tick(self.at)
            self._work.go_on()
            self._work.raise_if_still(self._longest)

    def raise_what_failed(self) -> None:
        """What no try can put right first, so that it is reported; then what needs another plan; else UploadFailed."""
        if not self._failed:
            return
        if self._refused is not None:
            raise self._refused
        if self._overtaken is not None:
            raise self._overtaken
        said = "; ".join(str(failure) for failure in self._failures)
        raise UploadFailed(f"{self._failed} files were not sent: {said}")

    def end(self, linger: float) -> bool:
        """Once it has to stop, or nothing is left of it. False: after ``linger`` seconds some thread still works for
        it, which hangs on a dead share."""
        self._crew.cores.apart()
        self._refusals.end()
        self._changed.end()
        deadline = time.monotonic() + linger
        while self._waiting:
            try:
                self._done.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            self._waiting -= 1
        self._source.close()
        return True

    # The threads' side

    def _carry_small(self, file: FileToSend) -> None:
        self._work.took()
        outcome: Sent | SyncError | None = None
        try:
            self._work.go_on()
            self._crew.cores.together()
            read = self._read_small(file)
            if read is not None:
                body, ctime = read
                md5 = hashlib.md5(body, usedforsecurity=False).digest()
                written = self._sender.put_whole(self._target(file), body, md5)
                outcome = Sent(file.blob, written.evidence, md5, written.etag, ctime_ns=ctime)
        except Exception as error:
            outcome = as_ours(file.blob, error)
        self._back(file, outcome)

    def _read_small(self, file: FileToSend) -> tuple[bytes, int] | None:
        """And the file's ctime before that."""
        with self._crew.reading:
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

    def _carry_large(self, file: FileToSend) -> None:
        self._work.took()
        try:
            self._work.go_on()
            opened = self._opened(file)
        except Exception as error:
            self._back(file, as_ours(file.blob, error))
            return
        if opened is None:
            self._back(file, None)
            return
        handle, status = opened
        try:
            if not as_seen(status, file):
                self._back(file, None)
                return
            ctime = ctime_ns(status)
            large = Opened(self._target(file), handle, _MD5, lambda now: as_seen(now, file))
            self._sender.send(large, lambda outcome: self._back(file, _sent(file, outcome, ctime)))
        finally:
            with contextlib.suppress(OSError):
                os.close(handle)

    def _target(self, file: FileToSend) -> Target:
        return Target(f"{self._job.destination}/{file.blob}", file.size, file.etag)

    def _back(self, file: FileToSend, outcome: Sent | SyncError | None) -> None:
        self._work.put_down()
        self._done.put((file, outcome))

    def _opened(self, file: FileToSend) -> tuple[int, os.stat_result] | None:
        """None: it is gone, or something else took its place."""
        try:
            return self._source.file(file.path)
        except OSError as error:
            if is_gone_or_replaced(error):
                return None
            raise


def _sent(file: FileToSend, outcome: Outcome, ctime: int) -> Sent | SyncError | None:
    if outcome is None or isinstance(outcome, SyncError):
        return outcome
    return Sent(file.blob, outcome.evidence, outcome.digests["md5"], outcome.etag, ctime_ns=ctime)


def _opened(job: Job) -> Folder:
    try:
        return job.source.open()
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{job.run} cannot be read: {error.strerror}") from error
        raise UploadFailed(f"{job.run} cannot be read: {error.strerror}") from error
