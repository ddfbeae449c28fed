"""The catalogue: an inventory from a cheap listing, the same again, and searches.

    python -m benchmarks.catalogue [--objects 1000000] [--databases sqlite postgresql] [--folder FOLDER]

The listing is made of a counter (its own cost is a row of the table), everything else is real: database, index, pages,
transactions. Each step is a process of its own. Of PostgreSQL the server's processor time is not counted, so its rate
counts.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, cast

from benchmarks.measured import Measured, clean_environment, machine, measure, must_have_ended_well
from embedded.postgresql import Postgresql
from embedded.tools import PROJECT
from sync_to_azure.catalogue.db.opening import open_catalogue
from sync_to_azure.catalogue.inventory import addresses, listing
from sync_to_azure.catalogue.query import parse
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.model import Blob
from sync_to_azure.stores.store import PAGE, Page

TARGET = addresses.azure("https://lake.blob.core.windows.net", "runs")
CPU, MEMORY, AGAIN, RATE, SEARCH = 80.0, 200e6, 0.5, 12_000.0, 50.0
"""Targets: µs an object, bytes, share of the first inventory, objects a second with indexes, ms of CPU (p99)."""
_A_RUN = 10_000
_SEARCHES = 200


class Listing:
    """As a store lists; names are those of sequencing runs."""

    service_date = None

    def __init__(self, objects: int) -> None:
        self._objects = objects

    def check(self, prefix: str) -> None:
        pass

    def pages(self, prefix: str, after: str = "") -> Iterator[Page]:
        start = int(after or 0)
        while start < self._objects:
            end = min(start + PAGE, self._objects)
            yield Page(
                [blob(number) for number in range(start, end)], str(end) if end < self._objects else ""
            )
            start = end


def name(number: int) -> str:
    run = number // _A_RUN
    lane, sample = number % 8 + 1, number % _A_RUN
    return (
        f"lake/2611{run % 28 + 1:02}_A{run % 7:05}_{run:04}_AH{run:05X}XY/Data/L{lane:03}/"
        f"S{sample:06}_S{sample % 97}_L{lane:03}_R{number % 2 + 1}_001.fastq.gz"
    )


def blob(number: int) -> Blob:
    text = name(number)
    return Blob(
        text,
        number * 7919 % 10**9,
        hashlib.blake2b(text.encode(), digest_size=16).digest(),
        f"0x8DE{number:012X}",
        "Hot",
        modified=1.79e9 + number % 10**6,
        content_type="application/octet-stream",
    )


def one(step: str, database: str, objects: int) -> dict[str, Any]:
    """A step, in this process."""
    store = cast(Any, Listing(objects))
    if step == "listing":
        for page in store.pages(""):
            assert page.blobs
        return {}
    with contextlib.closing(open_catalogue(database, create=True)) as catalogue:
        if step == "inventory":
            done = listing.take(catalogue, store, TARGET, Clock())
            return done.applied.counts()
        return searched(catalogue, objects)


def searched(catalogue: Any, objects: int) -> dict[str, Any]:
    """Milliseconds of processor time of this process, by kind of search."""
    chance = random.Random(1)
    kinds: dict[str, list[float]] = {"word": [], "prefix": [], "infix": [], "two words": [], "checksum": []}
    for _ in range(_SEARCHES):
        number = chance.randrange(objects)
        sample, run = f"S{number % _A_RUN:06}", name(number).split("/")[1]
        at = chance.randrange(1, 4)
        words: dict[str, tuple[str, ...]] = {
            "word": (chance.choice([sample, run, "fastq", f"S{number % 97}"]),),
            "prefix": (chance.choice([sample[:-1], sample[:-2], run[:12], "fas"]) + "*",),
            "infix": (
                f"*{chance.choice([sample, run])[at : at + chance.randrange(3, 6)].replace('_', '0')}*",
            ),
            "two words": (run.split("_")[-1], sample),
            "checksum": ((blob(number).md5 or b"").hex(),),
        }
        for kind, text in words.items():
            began, at_wall = time.process_time(), time.perf_counter()
            catalogue.search(parse(text), 0, 100)
            spent = time.process_time() - began
            kinds[kind].append(
                (time.perf_counter() - at_wall if catalogue.kind != "sqlite" else spent) * 1000
            )
    return {
        kind: {
            "p50": round(sorted(times)[len(times) // 2], 2),
            "p99": round(sorted(times)[-(len(times) // 100) - 1], 2),
        }
        for kind, times in kinds.items()
    }


def step(name: str, database: str, objects: int, folder: pathlib.Path) -> tuple[Measured, dict[str, Any]]:
    argv = [sys.executable, "-m", "benchmarks.catalogue", "--step", name, "--database", database]
    measured = measure([*argv, "--objects", str(objects)], clean_environment(folder), PROJECT)
    must_have_ended_well(measured, name)
    return measured, json.loads(measured.output.splitlines()[-1])


def show_row(label: str, measured: Measured, objects: int) -> None:
    print(
        f"{label:34} {measured.wall:8.1f} s {measured.cpu / objects * 1e6:8.1f} µs/object"
        f" {objects / measured.wall:10,.0f}/s {measured.peak / 1e6:7.0f} MB",
        flush=True,
    )


def measured_on(kind: str, database: str, objects: int, folder: pathlib.Path) -> bool:
    bare, _ = step("listing", database, objects, folder)
    first, counts = step("inventory", database, objects, folder)
    assert counts["new"] == objects, counts
    again, counts = step("inventory", database, objects, folder)
    assert counts["unchanged"] == objects, counts
    show_row(f"{kind}: the listing alone", bare, objects)
    show_row(f"{kind}: first inventory", first, objects)
    show_row(f"{kind}: unchanged second inventory", again, objects)
    _, times = step("search", database, objects, folder)
    unit = "CPU" if kind == "sqlite" else "wall"
    for search, values in times.items():
        print(
            f"{kind}: search, {search:24} p50 {values['p50']:8.2f} ms {unit}, p99 {values['p99']:8.2f} ms {unit}"
        )
    share = again.cpu / first.cpu if kind == "sqlite" else again.wall / first.wall
    results = {f"second inventory {share:.2f} of the first, target {AGAIN}": share <= AGAIN}
    results[f"memory {first.peak / 1e6:.0f} MB, target {MEMORY / 1e6:.0f}"] = first.peak <= MEMORY
    if kind == "sqlite":
        results[f"{first.cpu / objects * 1e6:.0f} µs of CPU an object, target {CPU:.0f}"] = (
            first.cpu / objects * 1e6 <= CPU
        )
        worst = max(times[each]["p99"] for each in ("word", "prefix", "infix"))
        results[f"search p99 {worst:.0f} ms of CPU, target {SEARCH:.0f}"] = worst <= SEARCH
    else:
        results[f"{objects / first.wall:,.0f} objects/s with indexes, target {RATE:,.0f}"] = (
            objects / first.wall >= RATE
        )
    for text, kept in results.items():
        print(f"{kind}: {text}: {'kept' if kept else 'MISSED'}")
    return all(results.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument(
        "--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"]
    )
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--step", choices=["listing", "inventory", "search"], help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(one(given.step, given.database, given.objects)))
        return 0
    print(f"{given.objects:,} objects; {machine()}")
    kept = True
    with tempfile.TemporaryDirectory(dir=given.folder) as text, contextlib.ExitStack() as stack:
        folder = pathlib.Path(text)
        for kind in given.databases:
            if kind == "sqlite":
                path = folder / "catalogue.sqlite"
                kept &= measured_on(kind, str(path), given.objects, folder)
                print(f"sqlite: {path.stat().st_size / 1e6:,.0f} MB")
            else:
                server = stack.enter_context(Postgresql())
                kept &= measured_on(kind, server.create_database(), given.objects, folder)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
