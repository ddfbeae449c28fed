"""The folder that a run is brought back into. Nothing is written outside of it, whatever a manifest names: each step of
a path is opened by itself, and a symlink is never followed. A file has its own name only when its bytes are proved.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sync_to_azure.core.errors import UnavailableError
from sync_to_azure.core.names import PART_SUFFIX, shown

_BLOCK = 1024 * 1024
_LONGEST_NAME = 255
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)


class TargetUnavailable(UnavailableError):
    """The folder that a run is brought back into cannot be used, or is full."""


class FileNotWritten(Exception):
    """One file cannot be written; its text says why."""


class RestoreTarget:
    """Used by several threads. ``folder`` itself may be reached through symlinks: a person named it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable(error) from error
        self._naming = threading.Lock()
        self._folders: set[str] = set()

    def free(self) -> int:
        """Bytes that we may still write."""
        status = os.fstatvfs(self._root)
        return status.f_bavail * status.f_frsize

    def size_of(self, path: str) -> int | None:
        """Size of the plain file at this path, None if there is none."""
        try:
            with self._parent(path, make=False) as (parent, name):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except (OSError, FileNotWritten):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def matches(self, path: str, size: int, md5: bytes, mtime_ns: int) -> bool | None:
        """Does the file there hold these bytes? None if nothing is there. Raises NotWritten for what is no plain file.
        One that does gets the time as well."""
        try:
            with self._parent(path, make=False) as (parent, name):
                try:
                    handle = os.open(name, os.O_RDONLY | _PLAIN, dir_fd=parent)
                except FileNotFoundError:
                    return None
                try:
                    status = os.fstat(handle)
                    if not stat.S_ISREG(status.st_mode):
                        raise FileNotWritten("it is not a regular file; move it away")
                    if status.st_size != size or _md5(handle).digest() != md5:
                        return False
                    if status.st_mtime_ns != mtime_ns:
                        with contextlib.suppress(OSError, OverflowError):  # another's file: it keeps its time
                            os.utime(handle, ns=(mtime_ns, mtime_ns))
                    return True
                finally:
                    os.close(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._not_written(error) from error

    def write(
        self,
        path: str,
        size: int,
        md5: bytes,
        mtime_ns: int,
        read: Callable[[int], Iterable[bytes]],
        replace: bool,
    ) -> bool:
        """Write what ``read(offset)`` yields under a temporary name, and rename it when its MD5 is right; False if it
        is not. A part that an earlier try left is taken up again. Without ``replace`` nothing is written over.
        """
        try:
            with self._parent(path, make=True) as (parent, name):
                part = part_name(name, md5)
                if not self._fill(parent, part, size, md5, mtime_ns, read):
                    return False
                with self._naming:
                    if not replace and _is_there(parent, name):
                        # Two names of the manifest that this file system holds to be one.
                        os.unlink(part, dir_fd=parent)
                        raise FileNotWritten("another file was created there at the same time")
                    os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
                    self._folders.add(path.rpartition("/")[0])
                return True
        except OSError as error:
            raise self._not_written(error) from error

    def _fill(
        self,
        parent: int,
        part: bytes,
        size: int,
        md5: bytes,
        mtime_ns: int,
        read: Callable[[int], Iterable[bytes]],
    ) -> bool:
        """The temporary file, whole and proved, on disk. What is wrong is tried once more from its first byte, where
        only the rest was read; then it goes."""
        handle = os.open(part, os.O_RDWR | os.O_CREAT | _PLAIN, 0o666, dir_fd=parent)
        try:
            status = os.fstat(handle)
            # Its name holds the digest of what it becomes. One of ours has no second name, and is not longer.
            if not stat.S_ISREG(status.st_mode):
                raise FileNotWritten(f"{shown(part)} is not a regular file; move it away")
            if status.st_nlink > 1 or status.st_size > size:
                raise FileNotWritten(
                    f"{shown(part)} is not from an earlier restore and is not changed; move it away"
                )
            while True:
                begun = os.fstat(handle).st_size
                digest = _md5(handle)
                if begun < size:
                    for chunk in read(begun):
                        digest.update(chunk)
                        _write_all(handle, chunk)
                if digest.digest() == md5 and os.fstat(handle).st_size == size:
                    break
                os.ftruncate(handle, 0)
                if not begun:
                    os.unlink(part, dir_fd=parent)
                    return False
            with contextlib.suppress(OverflowError):
                os.utime(handle, ns=(mtime_ns, mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
        return True

    def settle(self) -> None:
        """Names are on disk too, after this."""
        for path in sorted(self._folders):
            try:
                with self._parent(f"{path}/x" if path else "x", make=False) as (parent, _):
                    os.fsync(parent)
            except (OSError, FileNotWritten) as error:
                raise TargetUnavailable(f"{self.folder}/{path} cannot be written to disk: {error}") from error

    @contextlib.contextmanager
    def _parent(self, path: str, make: bool) -> Iterator[tuple[int, bytes]]:
        """The folder that holds ``path``, open, and the last part of its name. Raises OSError or NotWritten."""
        *folders, name = os.fsencode(path).split(b"/")
        handle = os.dup(self._root)
        try:
            for folder in folders:
                handle = self._step(handle, folder, make)
            yield handle, name
        finally:
            os.close(handle)

    def _step(self, handle: int, folder: bytes, make: bool) -> int:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, dir_fd=handle)
        try:
            deeper = os.open(folder, _FOLDER, dir_fd=handle)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                what = f"{shown(folder)} on its way is no folder but a link or a file; nothing is written through it"
                raise FileNotWritten(what) from error
            raise
        os.close(handle)
        return deeper

    def _not_written(self, error: OSError) -> Exception:
        if error.errno in _FULL:
            return TargetUnavailable(
                f"no space is left in {self.folder}: {error.strerror}",
                "free some and start again: restored files are kept",
            )
        if error.errno == errno.ELOOP:
            return FileNotWritten("there is a symlink, which is not followed; move it away")
        if error.errno == errno.EROFS:
            return self._unusable(error)
        return FileNotWritten(f"{error.strerror}")

    def _unusable(self, error: OSError) -> TargetUnavailable:
        return TargetUnavailable(
            f"folder {self.folder} cannot be used: {error.strerror}", "name another one with --to"
        )

    def close(self) -> None:
        os.close(self._root)


def part_name(name: bytes, md5: bytes) -> bytes:
    """The temporary name: a part belongs to these bytes and to no others. A pass takes no such file for data."""
    end = b"." + md5.hex()[:12].encode() + PART_SUFFIX.encode()
    if len(name) + len(end) > _LONGEST_NAME:
        name = name[:150] + hashlib.md5(name, usedforsecurity=False).hexdigest().encode()
    return name + end


def _is_there(parent: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _md5(handle: int) -> "hashlib._Hash":
    """Of the whole file, which is left at its end."""
    digest = hashlib.md5(usedforsecurity=False)
    os.lseek(handle, 0, os.SEEK_SET)
    while block := os.read(handle, _BLOCK):
        digest.update(block)
    return digest


def _write_all(handle: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(handle, view) :]
