"""From the last flag to the marker, with ``incremental`` and without it.

    python -m benchmarks.incremental [--size 2000000000] [--seconds 120] [--pause 0] [--times 1] [--folder FOLDER]

An instrument (embedded/instrument.py) writes a NextSeq's run at its pace, while passes are started every 5 s; the flag
comes ``pause`` seconds after the last file (a NextSeq takes minutes for that). What counts is the pass that sees the
last flag, from the start of its process to its end, the run published. The plain one is the first pass over the same
run, complete, into an empty container. Ends with 1 if the target is missed.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time

from azure.storage.blob import ContainerClient

from benchmarks.first_pass import RUN, fresh_azurite
from benchmarks.measured import Measured, clean_environment, command, machine, measure, must_have_ended_well
from embedded.azurite import Azurite
from embedded.instrument import Instrument
from embedded.runs import write_nextseq

TARGET = 0.15
FILES = 632
EVERY, STILL = 5.0, 4.0


def one_pass(server: Azurite, main: pathlib.Path, scratch: pathlib.Path, *more: str) -> Measured:
    key = scratch / "account.key"
    key.touch(mode=0o600)
    key.write_text(server.key)
    argv = [
        *command(),
        f"--main-folder={main}",
        "--completion-flag=RTAComplete.txt",
        "--completion-delay=0",
        f"--blob-endpoint={server.endpoint}",
        "--container-name=bench",
        f"--credentials={key}",
        "--auth=account-key",
        "--uploader=native",
        f"--state-file={scratch / 'ledger.sqlite'}",
        *more,
    ]
    measured = measure(argv, clean_environment(scratch), scratch)
    must_have_ended_well(measured, "the pass")
    return measured


def is_published(server: Azurite) -> bool:
    credential = {"account_name": server.account, "account_key": server.key}
    with ContainerClient(server.endpoint, "bench", credential=credential) as client:
        return client.get_blob_client(f"{RUN}.sync").exists()


def plain(source: pathlib.Path, folder: pathlib.Path) -> float:
    with fresh_azurite(folder) as server, tempfile.TemporaryDirectory(dir=folder) as scratch:
        measured = one_pass(server, source.parent, pathlib.Path(scratch))
        assert is_published(server)
    return measured.wall


def while_it_goes_on(
    source: pathlib.Path, folder: pathlib.Path, seconds: float, pause: float
) -> tuple[Measured, int]:
    """The pass that sees the flag, and how many passes came before it."""
    main = folder / "going-on"
    main.mkdir()
    instrument = Instrument(source, main, seconds)
    options = ("--incremental", f"--stable-for={STILL:g}")
    try:
        with fresh_azurite(folder) as server, tempfile.TemporaryDirectory(dir=folder) as name:
            scratch = pathlib.Path(name)
            writer = threading.Thread(target=instrument.write, kwargs={"flags": False})
            writer.start()
            passes = 0
            while writer.is_alive():
                began = time.monotonic()
                one_pass(server, main, scratch, *options)
                passes += 1
                writer.join(max(0.1, EVERY - (time.monotonic() - began)))
            until = time.monotonic() + pause
            while time.monotonic() < until:
                began = time.monotonic()
                one_pass(server, main, scratch, *options)
                passes += 1
                time.sleep(max(0.1, EVERY - (time.monotonic() - began)))
            assert not is_published(server)
            instrument.finish()
            last = one_pass(server, main, scratch, *options)
            assert is_published(server)
    finally:
        shutil.rmtree(main, ignore_errors=True)
    return last, passes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2_000_000_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path)
    arguments = parser.parse_args()
    print(
        f"{machine()}; {FILES} .bcl.bgzf of together {arguments.size / 1e9:g} GB over {arguments.seconds:g} s"
    )
    ratios = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = pathlib.Path(name)
        source = write_nextseq(folder / "finished", RUN, files=FILES, size=arguments.size).folder
        for _ in range(arguments.times):
            whole = plain(source, folder)
            tail, passes = while_it_goes_on(source, folder, arguments.seconds, arguments.pause)
            ratios.append(tail.wall / whole)
            sent = re.search(r"sending (.*)", tail.output)
            print(
                f"plain {whole:.2f} s; incremental {tail.wall:.2f} s after {passes} passes: {ratios[-1]:.3f}\n"
                f"the last pass: {tail.cpu:.2f} s of processor time, sent {sent[1] if sent else 'nothing'}",
                flush=True,
            )
    middle = statistics.median(ratios)
    print(f"from the flag to the marker: {middle:.3f} of the plain time (at most {TARGET})")
    return 0 if middle <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
