"""Walking a tree: a stream of entries, every one accounted for, and the fingerprint of the whole."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence

from sync_to_azure.core.clock import ctime_ns
from sync_to_azure.core.clock import mtime_ns as mtime_of
from sync_to_azure.core.errors import FilesChanged, RunError, SourceUnavailable
from sync_to_azure.files import fresh
from sync_to_azure.files.folder import Folder, Place, is_gone_or_replaced
from sync_to_azure.core.model import Entry, Fingerprint, Kind
from sync_to_azure.core.names import ExcludeRules, blob_name, is_junk, shown

# What a share answers when it is the share that is gone, not one entry of it.
SHARE_GONE = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
        errno.ENXIO,
        errno.ENODEV,
    }
)

_SPECIAL = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "device",
}


def scan_folder(root: Place, freshly: bool = False) -> Iterator[Entry]:
    """Yield every entry under ``root`` but folders that hold something, as it is, in no agreed order: FILE with size,
    mtime and ctime, EMPTY_FOLDER, SYMLINK and SYMLINK_OUTSIDE (where its target is; neither is followed), SPECIAL, and
    UNREADABLE with the reason. No name is judged: what a run would leave out comes as what it is.

    Folders are opened below a handle of the root, through no link. Memory: the paths of folders that were seen and not
    read yet. Vanished entries, ``freshly`` and errors as of ``walk``.
    """
    return walk(root, None, freshly=freshly)


def walk(
    root: Place,
    rules: ExcludeRules | None,
    prefix: str = "",
    folders: Sequence[bytes] = (b"",),
    enters: Callable[[bytes], bool] = lambda folder: True,
    saw_folder: Callable[[bytes, int], None] | None = None,
    freshly: bool = False,
) -> Iterator[Entry]:
    """Yield every entry under ``root`` but folders that hold something, in no agreed order. Symlinks are not followed.

    ``rules``: None judges no name, see ``scan_folder``. ``prefix`` is DEST/RUN/, for the limits of blob names. Of
    ``folders`` below the root, those that ``enters`` lets in; one that it does not is one entry (LEFT), whatever is in
    it. Entries that vanish meanwhile, or become a link before they are opened, are left out (the fingerprint of the
    next look differs). ``saw_folder`` gets each folder below the root with its mtime in ns, as it was before it was
    read: what comes into it later changes that. ``freshly``: folders are read past the cache of the share's client,
    where the kernel can. Raises RunChanged if the root is gone, SourceUnavailable if the share is.
    """
    try:
        top = root.open()
    except OSError as error:
        _folder_refused(error, root.path, b"", rules)
        raise
    real_roots = tuple(
        os.path.realpath(os.path.join(root.path, each) if each else root.path) for each in folders
    )
    pending = list(folders)
    while pending:
        folder = pending.pop()
        if not enters(folder):
            yield _excluded(folder, rules) or Entry(folder, Kind.LEFT, detail="a folder")
            continue
        try:
            here = top.folder(folder)
            if freshly:
                fresh.is_available(here.handle)
            if saw_folder is not None and folder:
                saw_folder(folder, mtime_of(os.fstat(here.handle)))
            found = here.entries()
        except OSError as error:
            entry = _folder_refused(error, root.path, folder, rules)
            if entry is not None:
                yield entry
            continue
        empty = True
        with here, found:
            for item in _items(found, here.path):
                empty = False
                name = os.fsencode(item.name)
                path = folder + b"/" + name if folder else name
                try:
                    if item.is_dir(follow_symlinks=False):
                        pending.append(path)
                        continue
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield _refused(error, here.path, path, rules)
                    continue
                yield _entry(here, name, path, status, real_roots, rules, prefix)
        if empty and folder:
            yield _empty_folder(folder, rules)


def _items(found: "os._ScandirIterator[str]", folder: bytes) -> Iterator["os.DirEntry[str]"]:
    try:
        yield from found
    except OSError as error:
        raise SourceUnavailable(f"reading {shown(folder)} failed: {error.strerror}") from error


def _folder_refused(error: OSError, root: bytes, folder: bytes, rules: ExcludeRules | None) -> Entry | None:
    if error.errno in SHARE_GONE:
        raise SourceUnavailable(
            f"{shown(os.path.join(root, folder))} cannot be read: {error.strerror}"
        ) from error
    if is_gone_or_replaced(error):
        if not folder:
            raise FilesChanged(f"{shown(root)} is gone") from error
        return None
    if not folder:
        raise RunError(f"{shown(root)} cannot be read: {error.strerror}", "check its permissions") from error
    return _excluded(folder, rules) or Entry(folder, Kind.UNREADABLE, detail=f"folder: {error.strerror}")


def _excluded(path: bytes, rules: ExcludeRules | None, size: int = 0, mtime_ns: int = 0) -> Entry | None:
    """Asked before anything else: whoever excludes what cannot be read, or named, is not held up by it."""
    rule = rules.rule_for(os.fsdecode(path)) if rules is not None else None
    # A rule from the command line may hold bytes that are not UTF-8, which the ledger cannot keep.
    return None if rule is None else Entry(path, Kind.EXCLUDED, size, mtime_ns, shown(os.fsencode(rule)))


def _empty_folder(folder: bytes, rules: ExcludeRules | None) -> Entry:
    return _excluded(folder, rules) or Entry(folder, Kind.EMPTY_FOLDER)


def _refused(error: OSError, folder: bytes, path: bytes, rules: ExcludeRules | None) -> Entry:
    if error.errno in SHARE_GONE:
        what = os.path.join(folder, os.path.basename(path))
        raise SourceUnavailable(f"{shown(what)} cannot be read: {error.strerror}") from error
    return _excluded(path, rules) or Entry(path, Kind.UNREADABLE, detail=str(error.strerror))


def _entry(
    here: Folder,
    name: bytes,
    path: bytes,
    status: os.stat_result,
    real_roots: Sequence[bytes],
    rules: ExcludeRules | None,
    prefix: str,
) -> Entry:
    size, mtime_ns = status.st_size, mtime_of(status)
    excluded = _excluded(path, rules, size, mtime_ns)
    if excluded is not None:
        return excluded
    if rules is not None and is_junk(os.fsdecode(name)):
        return Entry(path, Kind.JUNK, size, mtime_ns)
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return _symlink(here, name, path, real_roots, mtime_ns)
    if not stat.S_ISREG(mode):
        return Entry(path, Kind.SPECIAL, 0, mtime_ns, _SPECIAL.get(stat.S_IFMT(mode), "unknown kind"))
    if rules is not None:
        blob, reason = blob_name(path, prefix)
        if blob is None:
            return Entry(path, Kind.BAD_NAME, size, mtime_ns, reason)
    if not mode & stat.S_IROTH and not os.access(name, os.R_OK, dir_fd=here.handle):
        return Entry(path, Kind.UNREADABLE, size, mtime_ns, "permission denied")
    return Entry(path, Kind.FILE, size, mtime_ns, ctime_ns=ctime_ns(status))


def _symlink(here: Folder, name: bytes, path: bytes, real_roots: Sequence[bytes], mtime_ns: int) -> Entry:
    """A link to something inside the run loses nothing: its target is carried. One that leaves the run does."""
    try:
        target = os.readlink(name, dir_fd=here.handle)
    except OSError as error:
        return Entry(path, Kind.UNREADABLE, 0, mtime_ns, f"symlink: {error.strerror}")
    real = os.path.realpath(os.path.join(here.path, name))
    inside = any(real == each or real.startswith(each + b"/") for each in real_roots)
    kind = Kind.SYMLINK if inside else Kind.SYMLINK_OUTSIDE
    return Entry(path, kind, 0, mtime_ns, f"to {shown(target)}")


class FingerprintBuilder:
    """Adds entries up in any order. What a rule excludes and junk do not count: they hold nothing up."""

    def __init__(self) -> None:
        self._sum = 0
        self._entries = 0
        self._newest_ns = 0

    def add(self, entry: Entry) -> None:
        if entry.kind in (Kind.EXCLUDED, Kind.JUNK, Kind.LEFT, Kind.WAITING):
            return
        facts = b"%s\0%s\0" % (entry.kind.encode(), entry.path)
        if entry.kind is not Kind.EMPTY_FOLDER:
            facts += struct.pack("<qq", entry.size, entry.mtime_ns)
        digest = hashlib.blake2b(facts, digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(digest)) % (1 << 128)
        self._entries += 1
        self._newest_ns = max(self._newest_ns, entry.mtime_ns)

    def result(self) -> Fingerprint:
        return Fingerprint(f"{self._sum:032x}-{self._entries}", self._entries, self._newest_ns)
