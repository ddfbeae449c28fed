"""Takes the view of a run folder that profiles decide on: its top level, and the beginning of a few small files; of a
folder that is no run, whether runs lie below it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterable

from sync_to_azure.errors import RunError, SourceUnavailable
from sync_to_azure.names import shown
from sync_to_azure.profiles.view import Small, View, Wanted, matches
from sync_to_azure.walk import SHARE_GONE

_MOST_FOLDERS = 500
"""Folders that are looked into for wanted files: each is a question to the instrument's computer."""


def take_view(path: bytes, wanted: Iterable[Wanted]) -> View:
    """Symbolic links are left alone. A folder that is gone gives an empty view.

    Raises SourceUnavailable where the share is, RunError where the folder itself cannot be read; a file that cannot be
    is a Small with its problem.
    """
    patterns = tuple(wanted)
    name = os.fsdecode(os.path.basename(path.rstrip(b"/")))
    files, folders = _list(path, top=True)
    small: dict[str, Small] = {}
    counts: dict[Wanted, int] = {}
    places: list[tuple[str, list[str]]] = [("", files)]
    ways = [folder for folder in folders if _is_on_the_way(folder, patterns)]
    for folder in ways[:_MOST_FOLDERS]:
        places += _below(path, folder, patterns)
    for place, names in places:
        for each in sorted(names):
            below = f"{place}/{each}" if place else each
            fitting = next((want for want in patterns if matches(below, want.pattern)), None)
            if fitting is None:
                continue
            counts[fitting] = counts.get(fitting, 0) + 1
            taken = _take(
                os.path.join(path, os.fsencode(below)), fitting, counts[fitting] <= fitting.most_files
            )
            if taken is not None:
                small[below] = taken
    return View(name, tuple(files), tuple(folders), small, len(ways) <= _MOST_FOLDERS)


_MOST_INTO, _MOST_NAMES = 5, 200


def levels_down(path: bytes, what: Callable[[str], str]) -> tuple[int, str] | None:
    """(1 or 2, what): on which level below this folder a folder stands of whose name ``what`` says something. Only so
    many folders are looked into, and only so many entries of each: nobody knows what lies there."""
    places = [path]
    for depth in (1, 2):
        inner = [each for place in places[:_MOST_INTO] for each in _some_folders(place)]
        found = next((said for each in inner if (said := what(os.fsdecode(os.path.basename(each))))), "")
        if found:
            return depth, found
        places = inner
    return None


def _some_folders(path: bytes) -> list[bytes]:
    """Paths, of the first entries that the system gives. A folder that cannot be read has none."""
    try:
        with os.scandir(path) as entries:
            some = itertools.islice(entries, _MOST_NAMES)
            return sorted(entry.path for entry in some if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(path)} cannot be read: {error.strerror}") from error
        return []


def _below(path: bytes, folder: str, patterns: tuple[Wanted, ...]) -> list[tuple[str, list[str]]]:
    files, folders = _list(os.path.join(path, os.fsencode(folder)))
    places = [(folder, files)]
    for inner in folders:
        if _is_on_the_way(f"{folder}/{inner}", patterns):
            places.append(
                (f"{folder}/{inner}", _list(os.path.join(path, os.fsencode(folder), os.fsencode(inner)))[0])
            )
    return places


def _is_on_the_way(folder: str, patterns: tuple[Wanted, ...]) -> bool:
    """Does a pattern lead into this folder?"""
    depth = folder.count("/") + 1
    leads = {
        "/".join(want.pattern.split("/")[:depth]) for want in patterns if want.pattern.count("/") >= depth
    }
    return any(matches(folder, lead) for lead in leads)


def _list(path: bytes, top: bool = False) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(os.fsdecode(entry.name))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(os.fsdecode(entry.name))
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(path)} cannot be read: {error.strerror}") from error
        if top and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            # Not "waiting for its flag": nobody would ever look why.
            raise RunError(
                f"{shown(path)} cannot be read: {error.strerror}", "check its permissions"
            ) from error
    return sorted(files), sorted(folders)


def _take(path: bytes, want: Wanted, read: bool) -> Small | None:
    """None for what is gone, or no plain file any more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(path)} cannot be read: {error.strerror}") from error
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        return Small(0, None, f"cannot be read: {error.strerror}")
    try:
        status = os.fstat(handle)
        # Before a file is made of it: a folder that took its place is none.
        if not stat.S_ISREG(status.st_mode):
            return None
        if not read:
            return Small(status.st_size)
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(want.most_bytes + (not want.head))
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(path)} cannot be read: {error.strerror}") from error
        return Small(0, None, f"cannot be read: {error.strerror}")
    finally:
        os.close(handle)
    if len(content) > want.most_bytes:
        return Small(status.st_size, None, f"is larger than {want.most_bytes} bytes")
    return Small(status.st_size, content)
