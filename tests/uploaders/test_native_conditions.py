"""Another writer, a late request, a lost answer: what the native uploader commits comes over nothing that its plan's
listing did not show."""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
import threading

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.core.errors import BlobRefused, Overtaken
from sync_to_azure.core.model import Evidence
from sync_to_azure.uploaders import blocks
from tests.uploaders.wire import (
    LARGE,
    LOSE,
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

SIZES = {"small": 5, "middling": 200_000, "large": LARGE}
COMMIT = {"small": "PUT blob", "middling": "PUT blob", "large": "PUT blocklist"}


def etag_of(container: ContainerClient, name: str = "dest/run/file") -> str:
    return str(container.get_blob_client(name).get_blob_properties().etag).strip('"')


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("stood", [False, True], ids=["nothing stood there", "an earlier one stood there"])
def test_a_blob_that_came_since_the_listing_stays(
    stood: bool, size: str, wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """Written while the file is on its way, at the last instant before the commit."""
    if stood:
        container.upload_blob("dest/run/file", b"before")
    content = {"file": os.urandom(SIZES[size])}
    job_of(run, content)
    job = job_for(run, content, container)

    def elsewhere(request: Request) -> None:
        container.upload_blob("dest/run/file", b"theirs", overwrite=True)

    wire.act = first(COMMIT[size], elsewhere)
    sent, error = carried(native(through), job)
    assert not sent and isinstance(error, Overtaken)
    assert container.download_blob("dest/run/file").readall() == b"theirs"
    # Planned again, with what stands there now.
    wire.act = lambda request: None
    sent, error = carried(native(through), job_for(run, content, container))
    assert error is None and sent["file"].evidence is Evidence.VALIDATED
    assert sent["file"].etag == etag_of(container) and stored(container) == right(content)


@pytest.mark.parametrize("stood", [False, True], ids=["nothing stood there", "an earlier one stood there"])
def test_a_lost_answer_is_known_by_size_and_md5_and_proves_less(
    stood: bool, size: str, wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    if stood:
        container.upload_blob("dest/run/file", b"before")
    content = {"file": os.urandom(SIZES[size])}
    job_of(run, content)
    wire.act = first(COMMIT[size], lambda request: LOSE)
    sent, error = carried(native(through), job_for(run, content, container))
    assert error is None and sent["file"].evidence is Evidence.LISTED
    assert sent["file"].etag == etag_of(container) and stored(container) == right(content)


def test_a_late_request_comes_over_nothing_newer(
    size: str, wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """A proxy holds the commit back, we are ended, the file is written again and uploaded; then it arrives."""
    held, arrived = threading.Event(), threading.Event()
    answers: list[int] = []

    def hold(request: Request) -> None:
        held.set()
        arrived.wait(60)

    old, new = {"file": os.urandom(SIZES[size])}, {"file": os.urandom(SIZES[size] + 1)}
    wire.act = first(COMMIT[size], hold)
    job = job_of(run, old)

    def tick(at: object) -> None:
        if held.is_set():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for _ in native(through).open().carry(job, tick):
            pass
    job_of(run, new)
    sent, error = carried(native(through), job_for(run, new, container))
    assert error is None and sent["file"].etag == etag_of(container)
    before = len(wire.answered)
    arrived.set()
    for _ in range(600):
        answers = [status for kind, status in wire.answered[before:] if kind == COMMIT[size]]
        if answers:
            break
        threading.Event().wait(0.05)
    # What was held back: refused, as its condition does not hold (or its blocks are gone).
    assert answers and answers[0] in (400, 409, 412), answers
    assert sent["file"].etag == etag_of(container) and stored(container) == right(new)


def staged(container: ContainerClient, content: bytes, number: int, part: bytes) -> None:
    """``part`` under the ID of our block of this number."""
    to_its_end = content[: (number + 1) * blocks.BLOCK]
    identity = blocks.block_id(number, hashlib.md5(to_its_end).digest())
    container.get_blob_client("dest/run/file").stage_block(identity.decode(), part)


def test_a_reused_block_is_read_back(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """Only it: the others were checked as they came."""
    content = os.urandom(LARGE)
    staged(container, content, 1, content[blocks.BLOCK : 2 * blocks.BLOCK])
    sent, error = carried(native(through), job_of(run, {"file": content}))
    assert error is None and sent["file"].evidence is Evidence.VALIDATED
    assert stored(container) == right({"file": content})
    kinds = wire.kinds()
    assert kinds.count("PUT block") == 2 and kinds.count("PUT blocklist") == 1
    assert kinds.count("GET blob") == blocks.BLOCK // (4 * 1024 * 1024)


def test_zeros_under_the_id_of_a_block_of_ours_are_found(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    content = os.urandom(LARGE)
    staged(container, content, 0, content[: blocks.BLOCK])
    staged(container, content, 1, bytes(blocks.BLOCK))
    sent, error = carried(native(through), job_of(run, {"file": content}))
    assert error is None and sent["file"].evidence is Evidence.VALIDATED
    assert sent["file"].etag == etag_of(container) and stored(container) == right({"file": content})


def test_a_blob_that_is_replaced_before_it_is_read_back_is_only_listed(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    content = os.urandom(LARGE)
    staged(container, content, 0, content[: blocks.BLOCK])

    def elsewhere(request: Request) -> None:
        container.upload_blob("dest/run/file", b"theirs", overwrite=True)

    wire.act = first("GET blob", elsewhere)
    sent, error = carried(native(through), job_of(run, {"file": content}))
    assert error is None and sent["file"].evidence is Evidence.LISTED
    assert sent["file"].etag != etag_of(container)
    assert container.download_blob("dest/run/file").readall() == b"theirs"


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_lease_keeps_its_meaning(
    size: str, wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    container.upload_blob("dest/run/file", b"before").acquire_lease()
    content = {"file": os.urandom(SIZES[size])}
    job_of(run, content)
    _, error = carried(native(through), job_for(run, content, container))
    assert isinstance(error, BlobRefused) and "lease" in str(error)
    assert container.download_blob("dest/run/file").readall() == b"before"


def test_no_request_more_than_before(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    contents = {f"{number}": bytes(100 + number) for number in range(20)}
    assert carried(native(through), job_of(run, contents))[1] is None
    counted: collections.Counter[str] = collections.Counter(wire.kinds())
    assert counted == {"PUT blob": 20}
