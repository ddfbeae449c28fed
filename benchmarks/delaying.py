"""A far server on one machine: delaying_proxy.c, compiled when it is first needed, in front of a port of this machine.

It is C because it must not be the limit: on loopback, a request of 10 KB and its answer cost 18 microseconds of
processor time, a gigabyte one second. What it cost is reported when it ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import types

from embedded.tools import PROJECT

_SOURCE = pathlib.Path(__file__).with_name("delaying_proxy.c")
NO_COMPILER = "the delaying proxy is compiled: apt-get install gcc libc6-dev"


class DelayingProxy:
    """A context manager. ``port``: what goes there comes to ``to_port`` half of ``round_trip`` (seconds) later, and so
    do the answers. ``cpu``, ``connections``: what it took and carried, once it ended."""

    def __init__(self, to_port: int, round_trip: float) -> None:
        self._argv = [str(_program()), str(to_port), str(round(round_trip / 2 * 1e6))]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.cpu = 0.0
        self.connections = 0

    def __enter__(self) -> DelayingProxy:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            raise SystemExit(f"the delaying proxy does not start: exit code {self._process.wait()}")
        self.port = int(first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            report, _ = self._process.communicate()
            found = json.loads(report)
            self.cpu = found["user"] + found["system"]
            self.connections = found["connections"]


def _program() -> pathlib.Path:
    """Compiled once for each text of its source; several may do so at once."""
    text = _SOURCE.read_bytes()
    program = PROJECT / "build" / f"delaying_proxy-{hashlib.sha256(text).hexdigest()[:12]}"
    if not program.exists():
        compiler = shutil.which("gcc")
        if compiler is None:
            raise SystemExit(NO_COMPILER)
        program.parent.mkdir(exist_ok=True)
        handle, made = tempfile.mkstemp(prefix="delaying_proxy-", dir=program.parent)
        os.close(handle)
        subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-std=c11", "-o", made, str(_SOURCE)], check=True
        )
        os.replace(made, program)
    return program
