"""What it costs to read the source: several digests from one read against one read for each, and a scan of a tree
against ``os.walk`` with ``os.stat``. Side by side, in one process, pairs whose order alternates; ratios count.

The files are in the page cache, so this is processor time alone: a share adds its traffic to each read.
"""

from __future__ import annotations

import argparse
import collections.abc
import os
import pathlib
import resource
import statistics
import tempfile
import time

from sync_to_azure.files.digests import NAMES, Digests
from sync_to_azure.files.folder import place_of
from sync_to_azure.files.walk import scan_folder

_BLOCK = 1024 * 1024
_CHUNKS = 256
"""MiB of the file that is hashed."""


def digest(path: pathlib.Path, names: collections.abc.Sequence[str]) -> None:
    digests = Digests(names)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digests.update(block)


def one_read(path: pathlib.Path) -> None:
    digest(path, NAMES)


def several_reads(path: pathlib.Path) -> None:
    for name in NAMES:
        digest(path, [name])


def scan(folder: pathlib.Path) -> None:
    for _ in scan_folder(place_of(os.fsencode(folder))):
        pass


def walk_and_stat(folder: pathlib.Path) -> None:
    for above, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(above, name), follow_symlinks=False)


def seconds(what: collections.abc.Callable[[], None]) -> tuple[float, float]:
    """Wall, processor."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    what()
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.monotonic() - began, used


def compare(title: str, pairs: int, *sides: tuple[str, collections.abc.Callable[[], None]]) -> None:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in sides}
    for number in range(pairs + 1):
        for name, what in sides if number % 2 else reversed(sides):
            measured = seconds(what)
            if number:
                # The first pair is a warm-up.
                taken[name].append(measured)
    print(title)
    for name, each in taken.items():
        wall, used = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"  {name:<28}{wall:8.2f} s wall {used:8.2f} s processor")
    first, second = taken.values()
    ratios = sorted(mine[1] / other[1] for mine, other in zip(first, second, strict=True))
    all_of_them = ", ".join(f"{each:.2f}" for each in ratios)
    print(f"  ratio of processor times: {statistics.median(ratios):.2f} (of {all_of_them})\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--folder", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = pathlib.Path(made)
        large = folder / "large"
        with open(large, "wb") as file:
            for _ in range(_CHUNKS):
                file.write(os.urandom(_BLOCK))
        for name in NAMES:
            _, used = seconds(lambda name=name: digest(large, [name]))  # type: ignore[misc]
            print(f"{name:<8}{_CHUNKS / used:8.0f} MiB a second of processor time, with its read")
        compare(
            f"{', '.join(NAMES)} of {_CHUNKS} MiB",
            given.pairs,
            ("one read", lambda: one_read(large)),
            ("a read for each", lambda: several_reads(large)),
        )
        large.unlink()
        for number in range(given.files):
            path = folder / f"{number // 1000:05d}" / f"{number:08d}"
            path.parent.mkdir(exist_ok=True)
            path.touch()
        compare(
            f"a tree of {given.files:,} files",
            given.pairs,
            ("scan_folder", lambda: scan(folder)),
            ("os.walk and os.stat", lambda: walk_and_stat(folder)),
        )


if __name__ == "__main__":
    main()
