"""The native uploader on a bad line, with a changing source, and what it leaves behind."""

from __future__ import annotations

import base64
import collections.abc
import hashlib
import logging
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import typing

import pytest
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings

from embedded.azurite import Azurite
from sync_to_azure.errors import (
    ConfigurationError,
    AccessRefused,
    BlobRefused,
    SourceUnavailable,
    StorageUnavailable,
    UploadFailed,
)
from sync_to_azure.identity import AccountKey
from sync_to_azure.model import Evidence
from sync_to_azure.uploaders import Tick, blocks
from sync_to_azure.uploaders.hot_calls import crc64_for
from sync_to_azure.uploaders.http_lines import _cut
from tests.uploaders.wire import (
    CUT,
    HALF,
    LOSE,
    MEBIBYTE,
    Answer,
    Request,
    Settings,
    Wire,
    WireHandler,
    carried,
    job_for,
    job_of,
    native,
    right,
    stored,
)

LARGE = 2 * blocks.BLOCK + 5
"""Three blocks."""


@pytest.fixture
def wire(azurite: Azurite) -> collections.abc.Iterator[Wire]:
    with Wire(azurite.port) as made:
        yield made


@pytest.fixture
def through(wire: Wire, container: ContainerClient) -> Settings:
    return Settings(wire.endpoint, container.container_name)


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run"


