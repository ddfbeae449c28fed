"""The native uploader on a bad line: what is tried again, what is given up, and when it ends at once."""

from __future__ import annotations

import collections
import logging
import os
import pathlib
import socket
import ssl
import time
import typing

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.core.errors import AccessRefused, BlobRefused, StorageUnavailable, UploadFailed
from sync_to_azure.stores.login import AccountKey
from sync_to_azure.settings.for_stores import login_config
from sync_to_azure.uploaders import blocks
from sync_to_azure.uploaders.http_lines import _cut
from tests.uploaders.wire import (
    CUT,
    HALF,
    LARGE,
    LOSE,
    MEBIBYTE,
    Answer,
    Request,
    Settings,
    Wire,
    carried,
    first,
    job_of,
    native,
    right,
    stored,
)


@pytest.mark.parametrize(
    "what",
    [
        Answer(500, "InternalError"),
        Answer(503, "ServerBusy"),
        Answer(503, "ServerBusy", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Answer(429, "TooManyRequests", {"Retry-After": "-5"}),
        Answer(408, "RequestTimeout"),
        CUT,
        LOSE,
        HALF,
    ],
    ids=lambda what: what.split(",")[0] if isinstance(what, str) else f"{what.status}-{len(what.headers)}",
)
@pytest.mark.parametrize(("kind", "size"), [("PUT blob", 10), ("PUT block", LARGE), ("PUT blocklist", LARGE)])
def test_what_may_heal_is_tried_again(
    what: Answer | str,
    kind: str,
    size: int,
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
) -> None:
    contents = {"file": os.urandom(size)}
    wire.act = first(kind, lambda request: what)
    sent, error = carried(native(through), job_of(run, contents))
    assert error is None and set(sent) == {"file"}
    assert stored(container) == right(contents)


@pytest.mark.parametrize("what", [Answer(500, "InternalError"), CUT])
def test_what_does_not_heal_is_given_up_after_the_tries_that_names_the_file(
    what: Answer | str, wire: Wire, through: Settings, run: pathlib.Path
) -> None:
    through.retry_times = 2
    wire.act = lambda request: what if "/bad" in request.path else None
    sent, error = carried(native(through), job_of(run, {"bad": b"1", "good": b"2"}))
    assert set(sent) == {"good"} and isinstance(error, UploadFailed)
    assert "dest/run/bad" in str(error) and "sig=" not in str(error)
    assert wire.kinds().count("PUT blob") == 3


def test_retry_after_is_obeyed(wire: Wire, through: Settings, run: pathlib.Path) -> None:
    times: list[float] = []

    def act(request: Request) -> Answer | None:
        times.append(time.monotonic())
        return Answer(503, "ServerBusy", {"Retry-After": "3"}) if len(times) == 1 else None

    wire.act = act
    assert carried(native(through), job_of(run, {"file": b"1"}))[1] is None
    # Our own pauses are shorter than that.
    assert 2.9 < times[1] - times[0] < 60


def test_a_server_that_says_nothing_is_left_after_the_timeout(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    through.timeout = 1.0
    wire.act = first("PUT blob", lambda request: wire.released.wait(60) and CUT)
    contents = {"file": b"1"}
    assert carried(native(through), job_of(run, contents))[1] is None
    assert stored(container) == right(contents)


def test_a_slow_line_is_not_taken_for_a_dead_one(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """A block takes 9 s here, the timeout is 7 s, but something moves all the time. (What lies in the kernel's buffers
    at the end, some MiB, counts as silence: hence the large figures.)"""
    through.timeout = 7
    # Each try takes as long, so that none could heal what is taken for dead.
    through.retry_times = 4
    wire.bytes_a_second = 0.9 * MEBIBYTE
    contents = {"file": os.urandom(blocks.BLOCK)}
    assert carried(native(through), job_of(run, contents))[1] is None
    assert stored(container) == right(contents)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(412, "LeaseIdMissing"),
        Answer(409, "BlobImmutableDueToPolicy"),
        Answer(409, "BlobArchived"),
        Answer(400, "InvalidHeaderValue"),
    ],
    ids=lambda answer: answer.code,
)
def test_a_blob_that_is_refused_for_good_fails_at_once_and_the_others_go(
    answer: Answer, wire: Wire, through: Settings, run: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire.act = lambda request: answer if request.method == "PUT" and "/bad" in request.path else None
    names = ["bad small", "bad large", *(f"good {number}" for number in range(20))]
    contents = {name: bytes(LARGE) if "large" in name else name.encode() for name in names}
    sent, error = carried(native(through), job_of(run, contents))
    assert len(sent) == 20 and isinstance(error, BlobRefused)
    assert answer.code in str(error) and "/bad" in str(error)
    # Each is told, though only one can be raised.
    assert "bad small" in caplog.text and "bad large" in caplog.text
    refused = [request for request in wire.seen if request.method == "PUT" and "/bad" in request.path]
    assert len(refused) <= 1 + 3


def test_one_refused_for_good_is_told_also_after_many_that_failed_otherwise(
    wire: Wire, through: Settings, run: pathlib.Path
) -> None:
    through.retry_times, through.concurrency, through.source_readers = 1, 1, 1

    def act(request: Request) -> Answer | None:
        if request.method != "PUT":
            return None
        return (
            Answer(409, "LeaseIdMissing")
            if request.path.partition("?")[0].endswith("z")
            else Answer(500, "x")
        )

    wire.act = act
    _, error = carried(native(through), job_of(run, {name: b"" for name in "abcdefghz"}))
    assert isinstance(error, BlobRefused)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(403, "AuthorizationPermissionMismatch"), AccessRefused),
        (Answer(404, "ContainerNotFound"), StorageUnavailable),
        (Answer(409, "ContainerBeingDeleted"), StorageUnavailable),
        (Answer(409, "ContainerDisabled"), StorageUnavailable),
        (Answer(407, ""), StorageUnavailable),
        (Answer(302, "", {"Location": "http://login.hotel/"}), StorageUnavailable),
        (Answer(200, ""), StorageUnavailable),
    ],
    ids=lambda each: str(getattr(each, "status", "")),
)
def test_trouble_that_all_files_share_ends_it_at_once(
    answer: Answer, kind: type[Exception], wire: Wire, through: Settings, run: pathlib.Path
) -> None:
    wire.act = lambda request: answer if request.method == "PUT" else None
    sent, error = carried(native(through), job_of(run, {str(number): b"1" for number in range(1000)}))
    assert not sent and isinstance(error, kind)
    tries = collections.Counter(request.path.partition("?")[0] for request in wire.seen)
    assert len(tries) < 500 and set(tries.values()) == {1}, "none is tried again"
    assert "sig=" not in str(error)


