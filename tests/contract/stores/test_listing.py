"""Listing: a stream of pages that can be gone on with, by another process and another day."""

from __future__ import annotations

import pytest

from sync_to_azure.core.errors import TokenRefused
from sync_to_azure.stores.store import Store
from tests.contract.stores.bench import Bench

TREE = [
    "run.json",
    "run.sync",
    "run-2/x",
    "run/a",
    "run/a-b",
    "run/b/c/d",
    "run/b/e",
    "run/%",
    "run/" + "l" * 300,
    "run/" + "l" * 300 + "m/n",
    "run/z\n",
    "runs",
]


@pytest.fixture
def tree(bench: Bench) -> Bench:
    for name in TREE:
        bench.put(name, name.encode(), metadata={"of": "this"})
    return bench


def pages(store: Store, prefix: str, size: int, after: str = "") -> list[list[str]]:
    return [[blob.name for blob in page.blobs] for page in store.pages(prefix, after, size)]


@pytest.mark.parametrize(
    "prefix", ["", "run", "run/", "run/b", "run/b/", "run/a", "run/" + "l" * 280, "none/", "run/a/", "%"]
)
def test_all_names_with_a_prefix_once(tree: Bench, prefix: str) -> None:
    expected = sorted(name for name in TREE if name.startswith(prefix))
    assert sorted(blob.name for blob in tree.store.list(prefix)) == expected
    for size in (1, 2, 5, 100):
        found = pages(tree.store, prefix, size)
        assert sorted(sum(found, [])) == expected and max(map(len, found)) <= size


def test_it_shows_what_stat_shows(tree: Bench) -> None:
    for blob in tree.store.list(""):
        now = tree.store.stat(blob.name)
        assert now is not None and blob.modified is not None and now.modified is not None
        assert abs(blob.modified - now.modified) < 0.001
        assert (blob.size, blob.md5, blob.etag, blob.content_type, dict(blob.metadata)) == (
            now.size,
            now.md5,
            now.etag,
            now.content_type,
            dict(now.metadata),
        )
        assert dict(blob.metadata) == {"of": "this"}


@pytest.mark.parametrize("prefix", ["", "run/"])
@pytest.mark.parametrize("size", [1, 3])
def test_going_on_after_each_page(tree: Bench, prefix: str, size: int) -> None:
    whole = pages(tree.store, prefix, size)
    tokens = [page.token for page in tree.store.pages(prefix, page_size=size)]
    assert tokens[-1] == "" and "" not in tokens[:-1]
    for number, token in enumerate(tokens[:-1], 1):
        assert sum(pages(tree.open(), prefix, size, token), []) == sum(whole[number:], [])
        assert sum(pages(tree.open(), prefix, 100, token), []) == sum(whole[number:], [])


def test_going_on_after_what_is_gone(tree: Bench) -> None:
    """What a token was made of may be deleted; the rest comes all the same, and what is new does no harm."""
    iterator = iter(tree.store.pages("run/", page_size=3))
    first = next(iterator)
    for blob in first.blobs:
        tree.delete(blob.name)
    tree.put("run/new", b"new")
    rest = sum(pages(tree.open(), "run/", 2, first.token), [])
    expected = {name for name in TREE if name.startswith("run/")} - {blob.name for blob in first.blobs}
    assert expected <= set(rest) <= expected | {"run/new"} and len(rest) == len(set(rest))


def test_a_token_that_is_none(local: Bench) -> None:
    """Azurite takes any text for a marker; test_errors.py has the service's own answer."""
    local.put("x", b"x")
    assert next(iter(local.store.pages("x"))).token == ""
    for wrong in ("x", "bm9uZQ==", "\n"):
        with pytest.raises(TokenRefused, match="begin again"):
            list(local.store.pages("", wrong))


def test_an_empty_listing(bench: Bench) -> None:
    [page] = bench.store.pages("run/")
    assert (list(page.blobs), page.token) == ([], "")
    assert list(bench.store.list_level("")) == [] == list(bench.store.list_level("run/", folders=True))


@pytest.mark.parametrize(
    "prefix", ["", "run", "run/", "run/b/", "run/b", "run/b/c/", "none/", "run/" + "l" * 280]
)
def test_one_level(tree: Bench, prefix: str) -> None:
    below = [name for name in TREE if name.startswith(prefix)]
    names = {name for name in below if "/" not in name[len(prefix) :]}
    folders = {
        prefix + name[len(prefix) :].partition("/")[0] + "/" for name in below if "/" in name[len(prefix) :]
    }
    assert sorted(tree.store.list_level(prefix)) == sorted(names)
    assert sorted(tree.store.list_level(prefix, folders=True)) == sorted(names | folders)


def test_what_others_wrote_is_listed(bench: Bench) -> None:
    bench.write_outside("run/theirs", b"theirs")
    [blob] = bench.store.list("")
    now = bench.store.stat("run/theirs")
    assert now is not None and (blob.name, blob.size, blob.etag) == ("run/theirs", 6, now.etag)
    assert b"".join(bench.store.read("run/theirs", blob.etag)) == b"theirs"
    bench.put("run/theirs", b"ours", blob.etag)
    assert bench.store.get("run/theirs") == b"ours"
