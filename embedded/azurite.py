"""A real Azure Blob API on loopback: Microsoft's Azurite as a child process that never outlives its parent."""

from __future__ import annotations

import contextlib
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import types
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from embedded.tools import FOLDER, azurite_path

# Azurite's well-known account, printed in Microsoft's documentation: no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_LISTENS = re.compile(r"successfully listens on https?://[^:\s]+:(\d+)")


class AzuriteError(RuntimeError):
    """Azurite did not start; the message holds what it printed."""


class Azurite:
    """Azurite's blob server as a context manager, on a port of its own that the kernel chose.

    ``location``: the folder for its data, kept at the end; without one a temporary folder that is removed.
    ``certificate`` and ``certificate_key``: PEM files, then it serves HTTPS. ``oauth``: accept bearer tokens
    (needs HTTPS; audience and expiry are checked, the signature is not). ``loose``: ignore unknown headers.
    ``stop`` and ``start`` may be called again: endpoint and data stay, as after a restart of the service.

    It dies with the thread that started it (PR_SET_PDEATHSIG), so start it from a thread that lives on.
    """

    account = ACCOUNT
    key = KEY

    def __init__(
        self,
        location: pathlib.Path | None = None,
        *,
        certificate: pathlib.Path | None = None,
        certificate_key: pathlib.Path | None = None,
        oauth: bool = False,
        loose: bool = False,
        start_timeout: float = 200.0,
    ) -> None:
        if (certificate is None) != (certificate_key is None):
            raise ValueError("certificate and certificate_key come together")
        if oauth and certificate is None:
            raise ValueError("Azurite accepts bearer tokens over HTTPS only: give it a certificate")
        self.certificate = certificate
        self.port = 0
        self._given = location
        self._location: pathlib.Path | None = location
        self._certificate_key = certificate_key
        self._oauth = oauth
        self._loose = loose
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._held: socket.socket | None = None

    def __enter__(self) -> Azurite:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()
        self._let_go()
        if self._given is None and self._location is not None:
            shutil.rmtree(self._location, ignore_errors=True)
            self._location = None

    @property
    def endpoint(self) -> str:
        """The path-style address of the account, without a slash at its end."""
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/{self.account}"

    @property
    def process_id(self) -> int | None:
        """Of the running server, or None."""
        return None if self._process is None else self._process.pid

    def client(self) -> BlobServiceClient:
        """A client with the account key; the caller closes it."""
        return BlobServiceClient(self.endpoint, credential=self._credential(), **self._trust())

    def create_container(self, name: str) -> ContainerClient:
        """Create the container and return its client; the caller closes it."""
        container = ContainerClient(self.endpoint, name, credential=self._credential(), **self._trust())
        container.create_container()
        return container

    def start(self) -> None:
        """Start and wait until it listens. The first time the port is new, afterwards it is the same again.

        With port 0 the kernel gives a free port and Azurite prints it: nobody else can take it in between,
        and only our own process can have printed it.
        """
        if self._process is not None:
            raise AzuriteError("Azurite is running already")
        if self._location is None:
            self._location = pathlib.Path(tempfile.mkdtemp(prefix="azurite-"))
        self._location.mkdir(parents=True, exist_ok=True)
        printed = self._location / "azurite.log"
        with printed.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments(self._location), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + self._start_timeout
        while True:
            # First the exit, then the log: so the last lines of one that failed are in the message.
            ended = self._process.poll()
            text = printed.read_text(encoding="utf-8", errors="replace")
            if found := _LISTENS.search(text):
                self.port = int(found.group(1))
                self._let_go()
                return
            if ended is not None:
                self._process = None
                raise AzuriteError(f"Azurite ended with {ended}: {text.strip()}")
            if time.monotonic() > deadline:
                self.stop()
                raise AzuriteError(f"Azurite did not listen within {self._start_timeout:g} s: {text.strip()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it by its process id, gently first so that it writes its tables; nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._hold()

    def _hold(self) -> None:
        """The port stays ours until the next start: bound, but nobody listens."""
        if self.port:
            self._held = socket.socket()
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Where somebody was quicker, the next start will say so.
            with contextlib.suppress(OSError):
                self._held.bind(("127.0.0.1", self.port))

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _credential(self) -> dict[str, str]:
        return {"account_name": self.account, "account_key": self.key}

    def _trust(self) -> dict[str, Any]:
        return {} if self.certificate is None else {"connection_verify": str(self.certificate)}

    def _arguments(self, location: pathlib.Path) -> list[str]:
        # setpriv (util-linux, on every Debian) sets the death signal in the child itself and then becomes node:
        # a preexec_fn would run Python between fork and exec, which is unsafe beside threads.
        arguments = ["setpriv", "--pdeathsig", "KILL", "node"]
        arguments += ["--require", str(FOLDER / "without_telemetry.js"), str(azurite_path())]
        arguments += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        arguments += ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "-l", str(location)]
        if self.certificate is not None:
            arguments += ["--cert", str(self.certificate), "--key", str(self._certificate_key)]
        if self._oauth:
            arguments += ["--oauth", "basic"]
        if self._loose:
            arguments += ["--loose"]
        return arguments
