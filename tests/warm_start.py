"""The real command in a process of its own, forked from one that has loaded it: each start takes half a second of
processor time less. What such a process cannot show (what a start loads and costs, what process lists say of it) needs
a cold one.

The forked process ends as any interpreter does: it runs ``sync_to_azure/__main__.py`` as ``python -m`` would, with an
environment, working folder, standard streams, capabilities and signals of its own."""

from __future__ import annotations

import collections.abc
import ctypes
import gc
import importlib
import importlib.util
import io
import json
import os
import pathlib
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import typing

_MOST_BYTES = 1 << 20
"""Of a request: arguments and environment."""
_LAST_CAPABILITY = pathlib.Path("/proc/sys/kernel/cap_last_cap")
_DROP_FROM_BOUNDING_SET = 24
"""PR_CAPBSET_DROP, linux/prctl.h."""
_CAPABILITY_VERSION = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3, linux/capability.h."""
LISTENER = "LISTENER"
"""Variable: a folder whose ``sitecustomize.py`` is run in the command's process before the command."""
_ELSEWHERE = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "SSLKEYLOGFILE")
"""Beginnings of variables that count when an interpreter starts, or its libraries load."""


def must_be_cold(environment: collections.abc.Mapping[str, str]) -> bool:
    return any(name.startswith(_ELSEWHERE) for name in environment)


def for_cold(environment: collections.abc.Mapping[str, str], project: pathlib.Path) -> dict[str, str]:
    """The same for ``python -m``: the listener is found by the interpreter itself."""
    changed = dict(environment)
    if folder := changed.pop(LISTENER, None):
        changed["PYTHONPATH"] = f"{folder}{os.pathsep}{project}"
    return changed


class WarmProcess:
    """What tests use of subprocess.Popen, for a process that is another one's child."""

    def __init__(self, server: "WarmServer", pid: int, ended: int, stdout: int, stderr: int | None) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = _text(stdout)
        self.stderr = None if stderr is None else _text(stderr)
        self._server = server
        self._ended = ended
        self._lock = threading.Lock()
        self._read: list[tuple[threading.Thread | None, list[str]]] = []

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
                self._reap()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's: raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("sync_to_azure", timeout or 0.0)
            self.poll()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that was written, and its end. May be called again after subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        if not self._read:
            self._read = [_reading(stream) for stream in (self.stdout, self.stderr) if stream is not None]
        for thread in filter(None, (thread for thread, _ in self._read)):
            thread.join(_left(until))
            if thread.is_alive():
                raise subprocess.TimeoutExpired("sync_to_azure", timeout or 0.0)
        self.wait(_left(until))
        texts = ["".join(found) for _, found in self._read]
        return texts[0], texts[1] if len(texts) == 2 else ""

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._ended, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        self.returncode = self._server.reap(self.pid)
        os.close(self._ended)


Process = subprocess.Popen[str] | WarmProcess


def _text(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(os.fdopen(descriptor, "rb"), encoding="utf-8", errors="replace")


def _reading(stream: io.TextIOWrapper) -> tuple[threading.Thread | None, list[str]]:
    found: list[str] = []

    def read() -> None:
        with stream:
            found.append(stream.read())

    if stream.closed:
        return None, found
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, found


def _left(until: float | None) -> float | None:
    return None if until is None else max(until - time.monotonic(), 0.0)


class WarmServer:
    """The process that has the command loaded. It ends when this one does, or closes it.

    ``environment``: of its own start; a process that it forks has only what it is given."""

    def __init__(self, environment: collections.abc.Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm_start", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=dict(environment),
                pass_fds=[theirs.fileno()],
            )

    def start(
        self,
        arguments: collections.abc.Sequence[str],
        *,
        cwd: pathlib.Path,
        environment: collections.abc.Mapping[str, str],
        unprivileged: bool = False,
        one_stream: bool = False,
    ) -> WarmProcess:
        """``unprivileged``: without capabilities, and none to be had. ``one_stream``: stderr goes to stdout."""
        stdout, to_stdout = os.pipe()
        stderr, to_stderr = (None, os.dup(to_stdout)) if one_stream else os.pipe()
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(environment),
            "unprivileged": unprivileged,
            "umask": _umask(),
        }
        with self._lock:
            socket.send_fds(self._control, [json.dumps(request).encode()], [to_stdout, to_stderr])
            os.close(to_stdout)
            os.close(to_stderr)
            answer, ended, _, _ = socket.recv_fds(self._control, 100, 1)
        if not ended:
            raise RuntimeError("the process that has the command loaded ended: its stderr says why")
        return WarmProcess(self, int(answer), ended[0], stdout, stderr)

    def reap(self, pid: int) -> int:
        """The exit code of a process that ended, negative of the signal that ended it."""
        with self._lock:
            self._control.send(json.dumps({"reap": pid}).encode())
            return int(self._control.recv(100))

    def close(self) -> None:
        self._control.close()
        self._process.wait(timeout=60)


def _umask() -> int:
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("Umask:")[2].split()[0], 8)


# In the process that forks


def serve(control: socket.socket) -> tuple[dict[str, typing.Any], list[int]] | None:
    """Forks for each request; returns the request in the forked process, None at the end."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 2)
        if not message:
            return None
        request: dict[str, typing.Any] = json.loads(message)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            return request, descriptors
        for each in descriptors:
            os.close(each)
        ended = os.pidfd_open(pid)
        socket.send_fds(control, [str(pid).encode()], [ended])
        os.close(ended)


def become(request: dict[str, typing.Any], descriptors: list[int]) -> None:
    """The command, in this process that was just forked."""
    for each, number in zip(descriptors, (1, 2)):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    if request["unprivileged"]:
        _drop_capabilities()
    sys.argv = ["sync_to_azure", *request["arguments"]]
    sys.path[0] = request["cwd"]
    if folder := os.environ.pop(LISTENER, None):
        _listen(pathlib.Path(folder) / "sitecustomize.py")
    runpy.run_module("sync_to_azure", run_name="__main__", alter_sys=True)


def _listen(path: pathlib.Path) -> None:
    spec = importlib.util.spec_from_file_location("sitecustomize", path)
    assert spec is not None and spec.loader is not None, path
    module = sys.modules["sitecustomize"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _drop_capabilities() -> None:
    """As ``setpriv --inh-caps=-all --bounding-set=-all`` leaves a program."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(int(_LAST_CAPABILITY.read_text("ascii")) + 1):
        if libc.prctl(_DROP_FROM_BOUNDING_SET, number, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def load() -> None:
    """All that passes and commands use, but for the report and its libraries."""
    import sync_to_azure

    for module in pkgutil.walk_packages(sync_to_azure.__path__, "sync_to_azure."):
        if not module.name.startswith("sync_to_azure.transfer.report") and not module.name.endswith(
            "__main__"
        ):
            importlib.import_module(module.name)
    for name in ("awscrt.checksums", "azure.identity", "azure.storage.blob", "email.message", "smtplib"):
        importlib.import_module(name)
    # A process that forks must have one thread, also of those that Python does not know.
    assert len(os.listdir("/proc/self/task")) == 1
    gc.collect()
    gc.freeze()


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    load()
    forked = serve(control)
    control.close()
    if forked is not None:
        become(*forked)


if __name__ == "__main__":
    main()
