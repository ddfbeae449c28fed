"""The native uploader through the proxy that the environment names: plain, with a login, and as a tunnel for TLS."""

from __future__ import annotations

import base64
import collections.abc
import contextlib
import http.server
import os
import pathlib
import socket
import threading
import typing
import urllib.parse

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core.errors import UploadFailed
from sync_to_azure.uploaders import blocks
from sync_to_azure.uploaders.http_lines import Proxied, lines_to
from tests.passes.bad_input.faults import assert_no_secret, blobs, told, write_run
from tests.passes.identity.conftest import CLIENT_SECRET
from tests.server import Server, nobody_listens
from tests.uploaders.wire import (
    CUT,
    MEBIBYTE,
    Request,
    Settings,
    Wire,
    WireHandler,
    carried,
    job_of,
    native,
    right,
    stored,
)

LOGIN = "somebody:pass%20word"
LARGE = 2 * blocks.BLOCK + 5


class ForwardHandler(WireHandler):
    """Takes whole addresses, as a proxy is asked, and goes on as the wire does."""

    logins: list[str]

    def _forward(self) -> None:
        self.logins.append(self.headers.get("Proxy-Authorization", ""))
        del self.headers["Proxy-Authorization"]
        assert urllib.parse.urlsplit(self.path).scheme == "http", "no proxy would know where to send this"
        self.path = "/" + self.path.partition("://")[2].partition("/")[2]
        super()._forward()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward


class TunnelHandler(http.server.BaseHTTPRequestHandler):
    """CONNECT, and nothing else."""

    tunnels: list[str]

    def do_CONNECT(self) -> None:
        self.tunnels.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response_only(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join(10)
        self.close_connection = True

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Quiet."""


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(
    azurite: Azurite, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> collections.abc.Iterator[Wire]:
    """In the environment from now on; the container is there already."""
    ForwardHandler.logins = []
    with Wire(azurite.port, ForwardHandler) as wire:
        address = urllib.parse.urlsplit(wire.endpoint).netloc
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://{LOGIN}@{address}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield wire


@pytest.fixture
def settings(azurite: Azurite, container: ContainerClient) -> Settings:
    return Settings(azurite.endpoint, container.container_name)


def test_all_goes_through_it_with_its_login(
    proxy: Wire, settings: Settings, container: ContainerClient, tmp_path: pathlib.Path
) -> None:
    assert isinstance(lines_to(settings.blob_endpoint, 4, 60.0), Proxied)
    contents = {"a b/ü?#%": b"1", "middle": os.urandom(MEBIBYTE + 1), "large": os.urandom(LARGE)}
    sent, error = carried(native(settings), job_of(tmp_path / "run", contents))
    assert error is None and set(sent) == set(contents)
    kinds = proxy.kinds()
    assert (kinds.count("PUT blob"), kinds.count("PUT block"), kinds.count("PUT blocklist")) == (2, 3, 1)
    expected = "Basic " + base64.b64encode(b"somebody:pass word").decode()
    assert set(ForwardHandler.logins) == {expected}
    assert stored(container) == right(contents)


def test_what_it_damages_or_cuts_is_sent_again(
    proxy: Wire, settings: Settings, container: ContainerClient, tmp_path: pathlib.Path
) -> None:
    trouble: list[object] = [CUT, "flip", CUT]

    def act(request: Request) -> str | None:
        if request.kind != "PUT block" or not trouble:
            return None
        what = trouble.pop()
        if what == "flip":
            request.body = request.body[:-1] + bytes([request.body[-1] ^ 1])
            return None
        return str(what)

    proxy.act = act
    contents = {"large": os.urandom(LARGE)}
    _, error = carried(native(settings), job_of(tmp_path / "run", contents))
    assert error is None and not trouble
    assert ("PUT block", 400) in proxy.answered
    assert stored(container) == right(contents)


def test_a_proxy_that_is_not_there_is_a_failure_that_names_no_password(
    settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    settings.retry_times = 1
    with nobody_listens() as port:
        monkeypatch.setenv("http_proxy", f"http://{LOGIN}@127.0.0.1:{port}")
        _, error = carried(native(settings), job_of(tmp_path / "run", {"file": b"1"}))
    assert isinstance(error, UploadFailed)
    assert "pass" not in str(error)


def test_a_host_that_needs_no_proxy_is_asked_directly(
    proxy: Wire, settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _, error = carried(native(settings), job_of(tmp_path / "run", {"file": b"1"}))
    assert error is None and not proxy.seen


@pytest.fixture
def tunnel() -> collections.abc.Iterator[str]:
    TunnelHandler.tunnels = []
    server = Server(("127.0.0.1", 0), TunnelHandler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_tls_through_a_tunnel(
    tunnel: str,
    run_command: typing.Any,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    secure_container: ContainerClient,
    tmp_path: pathlib.Path,
) -> None:
    """The whole command: its proxy sees where to, and nothing of what."""
    folder = write_run(main_folder, "run")
    (folder / "large").write_bytes(os.urandom(20 * MEBIBYTE))
    config = service_principal | {"uploader": "native", "log-file": tmp_path / "x.log", "log-level": "DEBUG"}
    outcome = run_command(config=config, environment=trusting | {"https_proxy": tunnel})
    told(outcome, 0, "run: published")
    assert secure_container.download_blob("run/large").readall() == (folder / "large").read_bytes()
    assert "run.sync" in blobs(secure_container)
    storage = urllib.parse.urlsplit(str(config["blob-endpoint"])).netloc
    assert TunnelHandler.tunnels.count(storage) >= 2
    assert_no_secret(tmp_path, outcome, [CLIENT_SECRET], but=("client.secret",))


def test_stopping_cuts_what_is_on_its_way_through_it(
    proxy: Wire, settings: Settings, container: ContainerClient, tmp_path: pathlib.Path
) -> None:
    proxy.bytes_a_second = 2 * MEBIBYTE

    class Enough(Exception):
        pass

    def tick(_: object) -> None:
        if "PUT block" in proxy.kinds() or threads_send():
            raise Enough

    def threads_send() -> bool:
        return any("_send" in thread.name for thread in threading.enumerate()) and bool(proxy.seen)

    job = job_of(tmp_path / "run", {"large": bytes(LARGE)})
    with pytest.raises(Enough):
        carried(native(settings), job, tick)
    assert not list(container.list_blobs())
