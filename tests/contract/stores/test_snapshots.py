"""Snapshots: the bytes of one moment stay when the object is replaced."""

from __future__ import annotations

import pytest

from sync_to_azure.core.errors import BlobMissing, BlobReplaced
from tests.contract.stores.bench import Bench


def test_they_stay_when_the_object_is_replaced(bench: Bench) -> None:
    etag = bench.put("a/x", b"one")
    first = bench.store.snapshot("a/x", etag)
    second = bench.store.snapshot("a/x")
    assert first != second
    now = bench.put("a/x", b"two!", etag)
    third = bench.store.snapshot("a/x", now)
    bench.put("a/x", b"three", now)
    store = bench.open()
    for moment, content in ((first, b"one"), (second, b"one"), (third, b"two!")):
        assert b"".join(store.read("a/x", snapshot=moment)) == content
    assert store.get("a/x") == b"three"
    assert [blob.name for blob in store.list("")] == ["a/x"], "they are not listed"


def test_only_of_the_version_that_was_seen(bench: Bench) -> None:
    etag = bench.put("x", b"one")
    bench.replace("x", b"two")
    with pytest.raises(BlobReplaced):
        bench.store.snapshot("x", etag)


def test_of_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(BlobMissing):
        bench.store.snapshot("absent")
    with pytest.raises(BlobMissing):
        bench.store.snapshot("absent", "0x1")
    bench.put("x", b"one")
    with pytest.raises(BlobMissing):
        list(bench.store.read("x", snapshot="2026-01-01T00:00:00.0000000Z"))
