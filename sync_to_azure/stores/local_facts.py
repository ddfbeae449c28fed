"""What a local store knows of its objects beyond the file: ETag, MD5, content type, metadata, blocks; and its locks.

The rename of the object's file is the moment at which it is written. Its facts are written just before, beside
those of the file that is still there: a file is known by its size and mtime, which no two versions of one name
share. So after a crash at any point the facts of what is there are found. A file of somebody else has no facts: its
ETag is made of its inode, size and mtime, and it has no MD5.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync_to_azure.core import bounded
from sync_to_azure.files.folder import Folder
from sync_to_azure.stores.local_names import OWN_FOLDER

_log = logging.getLogger(__name__)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDERS = (b"facts", b"locks", b"snapshots", b"temporary")
_LEFT_BEHIND = 7 * 86400.0
"""Seconds after which an unfinished file is nobody's any more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """Of one version. ``blocks``: (id, size), none where it was not written in blocks."""

    etag: str
    size: int
    mtime_ns: int
    md5: bytes | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    blocks: tuple[tuple[bytes, int], ...] = ()

    def are_of(self, status: os.stat_result) -> bool:
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


def of_foreign(status: os.stat_result) -> Facts:
    etag = f"file-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return Facts(etag, status.st_size, status.st_mtime_ns)


def new_etag() -> str:
    return secrets.token_hex(16)


class FactsFolder:
    """OWN_FOLDER below ``root``, which stays open."""

    def __init__(self, root: Folder) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(OWN_FOLDER, dir_fd=root.handle)
        self._folder = root.folder(OWN_FOLDER.encode())
        self._folders: dict[bytes, Folder] = {}
        for name in _FOLDERS:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=self._folder.handle)
            self._folders[name] = self._folder.folder(name)
        self._tidy()

    @property
    def temporary(self) -> int:
        """Handle of the folder for what is being written."""
        return self._folders[b"temporary"].handle

    def read(self, name: str) -> list[Facts]:
        """Of the newest versions of an object, newest first."""
        try:
            handle, status = self._folders[b"facts"].file(_path(name))
        except FileNotFoundError:
            return []
        with os.fdopen(handle, "rb") as file:
            return _parsed(name, file.read())

    def write(self, name: str, versions: Sequence[Facts]) -> None:
        self._write(self._folders[b"facts"], name, _path(name), versions)

    def forget(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_path(name), dir_fd=self._folders[b"facts"].handle)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Nobody else writes or deletes this object, in this process or in another one."""
        path = _path(name)[:2]
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, 0o666, dir_fd=self._folders[b"locks"].handle)
        try:
            # Released by the system, should the process end here.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def new_file(self) -> tuple[bytes, int]:
        """(its name in ``temporary``, handle for writing)."""
        name = secrets.token_hex(16).encode()
        return name, os.open(name, _WRITE, 0o666, dir_fd=self.temporary)

    def drop(self, temporary: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self.temporary)

    def keep_snapshot(self, name: str, moment: str, temporary: bytes) -> bool:
        """False: there is one of that moment already."""
        folder, path = self._folders[b"snapshots"].handle, _path(name)
        for part in (path[:2], path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
        try:
            os.link(temporary, path + b"/" + moment.encode(), src_dir_fd=self.temporary, dst_dir_fd=folder)
        except FileExistsError:
            return False
        _sync(folder, path)
        return True

    def open_snapshot(self, name: str, moment: str) -> tuple[int, os.stat_result]:
        return self._folders[b"snapshots"].file(_path(name) + b"/" + moment.encode())

    def _write(self, folder: Folder, name: str, path: bytes, versions: Sequence[Facts]) -> None:
        text = json.dumps({"name": name, "versions": [_plain(each) for each in versions]}, ensure_ascii=True)
        temporary, handle = self.new_file()
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(handle)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path[:2], dir_fd=folder.handle)
            os.replace(temporary, path, src_dir_fd=self.temporary, dst_dir_fd=folder.handle)
        finally:
            self.drop(temporary)
        _sync(folder.handle, path[:2])

    def _tidy(self) -> None:
        """Of processes that ended while they wrote."""
        with self._folders[b"temporary"].entries() as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFT_BEHIND:
                        self.drop(os.fsencode(entry.name))


class NoFacts(FactsFolder):
    """Of a folder in which nothing of ours is, and nothing may be written: all its files are somebody else's."""

    def __init__(self) -> None:
        pass

    @property
    def temporary(self) -> int:
        raise OSError(errno.EROFS, "the store was opened to read")

    def read(self, name: str) -> list[Facts]:
        return []

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        yield

    def open_snapshot(self, name: str, moment: str) -> tuple[int, os.stat_result]:
        raise FileNotFoundError(errno.ENOENT, "no snapshot")


def _path(name: str) -> bytes:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{digest[:2]}/{digest}".encode()


def _sync(folder: int, path: bytes) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(facts: Facts) -> dict[str, Any]:
    return dataclasses.asdict(facts) | {
        "md5": facts.md5.hex() if facts.md5 is not None else None,
        "metadata": dict(facts.metadata),
        "blocks": [[base64.b64encode(block).decode(), size] for block, size in facts.blocks],
    }


def _parsed(name: str, text: bytes) -> list[Facts]:
    """Facts that cannot be read are none: the file counts as somebody else's, so nothing is claimed of it."""
    try:
        values = bounded.json_of(text)
        return [_version(each) for each in values["versions"]] if values["name"] == name else []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("what the store noted of %s cannot be read, and does not count: %s", name, error)
        return []


def _version(values: Any) -> Facts:
    return Facts(
        str(values["etag"]),
        int(values["size"]),
        int(values["mtime_ns"]),
        bytes.fromhex(values["md5"]) if values["md5"] is not None else None,
        values["content_type"],
        {str(key): str(value) for key, value in values["metadata"].items()},
        tuple((base64.b64decode(block), int(size)) for block, size in values["blocks"]),
    )
