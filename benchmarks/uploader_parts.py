"""What uploaders.py measures, part by part; each part's result is plain data, for the tables and the picture."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from azure.storage.blob import ContainerClient

from benchmarks.contenders import (
    AZCOPY,
    AZCOPY_OPEN,
    NATIVE,
    SDK,
    VERIFIES,
    WITH_AZCOPY,
    Server,
    argv_of,
    carry,
)
from benchmarks.discarding import Discarding
from benchmarks.first_pass import RUN, fresh_azurite, read_once, write_run
from benchmarks.measured import Measured, clean_environment, measure, must_have_ended_well
from benchmarks.mounted import Relay, mounted
from embedded.azurite import Azurite
from embedded.runs import write_nextseq
from embedded.tools import azcopy_path, azurite_path

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A set on a server: ``files`` of ``size`` bytes each, or a NextSeq's run with so many .bcl.bgzf of so many bytes.
    The targets are of our wall and CPU against AzCopy's."""

    title: str
    server: str
    files: int
    size: int
    wall: float
    cpu: float
    nextseq: bool = False

    def write(self, main: pathlib.Path) -> pathlib.Path:
        """The run folder, in ``main``."""
        if self.nextseq:
            write_nextseq(main, RUN, files=self.files, size=self.files * self.size)
        else:
            write_run(main / RUN, self.files, self.size)
        return main / RUN


CASES = {
    "azurite-small": Case("2,000 x 50 KB", "Azurite", 2000, 50_000, 0.6, 0.3),
    "azurite-tiny": Case("20,000 x 10 KB", "Azurite", 20_000, 10_000, 0.65, 0.3),
    "azurite-large": Case("4 x 200 MB", "Azurite", 4, 200_000_000, 0.7, 0.3),
    "azurite-nextseq": Case("NextSeq, 2 GB", "Azurite", 632, 3_160_000, 0.7, 0.3, nextseq=True),
    "discarding-small": Case("2,000 x 50 KB", "discarding", 2000, 50_000, 0.5, 0.6),
    "discarding-tiny": Case("20,000 x 10 KB", "discarding", 20_000, 10_000, 0.8, 0.6),
    "discarding-large": Case("4 x 200 MB", "discarding", 4, 200_000_000, 0.4, 0.6),
    "discarding-nextseq": Case("NextSeq, 2 GB", "discarding", 632, 3_160_000, 0.8, 0.6, nextseq=True),
}
"""A NextSeq 550 with 2 x 75 cycles and 8 of index: 632 .bcl.bgzf on 4 lanes. No wall was asked for it: the loosest."""

MOST_MEMORY = 150e6
SPARSE = 20_000_000_000
FLAT = 1.15
SLOW, SLOW_RATIO = 50e6, 0.6
READS = 1.01
RESENT = 0.55


@contextlib.contextmanager
def _server(kind: str, folder: pathlib.Path) -> Iterator[Server]:
    if kind == "Azurite":
        with fresh_azurite(folder) as azurite:
            yield azurite
    else:
        with Discarding() as discarding:
            yield discarding


@contextlib.contextmanager
def _scratch(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    made = pathlib.Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def versions() -> str:
    azcopy = subprocess.run([azcopy_path(), "--version"], capture_output=True, text=True, check=True)
    package = json.loads((azurite_path().parents[3] / "package.json").read_text())
    library = importlib.metadata.version("azure-storage-blob")
    number = azcopy.stdout.split()[2]
    return f"AzCopy {number}, Azurite {package['version']}, azure-storage-blob {library}"


def _said(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _one(
    which: str, server: Server, run: pathlib.Path, folder: pathlib.Path, files: int | None = None
) -> Measured:
    """With ``files``, the container is looked into afterwards."""
    with _scratch(folder) as scratch:
        measured = carry(which, server, run, scratch)
    must_have_ended_well(measured, which)
    if files is not None:
        credential = {"account_name": server.account, "account_key": server.key}
        with ContainerClient(server.endpoint, "bench", credential=credential) as client:
            names = set(client.list_blob_names())
        expected = files + (4 if which in VERIFIES else 0)
        if len(names) != expected or (which in VERIFIES and f"{RUN}.sync" not in names):
            raise SystemExit(f"{which}: {len(names)} blobs instead of {expected}:\n{measured.output}")
    return measured


def side_by_side(name: str, folder: pathlib.Path, pairs: int, others: int) -> Result:
    """All in turn. The first round warms up and is not counted; the ratio is taken pair by pair."""
    case = CASES[name]
    run = case.write(folder / f"main-{name}")
    files = sum(1 for path in run.rglob("*") if path.is_file())
    found: dict[str, list[Measured]] = {
        which: [] for which in (NATIVE, AZCOPY, AZCOPY_OPEN, WITH_AZCOPY, SDK)
    }
    try:
        for number in range(pairs + 1):
            order = [NATIVE, AZCOPY, AZCOPY_OPEN] if number % 2 else [AZCOPY_OPEN, AZCOPY, NATIVE]
            order += [WITH_AZCOPY, SDK] if number and number <= others else []
            for which in order:
                read_once(run)
                with _server(case.server, folder) as server:
                    one = _one(which, server, run, folder, None if number else files)
                if number:
                    found[which].append(one)
            if number:
                ours, its = found[NATIVE][-1], found[AZCOPY][-1]
                _said(f"{name} {number}: native {ours.wall:.2f} s, azcopy {its.wall:.2f} s")
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)
    both = list(zip(found[NATIVE], found[AZCOPY], strict=True))
    with_open = list(zip(found[NATIVE], found[AZCOPY_OPEN], strict=True))
    return {
        "measures": {which: [_plain(each) for each in every] for which, every in found.items()},
        "wall ratios": [ours.wall / its.wall for ours, its in both],
        "cpu ratios": [ours.cpu / its.cpu for ours, its in both],
        "open wall ratios": [ours.wall / its.wall for ours, its in with_open],
        "open cpu ratios": [ours.cpu / its.cpu for ours, its in with_open],
    }


def _plain(measured: Measured) -> dict[str, float]:
    peak = max(measured.peak, measured.peak_of_children)
    return {"wall": measured.wall, "cpu": measured.cpu, "peak": peak, "own peak": measured.peak}


def sparse(folder: pathlib.Path) -> Result:
    """One file of 20 GB that takes no room."""
    run = folder / "main-sparse" / RUN
    run.mkdir(parents=True)
    try:
        os.truncate(os.open(run / "a.raw", os.O_CREAT | os.O_WRONLY), SPARSE)
        with Discarding() as server:
            return _plain(_one(NATIVE, server, run, folder))
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)


