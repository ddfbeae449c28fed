"""The container's listing is read here, not by the library: it must be what the library says."""

from __future__ import annotations

import hashlib
import types
import typing

import pytest
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings

from embedded.azurite import Azurite
from sync_to_azure.core.errors import BlobRefused, BlobReplaced, StorageUnavailable
from sync_to_azure.stores.azure import AzureStore
from sync_to_azure.stores.store_config import StoreConfig
from tests import line

NAMES = ["plain", "a b", "ä/ü", "<&>\"'", "x%20y", "100%", "q?r#s", "  blanks ", "new\nline", "日本"]


def _lake(azurite: Azurite, container: str, endpoint: str = "") -> AzureStore:
    config = StoreConfig(endpoint or azurite.endpoint, container, timeout=60.0, tries=1)
    credential = {"account_name": azurite.account, "account_key": azurite.key}
    identity: typing.Any = types.SimpleNamespace(for_sdk=lambda: credential)
    return AzureStore(config, identity)


def test_a_listing_is_what_the_library_says_page_by_page(
    azurite: Azurite, container: ContainerClient
) -> None:
    for number, name in enumerate(NAMES * 3):
        content = name.encode() * number
        md5 = bytearray(hashlib.md5(content).digest()) if number % 2 else None
        stub = {"hdi_isfolder": "true"} if number % 5 == 0 else {"Other": "true"}
        settings = ContentSettings(content_md5=md5)
        container.upload_blob(f"run/{number}/{name}", content, metadata=stub, content_settings=settings)
    container.upload_blob("other/run", b"not asked for")
    expected = {
        blob.name: (
            blob.size,
            blob.content_settings.content_md5 and bytes(blob.content_settings.content_md5),
            blob.etag,
            blob.blob_tier,
            blob.metadata.get("hdi_isfolder") == "true",
        )
        for blob in container.list_blobs(name_starts_with="run/", include=["metadata"])
    }
    pages = _lake(azurite, container.container_name).pages("run/", page_size=7)
    listed = [blob for page in pages for blob in page.blobs]
    assert len(listed) == len(expected) == 30
    assert {
        each.name: (each.size, each.md5, each.etag, each.tier, each.folder_stub) for each in listed
    } == expected
    assert sum(each.folder_stub for each in listed) == 6


def test_an_empty_listing_and_a_container_that_is_not_there(
    azurite: Azurite, container: ContainerClient
) -> None:
    assert list(_lake(azurite, container.container_name).list("run/")) == []
    with pytest.raises(StorageUnavailable, match="container absent is not there"):
        list(_lake(azurite, "absent").list("run/"))


def _put(lake: AzureStore, name: str, content: bytes, replaces: str | None) -> str:
    return lake.put(
        name, content, len(content), hashlib.md5(content).digest(), "text/plain", replaces=replaces
    )


@pytest.mark.parametrize("stood", [False, True], ids=["nothing stood there", "an earlier one stood there"])
def test_a_blob_is_written_only_over_what_stood_there(
    stood: bool, azurite: Azurite, container: ContainerClient
) -> None:
    lake = _lake(azurite, container.container_name)
    before = _put(lake, "x", b"before", None) if stood else None
    container.upload_blob("x", b"theirs", overwrite=True)
    stands = lake.stat("x")
    assert stands is not None
    theirs = stands.etag
    with pytest.raises(BlobReplaced, match="x was written by another writer since it was listed"):
        _put(lake, "x", b"ours", before)
    assert lake.get("x") == b"theirs"
    ours = _put(lake, "x", b"ours", theirs)
    stands = lake.stat("x")
    assert stands is not None and stands.etag == ours and lake.get("x") == b"ours"


