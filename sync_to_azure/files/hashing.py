"""Digests of files, each read once; MD5s of many by a few readers, while something else goes on."""

from __future__ import annotations

import dataclasses
import os
import queue
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType

from sync_to_azure.core.clock import ctime_ns, mtime_ns
from sync_to_azure.files.digests import Digests
from sync_to_azure.files.folder import Folder, Place, is_gone_or_replaced
from sync_to_azure.core.model import FileToSend
from sync_to_azure.files.walk import SHARE_GONE

_BLOCK = 1024 * 1024
_AHEAD = 2048
"""Files handed out or hashed and not yet taken. While AzCopy runs, work is handed out a few times a second only: with
small files, fewer would leave the readers idle in between."""


@dataclasses.dataclass(frozen=True, slots=True)
class Hashed:
    """One file's MD5, or why there is none: ``changed`` (not as the walk saw it), ``unreadable``, ``share`` (gone).
    ``ctime_ns``: the file's, just before the first byte was read. ``digests``: the others that were asked for.
    """

    file: FileToSend
    md5: bytes | None
    problem: str = ""
    detail: str = ""
    ctime_ns: int | None = None
    digests: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


def hash_file(
    root: Place, file: FileToSend, stop: threading.Event | None = None, others: Sequence[str] = ()
) -> Hashed:
    """Read one file below ``root``, as ``hash_below`` does."""
    try:
        with root.open() as folder:
            return hash_below(folder, file, stop, others)
    except OSError as error:
        return _refused(file, error)


def hash_below(
    folder: Folder, file: FileToSend, stop: threading.Event | None = None, others: Sequence[str] = ()
) -> Hashed:
    """Read one file; the size and mtime must be as given, before and after. A link in its place, or on the way to it,
    is not followed. ``others``: digests of files.digests that are wanted beside the MD5, from the same read.
    """
    try:
        handle, status = folder.file(file.path)
    except OSError as error:
        return _refused(file, error)
    try:
        if not as_seen(status, file):
            return Hashed(file, None, "changed")
        digests = Digests(("md5", *others))
        left = file.size
        while left >= 0 and (block := os.read(handle, _BLOCK)):
            # One that grows as fast as it is read would never end.
            left -= len(block)
            digests.update(block)
            if stop is not None and stop.is_set():
                return Hashed(file, None, "stopped")
        if not as_seen(os.fstat(handle), file):
            return Hashed(file, None, "changed")
    except OSError as error:
        return _refused(file, error)
    finally:
        os.close(handle)
    found = digests.results()
    return Hashed(file, found.pop("md5"), ctime_ns=ctime_ns(status), digests=found)


def as_seen(status: os.stat_result, file: FileToSend) -> bool:
    """Is it still the plain file, of the size and mtime, that the walk saw?"""
    return stat.S_ISREG(status.st_mode) and status.st_size == file.size and mtime_ns(status) == file.mtime_ns


def _refused(file: FileToSend, error: OSError) -> Hashed:
    if is_gone_or_replaced(error):
        return Hashed(file, None, "changed", "it was removed or replaced")
    if error.errno in SHARE_GONE:
        return Hashed(file, None, "share", str(error.strerror))
    return Hashed(file, None, "unreadable", str(error.strerror))


class Hasher:
    """A few reader threads, never more than ``_AHEAD`` files ahead: memory stays flat whatever the number of files.

    Feed it an iterator (advanced in the caller's thread, by ``drain``) and take results as they come. The threads
    are daemons: one that hangs on a dead share cannot keep the process from ending.
    """

    def __init__(self, root: Place, files: Iterable[FileToSend], readers: int) -> None:
        self._root = root
        self._files = iter(files)
        self._exhausted = False
        self._waiting = 0
        self._todo: queue.SimpleQueue[FileToSend | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.grow(readers)

    def grow(self, readers: int) -> None:
        """Read so many files at once from now on, if that is more: what else read the source has ended."""
        while len(self._threads) < readers:
            thread = threading.Thread(target=self._read, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self) -> None:
        folder: Folder | None = None
        while not self._stop.is_set():
            file = self._todo.get()
            if file is None:
                return
            try:
                folder = folder or self._root.open()
                hashed = hash_below(folder, file, self._stop)
            except OSError as error:
                hashed = _refused(file, error)
            except (
                Exception
            ) as error:  # a reader that died would leave the pass waiting for its result for ever
                hashed = Hashed(file, None, "unreadable", f"{type(error).__name__}: {error}")
            self._done.put(hashed)

    @property
    def finished(self) -> bool:
        return self._exhausted and self._waiting == 0

    def drain(self, wait: float = 0.0) -> Iterator[Hashed]:
        """Hand out more work, then yield what is ready; waits up to ``wait`` seconds for a first result."""
        self._feed()
        while self._waiting:
            try:
                hashed = self._done.get(timeout=wait) if wait > 0 else self._done.get_nowait()
            except queue.Empty:
                return
            wait = 0.0
            self._waiting -= 1
            yield hashed
            self._feed()

    def _feed(self) -> None:
        while not self._exhausted and self._waiting < _AHEAD:
            file = next(self._files, None)
            if file is None:
                self._exhausted = True
                return
            self._todo.put(file)
            self._waiting += 1

    def __enter__(self) -> "Hasher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join(timeout=2.0)
