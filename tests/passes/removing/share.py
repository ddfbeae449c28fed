"""A share that misbehaves as CIFS and NFS do, over FUSE: share.py FOLDER MOUNT_POINT RULES STRIKES [SECONDS]

RULES is a file of JSON, read anew before each operation: a list of rules
    {"op": "unlink|rmdir|rename|lookup", "match": regular expression on the path (a rename: "old -> new"),
     "errno": "EBUSY", "times": how often (all the time without it), "skip": so many are let through first,
     "act": what happens besides the answer}
``act``: ``done`` (it is done all the same), ``silly`` (the file becomes .nfs…, no error is answered), ``pending`` (no
error, but the name stays, cannot be looked at, and keeps its folder from being empty), ``year 2500`` (no error, but
that is when it was changed last), ``dead`` (from now on everything answers the errno), ``read-only`` (from now on all
that writes answers it). What lasts ends when its rule is taken away. Each strike is a line of STRIKES. The client
keeps what it was told for SECONDS, as those of CIFS and NFS do. conftest.py starts it, with the system's Python.
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

from embedded.pass_through import PassThrough, serve

WRITES = ("unlink", "rmdir", "rename")


class Share(PassThrough):
    def __init__(self, folder: str, rules: str, strikes: str) -> None:
        super().__init__(folder)
        self._rules_file = rules
        self._strikes = strikes
        self._text = ""
        self._rules: list[dict[str, Any]] = []
        self._seen: dict[str, int] = {}
        self._ghosts: dict[str, int] = {}
        self._lasting: tuple[str, int] | None = None
        self._late: set[str] = set()

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

    def before(self, operation: str, path: str) -> None:
        if operation in WRITES:
            # These are answered where they are done.
            return
        struck = self._strike(operation, path)
        if struck is not None and struck[0] == "year 2500":
            self._late.add(path)
        elif struck is not None:
            raise pyfuse3.FUSEError(struck[1])

    # Entries that are gone and whose names stay

    def attributes(self, path: str) -> Any:
        if path not in self._ghosts:
            entry = super().attributes(path)
            if path in self._late:
                entry.st_ctime_ns = 16_725_225_600 * 10**9
            return entry
        entry = self.entry(path)
        entry.st_mode = stat.S_IFREG | 0o644
        return entry

    def names(self, path: str) -> list[str]:
        ghosts = [os.path.basename(ghost) for ghost in self._ghosts if os.path.dirname(ghost) == path]
        return super().names(path) + ghosts

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        path = self.at(parent_inode, name)
        answer = await super().lookup(parent_inode, name, ctx)
        if path in self._ghosts:
            raise pyfuse3.FUSEError(self._ghosts[path])
        return answer

    # What writes

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self.at(parent_inode, name)
        act, number = self._strike("unlink", path) or ("", 0)
        if act == "silly":
            parent, inode = os.path.dirname(self.real(path)), self.inode(path)
            os.rename(self.real(path), os.path.join(parent, f".nfs{inode:016x}"))
        elif act == "pending":
            os.unlink(self.real(path))
            self._ghosts[path] = number
            return
        elif not number or act == "done":
            self.remove(os.unlink, path)
        self.forget_path(path)
        if number and act != "silly":
            raise pyfuse3.FUSEError(number)

    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        path = self.at(parent_inode, name)
        act, number = self._strike("rmdir", path) or ("", 0)
        if any(os.path.dirname(ghost) == path for ghost in self._ghosts):
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        if not number or act == "done":
            self.remove(os.rmdir, path)
        if number:
            raise pyfuse3.FUSEError(number)

    async def rename(
        self, old_parent: int, old_name: bytes, new_parent: int, new_name: bytes, flags: int, ctx: Any
    ) -> None:
        old, new = self.at(old_parent, old_name), self.at(new_parent, new_name)
        act, number = self._strike("rename", f"{old} -> {new}") or ("", 0)
        if not number or act == "done":
            self.move(old, new)
        if number:
            raise pyfuse3.FUSEError(number)


if __name__ == "__main__":
    given_folder, mount_point, given_rules, given_strikes, *seconds = sys.argv[1:]
    share = Share(given_folder, given_rules, given_strikes)
    share.kept = int(seconds[0]) if seconds else 0
    serve(share, mount_point, ["allow_other"])
