"""A first verified pass against AzCopy alone over the same folder: what does the proof cost?

    python -m benchmarks.first_pass [--pairs 5] [--folder FOLDER] [small|large ...]

Both carry to a real Azurite. Ours also walks twice, hashes, lists before and after, and publishes four blobs.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.contenders import AZCOPY, WITH_AZCOPY, carry
from benchmarks.measured import HEADINGS, Measured, machine, must_have_ended_well, row
from embedded.azurite import Azurite

RUN = "261122_NB551001_0001_AHBENCHBGX2"
CASES = {"small": (2000, 50_000), "large": (4, 200_000_000)}
"""Files and bytes a file: a run of many small files (MiSeq), and one of few large ones (NextSeq, mass spectra)."""
TARGET = 1.25


def write_run(folder: pathlib.Path, files: int, size: int) -> None:
    """Noise, so that nothing is gained by compression or by a fast path for zeros; 100 files a sub-folder."""
    chance = random.Random(files)
    for number in range(files):
        path = folder / f"L{number // 100:03}" / f"s_{number:06}.bcl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for start in range(0, size, 2**24):
                file.write(chance.randbytes(min(2**24, size - start)))


def read_once(folder: pathlib.Path) -> None:
    """Into the page cache: the disk is not what is compared."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(2**20):
                    pass


@contextlib.contextmanager
def fresh_azurite(folder: pathlib.Path) -> Iterator[Azurite]:
    """A server of its own for each measure, so that none finds more data in it than another; it is warmed up, because
    the first requests of a Node process are slow. What the one before wrote is on disk first."""
    data = pathlib.Path(tempfile.mkdtemp(prefix="azurite-", dir=folder))
    os.sync()
    try:
        with Azurite(data) as server:
            with (
                server.create_container("warm-up") as client,
                concurrent.futures.ThreadPoolExecutor(8) as pool,
            ):
                for _ in pool.map(lambda n: client.upload_blob(f"{n}", b"x" * 50_000), range(300)):
                    pass
                for _ in client.list_blobs():
                    pass
            server.create_container("bench").close()
            yield server
    finally:
        shutil.rmtree(data, ignore_errors=True)


def one(which: str, run: pathlib.Path, folder: pathlib.Path, files: int) -> Measured:
    read_once(run)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
    try:
        with fresh_azurite(folder) as server:
            measured = carry(WITH_AZCOPY if which == "ours" else AZCOPY, server, run, scratch)
            must_have_ended_well(measured, which)
            with server.client() as client:
                names = [blob.name for blob in client.get_container_client("bench").list_blobs()]
            expected = files + (5 if which == "ours" else 0)
            if len(names) != expected or (which == "ours" and f"{RUN}.sync" not in names):
                raise SystemExit(f"{which}: {len(names)} blobs instead of {expected}:\n{measured.output}")
        return measured
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def compare(case: str, pairs: int, folder: pathlib.Path) -> float:
    files, size = CASES[case]
    run = folder / f"main-{case}" / RUN
    write_run(run, files, size)
    measures: dict[str, list[Measured]] = {"ours": [], "azcopy": []}
    ratios = []
    try:
        for number in range(pairs + 1):
            order = ("azcopy", "ours") if number % 2 else ("ours", "azcopy")
            pair = {which: one(which, run, folder, files) for which in order}
            if number == 0:
                continue
            for which, measured in pair.items():
                measures[which].append(measured)
            ratios.append(pair["ours"].wall / pair["azcopy"].wall)
            print(
                f"  pair {number}: ours {pair['ours'].wall:.2f} s, azcopy {pair['azcopy'].wall:.2f} s,"
                f" ratio {ratios[-1]:.2f}",
                file=sys.stderr,
            )
    finally:
        shutil.rmtree(run.parent, ignore_errors=True)
    print(f"\n{files:,} files of {size / 1e6:g} MB, medians of {pairs} pairs in turn\n\n{HEADINGS}")
    print(row("azcopy copy --put-md5", measures["azcopy"]))
    print(row("sync_to_azure, verified, published", measures["ours"]))
    middle = statistics.median(ratios)
    of_cpu = statistics.median(
        a.cpu / b.cpu for a, b in zip(measures["ours"], measures["azcopy"], strict=True)
    )
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    verdict = "kept" if middle <= TARGET else "NOT KEPT"
    print(f"ratio of wall times: {middle:.2f} (of {shown}); of CPU: {of_cpu:.2f}; target {TARGET}: {verdict}")
    return middle


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path, help="where to work; wants 3 GB")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="small, large; both by default")
    arguments = parser.parse_args()
    print(f"First pass. {machine()}\n{time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
        ratios = [
            compare(case, arguments.pairs, pathlib.Path(folder)) for case in arguments.cases or list(CASES)
        ]
    return 0 if max(ratios) <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
