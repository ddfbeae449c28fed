"""Writing: all or nothing, compared on its way, and only over what the writer expects."""

from __future__ import annotations

import concurrent.futures
import io
import os
import threading
import time

import pytest

from sync_to_azure.core.errors import BlobRefused, BlobReplaced, ContentDiffers, SyncError
from tests.contract.stores.bench import MEBIBYTE, Bench, md5, put

NAMES = [
    "plain",
    "a/b/c",
    "a b",
    "ä/ü",
    "<&>\"'",
    "x%20y",
    "100%",
    "%2E%2E/x",
    "%e",
    "q?r#s",
    "  blanks ",
    "new\nline",
    "日本" * 100,
    "long/" + "x" * 600 + "/" + "ü" * 200,
    ".sync_to_azure-store/facts/x",
    ".sync_to_azure-claims/RUN/1",
]


def test_what_was_written_is_there_with_its_facts(bench: Bench) -> None:
    before = time.time()
    etag = bench.put("dest/run/file", b"content", metadata={"Sample": "1"})
    found = bench.open().stat("dest/run/file")
    assert found is not None
    assert (found.name, found.size, found.md5, found.etag) == ("dest/run/file", 7, md5(b"content"), etag)
    assert (found.content_type, dict(found.metadata)) == ("text/plain", {"sample": "1"})
    assert found.modified is not None and before - 2 < found.modified < time.time() + 2
    assert bench.store.modified("dest/run/file") == found.modified
    assert bench.store.get("dest/run/file") == b"content" and bench.store.exists("dest/run/file")
    assert bench.store.stat("dest/run/fil") is None and bench.store.get("dest/run") is None


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(bench: Bench, name: str) -> None:
    etag = bench.put(name, name.encode())
    assert bench.store.get(name) == name.encode()
    assert [(each.name, each.etag) for each in bench.store.list("")] == [(name, etag)]
    bench.delete(name)
    assert list(bench.store.list("")) == []


@pytest.mark.parametrize("name", ["", "x" * 1025, "not utf-8 \udcff"])
def test_names_that_no_store_takes(bench: Bench, name: str) -> None:
    with pytest.raises(BlobRefused, match="give it another name"):
        bench.put(name, b"x")
    assert list(bench.store.list("")) == []


@pytest.mark.parametrize("size", [0, 1, 5 * MEBIBYTE, 9 * MEBIBYTE])
@pytest.mark.parametrize("as_stream", [False, True], ids=["bytes", "stream"])
def test_sizes(bench: Bench, size: int, as_stream: bool) -> None:
    content = os.urandom(size)
    etag = bench.store.put(
        "x", io.BytesIO(content) if as_stream else content, size, md5(content), "text/plain", None
    )
    found = bench.store.stat("x")
    assert found is not None and (found.size, found.md5, found.etag) == (size, md5(content), etag)
    assert b"".join(bench.store.read("x", etag)) == content and bench.store.md5_of("x", etag) == md5(content)


@pytest.mark.parametrize("size", [100, 9 * MEBIBYTE])
@pytest.mark.parametrize("fault", ["other bytes", "too short"])
@pytest.mark.parametrize("as_stream", [False, True], ids=["bytes", "stream"])
def test_what_is_not_what_was_announced_is_not_written(
    bench: Bench, size: int, fault: str, as_stream: bool
) -> None:
    announced = os.urandom(size)
    came = announced[:-1] + (bytes([announced[-1] ^ 1]) if fault == "other bytes" else b"")
    before = bench.put("there", b"before")
    for name, replaces in (("there", before), ("new", None)):
        with pytest.raises(ContentDiffers, match=f"{name} was not written"):
            bench.store.put(
                name, io.BytesIO(came) if as_stream else came, size, md5(announced), "text/plain", replaces
            )
    assert bench.store.get("there") == b"before" and bench.store.stat("new") is None


