"""The one door to a child process: it dies with us (also on SIGKILL), its lines come by a queue, it can be ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_GRACE = 5.0
_LONGEST_LINE = 256 * 1024
_KEPT = 64 * 1024
"""Of a longer line (AzCopy names every failed file in its last one) so many bytes of head and tail are kept."""


def _dies_with(parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        """In the child: the kernel kills it when the thread that started it ends (man 2 prctl)."""
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It ended before the kernel was told.
            os._exit(127)

    return before_exec


class Child:
    """A started program. Start it from the main thread: the kernel ties its life to the starting *thread*.

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only us, and we end it in order.

    Its standard input is open and silent: at the end of an input AzCopy 10.32 reads again at once, for ever, and so
    keeps one core busy as long as it runs (2.1 s of processor time for a job of 2 s; 0.07 s with an open pipe).
    """

    def __init__(self, argv: Sequence[str | bytes], environment: Mapping[str, str], folder: str) -> None:
        self._process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What it writes (AzCopy: plans and logs with names of files) is for us alone.
            umask=0o077,
            preexec_fn=_dies_with(os.getpid()),
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=200)
        self._ended = False
        self._gone_since: float | None = None
        self._dropping = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError), self._process.stdout as output:
            while line := output.readline(_LONGEST_LINE):
                if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                    line = _shortened(line, output)
                self._put(line)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        """Into the queue, unless nobody takes lines any more: a child that is ended must not block on a full pipe."""
        while not self._dropping.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(line, timeout=0.2)
                return

    def line(self, wait: float) -> str | None:
        """The next line of output (standard output and error together), or None if none came within ``wait`` s."""
        if self._ended:
            return None
        try:
            line = self._lines.get(timeout=wait)
        except queue.Empty:
            self._ended = self._is_gone_and_silent()
            return None
        if line is None:
            self._ended = True
            return None
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def _is_gone_and_silent(self) -> bool:
        """A child of its own may hold its output open after it: there is no end of output to wait for then."""
        if self._process.poll() is None:
            return False
        self._gone_since = self._gone_since or time.monotonic()
        return time.monotonic() - self._gone_since > _GRACE

    @property
    def ended(self) -> bool:
        """True once its output has ended and every line was taken."""
        return self._ended

    def exit_code(self) -> int:
        """Waits for the end (a program that closed its output but lives on is ended)."""
        try:
            return self._process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            self.end()
            return self._process.wait()

    def end(self) -> None:
        """Ask with SIGINT, then end with SIGKILL, the whole session. What it still says is dropped."""
        self._dropping.set()
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_GRACE)
        assert self._process.stdin is not None
        self._process.stdin.close()
        # It closes the pipe when it has read to its end.
        self._reader.join(timeout=1.0)
        self._ended = True

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _shortened(line: bytes, output: IO[bytes]) -> bytes:
    head = tail = line
    while line and not line.endswith(b"\n"):
        line = output.readline(_LONGEST_LINE)
        tail = (tail + line)[-_KEPT:]
    return head[:_KEPT] + b" ... " + tail[-_KEPT:]


def run_briefly(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Run a program that answers at once, e.g. ``--version``: exit code and output. Raises OSError or TimeoutError."""
    deadline = time.monotonic() + timeout
    lines: list[str] = []
    with Child(argv, environment, "/") as child:
        while not child.ended:
            line = child.line(min(0.2, timeout))
            if line is not None:
                lines.append(line)
            if time.monotonic() > deadline and not child.ended:
                raise TimeoutError(f"{argv[0]} did not answer within {timeout:.0f} s")
        return child.exit_code(), "".join(f"{line}\n" for line in lines)
