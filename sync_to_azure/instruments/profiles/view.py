"""A run folder as profiles see it: the names at its top level, and the beginning of a few small files. A value, so
that recognition and outcome are pure; ``sync_to_azure.files.folder_view`` takes it."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Iterator, Mapping

from sync_to_azure.instruments.run_facts.text import MalformedFile


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Files that a profile reads: ``pattern`` in lower case, below the run folder, a ``*`` never over a ``/``.

    ``most_bytes``: a larger one is not read. ``head``: only the first ``most_bytes`` are read, whatever the size.
    ``most_files``: of more, only the sizes are taken.
    """

    pattern: str
    most_bytes: int
    head: bool = False
    most_files: int = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Small:
    """One wanted file. ``content`` is None where it was not read; ``problem`` says why, if it should have been."""

    size: int
    content: bytes | None = None
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class View:
    """``files`` and ``folders``: names at the top level, as written. ``small``: wanted files by their path below the
    run. Names that are not UTF-8 stand with surrogates, as os.fsdecode gives them. ``whole``: False where it has more
    folders in which wanted files may lie than are looked into; nothing is known of those."""

    name: str
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    small: Mapping[str, Small] = dataclasses.field(default_factory=dict)
    whole: bool = True

    @functools.cached_property
    def _lower(self) -> dict[str, str]:
        """The files by their names in lower case: a folder of thousands is asked for dozens."""
        return {name.lower(): name for name in sorted(self.files, reverse=True)}

    @functools.cached_property
    def _by_depth(self) -> dict[int, list[tuple[str, str, Small]]]:
        """Wanted files in order, their path in lower case first; an acquisition more is eight entries more."""
        found: dict[int, list[tuple[str, str, Small]]] = {}
        for path, small in sorted(self.small.items()):
            found.setdefault(path.count("/"), []).append((path.lower(), path, small))
        return found

    def has(self, name: str) -> bool:
        """Is there such a file at the top level? Names differ in case (CopyComplete.txt, copycomplete.txt)."""
        return name.lower() in self._lower

    def find(self, pattern: str) -> str | None:
        """The file at the top level whose name matches, without regard to case; of several the first by name."""
        if not _MAGIC.intersection(pattern):
            return self._lower.get(pattern.lower())
        fitting = fnmatch.filter(self._lower, pattern.lower())
        return min((self._lower[each] for each in fitting), default=None)

    def matching(self, pattern: str) -> Iterator[tuple[str, Small]]:
        """Wanted files by path, in order."""
        fits = _compiled(pattern.lower()).match
        for lower, path, small in self._by_depth.get(pattern.count("/"), ()):
            if fits(lower):
                yield path, small

    def each(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Path and content of the wanted files that match, in order. Raises Problem (which names the file) for one that
        could not be read."""
        for path, small in self.matching(pattern):
            if small.content is None:
                raise MalformedFile(f"{path} {small.problem or 'was not read'}")
            yield path, small.content

    def read(self, pattern: str) -> tuple[str, bytes] | None:
        """The first of ``each``, None if there is none."""
        return next(self.each(pattern), None)


_MAGIC = frozenset("*?[")


def matches(path: str, pattern: str) -> bool:
    """Without regard to case; each part for itself."""
    return (
        path.count("/") == pattern.count("/") and _compiled(pattern.lower()).match(path.lower()) is not None
    )


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Only for paths that are as deep as it is: then no ``*`` can reach over a slash, as one would be missing."""
    return re.compile(fnmatch.translate(pattern))