@pytest.mark.parametrize("stood", [False, True], ids=["nothing was there", "an earlier one was there"])
def test_only_over_what_was_there(bench: Bench, stood: bool) -> None:
    before = bench.put("x", b"before") if stood else None
    theirs = bench.replace("x", b"theirs")
    with pytest.raises(BlobReplaced, match="x was written by another writer since it was listed"):
        bench.put("x", b"ours", before)
    assert bench.store.get("x") == b"theirs"
    ours = bench.put("x", b"ours", theirs)
    now = bench.store.stat("x")
    assert now is not None and now.etag == ours and bench.store.get("x") == b"ours"


def test_not_over_what_is_not_there_any_more(bench: Bench) -> None:
    before = bench.put("x", b"before")
    bench.delete("x")
    with pytest.raises(BlobReplaced):
        bench.put("x", b"ours", before)
    assert bench.store.stat("x") is None


@pytest.mark.parametrize("wild", ["*", "", '"', "0x0"])
def test_no_etag_means_any(bench: Bench, wild: str) -> None:
    bench.put("x", b"before")
    with pytest.raises(BlobReplaced):
        bench.put("x", b"ours", wild)
    with pytest.raises(BlobReplaced):
        bench.put("absent", b"ours", wild)
    with pytest.raises(BlobReplaced):
        list(bench.store.read("x", wild or "0"))
    with pytest.raises(BlobReplaced):
        bench.open_deleting().delete("x", wild)
    assert bench.store.get("x") == b"before" and bench.store.stat("absent") is None


def test_asked_again_it_is_ours(bench: Bench) -> None:
    """The answer to the first try was lost: the same bytes are there."""
    etag = bench.put("x", b"ours")
    assert bench.put("x", b"ours") == etag
    other = bench.put("x", b"others", etag)
    assert bench.put("x", b"others", etag) == other
    with pytest.raises(BlobReplaced):
        bench.put("x", b"others", etag, metadata={"other": "metadata"})


def test_each_write_has_an_etag_of_its_own(bench: Bench) -> None:
    etags, etag = set(), None
    for _ in range(10):
        for content in (b"one", b"two"):
            etag = bench.put("x", content, etag)
            etags.add(etag)
    bench.delete("x")
    etags.add(bench.put("x", b"one"))
    assert len(etags) == 21


@pytest.mark.parametrize("stood", [False, True], ids=["if absent", "if it has this ETag"])
def test_of_many_writers_one_wins(bench: Bench, stood: bool) -> None:
    for turn in range(5):
        name = f"{turn}"
        before = bench.put(name, b"before") if stood else None
        start = threading.Barrier(8)

        def write(number: int) -> str | None:
            store = bench.open()
            start.wait()
            try:
                return put(store, name, f"writer {number}".encode(), before)
            except BlobReplaced:
                return None

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            etags = list(pool.map(write, range(8)))
        [winner] = [number for number, etag in enumerate(etags) if etag is not None]
        now = bench.store.stat(name)
        assert now is not None and now.etag == etags[winner]
        assert bench.store.get(name) == f"writer {winner}".encode()


def test_a_counter_that_many_raise_misses_nothing(bench: Bench) -> None:
    """Read, add one, write under the condition of what was read; else once more. The bytes say who wrote them: two that
    write the same both count as written."""
    bench.put("counter", b"0 by nobody")

    def raise_it(number: int) -> None:
        store, left = bench.open(), 5
        while left:
            now = store.get_dated("counter", 100)
            assert now is not None
            try:
                put(store, "counter", b"%d by %d" % (int(now.content.split()[0]) + 1, number), now.etag)
                left -= 1
            except BlobReplaced:
                pass

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_it, range(4)))
    assert (bench.store.get("counter") or b"").split()[0] == b"20"


def test_what_goes_wrong_is_one_of_ours(bench: Bench) -> None:
    """Whatever a stream of the caller raises is the caller's."""

    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise InterruptedError("by the caller's own disk")

    with pytest.raises((InterruptedError, SyncError)):
        bench.store.put("x", Broken(), 5, bytes(16), "text/plain", None)  # type: ignore[arg-type]
    assert bench.store.stat("x") is None
