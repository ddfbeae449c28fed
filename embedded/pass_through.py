"""A folder seen through FUSE as it is: the ground on which shares that count, are slow or fail are built.

Names, times and bytes are those of the folder; entries can be renamed and removed, nothing can be written. Opened files
are direct_io, so each read comes here and no page cache hides one.

It runs with the system's Python, for which Debian has pyfuse3 (python3-pyfuse3); mounted.py starts it.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any

import pyfuse3
import trio

_STATUS = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns")
_SPACE = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail")


class PassThrough(pyfuse3.Operations):
    """Paths are relative to the folder, which is ``""`` itself; bytes that are no UTF-8 are surrogates in them."""

    kept = 0
    """Seconds for which the kernel may keep names and attributes; with 0 each look comes here."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self._paths: dict[int, str] = {pyfuse3.ROOT_INODE: ""}
        self._inodes: dict[str, int] = {"": pyfuse3.ROOT_INODE}
        self._next: int = pyfuse3.ROOT_INODE + 1
        self._listings: dict[int, list[str]] = {}
        self._handles = itertools.count(1)

    def before(self, operation: str, path: str) -> None:
        """Called before each operation; a pyfuse3.FUSEError becomes its answer. ``path`` is empty for readdir, read and
        statfs, and "old -> new" for a rename."""

    # Paths

    def at(self, inode: int, name: bytes = b"") -> str:
        path = self._paths[inode]
        return os.path.join(path, os.fsdecode(name)) if name else path

    def real(self, path: str) -> str:
        return os.path.join(self.folder, path) if path else self.folder

    def inode(self, path: str) -> int:
        if path not in self._inodes:
            self._inodes[path] = self._next
            self._paths[self._next] = path
            self._next += 1
        return self._inodes[path]

    def forget_path(self, path: str) -> None:
        """Its inode may still be asked for; a new entry of that name gets another."""
        self._inodes.pop(path, None)

    def _moved(self, old: str, new: str) -> None:
        self.forget_path(new)
        for path in [each for each in self._inodes if each == old or each.startswith(old + "/")]:
            inode, to = self._inodes.pop(path), new + path.removeprefix(old)
            self._inodes[to], self._paths[inode] = inode, to

    def attributes(self, path: str) -> Any:
        status = really(os.lstat, self.real(path))
        entry = self.entry(path)
        for name in _STATUS:
            setattr(entry, name, getattr(status, name))
        entry.st_atime_ns = status.st_mtime_ns
        return entry

    def entry(self, path: str) -> Any:
        """Attributes that hold nothing but the inode."""
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = self.inode(path)
        entry.entry_timeout = entry.attr_timeout = self.kept
        return entry

    def names(self, path: str) -> list[str]:
        """What the folder ``path`` holds."""
        return os.listdir(self.real(path))

    # Operations

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        path = self.at(inode)
        self.before("getattr", path)
        return self.attributes(path)

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        if name in (b".", b".."):
            raise pyfuse3.FUSEError(errno.ENOENT)
        path = self.at(parent_inode, name)
        self.before("lookup", path)
        return self.attributes(path)

    async def opendir(self, inode: int, ctx: Any) -> int:
        path = self.at(inode)
        self.before("opendir", path)
        handle = next(self._handles)
        self._listings[handle] = [os.path.join(path, name) for name in sorted(really(self.names, path))]
        return handle

    async def readdir(self, handle: int, start: int, token: Any) -> None:
        self.before("readdir", "")
        for number, path in enumerate(self._listings[handle][start:], start + 1):
            try:
                attributes = self.attributes(path)
            except pyfuse3.FUSEError:
                # It went away meanwhile.
                continue
            if not pyfuse3.readdir_reply(token, os.fsencode(os.path.basename(path)), attributes, number):
                return

    async def releasedir(self, handle: int) -> None:
        del self._listings[handle]

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        path = self.at(inode)
        self.before("open", path)
        handle = really(os.open, self.real(path), os.O_RDONLY)
        return pyfuse3.FileInfo(fh=handle, direct_io=True, keep_cache=False)

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        self.before("read", "")
        return os.pread(handle, size, offset)

    async def release(self, handle: int) -> None:
        os.close(handle)

    async def readlink(self, inode: int, ctx: Any) -> bytes:
        return os.fsencode(os.readlink(self.real(self.at(inode))))

    async def statfs(self, ctx: Any) -> Any:
        self.before("statfs", "")
        known, answer = os.statvfs(self.folder), pyfuse3.StatvfsData()
        for name in _SPACE:
            setattr(answer, name, getattr(known, name))
        return answer

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self.at(parent_inode, name)
        self.before("unlink", path)
        self.remove(os.unlink, path)

    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self.at(parent_inode, name)
        self.before("rmdir", path)
        self.remove(os.rmdir, path)

    def remove(self, how: Callable[[str], None], path: str) -> None:
        really(how, self.real(path))
        self.forget_path(path)

    async def rename(
        self, old_parent: int, old_name: bytes, new_parent: int, new_name: bytes, flags: int, ctx: Any
    ) -> None:
        old, new = self.at(old_parent, old_name), self.at(new_parent, new_name)
        self.before("rename", f"{old} -> {new}")
        self.move(old, new)

    def move(self, old: str, new: str) -> None:
        really(os.rename, self.real(old), self.real(new))
        self._moved(old, new)


def really(call: Callable[..., Any], *arguments: object) -> Any:
    """Do it; what the folder's own file system answers is our answer."""
    try:
        return call(*arguments)
    except OSError as error:
        raise pyfuse3.FUSEError(error.errno) from error


def serve(operations: PassThrough, mount_point: str, options: Iterable[str] = ()) -> None:
    """Until it is unmounted."""
    pyfuse3.init(operations, mount_point, {*pyfuse3.default_options, "fsname=embedded", *options})
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)
