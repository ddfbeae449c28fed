"""A folder of the source, held open. Files and folders below it are opened relative to its handle; a link in any part
of a path is refused, so nothing outside of the folder can be reached, whatever is renamed or replaced at that time.

Where the system has openat2, it opens whole paths. Elsewhere each part is opened by itself with O_NOFOLLOW, and the
handles of the folders on the way are kept for the next file.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import stat
import sys
import threading
from collections import OrderedDict
from types import TracebackType

from sync_to_azure.files import openat2

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a FIFO waits for its writer."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_KEPT = 64
"""Folders on the way whose handles are kept, where paths are opened part by part."""

_open_file = openat2.opener(_FILE)
_open_folder = openat2.opener(_FOLDER)


class NotRegular(OSError):
    """A folder, FIFO, socket or device is where a regular file was expected."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


def is_gone_or_replaced(error: OSError) -> bool:
    """The path leads nowhere any more, or to something else: ELOOP and ENOTDIR are given for links, EXDEV for a path
    out of the folder, ENXIO for a socket."""
    gone = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENXIO)
    return isinstance(error, NotRegular) or error.errno in gone


class Folder:
    """Used by several threads. Like Python's own files it is closed when nobody refers to it any more. ``path`` is for
    messages, and for programs that take nothing but paths."""

    def __init__(self, handle: int, path: bytes, whole_paths: bool | None = None) -> None:
        """``whole_paths``: by openat2; None asks the system."""
        self.handle = handle
        self.path = path
        self._inside = path.rstrip(b"/") + b"/"
        self._whole_paths = openat2.is_available() if whole_paths is None else whole_paths
        self._kept: OrderedDict[bytes, Folder] = OrderedDict()
        self._lock = threading.Lock()

    def file(self, path: bytes) -> tuple[int, os.stat_result]:
        """A handle for reading, to be closed by the caller, and its status. Raises OSError; NotRegular is one."""
        # As os.open tells whoever listens (PEP 578).
        sys.audit("open", self._inside + path, None, _FILE)
        handle = self._opened(path, _FILE)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise NotRegular
        except BaseException:
            os.close(handle)
            raise
        return handle, status

    def folder(self, path: bytes) -> "Folder":
        """The folder at ``path``; itself once more where that is empty. Raises OSError."""
        handle = self._opened(path or b".", _FOLDER)
        return Folder(handle, self._inside + path if path else self.path, self._whole_paths)

    def entries(self) -> "os._ScandirIterator[str]":
        """What it holds; each entry is looked at relative to the handle, as long as this object is referred to."""
        sys.audit("os.scandir", self.path)
        return os.scandir(self.handle)

    def stat(self, path: bytes) -> os.stat_result:
        """Of what is at ``path``, a link itself included. Raises OSError."""
        above, _, name = path.rpartition(b"/")
        if not above:
            return os.stat(_single(name), dir_fd=self.handle, follow_symlinks=False)
        with self.folder(above) as folder:
            return os.stat(_single(name), dir_fd=folder.handle, follow_symlinks=False)

    def _opened(self, path: bytes, flags: int) -> int:
        if self._whole_paths:
            try:
                return (_open_file if flags == _FILE else _open_folder)(self.handle, path)
            except BlockingIOError:
                # EAGAIN, again and again; by the other road it is told apart from a file that really is locked.
                pass
        if path == b".":
            return os.open(path, flags, dir_fd=self.handle)
        above, _, name = path.rpartition(b"/")
        folder = self._on_the_way(above)
        return os.open(_single(name), flags, dir_fd=folder.handle)

    def _on_the_way(self, path: bytes) -> "Folder":
        """The folder at ``path``, part by part; those that were opened before are taken from what is kept."""
        folder, missing = self, []
        with self._lock:
            while path:
                kept = self._kept.get(path)
                if kept is not None:
                    self._kept.move_to_end(path)
                    folder = kept
                    break
                path, _, name = path.rpartition(b"/")
                missing.append(name)
        for name in reversed(missing):
            path = path + b"/" + name if path else name
            folder = Folder(_passed_through(name, folder.handle), self._inside + path, whole_paths=False)
            with self._lock:
                self._kept[path] = folder
                while len(self._kept) > _MOST_KEPT:
                    # Closed when the last thread that works with it is done.
                    self._kept.popitem(last=False)
        return folder

    def close(self) -> None:
        handle, self.handle = self.handle, -1
        self._kept.clear()
        if handle >= 0:
            os.close(handle)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _single(name: bytes) -> bytes:
    """One part of a path, which does not lead up. Raises OSError."""
    if name in (b"", b".", b"..") or b"\0" in name:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return name


def _passed_through(name: bytes, above: int) -> int:
    try:
        return os.open(_single(name), _FOLDER, dir_fd=above)
    except PermissionError:
        # One that may be passed through need not be one that may be listed.
        return os.open(name, _PASSED, dir_fd=above)


def open_folder(path: bytes, whole_paths: bool | None = None) -> Folder:
    """A folder that somebody named, as the main folder: its own path may have links in it. Raises OSError."""
    return Folder(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path, whole_paths)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A folder directly below ``above``, not opened yet; or ``above`` itself, where ``name`` is empty."""

    above: Folder = dataclasses.field(compare=False, repr=False)
    name: bytes

    @property
    def path(self) -> bytes:
        return os.path.join(self.above.path, self.name) if self.name else self.above.path

    def open(self) -> Folder:
        """Raises OSError: it is gone, is a link, or the path of the folder above leads to another one by now (a share
        that was unmounted)."""
        if b"/" in self.name:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        held, found = os.fstat(self.above.handle), os.stat(self.above.path)
        if (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino):
            raise FileNotFoundError(errno.ENOENT, "the folder above it is another one now", self.above.path)
        return self.above.folder(self.name)


def place_of(path: bytes) -> Place:
    """The folder at ``path``, which must not be a link itself. Raises OSError for the folder above it."""
    above, name = os.path.split(path.rstrip(b"/"))
    return Place(open_folder(above or b"."), name)
