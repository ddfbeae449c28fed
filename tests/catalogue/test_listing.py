"""Inventories of a store: streaming, stopped and gone on with, and what is gone."""

from __future__ import annotations

import collections.abc
import pathlib
import typing

import pytest

from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.inventory import addresses, listing
from sync_to_azure.catalogue.query import Filters, parse
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import ConfigurationError, StorageUnavailable
from sync_to_azure.stores.store_config import StoreConfig
from sync_to_azure.stores.opening import open_store
from sync_to_azure.stores.store import Page


class Pages:
    """A store with small pages, which fails after some."""

    def __init__(self, folder: pathlib.Path, most: int = 10**6) -> None:
        self.store = open_store(StoreConfig(folder.parent.as_uri(), folder.name), read_only=True)
        self.most = most

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self.store, name)

    def pages(self, prefix: str, after: str = "", page_size: int = 0) -> collections.abc.Iterator[Page]:
        for number, page in enumerate(self.store.pages(prefix, after, 7)):
            if number == self.most:
                raise StorageUnavailable("the line is cut")
            yield page


def write(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def take(
    catalogue: Catalogue, folder: pathlib.Path, most: int = 10**6, **options: typing.Any
) -> listing.Listed:
    store = typing.cast(typing.Any, Pages(folder, most))
    return listing.take(catalogue, store, addresses.folder(folder), Clock(), **options)


def names(catalogue: Catalogue, deleted: bool = False) -> set[str]:
    return {each.name for each in catalogue.search(parse((), Filters(deleted=deleted)), 0, 10_000)}


def test_a_folder_is_entered_and_nothing_is_written_into_it(
    catalogue: Catalogue, folder: pathlib.Path
) -> None:
    write(folder, *(f"run/{number:03}.txt" for number in range(30)))
    done = take(catalogue, folder)
    assert (done.listed, done.applied.new, done.gone.count) == (30, 30, 0)
    assert names(catalogue) == {f"run/{number:03}.txt" for number in range(30)}
    assert [each.name for each in folder.iterdir()] == ["run"]


def test_the_same_again_changes_nothing(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, *(f"{number}" for number in range(20)))
    take(catalogue, folder)
    done = take(catalogue, folder)
    assert done.applied.counts() | {"unchanged": 20} == {
        **dict.fromkeys(("new", "changed", "gone", "restored", "poison"), 0),
        "unchanged": 20,
    }


def test_it_goes_on_where_it_was_stopped(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, *(f"{number:03}" for number in range(50)))
    with pytest.raises(StorageUnavailable):
        take(catalogue, folder, most=3)
    assert len(names(catalogue)) == 21
    write(folder, "000-before-where-it-goes-on")
    done = take(catalogue, folder)
    assert done.went_on and done.listed == 50 and done.applied.new == 50
    assert take(catalogue, folder).applied.new == 1


def test_a_stopped_one_deletes_nothing(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, *(f"{number:03}" for number in range(50)))
    take(catalogue, folder)
    (folder / "049").unlink()
    with pytest.raises(StorageUnavailable):
        take(catalogue, folder, most=3)
    assert "049" in names(catalogue)
    assert take(catalogue, folder).applied.gone == 1
    assert "049" not in names(catalogue) and "049" in names(catalogue, deleted=True)


def test_begun_anew(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, *(f"{number:03}" for number in range(50)))
    with pytest.raises(StorageUnavailable):
        take(catalogue, folder, most=3)
    done = take(catalogue, folder, anew=True)
    assert not done.went_on and done.listed == 50 and done.applied.unchanged == 21


def test_what_changed_and_what_came_back(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, *(f"{number:03}" for number in range(50)))
    take(catalogue, folder)
    (folder / "007").write_text("other bytes")
    (folder / "008").unlink()
    done = take(catalogue, folder)
    assert (done.applied.changed, done.applied.gone, done.applied.unchanged) == (1, 1, 48)
    write(folder, "008")
    assert take(catalogue, folder).applied.restored == 1


@pytest.mark.parametrize(("files", "going"), [(100, 6), (10, 1), (50, 50)])
def test_too_many_gone_are_held_until_that_very_list_is_named(
    catalogue: Catalogue, folder: pathlib.Path, files: int, going: int
) -> None:
    write(folder, *(f"{number:03}" for number in range(files)))
    take(catalogue, folder)
    for number in range(going):
        (folder / f"{number:03}").unlink()
    held = take(catalogue, folder)
    assert held.gone.held and held.gone.count == going and len(names(catalogue)) == files
    assert take(catalogue, folder, accepted="0123456789abcdef").gone.held
    if going < files:
        (folder / f"{files - 1:03}").unlink()
        other = take(catalogue, folder, accepted=held.gone.digest)
        assert other.gone.held and other.gone.digest != held.gone.digest, "another list by now"
        held = other
    done = take(catalogue, folder, accepted=held.gone.digest)
    assert not done.gone.held and done.applied.gone == held.gone.count
    assert len(names(catalogue)) == files - held.gone.count


def test_a_folder_that_vanished_deletes_nothing(catalogue: Catalogue, folder: pathlib.Path) -> None:
    write(folder, "a", "b")
    take(catalogue, folder)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(StorageUnavailable):
        take(catalogue, folder)
    folder.mkdir()
    assert take(catalogue, folder).gone.held, "an empty mount point"
    assert names(catalogue) == {"a", "b"}


def test_a_prefix_has_an_inventory_of_its_own(catalogue: Catalogue, folder: pathlib.Path) -> None:
    import dataclasses

    write(folder, *(f"one/{number}" for number in range(40)), "two/x")
    take(catalogue, folder)
    (folder / "two/x").unlink()
    (folder / "one/39").unlink()
    part = dataclasses.replace(addresses.folder(folder), prefix="one/")
    store = typing.cast(typing.Any, Pages(folder))
    done = listing.take(catalogue, store, part, Clock())
    assert done.applied.gone == 1 and "two/x" in names(catalogue)


@pytest.mark.parametrize(
    ("text", "address", "prefix"),
    [
        ("https://Lake.blob.core.windows.net/runs", "https://lake.blob.core.windows.net/runs", ""),
        ("https://lake.blob.core.windows.net/runs/", "https://lake.blob.core.windows.net/runs", ""),
        (
            "https://lake.blob.core.windows.net/runs/a/b%20c",
            "https://lake.blob.core.windows.net/runs",
            "a/b c",
        ),
        ("http://127.0.0.1:10000/dev/runs/x/", "http://127.0.0.1:10000/dev/runs", "x/"),
        ("file:///data/a%20b", "file:///data/a%20b", ""),
        ("/data/x", "file:///data/x", ""),
        ("x", "file:///cwd/x", ""),
    ],
)
def test_addresses(text: str, address: str, prefix: str) -> None:
    found = addresses.target(text, pathlib.Path("/cwd"))
    assert (found.store.address, found.prefix) == (address, prefix)


@pytest.mark.parametrize(
    "text",
    [
        "https://lake.blob.core.windows.net",
        "https://lake.blob.core.windows.net/runs?sv=1&sig=hunter2",
        "https://user:hunter2@host/runs",
        "s3://bucket/x",
        "http://[",
        "/",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        addresses.target(text, pathlib.Path("/cwd"))
    assert "hunter2" not in str(caught.value)
