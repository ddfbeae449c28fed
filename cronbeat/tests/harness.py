"""Real things to test with: the real command in a process of its own, and a real HTTP server that misbehaves."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import http.server
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import typing

LONG = 300.0
"""Seconds that nothing takes, on no machine: what had not ended then hangs."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@dataclasses.dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> typing.Any:
        return json.loads(self.body)


class Receiver:
    """A webhook on loopback. ``answers``: one for each request, then 200 for ever.

    An answer is a status, (status, headers, text), or a word: ``hang`` (no answer), ``drip`` (a byte of the status
    line now and then), ``drop`` (closes without an answer, having read all).
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[typing.Any] = []
        self.arrived = threading.Condition()
        self.let_go = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with receiver.arrived:
                    receiver.requests.append(Request(self.path, dict(self.headers), body))
                    answer = receiver.answers.pop(0) if receiver.answers else 200
                    receiver.arrived.notify_all()
                receiver.answer(self, answer)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.secret = "9f2c4d1e7a6b4c0d8e3f"
        self.url = (
            f"http://127.0.0.1:{self.server.server_port}/workflows/{self.secret}?sig=topsecretsignature0"
        )
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: typing.Any, answer: typing.Any) -> None:
        if answer == "drop":
            handler.close_connection = True
            return
        if answer == "hang":
            self.let_go.wait(LONG)
            handler.close_connection = True
            return
        if answer == "drip":
            try:
                for letter in b"HTTP/1.1 200 OK" * 100:
                    handler.wfile.write(bytes([letter]))
                    handler.wfile.flush()
                    if self.let_go.wait(0.1):
                        break
            except OSError:
                pass
            handler.close_connection = True
            return
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, "1")
        data = text.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def wait_for(self, count: int, seconds: float = 120) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, seconds), self.requests

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()


@dataclasses.dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class Beat:
    """The real command, with the environment that cron gives: HOME, a short PATH, SHELL, LOGNAME, no LANG."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.tasks = home / "tasks.json"
        self.started: list[subprocess.Popen[str]] = []
        home.mkdir()

    def write(self, tasks: object) -> pathlib.Path:
        self.tasks.write_text(tasks if isinstance(tasks, str) else json.dumps(tasks), encoding="utf-8")
        return self.tasks

    def ini(self, **values: object) -> None:
        """``~/.cronbeat.ini``; tries follow one another fast."""
        values = {"retry_delay": 0.01, "retry_times": 3} | values
        path = self.home / ".cronbeat.ini"
        path.touch(mode=0o600)
        path.write_text(
            "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in values.items()), encoding="utf-8"
        )

    def start(
        self, *arguments: object, environment: dict[str, str | None] | None = None
    ) -> subprocess.Popen[str]:
        variables: dict[str, str | None] = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "SHELL": "/bin/sh",
            "LOGNAME": "cron",
        }
        variables |= environment or {}
        process = subprocess.Popen(
            [sys.executable, "-m", "cronbeat", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self.home,
            env={key: value for key, value in variables.items() if value is not None},
        )
        self.started.append(process)
        return process

    def __call__(
        self, *arguments: object, environment: dict[str, str | None] | None = None, timeout: float = LONG
    ) -> Outcome:
        began = time.monotonic()
        process = self.start(*arguments, environment=environment)
        stdout, stderr = process.communicate(timeout=timeout)
        return Outcome(process.returncode, stdout, stderr, time.monotonic() - began)

    def run(self, name: str, **options: typing.Any) -> Outcome:
        return self("run", self.tasks, name, **options)

    @property
    def cache(self) -> pathlib.Path:
        return self.home / ".cronbeat"

    def sql(self, statement: str, *values: object) -> list[tuple[typing.Any, ...]]:
        database = sqlite3.connect(self.cache / "cronbeat.sqlite", timeout=30)
        try:
            with database:
                return database.execute(statement, values).fetchall()
        finally:
            database.close()

    def age(self, seconds: float) -> None:
        """As if all that is recorded had happened ``seconds`` earlier."""
        for table, column in (
            ("tasks", "first_seen"),
            ("tasks", "last_success"),
            ("runs", "started"),
            ("alarms", "told"),
            ("alarms", "since"),
        ):
            self.sql(f"UPDATE {table} SET {column} = {column} - ?", seconds)

    def runs(self) -> list[tuple[str, str, int]]:
        return self.sql("SELECT task, outcome, code FROM runs ORDER BY id")

    def listed(self, *arguments: object) -> dict[str, dict[str, typing.Any]]:
        ended = self("list", "--json", *arguments)
        assert ended.code == 0, ended.output
        return {each["task"]: each for each in json.loads(ended.stdout)}


def wait_until(condition: collections.abc.Callable[[], object], seconds: float = 120) -> None:
    """For what no event tells: other processes and what they write."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie whose parent has not looked yet is not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (
            b"Z",
            b"X",
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_in(path: pathlib.Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def end_all_in(folder: pathlib.Path) -> None:
    """What a test left running, whatever became of it: processes whose working folder is this one."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                os.kill(int(pid), signal.SIGKILL)


def kill_hard(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, 9)
    process.wait()


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]
