"""A pass with nothing to do over 1,000 published runs with a million files on record.

    python -m benchmarks.idle_pass [--runs 1000] [--files 1000] [--times 5]

Shows the time, and with strace what the pass looked at: nothing inside the runs, no connection, no Azure library. Then
the same of a ``--thorough`` pass over some runs with real files and blobs, which looks at all of them.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import time

from benchmarks.flow import PublishedFlow, write_flow
from benchmarks.measured import (
    HEADINGS,
    clean_environment,
    command,
    machine,
    measure,
    median,
    must_have_ended_well,
    row,
)
from embedded.azurite import Azurite
from embedded.tools import azcopy_path

TARGET = 1.0
THOROUGH_RUNS, THOROUGH_FILES = 20, 50
_CALLS = "%file,getdents64,connect,fstat"


def arguments_of(flow: PublishedFlow, endpoint: str, folder: pathlib.Path) -> list[str]:
    key = folder / "account.key"
    key.touch(mode=0o600)
    key.write_text(Azurite.key)
    return [
        f"--main-folder={flow.main_folder}",
        "--completion-delay=0",
        "--profile=generic",
        f"--blob-endpoint={endpoint}",
        "--container-name=bench",
        f"--credentials={key}",
        "--auth=account-key",
        f"--azcopy={azcopy_path()}",
        f"--state-file={flow.state_file}",
    ]


def looked_at(flow: PublishedFlow, argv: list[str], folder: pathlib.Path) -> dict[str, int]:
    """System calls of the whole pass, children included, counted by what they touched."""
    trace = folder / "trace.txt"
    watched = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(trace), *argv]
    must_have_ended_well(measure(watched, clean_environment(folder), folder), "the pass below strace")
    inside = re.compile(re.escape(f'"{flow.main_folder}/') + '[^/"]+/')
    own = re.compile(re.escape(f'"{flow.main_folder}/') + '[^/"]+"')
    counts = dict.fromkeys(
        ("run folders themselves", "paths inside runs", "connections", "files of the Azure library"), 0
    )
    with trace.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if "connect(" in line and "AF_INET" in line:
                counts["connections"] += 1
            elif inside.search(line):
                counts["paths inside runs"] += 1
            elif own.search(line):
                counts["run folders themselves"] += 1
            elif "/site-packages/azure/" in line:
                counts["files of the Azure library"] += 1
    trace.unlink()
    return counts


def show(counts: dict[str, int]) -> None:
    for what, count in counts.items():
        print(f"  {count:8,} system calls on {what}")


def idle(folder: pathlib.Path, runs: int, files: int, times: int) -> bool:
    # A port where nobody listens: a remote call would fail, and the pass with it.
    endpoint = "http://127.0.0.1:9/devstoreaccount1"
    started = time.monotonic()
    flow = write_flow(folder, endpoint, "bench", runs, files)
    print(
        f"{runs:,} published runs, {runs * files:,} files on record: a ledger of"
        f" {flow.state_file.stat().st_size / 1e6:.0f} MB, built in {time.monotonic() - started:.0f} s\n"
    )
    argv = command() + arguments_of(flow, endpoint, folder)
    environment = clean_environment(folder)
    measures = [measure(argv, environment, folder) for _ in range(times + 1)][1:]
    starts = [measure([sys.executable, "-c", "pass"], environment, folder) for _ in range(times + 1)][1:]
    for measured in measures:
        must_have_ended_well(measured, "the pass")
        if f"{runs} with nothing to do" not in measured.output:
            raise SystemExit(f"not an idle pass:\n{measured.output}")
    print(HEADINGS)
    print(row("the interpreter alone", starts))
    print(row("a pass with nothing to do", measures))
    seconds = median(each.wall for each in measures) - median(each.wall for each in starts)
    kept = seconds < TARGET
    print(
        f"after the interpreter's start: {seconds:.2f} s; target {TARGET:g}: {'kept' if kept else 'NOT KEPT'}"
    )
    if shutil.which("strace") is None:
        print("strace is not installed: what the pass looks at is left to tests/passes/test_idle_pass.py")
        return kept
    print("\nWhat it looks at:")
    counts = looked_at(flow, argv, folder)
    show(counts)
    nothing = ("paths inside runs", "connections", "files of the Azure library")
    return kept and not any(counts[what] for what in nothing)


def thorough(folder: pathlib.Path) -> bool:
    with Azurite(folder / "azurite") as server, server.create_container("bench") as container:
        flow = write_flow(folder, server.endpoint, "bench", THOROUGH_RUNS, THOROUGH_FILES, container)
        argv = command() + arguments_of(flow, server.endpoint, folder) + ["--thorough"]
        measured = measure(argv, clean_environment(folder), folder)
        must_have_ended_well(measured, "the thorough pass")
        counts = looked_at(flow, argv, folder) if shutil.which("strace") else {}
    files = THOROUGH_RUNS * THOROUGH_FILES
    print(f"\n--thorough, {THOROUGH_RUNS} runs with {files:,} real files and blobs: {measured.wall:.2f} s")
    show(counts)
    return not counts or counts["paths inside runs"] >= files and counts["connections"] > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--files", type=int, default=1000, help="of each run")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path, help="where to work; wants 1 GB")
    arguments = parser.parse_args()
    print(f"Idle pass. {machine()}\n{time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        first, second = pathlib.Path(name, "idle"), pathlib.Path(name, "thorough")
        first.mkdir()
        second.mkdir()
        good = idle(first, arguments.runs, arguments.files, arguments.times)
        return 0 if thorough(second) and good else 1


if __name__ == "__main__":
    sys.exit(main())
