"""Unlinking below one folder: entry by entry, through handles; never through a symlink, never across a mount, never a
tree. Each entry is looked at once more just before it goes, past what the share's client has in its cache."""

from __future__ import annotations

import dataclasses
import errno
import os
import stat
from collections.abc import Callable, Iterable
from types import TracebackType

from sync_to_azure.core.clock import ctime_ns, mtime_ns
from sync_to_azure.files import fresh
from sync_to_azure.files.folder import Folder, Place
from sync_to_azure.core.model import Entry, Kind
from sync_to_azure.core.names import shown
from sync_to_azure.files.mounts import mount_number
from sync_to_azure.files.walk import SHARE_GONE

HOPELESS = SHARE_GONE | {errno.EROFS}
"""After these the next file is not tried: the share itself is not there, or was turned read-only."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_REPLACED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EISDIR})

Status = os.stat_result | fresh.Status


@dataclasses.dataclass(slots=True)
class Unlinked:
    """``changed``: not as they were seen, and left; ``refused``: the share would not; ``problem``: the first refusal.
    ``late``: the time that the proof is good for ran out."""

    unlinked: int = 0
    changed: int = 0
    refused: int = 0
    problem: str = ""
    hopeless: bool = False
    late: bool = False

    def refuse(self, name: bytes, error: OSError) -> None:
        self.refused += 1
        self.problem = self.problem or f"{shown(name)}: {error.strerror or error}"
        self.hopeless |= error.errno in HOPELESS


class Below:
    """A folder in the main folder, held open; all that happens below it is relative to its handle."""

    def __init__(self, place: Place) -> None:
        """Raises OSError: not there, no folder, a symlink, or (EXDEV) on another mount than the main folder."""
        name = self._name = place.name
        self._main = os.dup(place.above.handle)
        try:
            self._root = os.open(name, _FOLDER, dir_fd=self._main)
        except OSError:
            os.close(self._main)
            raise
        self._path: tuple[bytes, ...] = ()
        self._handle = self._root
        self._linked: set[int] = set()
        """Inodes of which we unlinked one name: that moved their ctime."""
        self._mount = mount_number(self._main)
        try:
            self._refuse_mount(self._root)
            self._looks_fresh = fresh.is_available(self._root)
        except OSError:
            self.__exit__(None, None, None)
            raise

    def _refuse_mount(self, handle: int) -> None:
        # A bind mount of the same file system has the same device number, but not the same mount.
        if mount_number(handle) != self._mount:
            raise OSError(errno.EXDEV, "another mount")

    def _open(self, path: bytes) -> int:
        """The folder at ``path``, opened part by part; the last one stays open for its other files."""
        parts = tuple(path.split(b"/")) if path else ()
        if parts != self._path:
            self._forget()
            try:
                for part in parts:
                    opened = os.open(part, _FOLDER, dir_fd=self._handle)
                    self._forget()
                    self._handle = opened
                    self._refuse_mount(opened)
            except OSError:
                # Or the folder that was refused would pass for the run's own.
                self._forget()
                raise
            self._path = parts
        return self._handle

    def _forget(self) -> None:
        if self._handle != self._root:
            os.close(self._handle)
        self._path, self._handle = (), self._root

    def unlink(self, entries: Iterable[Entry], go_on: Callable[[int], bool]) -> Unlinked:
        """Unlink those that are still as they were seen. ``go_on``, asked before each with how many went so far, says
        whether the proof is still fresh."""
        outcome = Unlinked()
        for entry in entries:
            if not go_on(outcome.unlinked):
                outcome.late = True
                break
            parent, _, name = entry.path.rpartition(b"/")
            try:
                handle = self._open(parent)
                status = self._look(handle, name, entry)
                if is_as_seen(status, entry, status.st_ino in self._linked):
                    os.unlink(name, dir_fd=handle)
                    outcome.unlinked += 1
                    if status.st_nlink > 1:
                        self._linked.add(status.st_ino)
                else:
                    outcome.changed += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in _REPLACED:
                    outcome.changed += 1
                    continue
                outcome.refuse(entry.path, error)
                if outcome.hopeless:
                    break
        return outcome

    def _look(self, folder: int, name: bytes, entry: Entry) -> Status:
        """The last one. The folder comes first: the client may still know the name as that of another file."""
        if not self._looks_fresh:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        fresh.look(folder)
        opened = _opened(folder, name, entry.kind is Kind.FILE)
        try:
            return fresh.look(opened)
        finally:
            # Before it is unlinked: NFS would keep an open file under a name of its own.
            os.close(opened)

    def remove_folders(self, outcome: Unlinked) -> None:
        """``rmdir`` from below, the folder itself last. One that still holds something is no refusal: it stays."""
        folders = self._folders(outcome)
        self._forget()
        for path in reversed(folders):
            parent, _, name = path.rpartition(b"/")
            try:
                self._rmdir(name, self._open(parent))
            except OSError as error:
                outcome.refuse(path, error)
            if outcome.hopeless:
                return
        try:
            self._rmdir(self._name, self._main)
        except OSError as error:
            outcome.refuse(self._name, error)

    def is_gone(self) -> bool:
        """Asked of the main folder as it was opened: a path may lead elsewhere by now (a share that was unmounted)."""
        try:
            os.stat(self._name, dir_fd=self._main, follow_symlinks=False)
        except FileNotFoundError:
            return True
        return False

    def _rmdir(self, name: bytes, parent: int) -> None:
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                raise

    def _folders(self, outcome: Unlinked) -> list[bytes]:
        """Every folder below, each after its parent; what is mounted there or is a symlink is not entered."""
        found: list[bytes] = []
        pending = [b""]
        while pending:
            path = pending.pop()
            try:
                with os.scandir(self._open(path)) as items:
                    below = [os.fsencode(item.name) for item in items if item.is_dir(follow_symlinks=False)]
            except OSError as error:
                if error.errno not in _REPLACED | {errno.ENOENT}:
                    outcome.refuse(path, error)
                continue
            if path:
                found.append(path)
            pending += [path + b"/" + name if path else name for name in below]
        return found

    def __enter__(self) -> "Below":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        os.close(self._root)
        os.close(self._main)


def _opened(folder: int, name: bytes, is_file: bool) -> int:
    """Opened for reading, a file is what the server has under this name now, and a client that holds back what it wrote
    hands it in."""
    if is_file:
        try:
            return os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            # Not ours to read, or a socket or device by now: it can be looked at all the same.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV):
                raise
    return os.open(name, _ENTRY, dir_fd=folder)


def is_as_seen(status: Status, entry: Entry, links_went: bool = False) -> bool:
    """Is it still what the walk saw? Of links and special files the walk notes no size; of what is not uploaded no
    ctime. ``links_went``: we unlinked another name of the same file."""
    mode = status.st_mode
    if stat.S_ISDIR(mode) or mtime_ns(status) != entry.mtime_ns:
        return False
    if entry.kind is Kind.FILE and not links_went and ctime_ns(status) != entry.ctime_ns:
        return False
    if entry.kind in (Kind.SYMLINK, Kind.SYMLINK_OUTSIDE):
        return stat.S_ISLNK(mode)
    if entry.kind is Kind.SPECIAL:
        return not stat.S_ISREG(mode) and not stat.S_ISLNK(mode)
    if entry.kind is Kind.FILE and not stat.S_ISREG(mode):
        return False
    return status.st_size == entry.size


def is_there(main: Folder, name: bytes) -> bool:
    """In the main folder. Raises OSError where a share that fails cannot say: ``os.path.lexists`` would call that "not
    there"."""
    try:
        main.stat(name)
    except FileNotFoundError:
        return False
    return True


def rename(main: Folder, source: bytes, target: bytes) -> None:
    """Within the main folder. What stands there counts, not what was answered: a share may rename and answer an error
    all the same. Raises OSError with ``source`` where it was; never replaces anything."""
    if is_there(main, target):
        raise FileExistsError(errno.EEXIST, "that name already exists")
    try:
        os.rename(source, target, src_dir_fd=main.handle, dst_dir_fd=main.handle)
    except OSError as error:
        try:
            done = is_there(main, target) and not is_there(main, source)
        except OSError:
            done = False
        if not done:
            raise error
    if not is_there(main, target):
        raise OSError(errno.EIO, "the share reported a rename that did not happen")
