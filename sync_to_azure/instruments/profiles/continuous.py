"""Folders that are never done: projects to which a mass spectrometer adds files for months. What is carried as one,
which of its files go where, and which of them may become others. Pure; names are as os.fsdecode gives them.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class ContinuousRules:
    """What a person may set of them; globs are compared without regard to case."""

    project_glob: str
    blank_glob: str


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What is carried as one. ``key``: its name at the destination. ``inside``: the folder of the main folder that
    it is,
    empty where it has several. ``folders``: those that are walked, below that. ``problem``: why it cannot be carried
    under its name; ``lacks``: what it waits for."""

    key: str
    inside: str
    folders: tuple[str, ...] = ("",)
    problem: str = ""
    lacks: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """A blob below DEST/UNIT/ that is written anew, last of all, whenever a file of one of the ``groups`` is new or
    changed and each of them has one."""

    blob: str
    groups: tuple[Callable[[str], bool], ...]


Survey = Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Continuous:
    """``min_age``: seconds since a file was written, before it is carried. ``units``: of the names of the main folder's
    folders; what is none of them is left alone, ``others`` says of which a person should know. ``enters``: is this
    folder
    looked into? ``survey``: what must be known of all files before one has its place. ``places``: the blobs of a file,
    below DEST/UNIT/; none: it is left. ``is_frozen``: may this blob never become another?"""

    min_age: float
    units: Callable[[Sequence[str], ContinuousRules], tuple[Unit, ...]]
    others: Callable[[Sequence[str], ContinuousRules], tuple[str, ...]]
    enters: Callable[[str], bool]
    survey: Callable[[Iterable[str]], Survey] | None
    places: Callable[[str, Survey, ContinuousRules], tuple[str, ...]]
    is_frozen: Callable[[str], bool]
    ready: Ready | None = None


def glob(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())