@pytest.mark.parametrize("stood", [False, True], ids=["nothing stood there", "an earlier one stood there"])
def test_a_write_whose_answer_was_lost_is_ours(
    stood: bool, azurite: Azurite, container: ContainerClient
) -> None:
    """The library tries again, and the condition fails on what the first try wrote."""
    before = _put(_lake(azurite, container.container_name), "x", b"before", None) if stood else None
    with line.Line(azurite.port) as wire:
        lose = [line.LOSE]
        wire.act = lambda request: lose.pop() if request.writes and lose else None
        etag = _put(_lake(azurite, container.container_name, wire.endpoint), "x", b"ours", before)
        assert [status for kind, status in wire.answered if kind == "PUT blob"] == [
            201,
            412 if stood else 409,
        ]
    assert container.get_blob_client("x").get_blob_properties().etag.strip('"') == etag
    assert container.download_blob("x").readall() == b"ours"


def test_a_blob_of_somebody_else_is_not_ours_by_its_md5_alone(
    azurite: Azurite, container: ContainerClient
) -> None:
    """The MD5 of a blob is what its writer said."""
    md5 = bytearray(hashlib.md5(b"ours").digest())
    blob = container.get_blob_client("x")
    blob.stage_block("0", b"bad!")
    blob.commit_block_list([BlobBlock("0")], content_settings=ContentSettings(content_md5=md5))
    lake = _lake(azurite, container.container_name)
    with pytest.raises(BlobReplaced):
        _put(lake, "x", b"ours", None)
    assert lake.get("x") == b"bad!"


def test_blocks_that_others_left(azurite: Azurite, container: ContainerClient) -> None:
    """All ids of a blob have one length, those that were never committed included."""
    store, large = _lake(azurite, container.container_name), bytes(5_000_000)
    container.get_blob_client("x").stage_block("AAAA", b"left")
    with pytest.raises(BlobRefused, match="x cannot be written in blocks: another upload left some"):
        _put(store, "x", large, None)
    with pytest.raises(BlobRefused, match="too short"):
        store.append("x", None, [], b"ours", 4)
    assert store.stat("x") is None and list(store.list("")) == []


def test_put_and_append_are_not_in_each_others_way(azurite: Azurite, container: ContainerClient) -> None:
    """An append that was cut off left its blocks; and a put."""
    store, large = _lake(azurite, container.container_name), bytes(5_000_000)
    for name, first, second in (("x", b"one", large), ("y", large, b"two")):
        blob = container.get_blob_client(name)
        written = store.append(name, None, [], first, len(first))
        [(block, _), *_] = written.blocks
        blob.stage_block(block.decode()[::-1], b"left by one that was cut off")
        etag = _put(store, name, large, written.etag)
        found, kept = store.committed_blocks(name)
        assert found == etag
        appended = store.append(name, etag, [block for block, _ in kept], second, len(second))
        assert b"".join(store.read(name, appended.etag)) == large + second


@pytest.mark.parametrize("code", ["ContainerBeingDeleted", "ContainerDisabled", "AccountBeingCreated"])
def test_a_container_or_account_that_is_being_changed_is_no_runs_trouble(
    code: str, azurite: Azurite, container: ContainerClient
) -> None:
    """Everything is answered with 409; of a listing it counts whatever its code is."""
    _put(_lake(azurite, container.container_name), "x", b"there", None)
    with line.Line(azurite.port) as wire:
        lake = _lake(azurite, container.container_name, wire.endpoint)
        wire.act = lambda request: line.Answer(409, code)
        for ask in (
            lambda: list(lake.list("run/")),
            lambda: list(lake.list_level("")),
            lambda: lake.check(""),
            lambda: lake.get("x"),
            lambda: _put(lake, "x", b"y", None),
        ):
            with pytest.raises(StorageUnavailable, match=f"answers 409 {code}.*being changed or deleted"):
                ask()
        wire.act = lambda request: line.Answer(409, "Conflict")
        with pytest.raises(StorageUnavailable):
            list(lake.list("run/"))
        with pytest.raises(BlobRefused):
            lake.get("x")