class Stale:
    """A signer whose first signature the service calls stale."""

    def __init__(self, settings: Settings, heals: bool) -> None:
        self.good = AccountKey(login_config(typing.cast(typing.Any, settings))).azcopy_query()[0]
        self.heals = heals
        self.is_good = False
        self.renewed = 0

    def signature(self) -> tuple[str, dict[str, str]]:
        return (self.good if self.is_good else self.good.replace("sig=", "sig=AAAA")), {}

    def renew(self) -> None:
        self.renewed += 1
        self.is_good = self.heals


@pytest.mark.parametrize("heals", [True, False])
def test_a_signature_that_ran_out_is_renewed_once(
    heals: bool,
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    signer = Stale(through, heals)
    wire.act = lambda request: Answer(403, "AuthenticationFailed") if "sig=AAAA" in request.path else None
    contents = {"file": os.urandom(LARGE)}
    with caplog.at_level(logging.DEBUG, "sync_to_azure"):
        sent, error = carried(native(through, signer), job_of(run, contents))
    if heals:
        assert error is None and stored(container) == right(contents)
    else:
        assert isinstance(error, AccessRefused) and not sent
    assert 1 <= signer.renewed <= 3
    assert signer.good.rpartition("sig=")[2] not in caplog.text + str(error)


def test_a_fault_of_ours_ends_the_file_and_not_the_pass(
    through: Settings, run: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sender that died of it would leave the pass waiting for its file, and then for its buffer."""

    class Faulty(Stale):
        def signature(self) -> tuple[str, dict[str, str]]:
            raise ZeroDivisionError("ours")

    contents = {f"{number}": bytes(LARGE if number % 2 else 2 * MEBIBYTE) for number in range(16)}
    began = time.monotonic()
    sent, error = carried(native(through, Faulty(through, False)), job_of(run, contents))
    assert not sent and isinstance(error, UploadFailed) and "16 files" in str(error)
    assert time.monotonic() - began < 60 and "please report it" in caplog.text


def test_no_secret_is_logged(
    wire: Wire, through: Settings, run: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    through.retry_times = 2
    through.timeout = 1.0
    wire.act = lambda request: (CUT if "a" in request.path else HALF) if request.method == "PUT" else None
    with caplog.at_level(logging.DEBUG, "sync_to_azure"):
        _, error = carried(native(through), job_of(run, {"a": b"1", "b": b"2"}))
    endpoint_gone = Settings("http://127.0.0.1:9/devstoreaccount1", through.container_name, retry_times=2)
    with caplog.at_level(logging.DEBUG, "sync_to_azure"):
        _, other = carried(native(endpoint_gone), job_of(run, {"a": b"1"}))
    assert error is not None and other is not None
    said = caplog.text + str(error) + str(other)
    assert "sig=" not in said.replace("sig=REDACTED", "") and "se=20" not in said


def test_a_tls_line_that_is_cut_says_nothing_more_in_the_clear() -> None:
    """``SSLSocket.shutdown`` forgets its TLS before it shuts down: a thread between two pieces would go on plainly."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line: typing.Any = ssl.create_default_context().wrap_socket(
            ours, server_hostname="x", do_handshake_on_connect=False
        )
        with line:
            tls = line._sslobj
            _cut(line)
            assert tls is not None and line._sslobj is tls
            with pytest.raises(OSError):
                line.sendall(b"token")
        assert theirs.recv(100) == b""
