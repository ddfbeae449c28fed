"""A store in a folder: each object a file of its own, under its name (``local_names``); what is known of it beside
(``local_facts``). store.py says what it promises.

Files that others put into the folder are objects too, without an MD5. Symbolic links are none, and none is
followed. One process after the other may write, on one machine: the locks are flock's.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import errno
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import (
    AccessRefused,
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    DocumentTooLarge,
    OutOfRange,
    StorageUnavailable,
    TokenRefused,
)
from sync_to_azure.core.model import NONCE_KEY, Blob
from sync_to_azure.files.folder import NotRegular, is_gone_or_replaced, open_folder
from sync_to_azure.stores.local_facts import Facts, FactsFolder, NoFacts, new_etag, of_foreign
from sync_to_azure.stores.local_names import OWN_FOLDER, beginning_of, name_of, parts_of
from sync_to_azure.stores.base import Checked, BaseStore, lower
from sync_to_azure.stores.store import (
    CHUNK,
    PAGE,
    Appended,
    Block,
    Dated,
    Page,
    SignedUrl,
    check_name,
)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a FIFO waits for its writer."""
_TRIES = 20
"""How often a look is repeated while others write; then it waits for them."""
_CONFLICT = (errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP, errno.EEXIST)


class LocalStore(BaseStore):
    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._path = folder
        with self._errors("opening it"):
            self._root = open_folder(os.fsencode(folder))
            if read_only and not os.path.lexists(folder / OWN_FOLDER):
                self._facts: FactsFolder = NoFacts()
            else:
                self._facts = FactsFolder(self._root)

    @property
    def clock_ahead(self) -> float | None:
        return 0.0

    @property
    def service_date(self) -> float | None:
        return time.time()

    def check(self, prefix: str) -> None:
        with self._errors("looking into it"):
            self._must_be_there()
            with os.scandir(self._root.handle):
                pass

    def pages(self, prefix: str, after: str = "", page_size: int = PAGE) -> Iterator[Page]:
        start = parts_of(prefix)[:-1]
        went_to = _place(prefix, after)[len(start) :] if after else []
        with self._errors(f"listing {prefix}"):
            self._must_be_there()
            found: list[Blob] = []
            last: list[bytes] = []
            for parts in self._walk(start, _begins(start), prefix, went_to):
                name = name_of(parts)
                blob = self._blob(name) if name is not None and name.startswith(prefix) else None
                if blob is None:
                    continue
                if len(found) == page_size:
                    yield Page(found, _token(prefix, last))
                    found = []
                found.append(blob)
                last = parts
            self._must_be_there()
            yield Page(found, "")

    def list_level(self, prefix: str, folders: bool = False) -> Iterator[str]:
        start = parts_of(prefix)[:-1]
        with self._errors(f"listing {prefix}"):
            self._must_be_there()
            yield from self._level(start, _begins(start), prefix, folders)

    def stat(self, name: str) -> Blob | None:
        with self._errors(f"looking for {name}"):
            blob = self._blob(name)
            if blob is None:
                self._must_be_there()
            return blob

    def read(
        self,
        name: str,
        etag: str | None = None,
        offset: int = 0,
        most: int | None = None,
        length: int | None = None,
        snapshot: str | None = None,
    ) -> Iterator[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("a range begins at 0 or later and has no negative length")
        with self._errors(f"reading {name}"):
            handle, facts = self._opened(name) if snapshot is None else self._opened_snapshot(name, snapshot)
            with os.fdopen(handle, "rb", buffering=0) as file:
                if etag is not None and facts.etag != etag:
                    raise _replaced(name)
                if most is not None and facts.size > most:
                    raise DocumentTooLarge(name, facts.size, most)
                if offset and offset >= facts.size:
                    raise OutOfRange(name, offset)
                left = facts.size - offset if length is None else min(length, facts.size - offset)
                while left:
                    chunk = os.pread(handle, min(left, CHUNK), offset)
                    # Written into by somebody who does not replace files.
                    if not chunk or not facts.are_of(os.fstat(file.fileno())):
                        raise _replaced(name)
                    offset, left = offset + len(chunk), left - len(chunk)
                    yield chunk

    def get_dated(self, name: str, most: int) -> Dated | None:
        with self._errors(f"reading {name}"):
            try:
                handle, facts = self._opened(name)
            except BlobMissing:
                return None
            with os.fdopen(handle, "rb") as file:
                content = file.read(min(most, facts.size))
                if not facts.are_of(os.fstat(handle)):
                    raise _replaced(name)
        return Dated(content, facts.etag, max(0.0, time.time() - facts.mtime_ns / 1e9))

    def put(
        self,
        name: str,
        data: bytes | IO[bytes],
        size: int,
        md5: bytes,
        content_type: str,
        replaces: str | None,
        hot: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_name(name)
        facts = Facts(new_etag(), size, 0, md5, content_type, lower(metadata))
        with self._errors(f"writing {name}"), self._written(Checked(name, data, size, md5)) as temporary:
            with self._facts.locked(name):
                now = self._now(name, is_locked=True)
                if (None if now is None else now.etag) == replaces:
                    self._publish(name, temporary, facts, now)
                    return facts.etag
            ours = self.written_before(name, size, md5, metadata)
            if ours is None:
                raise _replaced(name)
            return ours

    def append(
        self,
        name: str,
        etag: str | None,
        kept: Sequence[bytes],
        tail: bytes | IO[bytes],
        size: int,
        content_type: str = "application/octet-stream",
        md5: bytes | None = None,
    ) -> Appended:
        check_name(name)
        with self._errors(f"appending to {name}"):
            before, blocks = self._kept(name, etag, kept)
            new = [(secrets.token_bytes(16), size)] if size else []
            whole = sum(each for _, each in blocks) + size
            facts = Facts(new_etag(), whole, 0, md5, content_type, blocks=(*blocks, *new))
            if before is not None:
                facts = dataclasses.replace(facts, content_type=before.content_type, metadata=before.metadata)
            with self._written(Checked(name, tail, size, None), name, before, blocks) as temporary:
                with self._facts.locked(name):
                    now = self._now(name, is_locked=True)
                    if (None if now is None else now.etag) != etag:
                        raise BlobMissing(f"{name} is not there") if now is None else _replaced(name)
                    self._publish(name, temporary, facts, now)
            return Appended(facts.etag, facts.blocks)

    def committed_blocks(self, name: str) -> tuple[str, tuple[Block, ...]]:
        with self._errors(f"looking for blocks of {name}"):
            handle, facts = self._opened(name)
            os.close(handle)
            return facts.etag, facts.blocks

    def uncommitted_blocks(self, name: str) -> tuple[Block, ...]:
        return ()

    def snapshot(self, name: str, etag: str | None = None) -> str:
        with self._errors(f"keeping {name} as a snapshot"):
            handle, facts = self._opened(name)
            with os.fdopen(handle, "rb") as file:
                if etag is not None and facts.etag != etag:
                    raise _replaced(name)
                temporary, target = self._facts.new_file()
                try:
                    with os.fdopen(target, "wb"):
                        _copy(file.fileno(), 0, target, facts.size)
                        os.fsync(target)
                    if not facts.are_of(os.fstat(file.fileno())):
                        raise _replaced(name)
                    while not self._facts.keep_snapshot(name, moment := _moment(), temporary):
                        pass
                finally:
                    self._facts.drop(temporary)
            return moment

    def sign_url(
        self, name: str, seconds: float, file_name: str | None = None, version: str | None = None
    ) -> SignedUrl | None:
        return None

    @contextlib.contextmanager
    def _written(
        self,
        data: Checked,
        name: str = "",
        before: Facts | None = None,
        kept: tuple[Block, ...] = (),
    ) -> Iterator[bytes]:
        """A temporary file with the blocks that are kept and ``data`` after them, on the disk; gone afterwards."""
        temporary, target = self._facts.new_file()
        try:
            with os.fdopen(target, "wb") as file:
                if kept and before is not None:
                    self._copy_kept(name, before, kept, target)
                    file.seek(0, os.SEEK_END)
                while chunk := data.read(CHUNK):
                    file.write(chunk)
                file.flush()
                os.fsync(target)
            yield temporary
        finally:
            self._facts.drop(temporary)

    def _kept(
        self, name: str, etag: str | None, kept: Sequence[bytes]
    ) -> tuple[Facts | None, tuple[Block, ...]]:
        now = self._now(name)
        if now is None and etag is not None:
            raise BlobMissing(f"{name} is not there")
        if (None if now is None else now.etag) != etag:
            raise _replaced(name)
        sizes = dict(now.blocks) if now is not None else {}
        if any(block not in sizes for block in kept):
            raise BlobRefused(f"{name} has no such block to keep", "write it as a whole")
        return now, tuple((block, sizes[block]) for block in kept)

    def _copy_kept(self, name: str, before: Facts, kept: tuple[Block, ...], target: int) -> None:
        handle, facts = self._opened(name)
        try:
            if facts.etag != before.etag:
                raise _replaced(name)
            begins, at = {}, 0
            for block, size in before.blocks:
                begins[block] = at
                at += size
            for block, size in kept:
                _copy(handle, begins[block], target, size)
            if not facts.are_of(os.fstat(handle)):
                raise _replaced(name)
        finally:
            os.close(handle)

    def _publish(self, name: str, temporary: bytes, facts: Facts, now: Facts | None) -> None:
        """Under the lock, after the condition was found true: the new file takes its name."""
        known = self._facts.read(name)
        taken = {each.mtime_ns for each in known} | ({now.mtime_ns} if now is not None else set())
        moment = time.time_ns()
        while True:
            os.utime(temporary, ns=(moment, moment), dir_fd=self._facts.temporary)
            mtime_ns = os.stat(temporary, dir_fd=self._facts.temporary).st_mtime_ns
            if mtime_ns not in taken:
                break
            # A clock that was set back, or a file system with coarse times.
            moment = max(taken) + 1 if moment <= max(taken) else moment + 1_000_000_000
        _sync_file(self._facts.temporary, temporary)
        new = dataclasses.replace(facts, mtime_ns=mtime_ns)
        self._facts.write(name, [new, *(each for each in known if now is not None and each.etag == now.etag)])
        for _ in range(_TRIES):
            # A folder may be removed, with the last object in it, before this one is there.
            with contextlib.suppress(FileNotFoundError):
                self._take_name(name, temporary, is_new=now is None)
                return
        self._take_name(name, temporary, is_new=now is None)

    def _take_name(self, name: str, temporary: bytes, is_new: bool) -> None:
        parts = parts_of(name)
        above = self._above(parts, make=True)
        try:
            with contextlib.suppress(FileNotFoundError):
                there = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
                if not stat.S_ISREG(there.st_mode):
                    raise _in_the_way(name)
            if is_new:
                self._link(name, temporary, parts[-1], above)
            else:
                os.replace(temporary, parts[-1], src_dir_fd=self._facts.temporary, dst_dir_fd=above)
            os.fsync(above)
        finally:
            os.close(above)

    def _link(self, name: str, temporary: bytes, part: bytes, above: int) -> None:
        """Never over what somebody else, who knows of no lock, put there just now."""
        try:
            os.link(temporary, part, src_dir_fd=self._facts.temporary, dst_dir_fd=above)
        except FileExistsError as error:
            raise _replaced(name) from error
        except OSError as error:
            # A file system without hard links.
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            os.replace(temporary, part, src_dir_fd=self._facts.temporary, dst_dir_fd=above)

    def _above(self, parts: list[bytes], make: bool) -> int:
        """A handle of the folder that the object is in. ``make``: where it is not there."""
        handle = os.dup(self._root.handle)
        for part in parts[:-1]:
            above = handle
            try:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=above)
                        os.fsync(above)
                handle = os.open(part, _FOLDER, dir_fd=above)
            finally:
                os.close(above)
        return handle

    def _now(self, name: str, is_locked: bool = False) -> Facts | None:
        try:
            handle, facts = self._opened(name, is_locked)
        except BlobMissing:
            return None
        os.close(handle)
        return facts

    def _blob(self, name: str) -> Blob | None:
        facts = self._now(name)
        if facts is None:
            return None
        return Blob(
            name,
            facts.size,
            facts.md5,
            facts.etag,
            nonce=facts.metadata.get(NONCE_KEY),
            modified=facts.mtime_ns / 1e9,
            content_type=facts.content_type,
            metadata=facts.metadata,
        )

    def _opened(self, name: str, is_locked: bool = False) -> tuple[int, Facts]:
        """A handle of the file and the facts of just that file. Raises BlobMissing."""
        check_name(name)
        for _ in range(1 if is_locked else _TRIES):
            handle, status = self._file(name)
            facts = self._facts_of(name, status)
            if facts is not None:
                return handle, facts
            os.close(handle)
            # Somebody else's, or replaced since it was opened, and its facts with it.
            handle, again = self._file(name)
            if is_locked or (again.st_ino, again.st_mtime_ns) == (status.st_ino, status.st_mtime_ns):
                return handle, of_foreign(again)
            os.close(handle)
        with self._facts.locked(name):
            return self._opened(name, is_locked=True)

    def _facts_of(self, name: str, status: os.stat_result) -> Facts | None:
        return next((each for each in self._facts.read(name) if each.are_of(status)), None)

    def _file(self, name: str) -> tuple[int, os.stat_result]:
        parts = parts_of(name)
        try:
            above = self._above(parts, make=False)
            try:
                handle = os.open(parts[-1], _FILE, dir_fd=above)
            finally:
                os.close(above)
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                os.close(handle)
                raise NotRegular
            return handle, status
        except OSError as error:
            if not is_gone_or_replaced(error):
                raise
            self._must_be_there()
            raise BlobMissing(f"{name} is not there") from error

    def _opened_snapshot(self, name: str, moment: str) -> tuple[int, Facts]:
        if not moment or "/" in moment or moment.startswith("."):
            raise BlobMissing(f"{name} has no snapshot {moment!r}")
        try:
            handle, status = self._facts.open_snapshot(name, moment)
        except FileNotFoundError as error:
            raise BlobMissing(f"{name} has no snapshot {moment}") from error
        return handle, of_foreign(status)

    def _walk(
        self, above: list[bytes], begins: str, prefix: str, after: list[bytes]
    ) -> Iterator[list[bytes]]:
        """Paths of files below ``above`` that come after ``after``, in the order of their parts; folders that hold
        nothing with ``prefix`` are left out. ``begins``: what all names there begin with."""
        for name, is_folder in self._entries(above):
            if after and name < after[0]:
                continue
            is_there = bool(after) and name == after[0]
            if not is_folder:
                if not is_there:
                    yield [*above, name]
                continue
            more = beginning_of(name)
            text = begins + (more or "")
            if more is not None and (text.startswith(prefix) or prefix.startswith(text)):
                yield from self._walk([*above, name], text, prefix, after[1:] if is_there else [])

    def _level(self, above: list[bytes], begins: str, prefix: str, folders: bool) -> Iterator[str]:
        for entry, is_folder in self._entries(above):
            if not is_folder:
                name = name_of([*above, entry])
                if name is not None and name.startswith(prefix):
                    yield name
                continue
            more = beginning_of(entry)
            text = begins + (more or "")
            if more is None or not (text.startswith(prefix) or prefix.startswith(text)):
                continue
            if len(text) <= len(prefix) or not text.endswith("/"):
                yield from self._level([*above, entry], text, prefix, folders)
            elif folders and any(name_of(each) for each in self._walk([*above, entry], text, prefix, [])):
                yield text

    def _entries(self, parts: list[bytes]) -> list[tuple[bytes, bool]]:
        """(name, is it a folder) of the files and folders there, in their order; links are neither."""
        try:
            handle = self._above([*parts, b""], make=False)
        except OSError as error:
            if is_gone_or_replaced(error):
                return []
            raise
        try:
            with os.scandir(handle) as entries:
                return sorted(
                    (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
                    for entry in entries
                    if (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False))
                    and (parts or entry.name != OWN_FOLDER)
                )
        finally:
            os.close(handle)

    def _must_be_there(self) -> None:
        """Before anything counts as missing: is the folder itself still the one that was opened?"""
        try:
            now, held = os.stat(self._path), os.fstat(self._root.handle)
        except OSError as error:
            raise StorageUnavailable(
                f"{self._path}, the folder of the store, is not there: {error.strerror}",
                "mount or restore it",
            ) from error
        if (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
            raise StorageUnavailable(
                f"{self._path}, the folder of the store, was replaced by another one", "start again"
            )

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotRegular as error:
            raise BlobRefused(f"{what}: it is not a regular file", "move it away") from error
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise AccessRefused(
                    f"{self._path} refuses access while {what}: {reason}",
                    "check owner and mode of the folder and of what is in it",
                ) from error
            if error.errno in _CONFLICT:
                raise BlobRefused(
                    f"the folder {self._path} cannot hold it while {what}: {reason}",
                    "an object and a folder of one name exclude each other in a local store",
                ) from error
            advice = (
                "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the disk or mount"
            )
            raise StorageUnavailable(f"{self._path} fails while {what}: {reason}", advice) from error


class DeletingLocalStore(LocalStore):
    """A local store that was opened with the right to delete."""

    def delete(self, name: str, etag: str) -> None:
        with self._errors(f"deleting {name}"), self._facts.locked(name):
            now = self._now(name, is_locked=True)
            if now is None:
                return
            if now.etag != etag:
                raise _replaced(name)
            parts = parts_of(name)
            handles = [os.dup(self._root.handle)]
            try:
                for part in parts[:-1]:
                    handles.append(os.open(part, _FOLDER, dir_fd=handles[-1]))
                os.unlink(parts[-1], dir_fd=handles[-1])
                os.fsync(handles[-1])
                self._facts.forget(name)
                with contextlib.suppress(OSError):
                    # Folders that hold nothing more: names do not have any.
                    for part, above in zip(reversed(parts[:-1]), reversed(handles[:-1])):
                        os.rmdir(part, dir_fd=above)
            finally:
                for handle in handles:
                    os.close(handle)

    def may_delete(self, name: str) -> None:
        with self._errors(f"asking whether {name} may be deleted"):
            handle, _ = self._opened(name)
            os.close(handle)
            above = self._above(parts_of(name), make=False)
            try:
                if not os.access(".", os.W_OK | os.X_OK, dir_fd=above):
                    raise AccessRefused(
                        f"{self._path} does not allow deleting {name}", "check its mode and owner"
                    )
            finally:
                os.close(above)


def _sync_file(folder: int, name: bytes) -> None:
    handle = os.open(name, _FILE, dir_fd=folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _begins(parts: list[bytes]) -> str:
    return "".join(beginning_of(part) or "" for part in parts)


def _copy(source: int, offset: int, target: int, size: int) -> None:
    """``size`` bytes to the end of ``target``, by the file system itself where it can. Raises OSError."""
    while size:
        try:
            copied = os.copy_file_range(source, target, size, offset_src=offset)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            copied = os.write(target, os.pread(source, min(size, CHUNK), offset))
        if not copied:
            raise OSError(errno.EIO, "the file ended before its size")
        offset, size = offset + copied, size - copied


def _moment() -> str:
    """As Azure names snapshots, so that their order is that of time."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y-%m-%dT%H:%M:%S.%f}{secrets.randbelow(10)}Z"


def _token(prefix: str, parts: list[bytes]) -> str:
    text = json.dumps([prefix, [base64.b64encode(part).decode() for part in parts]])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _place(prefix: str, token: str) -> list[bytes]:
    try:
        theirs, parts = bounded.json_of(base64.b64decode(token, altchars=b"-_", validate=True))
        if theirs == prefix:
            return [base64.b64decode(part) for part in parts]
    except (ValueError, TypeError):
        pass
    raise TokenRefused(
        f"the listing of {prefix!r} cannot continue from a token that is not its own", "begin again"
    )


def _replaced(name: str) -> BlobReplaced:
    return BlobReplaced(f"{name} was written by another writer since it was listed")


def _in_the_way(name: str) -> BlobRefused:
    return BlobRefused(
        f"{name} cannot be written: a folder or a link has its name",
        "an object and a folder of one name exclude each other in a local store",
    )
