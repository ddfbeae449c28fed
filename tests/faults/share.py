"""A folder seen through FUSE that fails when told: share.py FOLDER MOUNT_POINT CONTROL_FILE

CONTROL_FILE is JSON: nothing, or which ``operations`` fail with which ``errno`` when ``after`` of them have passed;
a file CONTROL_FILE-struck is made when the first has failed. Names, times and bytes are those of FOLDER; entries can be
renamed and removed, nothing can be written. Nothing is cached, so that each look comes here.

It runs with the system's Python, for which Debian has pyfuse3; mounts.py starts it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from typing import Any

import pyfuse3
import trio


class Failing(pyfuse3.Operations):  # type: ignore[misc]
    def __init__(self, folder: bytes, control: str) -> None:
        super().__init__()
        self._paths = {pyfuse3.ROOT_INODE: folder}
        self._inodes = {folder: pyfuse3.ROOT_INODE}
        self._next = pyfuse3.ROOT_INODE + 1
        self._control = control
        self._words: dict[str, Any] = {}
        self._read_at: tuple[int, int] = (0, 0)
        self._passed = 0

    def _look(self, operation: str) -> None:
        status = os.stat(self._control)
        read_at = (status.st_mtime_ns, status.st_ino)
        if read_at != self._read_at:
            self._read_at, self._passed = read_at, 0
            with open(self._control, encoding="utf-8") as handle:
                self._words = json.load(handle)
        if operation not in self._words.get("operations", ()):
            return
        self._passed += 1
        if self._passed > self._words["after"]:
            with open(self._control + "-struck", "w", encoding="utf-8"):
                pass
            raise pyfuse3.FUSEError(self._words["errno"])

    def _inode(self, path: bytes) -> int:
        if path not in self._inodes:
            self._inodes[path] = self._next
            self._paths[self._next] = path
            self._next += 1
        return self._inodes[path]

    def _attributes(self, path: bytes) -> Any:
        try:
            status = os.lstat(path)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error
        entry = pyfuse3.EntryAttributes()
        for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns"):
            setattr(entry, name, getattr(status, name))
        entry.st_atime_ns = status.st_mtime_ns
        entry.st_ino = self._inode(path)
        entry.entry_timeout = entry.attr_timeout = 0
        return entry

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        self._look("getattr")
        return self._attributes(self._paths[inode])

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        self._look("lookup")
        if name in (b".", b".."):
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._attributes(os.path.join(self._paths[parent_inode], name))

    async def opendir(self, inode: int, ctx: Any) -> int:
        return inode

    async def readdir(self, handle: int, start: int, token: Any) -> None:
        self._look("readdir")
        folder = self._paths[handle]
        for number, name in enumerate(sorted(os.listdir(folder))):
            if number >= start:
                attributes = self._attributes(os.path.join(folder, name))
                if not pyfuse3.readdir_reply(token, name, attributes, number + 1):
                    return

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        self._look("open")
        path = self._paths[inode]
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise pyfuse3.FUSEError(errno.EINVAL)
        return pyfuse3.FileInfo(fh=os.open(path, os.O_RDONLY), direct_io=True, keep_cache=False)

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        self._look("read")
        return os.pread(handle, size, offset)

    async def release(self, handle: int) -> None:
        os.close(handle)

    async def statfs(self, ctx: Any) -> Any:
        known, answer = os.statvfs(self._paths[pyfuse3.ROOT_INODE]), pyfuse3.StatvfsData()
        for name in (
            "f_bsize",
            "f_frsize",
            "f_blocks",
            "f_bfree",
            "f_bavail",
            "f_files",
            "f_ffree",
            "f_favail",
        ):
            setattr(answer, name, getattr(known, name))
        return answer

    async def rename(
        self, old_parent: int, old_name: bytes, new_parent: int, new_name: bytes, flags: int, ctx: Any
    ) -> None:
        self._look("rename")
        old = os.path.join(self._paths[old_parent], old_name)
        new = os.path.join(self._paths[new_parent], new_name)
        self._do(os.rename, old, new)
        for path in [each for each in self._inodes if each == old or each.startswith(old + b"/")]:
            inode = self._inodes.pop(path)
            self._paths[inode] = new + path.removeprefix(old)
            self._inodes[self._paths[inode]] = inode

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        self._look("unlink")
        self._remove(os.unlink, os.path.join(self._paths[parent_inode], name))

    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        self._look("rmdir")
        self._remove(os.rmdir, os.path.join(self._paths[parent_inode], name))

    def _remove(self, how: Any, path: bytes) -> None:
        self._do(how, path)
        # Its inode may still be asked for; a new entry of that name gets another.
        self._inodes.pop(path, None)

    def _do(self, how: Any, *paths: bytes) -> None:
        try:
            how(*paths)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error


def main() -> None:
    folder, mount_point, control = sys.argv[1:]
    share = Failing(os.fsencode(folder), control)
    pyfuse3.init(share, mount_point, set(pyfuse3.default_options) | {"fsname=failing"})
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main()
