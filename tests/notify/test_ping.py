"""Pings, taken by a real HTTP server on loopback: one that answers, one that fails, one that hangs."""

from __future__ import annotations

import collections.abc
import http.server
import pathlib
import socket
import threading
import time
import typing

import pytest

from sync_to_azure.transfer.ledger import Flow, Lock
from sync_to_azure.transfer.ledger.place import lock_path
from sync_to_azure.core.model import Summary, Problem
from sync_to_azure.settings import load
from sync_to_azure.notify import ping
from sync_to_azure.notify.redact import Redactor
from tests.conftest import LONG
from tests.passes.scene import FLAG, Scene, eventually
from tests.server import Server

SECRET = "/0f8e7d6c-canary-of-the-watchdog"


class Watchdog(Server):
    """``taken``: path and text of each ping. ``answers``: status codes, one a ping, then 200; 0 hangs until it ends."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self.location = ""
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{SECRET}"

    def words(self) -> list[str]:
        return [path.removeprefix(SECRET) for path, _ in self.taken]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Watchdog

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.taken.append((self.path, text))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer == 0:
            # An answer that trickles outlives every timeout of a socket.
            while not self.server.ended.wait(0.05):
                try:
                    self.wfile.write(b"H")
                except OSError:
                    return
            return
        self.send_response(answer)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.taken.append((self.path, ""))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def watchdog() -> collections.abc.Iterator[Watchdog]:
    server = Watchdog()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def portal() -> collections.abc.Iterator[Watchdog]:
    server = Watchdog()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an answer comes, or none can; on a busy machine that may take some seconds."""
    monkeypatch.setattr(ping, "LIMIT", 30.0)
    monkeypatch.setattr(ping, "PAUSE", 0.01)


def test_it_is_tried_again(watchdog: Watchdog, quick: None) -> None:
    watchdog.answers = [503, 429]
    assert ping.send(watchdog.url, b"text") == "" and len(watchdog.taken) == 3
    watchdog.answers = [500, 500, 500]
    assert ping.send(watchdog.url, b"text") == "it answered 500"


def test_what_nobody_knows_is_not_tried_again(watchdog: Watchdog, quick: None) -> None:
    watchdog.answers = [404]
    assert ping.send(watchdog.url, b"") == "it answered 404" and len(watchdog.taken) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_success(
    watchdog: Watchdog, portal: Watchdog, quick: None, status: int
) -> None:
    """As the login page of a network answers, which would take a followed request with 200."""
    watchdog.location = f"{portal.url}/login"
    watchdog.answers = [status]
    assert ping.send(watchdog.url, b"text").startswith(f"it answered {status}, a redirect")
    assert len(watchdog.taken) == 1 and portal.taken == []


def test_a_server_that_hangs_costs_its_time_and_no_more(
    watchdog: Watchdog, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "LIMIT", 200.0)
    watchdog.answers = [0] * 8
    began = time.monotonic()
    ping.Pings(watchdog.url).start()
    assert time.monotonic() - began < 100, "a pass does not wait for it"
    monkeypatch.setattr(ping, "LIMIT", 1.0)
    pings = ping.Pings(watchdog.url)
    began = time.monotonic()
    pings.start()
    pings.end(0, "")
    # One start and three tries; without a limit, for ever.
    assert 3.9 < time.monotonic() - began < 100


def test_nobody_there(quick: None) -> None:
    assert "refused" in ping.send("http://127.0.0.1:9" + SECRET, b"")
    assert ping.send("http://no-such-host.invalid" + SECRET, b"") != ""


def test_a_query_stays_behind() -> None:
    assert ping.below("https://host/push/abc/?a=b", "fail") == "https://host/push/abc/fail?a=b"


def test_what_is_said_names_no_run() -> None:
    summary = Summary(published=2, waiting=1, idle=5)
    summary.problems = [
        Problem("Smith_Anna:failed", "Smith_Anna: not verified"),
        Problem("unlink-refused:Smith_Anna", "Smith_Anna"),
        Problem("unavailable:StorageUnavailable", "lake cannot be reached", 3),
    ]
    text = ping.body(summary, 3)
    assert text == (
        "exit code 3\n2 published, 1 waiting, 5 unchanged\nunavailable:StorageUnavailable\n3 problems\n"
    )


