"""Reading: the bytes of one version, never a mixture."""

from __future__ import annotations

import os
import threading

import pytest

from sync_to_azure.core.errors import BlobMissing, BlobReplaced, DocumentTooLarge, OutOfRange
from tests.contract.stores.bench import MEBIBYTE, Bench, md5, put

CONTENT = os.urandom(9 * MEBIBYTE)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (0, 10), (5, 10), (len(CONTENT) - 1, None), (0, 0), (7, 5 * MEBIBYTE), (5, 10**12)],
)
def test_ranges_of_one_version(bench: Bench, offset: int, length: int | None) -> None:
    etag = bench.put("x", CONTENT)
    read = b"".join(bench.store.read("x", etag, offset, length=length))
    assert read == CONTENT[offset : None if length is None else offset + length]


def test_a_range_that_begins_behind_the_end(bench: Bench) -> None:
    etag = bench.put("x", b"12345")
    for offset in (5, 6):
        with pytest.raises(OutOfRange, match=f"x has no byte at offset {offset}"):
            list(bench.store.read("x", etag, offset))
    empty = bench.put("empty", b"")
    assert b"".join(bench.store.read("empty", empty)) == b""
    with pytest.raises(ValueError):
        list(bench.store.read("x", etag, -1))


def test_another_version_is_not_read(bench: Bench) -> None:
    before = bench.put("x", b"before")
    bench.replace("x", b"after!")
    for offset, length in ((0, None), (2, 3)):
        with pytest.raises(BlobReplaced):
            list(bench.store.read("x", before, offset, length=length))
    with pytest.raises(BlobReplaced):
        bench.store.md5_of("x", before)


@pytest.mark.parametrize("bound", [True, False], ids=["bound to an ETag", "of what is there"])
def test_replaced_while_it_is_read(bench: Bench, bound: bool) -> None:
    """Either all of the version at the beginning, or an error; a store may still have the old one."""
    etag = bench.put("x", CONTENT)
    chunks = bench.store.read("x", etag if bound else None)
    read = [next(chunks)]
    bench.replace("x", CONTENT[::-1])
    try:
        read += chunks
    except BlobReplaced:
        assert CONTENT.startswith(b"".join(read)), "what came before is right"
    else:
        assert b"".join(read) == CONTENT


def test_deleted_while_it_is_read(bench: Bench) -> None:
    etag = bench.put("x", CONTENT)
    chunks = bench.store.read("x", etag)
    read = [next(chunks)]
    bench.delete("x")
    try:
        read += chunks
    except (BlobMissing, BlobReplaced):
        pass
    else:
        assert b"".join(read) == CONTENT


def test_readers_beside_a_writer_see_whole_versions(bench: Bench) -> None:
    versions = [bytes([number]) * (200_000 + number) for number in range(12)]
    etag = bench.put("x", versions[0])
    over = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        store = bench.open()
        while not over.is_set():
            now = store.stat("x")
            if now is None or (now.size, now.md5) not in facts:
                wrong.append(now)
                return
            try:
                if b"".join(store.read("x", now.etag)) != facts[now.size, now.md5]:
                    wrong.append(now)
            except BlobReplaced:
                pass

    facts = {(len(version), md5(version)): version for version in versions}
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in versions[1:]:
        etag = put(bench.store, "x", version, etag)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_more_than_is_allowed(bench: Bench) -> None:
    bench.put("x", b"123456")
    with pytest.raises(DocumentTooLarge, match="x has 6 bytes"):
        bench.store.get("x", most=5)
    with pytest.raises(DocumentTooLarge):
        list(bench.store.read("x", most=5))
    assert bench.store.get("x", most=6) == b"123456"


def test_what_is_missing(bench: Bench) -> None:
    for name in ("absent", "a/b/c", "x" * 300):
        with pytest.raises(BlobMissing, match="is not there"):
            list(bench.store.read(name))
        with pytest.raises(BlobMissing):
            bench.store.md5_of(name, "0x1")
        with pytest.raises(BlobMissing):
            list(bench.store.lines(name))
        assert bench.store.stat(name) is None and bench.store.get(name) is None
        assert bench.store.get_dated(name, 10) is None and bench.store.modified(name) is None


def test_the_beginning_with_its_age(bench: Bench) -> None:
    etag = bench.put("x", b"123456")
    dated = bench.store.get_dated("x", 3)
    assert dated is not None and (dated.content, dated.etag) == (b"123", etag) and 0 <= dated.age < 600
    bench.put("empty", b"")
    dated = bench.store.get_dated("empty", 3)
    assert dated is not None and dated.content == b""


def test_lines(bench: Bench) -> None:
    long = b"x" * (5 * MEBIBYTE)
    bench.put("x", b"one\n\ntwo\n" + long + b"\nlast")
    lines = list(bench.store.lines("x"))
    assert lines[:3] == [b"one", b"", b"two"] and lines[-1] == b"last"
    assert b"".join(lines[3:-1]) == long
