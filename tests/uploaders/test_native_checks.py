"""The native uploader: what the service checks, so that no bit that flips on the way stays."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import pathlib
import sys

import pytest
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings

from embedded.azurite import Azurite
from sync_to_azure.core.errors import ConfigurationError, UploadFailed
from sync_to_azure.core.model import Evidence
from sync_to_azure.uploaders.hot_calls import crc64_for
from tests.uploaders.wire import (
    LARGE,
    MEBIBYTE,
    Settings,
    Wire,
    carried,
    first,
    flip,
    job_of,
    native,
    right,
    stored,
)


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
