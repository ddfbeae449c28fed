"""A share that misbehaves as CIFS and NFS do, over FUSE: share.py FOLDER MOUNT_POINT RULES STRIKES

RULES is a file of JSON, read anew before each operation: a list of rules
    {"op": "unlink|rmdir|rename|lookup", "match": regular expression on the path (a rename: "old -> new"),
     "errno": "EBUSY", "times": how often (all the time without it), "skip": so many are let through first,
     "act": what happens besides the answer}
``act``: ``done`` (it is done all the same), ``silly`` (the file becomes .nfs…, no error is answered), ``pending`` (no
error, but the name stays, cannot be looked at, and keeps its folder from being empty), ``dead`` (from now on everything
answers the errno), ``read-only`` (from now on all that writes answers it). What lasts ends when its rule is taken away.
Each strike is a line of STRIKES. It runs with the system's Python, for which Debian has pyfuse3 (python3-pyfuse3).
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
from typing import Any

import pyfuse3
import trio

WRITES = ("unlink", "rmdir", "rename")


class Share(pyfuse3.Operations):  # type: ignore[misc]
    def __init__(self, folder: str, rules: str, strikes: str) -> None:
        super().__init__()
        self._root = folder
        self._rules_file = rules
        self._strikes = strikes
        self._paths = {pyfuse3.ROOT_INODE: ""}
        self._inodes = {"": pyfuse3.ROOT_INODE}
        self._next = pyfuse3.ROOT_INODE + 1
        self._text = ""
        self._rules: list[dict[str, Any]] = []
        self._seen: dict[str, int] = {}
        self._ghosts: dict[str, int] = {}
        self._lasting: tuple[str, int] | None = None
        self._listings: dict[int, list[str]] = {}

    # Rules

    def _reload(self) -> None:
        with open(self._rules_file, encoding="utf-8") as file:
            text = file.read()
        if text != self._text:
            self._text, self._rules = text, json.loads(text)
            self._seen, self._ghosts, self._lasting = {}, {}, None

    def _strike(self, op: str, path: str) -> tuple[str, int] | None:
        """(act, errno) if a rule strikes here."""
        self._reload()
        if self._lasting is not None:
            act, number = self._lasting
            if act == "dead" or op in WRITES:
                raise pyfuse3.FUSEError(number)
        for rule in self._rules:
            if rule["op"] != op or not re.search(rule["match"], path):
                continue
            key = json.dumps(rule)
            self._seen[key] = count = self._seen.get(key, 0) + 1
            skip = rule.get("skip", 0)
            if count <= skip or ("times" in rule and count > skip + rule["times"]):
                continue
            with open(self._strikes, "a", encoding="utf-8") as file:
                file.write(f"{op} {path}\n")
            act, number = rule.get("act", ""), getattr(errno, rule.get("errno", "EIO"))
            if act in ("dead", "read-only"):
                self._lasting = (act, number)
            return act, number
        return None

    # Paths

    def _at(self, inode: int, name: bytes = b"") -> str:
        path = self._paths[inode]
        return os.path.join(path, os.fsdecode(name)) if name else path

    def _real(self, path: str) -> str:
        return os.path.join(self._root, path) if path else self._root

    def _inode(self, path: str) -> int:
        if path not in self._inodes:
            self._inodes[path] = self._next
            self._paths[self._next] = path
            self._next += 1
        return int(self._inodes[path])

    def _forget_path(self, path: str) -> None:
        self._inodes.pop(path, None)

    def _moved(self, old: str, new: str) -> None:
        for path in [each for each in self._inodes if each == old or each.startswith(old + "/")]:
            inode = self._inodes.pop(path)
            to = new + path[len(old) :]
            self._inodes[to], self._paths[inode] = inode, to

    def _attributes(self, path: str) -> Any:
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = self._inode(path)
        entry.entry_timeout = entry.attr_timeout = 0
        if path in self._ghosts:
            entry.st_mode = stat.S_IFREG | 0o644
            return entry
        try:
            status = os.lstat(self._real(path))
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error
        for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns"):
            setattr(entry, name, getattr(status, name))
        entry.st_atime_ns = status.st_mtime_ns
        return entry

    # Operations

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        path = self._at(inode)
        self._answer("getattr", path)
        return self._attributes(path)

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        path = self._at(parent_inode, name)
        self._answer("lookup", path)
        if path in self._ghosts:
            raise pyfuse3.FUSEError(self._ghosts[path])
        return self._attributes(path)

    def _answer(self, op: str, path: str) -> None:
        struck = self._strike(op, path)
        if struck is not None:
            raise pyfuse3.FUSEError(struck[1])

    async def opendir(self, inode: int, ctx: Any) -> int:
        path = self._at(inode)
        self._answer("opendir", path)
        names = os.listdir(self._real(path))
        names += [os.path.basename(ghost) for ghost in self._ghosts if os.path.dirname(ghost) == path]
        handle = len(self._listings) + 1
        self._listings[handle] = [os.path.join(path, name) for name in sorted(names)]
        return handle

    async def readdir(self, handle: int, start: int, token: Any) -> None:
        self._answer("readdir", "")
        for number, path in enumerate(self._listings[handle]):
            if number >= start:
                try:
                    attributes = self._attributes(path)
                except pyfuse3.FUSEError:
                    continue
                if not pyfuse3.readdir_reply(
                    token, os.fsencode(os.path.basename(path)), attributes, number + 1
                ):
                    return

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        path = self._at(inode)
        self._answer("open", path)
        try:
            return pyfuse3.FileInfo(fh=os.open(self._real(path), os.O_RDONLY), direct_io=True)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        self._answer("read", "")
        return os.pread(handle, size, offset)

    async def release(self, handle: int) -> None:
        os.close(handle)

    async def readlink(self, inode: int, ctx: Any) -> bytes:
        return os.fsencode(os.readlink(self._real(self._at(inode))))

    async def statfs(self, ctx: Any) -> Any:
        self._answer("statfs", "")
        data, real = pyfuse3.StatvfsData(), os.statvfs(self._root)
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
            setattr(data, name, getattr(real, name))
        return data

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self._at(parent_inode, name)
        act, number = self._strike("unlink", path) or ("", 0)
        if act == "silly":
            parent, inode = os.path.dirname(self._real(path)), self._inode(path)
            os.rename(self._real(path), os.path.join(parent, f".nfs{inode:016x}"))
        elif act == "pending":
            os.unlink(self._real(path))
            self._ghosts[path] = number
            return
        elif not number or act == "done":
            self._do(os.unlink, path)
        self._forget_path(path)
        if number and act != "silly":
            raise pyfuse3.FUSEError(number)

    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self._at(parent_inode, name)
        act, number = self._strike("rmdir", path) or ("", 0)
        if any(os.path.dirname(ghost) == path for ghost in self._ghosts):
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        if not number or act == "done":
            self._do(os.rmdir, path)
            self._forget_path(path)
        if number:
            raise pyfuse3.FUSEError(number)

    async def rename(
        self, parent_old: int, name_old: bytes, parent_new: int, name_new: bytes, flags: int, ctx: Any
    ) -> None:
        old, new = self._at(parent_old, name_old), self._at(parent_new, name_new)
        act, number = self._strike("rename", f"{old} -> {new}") or ("", 0)
        if not number or act == "done":
            try:
                os.rename(self._real(old), self._real(new))
            except OSError as error:
                raise pyfuse3.FUSEError(error.errno) from error
            self._forget_path(new)
            self._moved(old, new)
        if number:
            raise pyfuse3.FUSEError(number)

    def _do(self, call: Any, path: str) -> None:
        try:
            call(self._real(path))
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error


def main() -> None:
    folder, mount_point, rules, strikes = sys.argv[1:5]
    pyfuse3.init(
        Share(folder, rules, strikes),
        mount_point,
        set(pyfuse3.default_options) | {"fsname=share", "allow_other"},
    )
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main()
