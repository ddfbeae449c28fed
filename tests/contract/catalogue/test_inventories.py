"""How far an inventory is, what it saw, and what it did not see."""

from __future__ import annotations

import dataclasses

from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.model import Delete
from tests.contract.catalogue.shelf import NOW, Shelf, put


def test_what_was_not_seen_is_gone_below_the_prefix_only(shelf: Shelf, catalogue: Catalogue) -> None:
    shelf.apply(*(put(f"lake/{number}") for number in range(10)), put("lakeside"), put("else"))
    shelf.apply(Delete("lake/9", 200.0, "x"))
    with catalogue.transaction():
        inventory = catalogue.begin_inventory(shelf.store, "lake/", NOW, NOW)
        known = catalogue.known(shelf.store, [f"lake/{number}" for number in range(7)])
        seen = [each.number for each in known.values()]
        catalogue.note_page(inventory, seen[:3])
        catalogue.note_page(inventory, seen[3:])
    assert list(catalogue.gone(inventory)) == ["lake/7", "lake/8"]
    assert catalogue.live(shelf.store, "lake/") == 9


def test_it_goes_on_where_it_was(shelf: Shelf, catalogue: Catalogue) -> None:
    with catalogue.transaction():
        inventory = catalogue.begin_inventory(shelf.store, "", NOW, NOW - 5)
        catalogue.note_page(dataclasses.replace(inventory, token="page 2", listed=5000), [])
    again = catalogue.unfinished_inventory(shelf.store, "")
    assert again is not None
    assert (again.id, again.token, again.listed, again.store_began) == (
        inventory.id,
        "page 2",
        5000,
        NOW - 5,
    )
    assert catalogue.unfinished_inventory(shelf.store, "other/") is None
    with catalogue.transaction():
        catalogue.finish_inventory(again, "complete", NOW + 9)
    assert catalogue.unfinished_inventory(shelf.store, "") is None
    [status] = catalogue.stores()
    assert status.last_inventory is not None and status.last_inventory.outcome == "complete"


def test_numbers_far_apart(shelf: Shelf, catalogue: Catalogue) -> None:
    with catalogue.transaction():
        inventory = catalogue.begin_inventory(shelf.store, "", NOW, NOW)
        catalogue.note_page(inventory, [1, 32_767, 32_768, 10_000_000])
        catalogue.note_page(inventory, [2, 32_769])
    shelf.apply(put("first"), put("second"), put("third"))
    assert list(catalogue.gone(inventory)) == ["third"]


def test_what_is_known_of_names(shelf: Shelf, catalogue: Catalogue) -> None:
    shelf.apply(put("a", "e1", 5, tier="Hot"), put("b", "e2", 6))
    shelf.apply(Delete("b", 200.0, "x"))
    known = catalogue.known(shelf.store, ["a", "b", "c"])
    assert known.keys() == {"a", "b"}
    assert (known["a"].etag, known["a"].size, known["a"].tier, known["a"].is_deleted) == (
        "e1",
        5,
        "Hot",
        False,
    )
    assert known["b"].is_deleted


def test_care(shelf: Shelf, catalogue: Catalogue) -> None:
    shelf.apply(put("a", "e1", at=100.0), put("a", "e2", at=200.0), put("b", at=100.0), put("c", at=100.0))
    shelf.apply(Delete("b", 150.0, "x"), Delete("c", 900.0, "x"))
    with catalogue.transaction():
        assert catalogue.clean(500.0)["versions"] == 2
    assert shelf.names(deleted=True) == {"a", "c"}
    assert [each.etag for each in catalogue.versions(shelf.one("a").id)] == ["e2"]
    with catalogue.transaction():
        catalogue.empty()
    assert shelf.names(deleted=True) == set() and catalogue.stores() == []
    again = Shelf(catalogue, "https://lake.blob.core.windows.net/runs")
    again.apply(put("a"))
    assert again.names("a") == {"a"}


def test_some_at_random(shelf: Shelf, catalogue: Catalogue) -> None:
    assert catalogue.random(5) == []
    shelf.apply(*(put(f"f{number}") for number in range(20)))
    shelf.apply(Delete("f3", 200.0, "x"))
    found = catalogue.random(10)
    assert len(found) == len({each.number for each in found}) == 10
    assert "f3" not in {each.name for each in found}
