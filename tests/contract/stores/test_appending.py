"""Appending: a file that grew is not sent again; blocks that are there are kept."""

from __future__ import annotations

import concurrent.futures
import io
import os

import pytest

from sync_to_azure.core.errors import BlobMissing, BlobRefused, BlobReplaced, ContentDiffers
from tests.contract.stores.bench import MEBIBYTE, Bench, md5


def ids(blocks: object) -> list[bytes]:
    return [block for block, _ in blocks]  # type: ignore[attr-defined]


def test_a_file_that_grows(bench: Bench) -> None:
    parts = [b"first ", os.urandom(9 * MEBIBYTE), b"", b"last"]
    whole, etag, kept = b"", None, []
    for part in parts:
        whole += part
        tail = io.BytesIO(part) if len(part) > 10 else part
        written = bench.store.append("x", etag, kept, tail, len(part), "text/plain", md5(whole))
        assert written.etag != etag
        etag, kept = written.etag, ids(written.blocks)
        assert bench.store.committed_blocks("x") == (etag, written.blocks)
        assert sum(size for _, size in written.blocks) == len(whole)
        assert b"".join(bench.open().read("x", etag)) == whole
        now = bench.store.stat("x")
        assert now is not None
        assert (now.size, now.etag, now.md5, now.content_type) == (len(whole), etag, md5(whole), "text/plain")


def test_a_tail_is_replaced(bench: Bench) -> None:
    one = bench.store.append("x", None, [], b"one", 3)
    two = bench.store.append("x", one.etag, ids(one.blocks), b"two", 3)
    three = bench.store.append("x", two.etag, ids(two.blocks)[:1], b"THREE", 5)
    assert bench.store.get("x") == b"oneTHREE"
    swapped = bench.store.append("x", three.etag, ids(three.blocks)[::-1], b"", 0)
    assert bench.store.get("x") == b"THREEone"
    bench.store.append("x", swapped.etag, [], b"anew", 4)
    assert bench.store.get("x") == b"anew"


def test_only_of_the_version_that_was_seen(bench: Bench) -> None:
    one = bench.store.append("x", None, [], b"one", 3)
    two = bench.store.append("x", one.etag, ids(one.blocks), b"two", 3)
    for etag in (one.etag, None):
        with pytest.raises(BlobReplaced):
            bench.store.append("x", etag, ids(one.blocks) if etag else [], b"three", 5)
    with pytest.raises(BlobMissing):
        bench.store.append("absent", two.etag, [], b"x", 1)
    assert bench.store.get("x") == b"onetwo"


def test_nothing_is_kept_of_what_was_replaced(bench: Bench) -> None:
    """Its blocks may still be known by their ids, but the bytes are another file's."""
    one = bench.store.append("x", None, [], b"one", 3)
    etag = bench.replace("x", b"another file")
    with pytest.raises(BlobReplaced):
        bench.store.append("x", one.etag, ids(one.blocks), b"two", 3)
    with pytest.raises(BlobRefused):
        bench.store.append("x", etag, ids(one.blocks), b"two", 3)
    assert bench.store.get("x") == b"another file"


def test_a_tail_that_ends_too_early(bench: Bench) -> None:
    one = bench.store.append("x", None, [], b"one", 3)
    for tail in (b"tw", io.BytesIO(b"tw")):
        with pytest.raises(ContentDiffers):
            bench.store.append("x", one.etag, ids(one.blocks), tail, 3)
    assert bench.store.get("x") == b"one"
    assert bench.store.append("x", one.etag, ids(one.blocks), io.BytesIO(b"two and more"), 3)
    assert bench.store.get("x") == b"onetwo", "a file grows while it is read: so much was asked for"


def test_content_type_and_metadata_stay(bench: Bench) -> None:
    etag = bench.put("x", b"", metadata={"sample": "ü".encode().hex()})
    written = bench.store.append("x", etag, [], b"one", 3, "other/type")
    bench.store.append("x", written.etag, ids(written.blocks), b"two", 3)
    now = bench.store.stat("x")
    assert now is not None and now.content_type == "text/plain" and dict(now.metadata) == {"sample": "c3bc"}
    assert now.md5 is None, "nobody said what it is"


def test_of_many_that_append_one_wins(bench: Bench) -> None:
    one = bench.store.append("x", None, [], b"one", 3)

    def append(number: int) -> bool:
        try:
            bench.open().append("x", one.etag, ids(one.blocks), b"%d" % number, 1)
            return True
        except BlobReplaced:
            return False

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        won = list(pool.map(append, range(6)))
    assert won.count(True) == 1 and bench.store.get("x") == b"one%d" % won.index(True)


def test_what_put_wrote(bench: Bench) -> None:
    etag = bench.put("x", b"whole")
    assert bench.store.committed_blocks("x") == (etag, ()) or bench.store.committed_blocks("x")[0] == etag
    with pytest.raises(BlobRefused, match="no such block"):
        bench.store.append("x", etag, [b"A" * 16], b"x", 1)
    with pytest.raises(BlobMissing):
        bench.store.committed_blocks("absent")
    assert bench.store.get("x") == b"whole"
