"""Only a store that was opened with the right to delete can."""

from __future__ import annotations

import concurrent.futures

import pytest

from sync_to_azure.core.errors import BlobMissing, BlobRefused, BlobReplaced
from tests.contract.stores.bench import Bench


def test_without_the_right_there_is_no_way(bench: Bench) -> None:
    assert not [name for name in dir(bench.store) if "delete" in name or "remove" in name]


def test_only_what_was_seen(bench: Bench) -> None:
    store = bench.open_deleting()
    before = bench.put("a/b/x", b"before")
    now = bench.replace("a/b/x", b"now")
    with pytest.raises(BlobReplaced):
        store.delete("a/b/x", before)
    assert store.get("a/b/x") == b"now"
    store.delete("a/b/x", now)
    assert store.stat("a/b/x") is None and list(store.list("")) == []
    store.delete("a/b/x", now)
    assert bench.put("a/b", b"the folder is gone, too")


def test_snapshots_do_not_go_with_it(bench: Bench) -> None:
    store = bench.open_deleting()
    etag = bench.put("x", b"kept")
    moment = store.snapshot("x", etag)
    try:
        store.delete("x", etag)
    except BlobRefused:
        assert store.get("x") == b"kept"
    assert b"".join(store.read("x", snapshot=moment)) == b"kept"


def test_asking_changes_nothing(bench: Bench) -> None:
    store = bench.open_deleting()
    etag = bench.put("a/x", b"x")
    store.may_delete("a/x")
    now = store.stat("a/x")
    assert now is not None and now.etag == etag
    with pytest.raises(BlobMissing):
        store.may_delete("a/absent")


def test_what_is_written_while_its_folder_goes(bench: Bench) -> None:
    """A folder goes with the last object in it: whoever writes another one there just then is not lost."""
    store = bench.open_deleting()

    def write_and_delete(number: int) -> None:
        for turn in range(20):
            etag = bench.put(f"deep/er/folder/{number}", b"%d" % turn)
            assert bench.store.get(f"deep/er/folder/{number}") == b"%d" % turn
            store.delete(f"deep/er/folder/{number}", etag)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write_and_delete, range(4)))
    assert list(store.list("")) == []