def test_passes(scene: Scene, watchdog: Watchdog) -> None:
    """A good one, one that cannot reach the storage, a dry run, one beside another; the address nowhere."""
    log = scene.folder / "pass.log"
    scene.config |= {"uploader": "native", "ping": watchdog.url, "log-file": log, "log-level": "DEBUG"}
    scene.make_run("R")
    told = scene.run().output
    assert watchdog.words() == ["/start", ""]
    assert watchdog.taken[1][1].startswith("exit code 0\n1 published, 0 waiting")

    watchdog.taken.clear()
    flow = Flow(str(scene.main), str(scene.config["blob-endpoint"]), str(scene.config["container-name"]), "")
    with Lock(lock_path(pathlib.Path(str(scene.config["state-file"])), flow)) as lock:
        assert lock.take()
        told += scene.run().output
    assert "another pass" in told
    told += scene.run("--dry-run").output + scene.run("--only-run", "R").output
    assert watchdog.words() == [], "neither of them is the pass that somebody waits for"

    scene.config["blob-endpoint"] = "http://127.0.0.1:9/devstoreaccount1"
    scene.make_run("S")
    watchdog.answers = [200, 404]
    told += scene.run(expect=3).output
    assert watchdog.words() == ["/start", "/fail"] and watchdog.taken[1][1].startswith("exit code 3\n")
    assert "end ping failed: it answered 404" in told
    told += scene.run("settings").output + log.read_text("utf-8")
    assert SECRET.strip("/") not in told


def test_a_run_that_fails(scene: Scene, watchdog: Watchdog) -> None:
    scene.config |= {"uploader": "native", "ping": watchdog.url}
    scene.make_run("R", {"bad\x01name": ""})
    scene.run(expect=1)
    assert watchdog.words() == ["/start", "/fail"] and "exit code 1" in watchdog.taken[1][1]
    assert "R" not in watchdog.taken[1][1].split()


def test_a_pass_that_is_stopped(scene: Scene, watchdog: Watchdog, proxy: typing.Any) -> None:
    scene.config |= {"uploader": "native", "ping": watchdog.url}
    scene.make_run("R")
    scene.through(proxy)
    proxy.before = lambda method, path: proxy.wait_for_release() if method == "PUT" and FLAG in path else None
    running = scene.start()
    assert eventually(lambda: any(FLAG in path for method, path in proxy.seen if method == "PUT"))
    running.terminate()
    proxy.hold.set()
    assert running.wait(LONG) == 143
    assert watchdog.words() == ["/start", "/fail"] and "exit code 143" in watchdog.taken[1][1]


def test_a_pass_that_is_stopped_while_it_mails_has_ended(scene: Scene, watchdog: Watchdog) -> None:
    """The watchdog heard how before the mail server did; it is not told twice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LONG)
        scene.config |= {"uploader": "native", "ping": watchdog.url, "log-recipient": "lab@example.org"}
        scene.config |= {"smtp-host": "127.0.0.1", "smtp-port": silent.getsockname()[1]}
        scene.make_run("R", {"bad\x01name": ""})
        running = scene.start()
        with silent.accept()[0]:
            running.terminate()
            assert running.wait(LONG) == 143
    assert watchdog.words() == ["/start", "/fail"] and watchdog.taken[1][1].startswith("exit code 1\n")


def test_the_address_is_hidden_wherever_we_write(tmp_path: pathlib.Path) -> None:
    """Whole, and what stands behind the host alone, as an error of a library may have it."""
    given = {"main-folder": tmp_path, "storage-account": "lake", "container-name": "runs", "auth": "default"}
    for url, secret in (
        ("https://hc.example.org/ping/1b2c3d4e", "ping/1b2c3d4e"),
        ("https://h/?token=a1b2", "token=a1b2"),
    ):
        settings = load({**given, "ping": url}, {}, tmp_path)
        text = Redactor(settings.secret_values())(f"POST {url} failed: /{secret} not found; a ping")
        assert secret not in text and text.endswith("; a ping")
        assert secret not in repr(settings)


@pytest.mark.parametrize("given", ["environment", "command line"])
def test_where_it_may_stand(scene: Scene, watchdog: Watchdog, given: str) -> None:
    scene.config["uploader"] = "native"
    if given == "environment":
        told = scene.run(environment={"SYNC_TO_AZURE_PING": watchdog.url}).output
    else:
        told = scene.run("--ping", watchdog.url).output
    assert watchdog.words() == ["/start", ""] and SECRET.strip("/") not in told
    assert ("where process lists show it" in told) == (given == "command line")


@pytest.mark.parametrize(
    "url", ["hc-ping.com/x", "ftp://host/x", "https:///x", "https://h/a b", "https://h:x/", "https://u:p@h/"]
)
def test_what_is_no_address(run_command: typing.Any, everyday: dict[str, object], url: str) -> None:
    ended = run_command(config=everyday | {"ping": url})
    assert ended.returncode == 2 and "ping is no http(s) address" in ended.stderr and url not in ended.stderr
