"""Takes the view of a run folder that profiles decide on: its top level, and the beginning of a few small files; of a
folder that is no run, whether runs lie below it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable

from sync_to_azure.core.errors import RunError, SourceUnavailable
from sync_to_azure.files.folder import Folder, Place, is_gone_or_replaced
from sync_to_azure.core.names import shown
from sync_to_azure.instruments.profiles.view import Small, View, Wanted, matches
from sync_to_azure.files.walk import SHARE_GONE

_MOST_FOLDERS = 500
"""Folders that are looked into for wanted files: each is a question to the instrument's computer."""


def take_view(place: Place, wanted: Iterable[Wanted]) -> View:
    """Symbolic links are left alone. A folder that is gone, or a link by now, gives an empty view.

    Raises SourceUnavailable where the share is, RunError where the folder itself cannot be read; a file that cannot be
    is a Small with its problem.
    """
    patterns = tuple(wanted)
    name = os.fsdecode(os.path.basename(place.path.rstrip(b"/")))
    try:
        top = place.open()
    except OSError as error:
        if not is_gone_or_replaced(error):
            raise _unreadable(place.path, error) from error
        return View(name, (), (), {}, True)
    with top:
        return _view(name, top, patterns)


def _view(name: str, top: Folder, patterns: tuple[Wanted, ...]) -> View:
    files, folders = _list(top, "")
    small: dict[str, Small] = {}
    counts: dict[Wanted, int] = {}
    places: list[tuple[str, list[str]]] = [("", files)]
    ways = [folder for folder in folders if _is_on_the_way(folder, patterns)]
    for folder in ways[:_MOST_FOLDERS]:
        places += _below(top, folder, patterns)
    for place, names in places:
        for each in sorted(names):
            below = f"{place}/{each}" if place else each
            fitting = next((want for want in patterns if matches(below, want.pattern)), None)
            if fitting is None:
                continue
            counts[fitting] = counts.get(fitting, 0) + 1
            taken = _take(top, below, fitting, counts[fitting] <= fitting.most_files)
            if taken is not None:
                small[below] = taken
    return View(name, tuple(files), tuple(folders), small, len(ways) <= _MOST_FOLDERS)


_MOST_INTO, _MOST_NAMES = 5, 200


def _unreadable(path: bytes, error: OSError) -> SourceUnavailable | RunError:
    if error.errno in SHARE_GONE:
        return SourceUnavailable(f"{shown(path)} cannot be read: {error.strerror}")
    # Not "waiting for its flag": nobody would ever look why.
    return RunError(f"{shown(path)} cannot be read: {error.strerror}", "check its permissions")


def levels_down(place: Place, what: Callable[[str], str]) -> tuple[int, str] | None:
    """(1 or 2, what): on which level below this folder a folder stands of whose name ``what`` says something. Only so
    many folders are looked into, and only so many entries of each: nobody knows what lies there."""
    try:
        with place.open() as top:
            paths = [b""]
            for depth in (1, 2):
                inner = [each for path in paths[:_MOST_INTO] for each in _some_folders(top, path)]
                found = next(
                    (said for each in inner if (said := what(os.fsdecode(os.path.basename(each))))), ""
                )
                if found:
                    return depth, found
                paths = inner
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise _unreadable(place.path, error) from error
    return None


def _some_folders(top: Folder, path: bytes) -> list[bytes]:
    """Paths, of the first entries that the system gives. A folder that cannot be read has none."""
    try:
        with top.folder(path) as folder, folder.entries() as entries:
            some = itertools.islice(entries, _MOST_NAMES)
            names = (os.fsencode(entry.name) for entry in some if entry.is_dir(follow_symlinks=False))
            return sorted(path + b"/" + name if path else name for name in names)
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise
        return []


def _below(top: Folder, folder: str, patterns: tuple[Wanted, ...]) -> list[tuple[str, list[str]]]:
    files, folders = _list(top, folder)
    places = [(folder, files)]
    for inner in folders:
        if _is_on_the_way(f"{folder}/{inner}", patterns):
            places.append((f"{folder}/{inner}", _list(top, f"{folder}/{inner}")[0]))
    return places


def _is_on_the_way(folder: str, patterns: tuple[Wanted, ...]) -> bool:
    """Does a pattern lead into this folder?"""
    depth = folder.count("/") + 1
    leads = {
        "/".join(want.pattern.split("/")[:depth]) for want in patterns if want.pattern.count("/") >= depth
    }
    return any(matches(folder, lead) for lead in leads)


def _list(top: Folder, path: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        with top.folder(os.fsencode(path)) as folder, folder.entries() as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
    except OSError as error:
        if error.errno in SHARE_GONE or not (path or is_gone_or_replaced(error)):
            raise _unreadable(os.path.join(top.path, os.fsencode(path)), error) from error
    return sorted(files), sorted(folders)


def _take(top: Folder, path: str, want: Wanted, read: bool) -> Small | None:
    """None for what is gone, or no regular file any more."""
    try:
        handle, status = top.file(os.fsencode(path))
    except OSError as error:
        if is_gone_or_replaced(error):
            return None
        if error.errno in SHARE_GONE:
            raise _unreadable(os.path.join(top.path, os.fsencode(path)), error) from error
        return Small(0, None, f"cannot be read: {error.strerror}")
    try:
        if not read:
            return Small(status.st_size)
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(want.most_bytes + (not want.head))
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise _unreadable(os.path.join(top.path, os.fsencode(path)), error) from error
        return Small(0, None, f"cannot be read: {error.strerror}")
    finally:
        os.close(handle)
    if len(content) > want.most_bytes:
        return Small(status.st_size, None, f"is larger than {want.most_bytes} bytes")
    return Small(status.st_size, content)
