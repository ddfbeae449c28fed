"""Answers that drip: each request is over in time, in whatever thread, whatever the socket's own timeout says."""

from __future__ import annotations

import collections.abc
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import socket
import ssl
import threading
import time
import types
import typing

import pytest
import requests
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core import deadline
from sync_to_azure.core.errors import StorageUnavailable
from sync_to_azure.stores.azure import AzureStore
from sync_to_azure.stores.store_config import StoreConfig
from tests.certificates import make_certificate
from tests.conftest import LONG
from tests.line import DRIP, Line, Request

MIB = 1024 * 1024
Call = collections.abc.Callable[[AzureStore], object]


@dataclasses.dataclass
class Slow:
    lake: AzureStore
    line: Line
    container: ContainerClient


@pytest.fixture
def slow(azurite: Azurite, container: ContainerClient) -> collections.abc.Iterator[Slow]:
    """A byte every 50 ms, where an answer has 2 s: no socket of ours would ever call that a timeout."""
    with Line(azurite.port) as wire:
        wire.drip = 0.05
        config = StoreConfig(wire.endpoint, container.container_name, timeout=2.0, tries=5)
        credential = {"account_name": azurite.account, "account_key": azurite.key}
        identity: typing.Any = types.SimpleNamespace(for_sdk=lambda: credential)
        yield Slow(AzureStore(config, identity), wire, container)


CALLS: dict[str, Call] = {
    "listing": lambda lake: list(lake.list("")),
    "documents beside": lambda lake: list(lake.list_level("")),
    "document": lambda lake: lake.get("name"),
    "read back": lambda lake: lake.md5_of("name", str(lake.stat("name").etag)),  # type: ignore[union-attr]
    "look": lambda lake: lake.stat("name"),
    "write": lambda lake: lake.put(
        "new",
        b"data",
        4,
        b"\x8d\x77\x7f\x38\x5d\x3d\xfe\xc8\x81\x5d\x20\xf7\x49\x60\x26\xdc",
        "text/plain",
        None,
    ),
    "blocks": lambda lake: lake.uncommitted_blocks("name"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_answer_that_drips_is_not_waited_for(slow: Slow, call: Call) -> None:
    slow.container.upload_blob("name", os.urandom(1000))
    call(slow.lake)
    slow.line.seen.clear()
    slow.line.act = lambda request: DRIP
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="too slowly while .*: not in full within 2 s"):
        call(slow.lake)
    assert time.monotonic() - began < 60
    assert len(slow.line.seen) == 1, "not once more"
    slow.line.act = lambda request: None
    call(slow.lake)


def test_what_takes_long_in_many_answers_goes_on(slow: Slow) -> None:
    """The time is that of one answer, not of a whole file."""
    content = os.urandom(9 * MIB)
    slow.container.upload_blob("name", content)

    def act(request: Request) -> None:
        slow.line.released.wait(0.9)

    slow.line.act = act
    assert b"".join(slow.lake.read("name")) == content


def test_what_is_done_between_two_answers_takes_the_time_of_none(slow: Slow) -> None:
    slow.container.upload_blob("name", os.urandom(5 * MIB))
    chunks = slow.lake.read("name")
    first = next(chunks)
    time.sleep(2.5)
    assert len(first) + sum(map(len, chunks)) == 5 * MIB


def test_each_thread_has_a_time_of_its_own(slow: Slow) -> None:
    """As restore reads: one file drips, the others come."""
    for number in range(4):
        slow.container.upload_blob(f"{number}", os.urandom(1000))
    slow.line.act = lambda request: DRIP if request.blob == "2" else None

    def read(number: int) -> bool:
        try:
            return len(b"".join(slow.lake.read(str(number)))) == 1000
        except StorageUnavailable:
            return False

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(4))) == [True, True, False, True]


@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Connection: close"])
def test_over_tls_too(tmp_path: pathlib.Path, framing: bytes) -> None:
    """Without a length, the end that we make looks like the answer's own."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    hung_up = threading.Event()

    def drip(listener: socket.socket) -> None:
        with (
            context.wrap_socket(listener.accept()[0], server_side=True) as line,
            contextlib.suppress(OSError),
        ):
            line.recv(65536)
            line.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            while not hung_up.wait(0.05):
                line.sendall(b"x")
        hung_up.set()

    with socket.create_server(("127.0.0.1", 0)) as listener, requests.Session() as session:
        deadline.watch_session(session)
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(deadline.TooSlow), deadline.within(2.0):
            session.get(url, verify=certificate, timeout=60)
        assert hung_up.wait(LONG), "the line is closed, too"


def test_a_cut_off_answer_never_passes_for_a_whole_one() -> None:
    """It came to its end because we ended it."""
    over = threading.Event()
    with pytest.raises(deadline.TooSlow), deadline.within(0.05):
        over.wait(0.5)


def test_in_another_one_nothing_ends_earlier() -> None:
    with deadline.within(LONG), deadline.within(0.01):
        time.sleep(0.1)
