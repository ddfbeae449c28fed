"""An instrument at work: a run that is written as instruments write it, in their order, at a pace, with rewrites.

Head first (RunInfo.xml, parameters, recipe), then the data cycle by cycle, each file in two pieces with a pause;
metrics (InterOp) and logs grow all the while, the parameters are written anew in the middle, flags come when their read
is done, and the last flag comes last.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterable

_CYCLE = re.compile(r"(?:/C(\d+)\.\d+/|/(\d{4})\.bcl)")
_READ_FLAG = re.compile(r"^RTARead(\d+)Complete\.txt$|^Basecalling_Netcopy_complete_Read(\d+)", re.IGNORECASE)
_LAST_FLAGS = (
    "runcompletionstatus.xml",
    "sequencingcomplete.txt",
    "basecalling_netcopy_complete.txt",
    "imageanalysis_netcopy_complete.txt",
    "rtacomplete.txt",
    "completedjobinfo.xml",
    "copycomplete.txt",
)
"""In the order in which they come."""

_GROWS = ("InterOp/", "Logs/")
_REWRITTEN = ("runparameters.xml",)


class Instrument:
    """Writes ``source``, a finished run folder, once more as ``main_folder/NAME``, over ``seconds``."""

    def __init__(self, source: pathlib.Path, main_folder: pathlib.Path, seconds: float) -> None:
        self.run = main_folder / source.name
        self._source = source
        self._seconds = seconds
        self._stop = threading.Event()
        files = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
        self._last = sorted(
            (f for f in files if f.lower() in _LAST_FLAGS), key=lambda f: _LAST_FLAGS.index(f.lower())
        )
        self._read_flags = sorted(f for f in files if _READ_FLAG.match(f) and f not in self._last)
        self._growing = sorted(f for f in files if f.startswith(_GROWS))
        rest = set(files) - {*self._last, *self._read_flags, *self._growing}
        self._data = sorted((f for f in rest if _CYCLE.search(f)), key=lambda f: (_cycle(f), f))
        self._head = sorted(rest - set(self._data))

    def write(self, flags: bool = True) -> None:
        """To the end; without ``flags`` all but the last of them (``finish``), as a run that broke off."""
        began = time.monotonic()
        for file in self._head:
            self._copy(file)
        total = sum((self._source / file).stat().st_size for file in self._data) or 1
        written = 0
        turns = max(1, len(self._data) // 20)
        for number, file in enumerate(self._data):
            content = (self._source / file).read_bytes()
            half = len(content) // 2
            self._put(file, content[:half])
            written += half
            self._wait(began + self._seconds * written / total)
            with (self.run / file).open("ab") as handle:
                handle.write(content[half:])
            written += len(content) - half
            self._wait(began + self._seconds * written / total)
            if number % turns == 0:
                self._grow((number + 1) / len(self._data))
            if number == len(self._data) // 2:
                for each in self._head:
                    if each.lower() in _REWRITTEN:
                        self._copy(each)
                for each in self._read_flags[: len(self._read_flags) // 2]:
                    self._copy(each)
            if self._stop.is_set():
                return
        self._grow(1.0)
        for file in self._read_flags:
            self._copy(file)
        if flags:
            self.finish()

    def finish(self) -> None:
        """The last flags."""
        for file in self._last:
            self._copy(file)

    def stop(self) -> None:
        """The run breaks off where it is."""
        self._stop.set()

    def _grow(self, share: float) -> None:
        for file in self._growing:
            content = (self._source / file).read_bytes()
            self._put(file, content[: round(len(content) * share)])

    def _copy(self, file: str) -> None:
        self._put(file, (self._source / file).read_bytes())

    def _put(self, file: str, content: bytes) -> None:
        path = self.run / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _wait(self, until: float) -> None:
        self._stop.wait(max(0.0, until - time.monotonic()))


def _cycle(file: str) -> int:
    found = _CYCLE.search(file)
    return int(next(each for each in found.groups() if each)) if found else 0


def main(argv: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=pathlib.Path, help="a finished run folder")
    parser.add_argument("main_folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args(None if argv is None else list(argv))
    if shutil.disk_usage(arguments.main_folder).free < sum(
        p.stat().st_size for p in arguments.source.rglob("*")
    ):
        parser.error(f"no room for another copy in {arguments.main_folder}")
    Instrument(arguments.source, arguments.main_folder, arguments.seconds).write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