def flip(request: Request) -> None:
    body = bytearray(request.body)
    body[len(body) // 2] ^= 1
    request.body = bytes(body)


def first(kind: str, what: collections.abc.Callable[[Request], typing.Any], times: int = 1) -> typing.Any:
    """Do ``what`` to the first requests of a kind only."""
    lock, left = threading.Lock(), [times]

    def act(request: Request) -> typing.Any:
        with lock:
            if request.kind != kind or not left[0]:
                return None
            left[0] -= 1
        return what(request)

    return act


# What the service checks


@pytest.fixture(params=["crc64", "md5"])
def check(request: pytest.FixtureRequest, through: Settings) -> str:
    through.block_check = request.param
    return str(request.param)


def test_the_library_s_crc64_is_the_one_that_the_service_means() -> None:
    """Check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms."""
    compute = crc64_for("auto")
    assert compute is not None and compute(b"123456789") == 0xAE8B14860A799888


def test_a_crc64_that_nothing_computes(monkeypatch: pytest.MonkeyPatch, through: Settings) -> None:
    monkeypatch.setitem(sys.modules, "awscrt.checksums", None)
    assert crc64_for("auto") is None
    through.block_check = "crc64"
    with pytest.raises(ConfigurationError, match="needs the extra 'fast'"):
        native(through).prepare()


@pytest.mark.parametrize(
    ("kind", "size"), [("PUT blob", 1000), ("PUT blob", 3 * MEBIBYTE), ("PUT block", LARGE)]
)
def test_a_bit_that_flips_on_the_way_is_refused_sent_again_and_told(
    kind: str,
    size: int,
    check: str,
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contents = {"file": os.urandom(size)}
    wire.act = first(kind, flip)
    with caplog.at_level(logging.WARNING):
        sent, error = carried(native(through), job_of(run, contents))
    assert error is None and stored(container) == right(contents)
    assert sent["file"].evidence is Evidence.VALIDATED
    assert (kind, 400) in wire.answered
    assert "file: the service found" in caplog.text and "damaged" in caplog.text


def test_a_line_that_always_flips_is_given_up_and_the_file_named(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    through.retry_times = 2
    wire.act = lambda request: flip(request) if request.body else None
    sent, error = carried(native(through), job_of(run, {"file": b"x" * 1000}))
    assert not sent and isinstance(error, UploadFailed)
    assert "dest/run/file" in str(error) and "Md5Mismatch" in str(error) and "2 tries" in str(error)
    assert not stored(container)


def test_without_a_checksum_a_block_a_listing_would_have_seen_nothing(
    wire: Wire, through: Settings, container: ContainerClient
) -> None:
    """The counter-proof: what uploaders do that send blocks without one, as AzCopy above its Put Blob."""
    content = os.urandom(100_000)
    wire.act = first("PUT block", flip)
    blob = BlobClient(
        through.blob_endpoint,
        through.container_name,
        "dest/run/file",
        credential={"account_name": Azurite.account, "account_key": Azurite.key},
    )
    blob.stage_block("AAAA", content)
    md5 = bytearray(hashlib.md5(content).digest())
    blob.commit_block_list([BlobBlock("AAAA")], content_settings=ContentSettings(content_md5=md5))
    [listed] = container.list_blobs()
    assert (listed.size, listed.content_settings.content_md5) == (len(content), md5)
    assert container.download_blob("dest/run/file").readall() != content


def test_every_body_has_its_sum_with_it(check: str, wire: Wire, through: Settings, run: pathlib.Path) -> None:
    job = job_of(run, {"empty": b"", "small": b"1", "middle": bytes(MEBIBYTE + 1), "large": bytes(LARGE)})
    assert carried(native(through), job)[1] is None
    bodies = [request for request in wire.seen if request.method == "PUT"]
    assert len(bodies) == 3 + 3 + 1
    for request in bodies:
        if request.kind == "PUT block" and check == "crc64":
            crc = int.from_bytes(base64.b64decode(request.headers["x-ms-content-crc64"]), "little")
            compute = crc64_for(check)
            assert compute is not None and crc == compute(request.body), request.path
            assert "Content-MD5" not in request.headers
        else:
            digest = base64.b64encode(hashlib.md5(request.body).digest()).decode()
            assert request.headers["Content-MD5"] == digest, request.path


# A bad line


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
    assert 2.9 < times[1] - times[0] < 6


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
    through.timeout, through.retry_times = 7, 1
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
    began = time.monotonic()
    sent, error = carried(native(through), job_of(run, {str(number): b"1" for number in range(1000)}))
    assert not sent and isinstance(error, kind)
    assert time.monotonic() - began < 5 and len(wire.seen) < 500
    assert "sig=" not in str(error)


class Stale:
    """A signer whose first signature the service calls stale."""

    def __init__(self, settings: Settings, heals: bool) -> None:
        self.good = AccountKey(typing.cast(typing.Any, settings)).azcopy_query()[0]
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
    assert time.monotonic() - began < 10 and "please report it" in caplog.text


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


# A changing source


def test_a_file_that_changes_while_it_is_read_is_not_committed(
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = job_of(
        run, {"grows": bytes(LARGE), "shrinks": bytes(LARGE), "rewritten": bytes(LARGE), "good": b"1"}
    )
    container.upload_blob("dest/run/rewritten", b"what stood there")

    def change(request: Request) -> None:
        if request.kind == "PUT block":
            with open(run / "grows", "ab") as handle:
                handle.write(b"more")
            os.truncate(run / "shrinks", 5)
            (run / "rewritten").write_bytes(b"2" * LARGE)

    wire.act = change
    sent, error = carried(native(through), job)
    assert error is None and set(sent) == {"good"}
    assert {name: content for name, (content, _) in stored(container).items()} == {
        "good": b"1",
        "rewritten": b"what stood there",
    }
    assert "PUT blocklist" not in wire.kinds()
    for name in ("grows", "shrinks", "rewritten"):
        assert f"{name} changed while it was read" in caplog.text


def test_a_share_that_went_away_is_told_at_once_and_no_buffer_is_lost(
    through: Settings, run: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real EIO wants a broken disk; here the system call is made to say so."""
    import errno

    job = job_of(run, {f"{number}": bytes(2 * MEBIBYTE) for number in range(30)})

    def broken(*_: object) -> int:
        raise OSError(code[0], os.strerror(code[0]))

    monkeypatch.setattr(os, "readv", broken)
    code = [errno.ESTALE]
    assert isinstance(carried(native(through), job)[1], SourceUnavailable)
    code = [errno.EACCES]
    began = time.monotonic()
    _, error = carried(native(through), job_for(run, [str(number) for number in range(30)]))
    assert isinstance(error, UploadFailed) and "30 files" in str(error) and "cannot be read" in str(error)
    assert time.monotonic() - began < 10


# What is left behind


def test_closed_in_the_middle_nothing_of_it_arrives_any_more(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    wire.bytes_a_second = MEBIBYTE
    job = job_of(run, {"slow": bytes(6 * MEBIBYTE)})

    class Enough(Exception):
        pass

    def tick(at: Tick) -> None:
        if time.monotonic() - began > 1:
            raise Enough

    before = threading.active_count()
    began = time.monotonic()
    with pytest.raises(Enough):
        carried(native(through), job, tick)
    assert time.monotonic() - began < 4
    wire.bytes_a_second = None
    time.sleep(0.5)
    assert not list(container.list_blobs())
    assert [t.name for t in threading.enumerate() if "_send" in t.name or "_read)" in t.name] == []
    assert threading.active_count() <= before + 2  # the proxy's own


def staged(container: ContainerClient, name: str, identity: str, content: bytes) -> None:
    container.get_blob_client(f"dest/run/{name}").stage_block(identity, content)


def test_only_missing_blocks_are_sent_again(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    content = os.urandom(LARGE)
    for number in (0, 1):
        part = content[number * blocks.BLOCK : (number + 1) * blocks.BLOCK]
        if number == 1:
            part = part[:-1] + bytes([part[-1] ^ 1])  # of an earlier version of the file: another MD5
        to_its_end = content[: number * blocks.BLOCK] + part
        staged(container, "file", blocks.block_id(number, hashlib.md5(to_its_end).digest()), part)
    ticks: list[Tick] = []
    sent, error = carried(native(through), job_of(run, {"file": content}), ticks.append)
    assert error is None and sent["file"].md5 == hashlib.md5(content).digest()
    assert stored(container) == right({"file": content})
    assert wire.kinds().count("PUT block") == 2 and "PUT blob" not in wire.kinds()
    assert ticks[-1] == Tick(1, LARGE)


@pytest.mark.parametrize("identity", ["AAAA", "x" * 48, "s2a-00000-" + "0" * 31, "\udcff"])
def test_blocks_that_another_tool_left_do_not_poison(
    identity: str, wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    for name in ("large", "small"):
        if identity == "\udcff":
            # Bytes that are no text, as rclone's.
            blob = container.get_blob_client(f"dest/run/{name}")
            blob._client.block_blob.stage_block(
                block_id=base64.b64encode(b"\xff\xfe\xfd").decode(), content_length=4, body=b"left"
            )
        else:
            staged(container, name, identity, b"left")
    contents = {"large": os.urandom(LARGE), "small": b"1"}
    sent, error = carried(native(through), job_of(run, contents))
    assert error is None and set(sent) == {"large", "small"}
    assert stored(container) == right(contents)


def test_blocks_that_go_while_it_sends_are_a_try(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """Somebody else wrote the blob meanwhile, which drops what is uncommitted: no refusal for good."""

    def elsewhere(request: Request) -> None:
        container.get_blob_client("dest/run/file").commit_block_list([])

    wire.act = first("PUT blocklist", elsewhere)
    contents = {"file": os.urandom(LARGE)}
    made = native(through)
    _, error = carried(made, job_of(run, contents))
    assert isinstance(error, UploadFailed)
    assert carried(made, job_for(run, contents))[1] is None
    assert stored(container) == right(contents)


def test_the_cap_is_kept(through: Settings, run: pathlib.Path) -> None:
    through.cap_mbps = 16.0  # 2 MB a second
    began = time.monotonic()
    job = job_of(run, {str(number): bytes(100_000) for number in range(60)})
    assert carried(native(through), job)[1] is None
    assert 2.5 < time.monotonic() - began < 5  # 6 MB


def test_the_tier(through: Settings, container: ContainerClient, run: pathlib.Path) -> None:
    through.access_tier = "cool"
    assert carried(native(through), job_of(run, {"small": b"1", "large": bytes(LARGE)}))[1] is None
    assert {blob.name: blob.blob_tier for blob in container.list_blobs()} == {
        "dest/run/small": "Cool",
        "dest/run/large": "Cool",
    }


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


# What it costs: in a process of its own

CHILD = """
import os, pathlib, re, sys
from sync_to_azure.uploaders.hot_calls import crc64_for
from tests.uploaders.wire import Settings, carried, job_for, native
def facts():
    read = int(re.search(r"rchar: (\\d+)", open("/proc/self/io").read())[1])
    return read, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
folder = pathlib.Path(sys.argv[3])
made = native(Settings(sys.argv[1], sys.argv[2], concurrency=16, source_readers=4))
carried(made, job_for(folder, ["warm"]))
crc64_for("auto")
before, _ = facts()
sent, error = carried(made, job_for(folder, sorted(set(os.listdir(folder)) - {"warm"})))
after, peak = facts()
print(len(sent), error, after - before, peak)
"""


@pytest.mark.parametrize(
    ("count", "size"),
    [(4, 200 * MEBIBYTE), (1, 1024 * MEBIBYTE), (300, 1000 * 1000), (60, blocks.SINGLE_PUT)],
)
def test_memory_stays_flat_and_every_file_is_read_once(
    count: int, size: int, run: pathlib.Path, container: ContainerClient
) -> None:
    run.mkdir()
    (run / "warm").write_bytes(b"1")
    for number in range(count):
        with open(run / str(number), "wb") as handle:
            handle.truncate(size)
    with Discarding() as server:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, server.endpoint, "container", str(run)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    sent, error, read, peak = done.stdout.split()
    assert (int(sent), error) == (count, "None"), done.stdout
    total = count * size
    # Answers of the service are read too: below 2 KB a request.
    requests = count * (1 + size // blocks.BLOCK) + 2 * count
    assert total <= int(read) <= total + 2048 * requests
    assert int(peak) < 250 * 1024, f"{peak} KB"


class Discarding(Wire):
    """A storage that forgets what it is given: Azurite would write gigabytes."""

    def __init__(self) -> None:
        super().__init__(0, Forgetful)


class Forgetful(WireHandler):
    rbufsize = 0
    scratch = memoryview(bytearray(MEBIBYTE))

    def answer(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left and (size := self.connection.recv_into(self.scratch[: min(left, MEBIBYTE)])):
            left -= size
        if self.command == "PUT":
            self.say(201, {}, b"")
        else:
            self.say(404, {"x-ms-error-code": "BlobNotFound"}, b"")

    do_GET = do_PUT = do_HEAD = answer
