"""The one door to a child process: it dies with us (also on SIGKILL), its lines come by a queue, it can be ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_GRACE = 5.0
_LONGEST_LINE = 16 * 1024 * 1024


def _die_with_parent() -> None:
    """In the child, before exec: the kernel kills it when the thread that started it ends (man 2 prctl)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A started program. Start it from the main thread: the kernel ties its life to the starting *thread*.

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only us, and we end it in order.
    """

    def __init__(self, argv: Sequence[str | bytes], environment: Mapping[str, str], folder: str) -> None:
        self._process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=1000)
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            while line := self._process.stdout.readline(_LONGEST_LINE):
                self._lines.put(line)
        self._lines.put(None)

    def line(self, wait: float) -> str | None:
        """The next line of output (standard output and error together), or None if none came within ``wait`` s."""
        if self._ended:
            return None
        try:
            line = self._lines.get(timeout=wait)
        except queue.Empty:
            return None
        if line is None:
            self._ended = True
            return None
        return line.decode("utf-8", "replace").rstrip("\r\n")

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
        """Ask with SIGINT, then end with SIGKILL, the whole session."""
        for number, grace in ((signal.SIGINT, _GRACE), (signal.SIGKILL, _GRACE)):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._drain_until(grace)
        if self._process.stdout is not None and self._ended:
            self._process.stdout.close()

    def _drain_until(self, grace: float) -> None:
        """Wait for the end; a child that blocks on a full pipe could not end, so its lines are taken and dropped."""
        for _ in range(int(grace * 20)):
            with contextlib.suppress(queue.Empty):
                while self._lines.get_nowait() is not None:
                    pass
                self._ended = True
            if self._process.poll() is not None:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.05)

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def run_briefly(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Run a program that answers at once, e.g. ``--version``: exit code and output. Raises OSError or TimeoutError."""
    try:
        done = subprocess.run(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} did not answer within {timeout:.0f} s") from None
    return done.returncode, done.stdout.decode("utf-8", "replace")
