"""Runs commands, reads what they write, and ends all that they started when time is over or we are told to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import signal
import subprocess
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence

from cronbeat import processes

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PAUSE = 0.05
"""Seconds between two looks at processes that are being ended."""
PATIENCE = 5.0
"""Seconds from KILL until we go on. A process that waits for a dead share does not end before the share answers."""
CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """``outcome``: ok, failed, timeout or interrupted; ``memory``: KiB of the largest process; ``reason``: or empty."""

    outcome: str
    code: int
    reason: str
    memory: int


class Supervisor:
    """One run's commands, one after the other. Use it inside ``listening()``, in the main thread."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        environment: Mapping[str, str],
        kill_after: float,
        until: float | None = None,
        pass_on: Sequence[int] = (),
    ) -> None:
        """``until``: on the monotonic clock; ``pass_on``: descriptors that the commands inherit."""
        self._write = write
        self._environment = environment
        self._kill_after = kill_after
        self._until = until
        self._pass_on = pass_on
        self._stopped: signal.Signals | None = None
        self._wakeup, self._wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._output = -1
        self._pid = -1
        self._ended: tuple[int, int] | None = None  # wait status and KiB of the command

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Signals wake us; orphans become ours. A hang-up that we were started to ignore (nohup) stays ignored."""
        processes.adopt_orphans()
        heard = [signal.SIGCHLD, *(each for each in STOPS if signal.getsignal(each) != signal.SIG_IGN)]
        before = {number: signal.signal(number, self._hear) for number in heard}
        wakeup = signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wakeup)
            os.close(self._wakeup_writer)

    def _hear(self, number: int, _: types.FrameType | None) -> None:
        if number != signal.SIGCHLD and self._stopped is None:
            self._stopped = signal.Signals(number)

    def run(self, argv: Sequence[str]) -> Ended:
        """Run one command to its end, whatever that is. None is begun after a signal, or when the time is over."""
        if ended := self._over():
            return ended
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        self._output, self._ended = reader, None
        try:
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=writer,
                    stderr=writer,
                    env=self._environment,
                    start_new_session=True,
                    pass_fds=self._pass_on,
                )
            except OSError as error:
                return _not_started(argv[0], error, self._environment.get("PATH", os.defpath))
            finally:
                os.close(writer)
            self._pid = process.pid
            process.returncode = 0  # reaped here, as all others: Popen is to leave it alone
            ended = self._wait()
            self._read_rest()
            return ended
        finally:
            os.close(reader)
            self._output = -1

    def _wait(self) -> Ended:
        while True:
            self._turn(None if self._until is None else max(self._until - time.monotonic(), 0))
            if self._ended and (self._ended[0] == 0 or not self._stopped):
                return self._as_it_ended()
            if over := self._over():
                return self._end_all(over)

    def _over(self) -> Ended | None:
        if self._stopped:
            return Ended("interrupted", 128 + self._stopped, f"stopped by {self._stopped.name}", 0)
        if self._until is not None and time.monotonic() >= self._until:
            return Ended("timeout", 124, "its time was over", 0)
        return None

    def _as_it_ended(self) -> Ended:
        assert self._ended
        code = os.waitstatus_to_exitcode(self._ended[0])
        if code < 0:
            return Ended("failed", 128 - code, f"killed by {_signal_name(-code)}", self._ended[1])
        return Ended("failed" if code else "ok", code, f"exit code {code}" if code else "", self._ended[1])

    def _end_all(self, over: Ended) -> Ended:
        """TERM to all that descends from us, KILL to what is left after a while, again and again until none is left."""
        began, reason = time.monotonic(), over.reason
        asked: set[int] = set()
        while left := processes.descendants(os.getpid()):
            passed = time.monotonic() - began
            if passed < self._kill_after:
                processes.send(left - asked, signal.SIGTERM)
                processes.send(left - asked, signal.SIGCONT)  # a stopped one would not hear
                asked |= left
            elif passed < self._kill_after + PATIENCE:
                processes.send(left, signal.SIGKILL)
                self._turn(0)
                continue  # without a pause: some flee by forking
            else:
                reason += f"; cannot be ended: process {', '.join(map(str, sorted(left)))}"
                break
            self._turn(PAUSE)
        self._turn(0)
        return dataclasses.replace(over, reason=reason, memory=self._ended[1] if self._ended else 0)

    def _turn(self, seconds: float | None) -> None:
        """Wait for output, an end, a signal or the time; read and reap what there is."""
        watched = [self._wakeup] if self._output < 0 else [self._wakeup, self._output]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._wakeup in ready:
            os.read(self._wakeup, CHUNK)
        if self._output in ready:
            self._read_some()
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._ended = status, usage.ru_maxrss

    def _read_some(self) -> bool:
        """Whether there was something. Commands may close their output and go on: then only signals wake us."""
        try:
            data = os.read(self._output, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._output = -1  # looked at no more; run() closes it
            return False
        self._write(data)
        return True

    def _read_rest(self) -> None:
        """What stands in the pipe, and no more: a daemon that the command left behind may write for ever."""
        for _ in range(64):
            if self._output < 0 or not self._read_some():
                return


def _not_started(program: str, error: OSError, path: str) -> Ended:
    if isinstance(error, FileNotFoundError):
        if shutil.which(program, path=path):
            reason = "the interpreter in its first line is missing"
        elif "/" in program:
            reason = "there is no such file"
        else:
            reason = f"not found in PATH={path} (cron's PATH is short: give the full path)"
        return Ended("failed", 127, f"command '{program}': {reason}", 0)
    return Ended("failed", 126, f"command '{program}': cannot be run ({error.strerror})", 0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_marked(uid: str, kill_after: float = 10.0) -> set[int]:
    """End what a lost run has left, TERM first; returns what would not end."""
    began = time.monotonic()
    asked: set[int] = set()
    while left := processes.marked(uid):
        passed = time.monotonic() - began
        if passed < kill_after:
            processes.send(left - asked, signal.SIGTERM)
            asked |= left
        elif passed < kill_after + PATIENCE:
            processes.send(left, signal.SIGKILL)
        else:
            return left
        time.sleep(PAUSE)
    return set()
