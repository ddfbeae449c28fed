"""The databases keep what the pure rules say, whatever comes in whichever order; and merges can be undone."""

from __future__ import annotations

import random

import pytest

from sync_to_azure.catalogue.db.port import Catalogue, Found
from sync_to_azure.catalogue.model import Change, Delete
from tests.contract.catalogue.shelf import NOW, Shelf, claimed, proved, put

_IGNORED = ("number", "first_seen", "version_id", "id", "store", "places")


def facts(shelf: Shelf, store: str) -> list[dict[str, object]]:
    """What is on record of a store's objects and all their versions, without what tells two catalogues apart."""
    found = [each for each in shelf.found(deleted=True) if each.store == store]
    versions = [version for each in found for version in shelf.catalogue.versions(each.id)]
    return sorted((_plain(each) for each in versions), key=str)


def _plain(found: Found) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__dataclass_fields__ if name not in _IGNORED}


def changes_of(chance: random.Random) -> list[Change]:
    found: list[Change] = []
    for _ in range(chance.randint(5, 25)):
        name, etag, at = chance.choice("abc"), f"e{chance.randint(1, 3)}", float(chance.randint(1, 9))
        if chance.random() < 0.3:
            found.append(Delete(name, at, "queue", chance.choice(["", etag])))
        else:
            sums = (
                (chance.choice([claimed, proved])(chance.choice("01") * 32),) if chance.random() < 0.7 else ()
            )
            tier = chance.choice([None, "Hot", "Cool"])
            found.append(
                put(name, etag, 5, at, checksums=sums, tier=tier, modified=at, aliases=("x",) * (at > 7))
            )
    return found


@pytest.mark.parametrize("seed", range(12))
def test_any_order_any_batches_any_repetitions(catalogue: Catalogue, seed: int) -> None:
    chance = random.Random(seed)
    changes = changes_of(chance)
    one, other = Shelf(catalogue, "https://one/c"), Shelf(catalogue, "https://two/c")
    one.apply(*changes)
    again = changes + chance.sample(changes, len(changes) // 2)
    chance.shuffle(again)
    while again:
        size = chance.randint(1, 5)
        other.apply(*again[:size])
        again = again[size:]
    assert facts(one, "https://one/c") == facts(other, "https://two/c")


@pytest.mark.parametrize("seed", range(6))
def test_merges_undone_in_any_order_leave_no_trace(shelf: Shelf, seed: int) -> None:
    chance = random.Random(seed)
    shelf.apply(*(put(f"f{number}", checksums=(proved(),)) for number in range(6)))
    before = shelf.found()
    kept = before[0]
    merges = []
    for each in chance.sample(before[1:], 4):
        with shelf.catalogue.transaction():
            merges.append(shelf.catalogue.merge(kept.number, each.number, proved(), NOW))
    assert len({each.id for each in shelf.found()}) == 2
    chance.shuffle(merges)
    for merge in merges:
        with shelf.catalogue.transaction():
            assert shelf.catalogue.separate(merge, NOW)
    assert shelf.found() == before