def server_rates(folder: pathlib.Path) -> Result:
    """What the discarding server takes by itself: Put Blobs a second by size."""
    with Discarding() as server:
        sizes = {10_000: 20_000, 50_000: 8000, 8 * 2**20: 150}
        return {str(size): server.top_rate(size, count) for size, count in sizes.items()}


def reads(folder: pathlib.Path) -> Result:
    """Bytes read from the source for each byte of the run: a NextSeq-shaped run of 300 MB and of files around the
    bound between one Put Blob and blocks."""
    run = write_nextseq(folder / "main-reads", files=40, size=300_000_000).folder
    shares = {}
    try:
        total = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        for which in (NATIVE, WITH_AZCOPY, AZCOPY):
            with mounted(run.parent) as (main, given), Discarding() as server:
                _one(which, server, main / run.name, folder)
                shares[which] = given() / total
            _said(f"reads {which}: {shares[which]:.3f}")
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)
    return {"bytes": total, "shares": shares}


def growth(folder: pathlib.Path, repeats: int) -> Result:
    """Files of 100 bytes. The start is in none of the differences."""
    seconds: dict[str, list[float]] = {}
    for count in (1000, 10_000, 100_000):
        run = folder / f"main-{count}" / RUN
        write_run(run, count, 100)
        try:
            for _ in range(repeats if count < 100_000 else max(1, repeats // 2)):
                with Discarding() as server:
                    seconds.setdefault(str(count), []).append(_one(NATIVE, server, run, folder).wall)
        finally:
            shutil.rmtree(run.parent, ignore_errors=True)
        _said(f"growth {count}: {seconds[str(count)]}")
    low, middle, high = (statistics.median(seconds[each]) for each in ("1000", "10000", "100000"))
    a_file, further = (middle - low) / 9000, (high - middle) / 90_000
    return {"seconds": seconds, "first": a_file, "further": further, "ratio": further / a_file}


def slow_source(folder: pathlib.Path, pairs: int) -> Result:
    """From 50 MB/s: our first verified pass against AzCopy and then md5sum."""
    run = write_nextseq(folder / "main-slow", files=40, size=300_000_000).folder
    found: list[tuple[float, float, float]] = []
    try:
        for number in range(pairs):
            with mounted(run.parent, SLOW) as (main, _), Discarding() as server:
                its = _one(AZCOPY, server, main / run.name, folder)
                argv = ["sh", "-c", 'find "$0" -type f -print0 | xargs -0 md5sum', str(main / run.name)]
                sums = measure(argv, clean_environment(folder), folder)
                must_have_ended_well(sums, "md5sum")
            with mounted(run.parent, SLOW) as (main, _), Discarding() as server:
                ours = _one(NATIVE, server, main / run.name, folder)
            found.append((ours.wall, its.wall, sums.wall))
            _said(f"slow source: native {ours.wall:.1f} s, azcopy {its.wall:.1f} s, md5sum {sums.wall:.1f} s")
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)
    return {"seconds": found, "ratio": statistics.median(a / (b + c) for a, b, c in found)}


class _ThroughRelay:
    """Azurite behind a line that counts."""

    account = Azurite.account
    key = Azurite.key

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/{self.account}"


def killed(folder: pathlib.Path) -> Result:
    """kill -9 when half of a file of 1 GB went out; what the next pass sends of it."""
    size = 1_000_000_000
    run = folder / "main-killed" / RUN
    write_run(run, 1, size)
    try:
        with _scratch(folder) as scratch, fresh_azurite(folder) as azurite:
            relay = Relay(azurite.port)
            server = _ThroughRelay(relay.port)
            argv = argv_of(NATIVE, server, run, scratch)
            process = subprocess.Popen(argv, env=clean_environment(scratch), stderr=subprocess.DEVNULL)
            while relay.sent < size / 2 and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            before = relay.sent
            time.sleep(2)
            again = measure(argv, clean_environment(scratch), scratch)
            must_have_ended_well(again, "the pass after the kill")
            relay.close()
            return {"before": before / size, "after": (relay.sent - before) / size}
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)
