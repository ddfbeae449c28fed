"""A real PostgreSQL on loopback (Debian's package ``postgresql``), as a child process that ends with its parent."""

from __future__ import annotations

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import types
from typing import Any

USER = "catalogue"
_FOLDERS = ("/usr/lib/postgresql",)
_START = 120.0
_TRIES = 5
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "max_connections": "20",
    "listen_addresses": "127.0.0.1",
    "autovacuum": "off",
}


class PostgresqlError(RuntimeError):
    """It did not start; the message holds what it printed."""


def programs() -> pathlib.Path | None:
    """The folder of initdb and postgres, of the newest version that is installed; None if there is none."""
    found = [path.parent for folder in _FOLDERS for path in pathlib.Path(folder).glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name.split(".")[0]), default=None)


class Postgresql:
    """A server with a cluster of its own in a temporary folder, as a context manager. The settings give durability away
    for speed: it is for tests and benchmarks. PostgreSQL refuses to run as root; then it runs as ``postgres``.
    """

    def __init__(self) -> None:
        self.port = 0
        self._folder: pathlib.Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Postgresql:
        try:
            self._make()
            for _ in range(_TRIES):
                if self._start():
                    return self
            raise PostgresqlError(self._log())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._process is not None:
            # Fast shutdown: clients are cut off.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def process_id(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def address(self, database: str = "postgres", user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """The address of a new, empty one."""
        import psycopg

        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)

    def _make(self) -> None:
        folder = programs()
        if folder is None:
            raise PostgresqlError("PostgreSQL is not installed: apt-get install postgresql")
        self._programs = folder
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="postgresql-"))
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        made = self._run(
            [str(folder / "initdb"), "-D", str(self._folder / "data"), "-A", "trust", "-U", USER]
            + ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        )
        if made.wait(_START) != 0:
            raise PostgresqlError(self._log())

    def _start(self) -> bool:
        """False where somebody else took the port in between."""
        assert self._folder is not None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run(
            [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        )
        import psycopg

        end = time.monotonic() + _START
        while time.monotonic() < end:
            if self._process.poll() is not None:
                self._process = None
                return False
            try:
                with psycopg.connect(self.address(), connect_timeout=5):
                    return True
            except psycopg.OperationalError:
                time.sleep(0.05)
        return False

    def _run(self, argv: list[str]) -> subprocess.Popen[bytes]:
        assert self._folder is not None
        options: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        with open(self._folder / "log", "ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
                extra_groups=[] if options else None,
                preexec_fn=_die_with_parent,
                **options,
            )

    def _log(self) -> str:
        path = None if self._folder is None else self._folder / "log"
        return path.read_text(errors="replace")[-4000:] if path is not None and path.exists() else "no log"


def _die_with_parent() -> None:
    """PR_SET_PDEATHSIG, with SIGINT: a fast shutdown."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)
