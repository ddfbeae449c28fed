"""Peak memory of our own process for a run of a million one-byte files, and where its time goes.

    python -m benchmarks.memory [--files 1000000] [--folder FOLDER]

The files are real and the command is the real one. Stand-ins: AzCopy (stand_in_azcopy.py) and the container
(storage.py), because with either real one, it would be theirs that is measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from benchmarks.measured import clean_environment, command, machine, measure, must_have_ended_well
from benchmarks.storage import Storage, content

RUN = "261122_BENCH_0002"
TARGET = 250_000_000
A_FOLDER = 1000


def write_million(folder: pathlib.Path, files: int) -> None:
    """``files`` files of one byte, 1,000 a folder, written by two processes."""
    folders = [
        (folder, number, min(A_FOLDER, files - number * A_FOLDER)) for number in range(-(-files // A_FOLDER))
    ]
    with multiprocessing.Pool(2) as pool:
        pool.starmap(_write_folder, folders, chunksize=8)


def _write_folder(folder: pathlib.Path, number: int, files: int) -> None:
    below = f"Data/Intensities/BaseCalls/L001/C{number:04}.1"
    os.makedirs(folder / below)
    for file in range(files):
        name = f"{below}/s_1_{file:06}.bcl"
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(handle, content(name.encode()))
        os.close(handle)


def first_pass(folder: pathlib.Path, files: int) -> int:
    """Carry the run with the stand-ins; the peak in bytes."""
    carried = folder / "carried.txt"
    azcopy = folder / "stand_in_azcopy"
    azcopy.write_text(
        f'#!/bin/sh\nexec {sys.executable} {pathlib.Path(__file__).with_name("stand_in_azcopy.py")} "$@"\n'
    )
    azcopy.chmod(0o755)
    key = folder / "account.key"
    key.touch(mode=0o600)
    key.write_text("bm8gcmVhbCBrZXk=")
    log = folder / "pass.log"
    with Storage(carried, f"{RUN}/") as storage:
        argv = command() + [
            f"--main-folder={folder / 'main'}",
            "--completion-delay=0",
            "--profile=generic",
            f"--blob-endpoint={storage.endpoint}",
            "--container-name=bench",
            f"--credentials={key}",
            "--auth=account-key",
            f"--azcopy={azcopy}",
            f"--state-file={folder / 'ledger.sqlite'}",
            f"--log-file={log}",
            # The stand-in keeps no metadata, by which the real one is known; nothing can be read back from it.
            "--verify=listed",
        ]
        environment = clean_environment(folder) | {"BENCH_CARRIED": str(carried)}
        measured = measure(argv, environment, folder)
        must_have_ended_well(measured, "the pass")
        lines = sum(1 for _ in carried.open("rb"))
        if lines != files or storage.listed != files or f"{RUN}.sync" not in storage.written:
            raise SystemExit(f"{lines} files uploaded, {storage.listed} listed, {sorted(storage.written)}")
        sizes = ", ".join(f"{name} {each.size:,} B" for name, each in sorted(storage.written.items()))
        print(f"written beside the run: {sizes}")
    print(
        f"{files:,} files: {measured.wall:.1f} s wall, {measured.cpu:.1f} s CPU, ledger"
        f" {(folder / 'ledger.sqlite').stat().st_size / 1e6:.0f} MB"
    )
    for line in log.read_text().splitlines():
        print("  " + re.sub(r"\s+", " ", line)[:160])
    verdict = "kept" if measured.peak < TARGET else "NOT KEPT"
    print(
        f"peak memory of our own process: {measured.peak / 1e6:.0f} MB; target {TARGET / 1e6:.0f}: {verdict}"
    )
    return measured.peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=pathlib.Path, help="where to work; wants an inode a file (/dev/shm: 6 GB)"
    )
    arguments = parser.parse_args()
    print(f"Memory. {machine()}\n{time.strftime('%Y-%m-%d')}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    try:
        started = time.monotonic()
        write_million(folder / "main" / RUN, arguments.files)
        print(f"the files were written in {time.monotonic() - started:.0f} s")
        return 0 if first_pass(folder, arguments.files) < TARGET else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
