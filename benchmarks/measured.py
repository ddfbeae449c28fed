"""Runs a command as a whole process and says what it cost: wall time, CPU seconds, peak memory."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

_LOOK_EVERY = 0.02


@dataclasses.dataclass(frozen=True)
class Measured:
    """``cpu``: seconds of the process and of all children it waited for. ``peak``: VmHWM in bytes of the process
    itself; ``peak_of_children``: of the largest of its children."""

    wall: float
    cpu: float
    peak: int
    peak_of_children: int
    code: int
    output: str


def measure(
    argv: Sequence[str | bytes],
    environment: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
    as_cron: bool = False,
) -> Measured:
    """Run to the end, with an open and silent input; ``as_cron``: with one that has ended, on which AzCopy spins
    (docs/uploaders.md).

    Memory is looked at from outside, 50 times a second, in the process's own high-water mark: the accounting of a
    finished process also holds what its parent had before exec, and mixes in its children."""
    with tempfile.TemporaryFile() as out, _silent_input() as silent:
        started = time.monotonic()
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL if as_cron else silent,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        watch = _Watch(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.stop()
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    return Measured(
        wall, usage.ru_utime + usage.ru_stime, watch.peak, watch.peak_of_children, process.returncode, text
    )


@contextlib.contextmanager
def _silent_input() -> Iterator[int]:
    """The reading end of a pipe into which nothing is written."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


class _Watch(threading.Thread):
    def __init__(self, process_id: int) -> None:
        super().__init__(daemon=True)
        self._process_id = process_id
        self._ended = threading.Event()
        self.peak = 0
        self.peak_of_children = 0

    def run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.peak = max(self.peak, high_water(self._process_id))
            for child in _children(self._process_id):
                self.peak_of_children = max(self.peak_of_children, high_water(child))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def high_water(process_id: int) -> int:
    """VmHWM in bytes; 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{process_id}/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    return 0


def _children(process_id: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{process_id}/task"):
            with open(f"/proc/{process_id}/task/{task}/children", encoding="ascii") as text:
                found += map(int, text.read().split())
    return found


def clean_environment(home: pathlib.Path) -> dict[str, str]:
    """No Azure login, no settings of the caller's."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AZCOPY_DISABLE_SYSLOG": "true",
    }


def command() -> list[str]:
    """The real command, as installed beside this Python; without it, as a module."""
    installed = pathlib.Path(sys.executable).with_name("sync_to_azure")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "sync_to_azure"]


def machine() -> str:
    """What the figures hang on, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]},"
        f" Python {platform.python_version()}, load {load:.1f} at the start"
    )


def row(name: str, measures: Sequence[Measured]) -> str:
    """Medians, and the span of the wall times: a wide one means that the machine was busy with something else."""
    walls = [each.wall for each in measures]
    return (
        f"{name:34} {statistics.median(walls):8.2f} {f'{min(walls):.1f}-{max(walls):.1f}':>13}"
        f" {median(each.cpu for each in measures):8.2f} {median(each.peak for each in measures) / 1e6:8.0f}"
        f" {median(each.peak_of_children for each in measures) / 1e6:10.0f}"
    )


HEADINGS = f"{'':34} {'wall s':>8} {'min-max':>13} {'CPU s':>8} {'peak MB':>8} {'child MB':>10}"


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def must_have_ended_well(measured: Measured, what: str) -> None:
    if measured.code != 0:
        raise SystemExit(f"{what} ended with {measured.code}:\n{measured.output}")
