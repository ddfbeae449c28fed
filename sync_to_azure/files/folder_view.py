"""Takes the view of a run folder that profiles decide on: its top level, and the beginning of a few small files; of a
folder that is no run, whether runs lie below it."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping

from sync_to_azure.core.errors import RunError, SourceUnavailable
from sync_to_azure.files.folder import Folder, Place, is_gone_or_replaced
from sync_to_azure.core.names import shown
from sync_to_azure.instruments import profiles
from sync_to_azure.instruments.profiles.view import Small, View, Wanted, matches
from sync_to_azure.files.walk import SHARE_GONE

_MOST_FOLDERS = 500
"""Folders that are looked into for wanted files: each is a question to the instrument's computer."""
_MOST_DEEPER = 50
"""The same where any folder may hold them, as in one of no known family, which is asked in every pass."""


def look_at(place: Place, chosen: str) -> tuple[View, profiles.Recognised]:
    """The view of a run folder, and its family (``chosen``: the profile that a person named, or auto). Where its top
    level gives none, or one that has more below, it is looked into one folder deeper. Raises as ``take_view``.
    """
    view = take_view(place, profiles.WANTED)
    found = profiles.recognise(view, chosen)
    if (found.profile is None or found.profile.deeper) and view.folders:
        view = take_view(place, profiles.DEEPER, _MOST_DEEPER)
        found = profiles.recognise(view, chosen)
    return view, found


def take_view(place: Place, wanted: Iterable[Wanted], most_folders: int = _MOST_FOLDERS) -> View:
    """Symbolic links are left alone. A folder that is gone, or a link by now, gives an empty view.

    Raises SourceUnavailable where the share is, RunError where the folder itself cannot be read; a file that cannot be
    is a Small with its problem.
    """
    search = _search(tuple(wanted))
    name = os.fsdecode(os.path.basename(place.path.rstrip(b"/")))
    try:
        top = place.open()
    except OSError as error:
        if not is_gone_or_replaced(error):
            raise _unreadable(place.path, error) from error
        return View(name, (), (), {}, True)
    with top:
        return _view(name, top, search, most_folders)


@dataclasses.dataclass(frozen=True, slots=True)
class _Search:
    """``wanted`` by depth, with one regular expression each for the files and for the folders that lead to them: a
    folder of thousands of names is held against dozens of patterns."""

    wanted: Mapping[int, tuple[Wanted, ...]]
    files: Mapping[int, re.Pattern[str]]
    ways: Mapping[int, re.Pattern[str]]

    def wants(self, path: str) -> Wanted | None:
        depth = path.count("/")
        if depth not in self.files or self.files[depth].match(path.lower()) is None:
            return None
        return next((want for want in self.wanted[depth] if matches(path, want.pattern)), None)

    def leads_into(self, folder: str) -> bool:
        depth = folder.count("/")
        return depth in self.ways and self.ways[depth].match(folder.lower()) is not None


@functools.lru_cache(maxsize=8)
def _search(patterns: tuple[Wanted, ...]) -> _Search:
    wanted: dict[int, tuple[Wanted, ...]] = {}
    leads: dict[int, set[str]] = {}
    for want in patterns:
        parts = want.pattern.split("/")
        wanted[len(parts) - 1] = (*wanted.get(len(parts) - 1, ()), want)
        for depth in range(len(parts) - 1):
            leads.setdefault(depth, set()).add("/".join(parts[: depth + 1]))
    return _Search(
        wanted,
        {depth: _one_of(want.pattern for want in wants) for depth, wants in wanted.items()},
        {depth: _one_of(folders) for depth, folders in leads.items()},
    )


def _one_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Any of them; only paths of their depth are asked, so a ``*`` cannot reach over a slash too many."""
    return re.compile("|".join(map(fnmatch.translate, sorted(patterns))))


def _view(name: str, top: Folder, search: _Search, most_folders: int) -> View:
    files, folders = _list(top, "")
    small: dict[str, Small] = {}
    counts: dict[Wanted, int] = {}
    places: list[tuple[str, list[str]]] = [("", files)]
    ways = [folder for folder in folders if search.leads_into(folder)]
    for folder in ways[:most_folders]:
        places += _below(top, folder, search)
    for place, names in places:
        for each in sorted(names):
            below = f"{place}/{each}" if place else each
            fitting = search.wants(below)
            if fitting is None:
                continue
            counts[fitting] = counts.get(fitting, 0) + 1
            taken = _take(top, below, fitting, counts[fitting] <= fitting.most_files)
            if taken is not None:
                small[below] = taken
    return View(name, tuple(files), tuple(folders), small, len(ways) <= most_folders)


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


def _below(top: Folder, folder: str, search: _Search) -> list[tuple[str, list[str]]]:
    files, folders = _list(top, folder)
    places = [(folder, files)]
    for inner in folders:
        if search.leads_into(f"{folder}/{inner}"):
            places.append((f"{folder}/{inner}", _list(top, f"{folder}/{inner}")[0]))
    return places


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
