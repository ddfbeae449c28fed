"""A run folder as profiles see it: the names at its top level, and the beginning of a few small files. A value, so
that recognition and outcome are pure; ``sync_to_azure.files.folder_view`` takes it."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping

from sync_to_azure.instruments.run_facts.text import Problem


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


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """``files`` and ``folders``: names at the top level, as written. ``small``: wanted files by their path below the
    run. Names that are not UTF-8 stand with surrogates, as os.fsdecode gives them. ``whole``: False where it has more
    folders in which wanted files may lie than are looked into; nothing is known of those."""

    name: str
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    small: Mapping[str, Small] = dataclasses.field(default_factory=dict)
    whole: bool = True

    def has(self, name: str) -> bool:
        """Is there such a file at the top level? Names differ in case (CopyComplete.txt, copycomplete.txt)."""
        return self.find(name) is not None

    def find(self, pattern: str) -> str | None:
        """The file at the top level whose name matches, without regard to case; of several the first by name."""
        fitting = (each for each in sorted(self.files) if fnmatch.fnmatchcase(each.lower(), pattern.lower()))
        return next(fitting, None)

    def matching(self, pattern: str) -> Iterator[tuple[str, Small]]:
        """Wanted files by path, in order."""
        for path, small in sorted(self.small.items()):
            if matches(path, pattern):
                yield path, small

    def each(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Path and content of the wanted files that match, in order. Raises Problem (which names the file) for one that
        could not be read."""
        for path, small in self.matching(pattern):
            if small.content is None:
                raise Problem(f"{path} {small.problem or 'was not read'}")
            yield path, small.content

    def read(self, pattern: str) -> tuple[str, bytes] | None:
        """The first of ``each``, None if there is none."""
        return next(self.each(pattern), None)


def matches(path: str, pattern: str) -> bool:
    """Without regard to case; each part for itself."""
    parts, wanted = path.lower().split("/"), pattern.lower().split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
