"""A folder seen through FUSE, read-only: counting_source.py FOLDER MOUNT_POINT COUNT_FILE [BYTES_A_SECOND]

Opened files are direct_io, so each read comes here and the page cache hides none. COUNT_FILE holds the bytes given
out so far, as 8 bytes.

It runs with the system's Python, for which Debian has pyfuse3 (python3-pyfuse3); mounted.py starts it.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
import sys
import time
from typing import Any

import pyfuse3
import trio


class Source(pyfuse3.Operations):  # type: ignore[misc]
    def __init__(self, folder: bytes, count: mmap.mmap, rate: float) -> None:
        super().__init__()
        self._paths = {pyfuse3.ROOT_INODE: folder}
        self._inodes = {folder: pyfuse3.ROOT_INODE}
        self._count = count
        self._given = 0
        self._rate = rate
        self._free_at = 0.0

    def _inode(self, path: bytes) -> int:
        inode = self._inodes.setdefault(path, len(self._inodes) + pyfuse3.ROOT_INODE)
        self._paths[inode] = path
        return int(inode)

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
        entry.entry_timeout = entry.attr_timeout = 300
        return entry

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        return self._attributes(self._paths[inode])

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        if name in (b".", b".."):
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._attributes(os.path.join(self._paths[parent_inode], name))

    async def opendir(self, inode: int, ctx: Any) -> int:
        return inode

    async def readdir(self, handle: int, start: int, token: Any) -> None:
        folder = self._paths[handle]
        for number, name in enumerate(sorted(os.listdir(folder))):
            if number >= start:
                attributes = self._attributes(os.path.join(folder, name))
                if not pyfuse3.readdir_reply(token, name, attributes, number + 1):
                    return

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        path = self._paths[inode]
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise pyfuse3.FUSEError(errno.EINVAL)
        return pyfuse3.FileInfo(fh=os.open(path, os.O_RDONLY), direct_io=True, keep_cache=False)

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        data = os.pread(handle, size, offset)
        self._given += len(data)
        struct.pack_into("<q", self._count, 0, self._given)
        if self._rate:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(data) / self._rate
            await trio.sleep(self._free_at - now)
        return data

    async def release(self, handle: int) -> None:
        os.close(handle)


def main() -> None:
    folder, mount_point, count_file = map(os.fsencode, sys.argv[1:4])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    with open(count_file, "wb+") as file:
        file.write(bytes(8))
        file.flush()
        source = Source(folder, mmap.mmap(file.fileno(), 8), rate)
        pyfuse3.init(
            source,
            os.fsdecode(mount_point),
            set(pyfuse3.default_options) | {"fsname=counting", "ro"},
        )
        try:
            trio.run(pyfuse3.main)
        finally:
            pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main()
