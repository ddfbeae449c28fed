"""The native uploader with a changing source, what it leaves behind, and what it finds there."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import threading
import time

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.core.errors import SourceUnavailable, UploadFailed
from sync_to_azure.uploaders import Tick, blocks
from tests.passes.scene import eventually
from tests.uploaders.wire import (
    LARGE,
    MEBIBYTE,
    Request,
    Settings,
    Wire,
    carried,
    first,
    job_for,
    job_of,
    native,
    right,
    stored,
)


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

    monkeypatch.setattr(os, "preadv", broken)
    code = [errno.ESTALE]
    assert isinstance(carried(native(through), job)[1], SourceUnavailable)
    code = [errno.EACCES]
    began = time.monotonic()
    _, error = carried(native(through), job_for(run, [str(number) for number in range(30)]))
    assert isinstance(error, UploadFailed) and "30 files" in str(error) and "cannot be read" in str(error)
    assert time.monotonic() - began < 60


def test_closed_in_the_middle_nothing_of_it_arrives_any_more(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """To its end it would take 48 s."""
    wire.bytes_a_second = MEBIBYTE / 8
    job = job_of(run, {"slow": bytes(6 * MEBIBYTE)})

    class Enough(Exception):
        pass

    def tick(at: Tick) -> None:
        if time.monotonic() - began > 1:
            raise Enough

    others = set(threading.enumerate())
    began = time.monotonic()
    with pytest.raises(Enough):
        carried(native(through), job, tick)
    assert time.monotonic() - began < 40
    wire.bytes_a_second = None
    # The proxy's own two may stay, until they have seen that nobody listens.
    assert eventually(lambda: not ours(others) and len(set(threading.enumerate()) - others) <= 2)
    time.sleep(0.5)  # for what would arrive all the same
    assert not list(container.list_blobs())


def ours(others: set[threading.Thread]) -> list[str]:
    """Threads of the uploader, without those that were there before (of tests that make one hang)."""
    mine = set(threading.enumerate()) - others
    return [each.name for each in mine if "_send" in each.name or "_read)" in each.name]


def staged(container: ContainerClient, name: str, identity: str | bytes, content: bytes) -> None:
    text = identity if isinstance(identity, str) else identity.decode()
    container.get_blob_client(f"dest/run/{name}").stage_block(text, content)


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
    for name in ("large", "small", "empty"):
        if identity == "\udcff":
            # Bytes that are no text, as rclone's.
            blob = container.get_blob_client(f"dest/run/{name}")
            blob._client.block_blob.stage_block(
                block_id=base64.b64encode(b"\xff\xfe\xfd").decode(), content_length=4, body=b"left"
            )
        else:
            staged(container, name, identity, b"left")
    contents = {"large": os.urandom(LARGE), "small": b"1", "empty": b""}
    sent, error = carried(native(through), job_of(run, contents))
    assert error is None and set(sent) == set(contents)
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
    assert carried(made, job_for(run, contents, container))[1] is None
    assert stored(container) == right(contents)


def test_the_cap_is_kept(through: Settings, run: pathlib.Path) -> None:
    through.cap_mbps = 16.0  # 2 MB a second
    began = time.monotonic()
    job = job_of(run, {str(number): bytes(100_000) for number in range(60)})
    assert carried(native(through), job)[1] is None
    # 6 MB; bits taken for bytes, it would be 0.4 s, and 24 s the other way round.
    assert 2.5 < time.monotonic() - began < 22


def test_the_tier(through: Settings, container: ContainerClient, run: pathlib.Path) -> None:
    through.access_tier = "cool"
    assert carried(native(through), job_of(run, {"small": b"1", "large": bytes(LARGE)}))[1] is None
    assert {blob.name: blob.blob_tier for blob in container.list_blobs()} == {
        "dest/run/small": "Cool",
        "dest/run/large": "Cool",
    }
