"""Is every file there that the instrument's own facts promise? Fed with the entries of a walk, in any order; memory is
bounded by what is expected, not by what is there.

It may never hold up carrying: a run that ended early lacks files and must be saved first of all. It holds up removal.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

_TOLD = 10
_MOST_MEMBERS = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Completeness:
    """``missing``: the first ten, in words."""

    complete: bool
    rule: str
    expected: int
    found: int
    missing: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        words = f"{self.found} of {self.expected} files ({self.rule})"
        return words if self.complete else f"{words}; missing: {', '.join(self.missing)}"


class Expectation(Protocol):
    """``see``: one file of the run, carried or excluded: its path below the run, its size in bytes."""

    def see(self, path: str, size: int) -> None: ...

    def result(self) -> Completeness: ...


class Groups:
    """So many different files in each lane and cycle, ``expected`` by (lane, cycle).

    ``pattern`` matches a file's path below the run and names ``lane``, ``cycle`` and, where there is more than one a
    lane and cycle, its ``member`` (a tile, a surface). Empty files do not count: all these formats have a header. A
    tile may be there twice (.bcl and .bcl.gz) and counts once, so members are kept, as bits: a HiSeq has 270,000 files.
    """

    def __init__(self, rule: str, pattern: str, expected: Mapping[tuple[int, int], int]) -> None:
        self._rule = rule
        self._pattern = re.compile(pattern, re.ASCII | re.IGNORECASE)
        self._expected = expected
        self._members: dict[str, int] = {}
        self._found: dict[tuple[int, int], int] = {}

    def see(self, path: str, size: int) -> None:
        found = self._pattern.fullmatch(path)
        if found is None or size == 0:
            return
        group = (int(found["lane"]), int(found["cycle"]))
        member = found.groupdict().get("member", "")
        if group in self._expected and (member in self._members or len(self._members) < _MOST_MEMBERS):
            bit = self._members.setdefault(member, len(self._members))
            self._found[group] = self._found.get(group, 0) | 1 << bit

    def result(self) -> Completeness:
        have = {
            group: min(self._found.get(group, 0).bit_count(), count)
            for group, count in self._expected.items()
        }
        short = sorted(group for group, count in self._expected.items() if have[group] < count)
        told = tuple(
            f"lane {lane} cycle {cycle} ({have[lane, cycle]} of {self._expected[lane, cycle]})"
            for lane, cycle in short[:_TOLD]
        )
        return Completeness(not short, self._rule, sum(self._expected.values()), sum(have.values()), told)


class Paths:
    """Exactly these files, by their path below the run; names are compared as written. ``also_missing``: what is known
    to be missing beside them."""

    def __init__(self, rule: str, expected: Iterable[str], also_missing: Iterable[str] = ()) -> None:
        self._rule = rule
        self._waiting = set(expected)
        self._expected = len(self._waiting)
        self._also = tuple(also_missing)

    def see(self, path: str, size: int) -> None:
        self._waiting.discard(path)

    def result(self) -> Completeness:
        missing = [*self._also, *sorted(self._waiting)]
        found = self._expected - len(self._waiting)
        return Completeness(not missing, self._rule, self._expected, found, tuple(missing[:_TOLD]))


class Every:
    """All of several; reported is the first that is not complete, else the last, which knows most."""

    def __init__(self, parts: Sequence[Expectation]) -> None:
        self._parts = parts

    def see(self, path: str, size: int) -> None:
        for part in self._parts:
            part.see(path, size)

    def result(self) -> Completeness:
        results = [part.result() for part in self._parts]
        return next((result for result in results if not result.complete), results[-1])


class Endings:
    """At least so many files with each ending, anywhere below the run: MinKNOW's counts."""

    def __init__(self, rule: str, expected: Mapping[str, int], also_missing: Iterable[str] = ()) -> None:
        self._rule = rule
        self._expected = {ending: count for ending, count in expected.items() if count}
        self._found: collections.Counter[str] = collections.Counter()
        self._also = tuple(also_missing)

    def see(self, path: str, size: int) -> None:
        # reads.fastq.gz, reads.fastq and reads.bam, but not reads.bam.bai.
        ending = path.lower().removesuffix(".gz").rpartition(".")[2]
        if ending in self._expected:
            self._found[ending] += 1

    def result(self) -> Completeness:
        missing = list(self._also)
        for ending, count in sorted(self._expected.items()):
            if self._found[ending] < count:
                missing.append(f"{count - self._found[ending]} .{ending} files")
        found = sum(min(self._found[ending], count) for ending, count in self._expected.items())
        return Completeness(
            not missing, self._rule, sum(self._expected.values()), found, tuple(missing[:_TOLD])
        )
