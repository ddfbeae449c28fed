"""What tests of uploaders stand on: settings, jobs, and a line to the storage on which requests can be spoilt."""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import http.client
import http.server
import os
import pathlib
import socket
import threading
import time
import types
import typing
import urllib.parse

from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.errors import SyncError
from sync_to_azure.identity import AccountKey, Signer
from sync_to_azure.lake import Lake
from sync_to_azure.model import FileToSend, Sent
from sync_to_azure.uploaders import Job, Tick, Uploader
from sync_to_azure.uploaders.native import NativeUploader

MEBIBYTE = 1024 * 1024


@dataclasses.dataclass
class Settings:
    """The settings that the uploaders, the lake and the identity ask for."""

    blob_endpoint: str
    container_name: str
    azcopy: str | None = None
    azcopy_log_level: str = "INFO"
    cap_mbps: float | None = None
    access_tier: str | None = None
    timeout: float = 60.0
    retry_times: int = 4
    concurrency: int = 8
    block_check: str = "auto"
    source_readers: int = 3
    authority_host: str | None = None
    storage_account: str = Azurite.account
    secret: str = Azurite.key


def native(settings: Settings, signer: typing.Any = None) -> NativeUploader:
    anyway = typing.cast(typing.Any, settings)
    identity = AccountKey(anyway)
    return NativeUploader(anyway, signer or Signer(identity), Lake(anyway, identity))


def job_of(folder: pathlib.Path, contents: collections.abc.Mapping[str, bytes]) -> Job:
    """Writes the files, and the job to carry them."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return job_for(folder, contents)


def job_for(folder: pathlib.Path, names: collections.abc.Iterable[str]) -> Job:
    files = []
    for name in names:
        status = (folder / name).stat()
        files.append(FileToSend(name.encode(), name, status.st_size, status.st_mtime_ns))
    return Job("run", os.fsencode(folder), "dest/run", iter(files), len(files), sum(f.size for f in files))


def carried(
    uploader: Uploader, job: Job, tick: collections.abc.Callable[[Tick], None] = lambda tick: None
) -> tuple[dict[str, Sent], SyncError | None]:
    """What was sent, and the error with which it ended."""
    sent: dict[str, Sent] = {}
    try:
        for each in uploader.carry(job, tick):
            sent[each.blob] = each
    except SyncError as error:
        return sent, error
    return sent, None


def stored(container: ContainerClient) -> dict[str, tuple[bytes, bytes | None]]:
    """Every blob of the destination: its bytes and the MD5 that its properties show."""
    found = {}
    for blob in container.list_blobs():
        md5 = blob.content_settings.content_md5
        content = container.download_blob(blob.name).readall()
        found[blob.name.removeprefix("dest/run/")] = content, bytes(md5) if md5 else None
    return found


def right(contents: collections.abc.Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes | None]]:
    return {name: (content, hashlib.md5(content).digest()) for name, content in contents.items()}


@dataclasses.dataclass
class Request:
    """``path`` is unquoted and with its query; ``body`` may be changed before it goes on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        query = urllib.parse.urlsplit(self.path).query
        for comp in ("blocklist", "block", "list"):
            if f"comp={comp}" in query.split("&"):
                return f"{self.method} {comp}"
        return f"{self.method} blob"


@dataclasses.dataclass
class Answer:
    """Instead of the storage's. ``headers`` as well as the code."""

    status: int
    code: str = ""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


CUT = "cut before it is forwarded"
LOSE = "forwarded, and the answer lost"
HALF = "forwarded, and half of the answer's head"
Act = collections.abc.Callable[[Request], "Answer | str | None"]


class Wire:
    """A proxy in front of the storage; ``act`` looks at each request. Azurite signs neither Host nor port."""

    def __init__(self, upstream: int, handler: "type[WireHandler] | None" = None) -> None:
        self.upstream = upstream
        self.act: Act = lambda request: None
        self.seen: list[Request] = []
        self.answered: list[tuple[str, int]] = []
        self.released = threading.Event()
        self.bytes_a_second: float | None = None
        handler = type("Handler", (handler or WireHandler,), {"wire": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        # Small, so that a slow reader is felt at the other end.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{Azurite.account}"

    def kinds(self) -> list[str]:
        return [request.kind for request in list(self.seen)]

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class WireHandler(http.server.BaseHTTPRequestHandler):
    wire: Wire
    protocol_version = "HTTP/1.1"
    rbufsize = 65536

    def _forward(self) -> None:
        try:
            request = Request(
                self.command, urllib.parse.unquote(self.path), dict(self.headers.items()), self._body()
            )
            if len(request.body) < int(self.headers.get("Content-Length") or 0):
                raise ConnectionResetError("whoever sent it is gone")
            self.wire.seen.append(request)
            what = self.wire.act(request)
            if isinstance(what, Answer):
                self.say(what.status, {"x-ms-error-code": what.code} | what.headers, b"")
                return
            if what == CUT:
                self._end()
                return
            status, headers, content = self._upstream(request)
            self.wire.answered.append((request.kind, status))
            if what == LOSE:
                self._end()
            elif what == HALF:
                self.wfile.write(b"HTTP/1.1 201 Crea")
                self._end()
            else:
                self.say(status, headers, content)
        except OSError:
            self.close_connection = True

    def _upstream(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.wire.upstream, timeout=60)
        line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in ("expect", "content-length"):
                line.putheader(name, value)
        if request.body or self.command in ("PUT", "POST"):
            line.putheader("Content-Length", str(len(request.body)))
        line.endheaders(request.body)
        answer = line.getresponse()
        content = answer.read()
        line.close()
        return answer.status, dict(answer.getheaders()), content

    def _end(self) -> None:
        self.close_connection = True

    def _body(self) -> bytes:
        left = int(self.headers.get("Content-Length") or 0)
        parts = []
        while left and (part := self.rfile.read(min(left, 65536))):
            parts.append(part)
            left -= len(part)
            if self.wire.bytes_a_second:
                time.sleep(len(part) / self.wire.bytes_a_second)
        return b"".join(parts)

    def say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "keep-alive", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Quiet."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward
