"""Two places of the same bytes become one object, and two again."""

from __future__ import annotations

from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.query import parse
from tests.contract.catalogue.shelf import NOW, Shelf, proved, put


def test_a_merge_and_back(shelf: Shelf, catalogue: Catalogue) -> None:
    other = Shelf(catalogue, "https://copy.blob.core.windows.net/runs")
    shelf.apply(put("a", size=10, checksums=(proved(),)))
    other.apply(put("copy/a", size=10, checksums=(proved(),)))
    kept, joined = shelf.found()
    with catalogue.transaction():
        merge = catalogue.merge(kept.number, joined.number, proved(), NOW)
    both = shelf.found()
    assert {each.id for each in both} == {kept.id}
    assert [set(each.places) for each in both] == [{(kept.store, "a"), (joined.store, "copy/a")}] * 2
    [total] = catalogue.totals(parse(()))
    assert (total.objects, total.bytes, total.unique_bytes) == (2, 20, 10)
    [record] = catalogue.merges()
    assert (record.kept, record.joined, record.undone_at) == (kept.version_id, joined.version_id, None)
    with catalogue.transaction():
        assert catalogue.separate(merge, NOW)
        assert not catalogue.separate(merge, NOW), "it is undone already"
    assert shelf.found() == [kept, joined]
    assert catalogue.merges()[0].undone_at == NOW


def test_a_merge_outlives_what_is_heard_of_both_later(shelf: Shelf, catalogue: Catalogue) -> None:
    shelf.apply(put("a", size=10, checksums=(proved(),)), put("b", size=10, checksums=(proved(),)))
    kept, joined = shelf.found()
    with catalogue.transaction():
        catalogue.merge(kept.number, joined.number, proved(), NOW)
    shelf.apply(put("b", size=10, tier="Cool", at=300.0))
    assert {each.id for each in shelf.found()} == {kept.id}
    shelf.apply(put("b", "e2", size=11, at=400.0))
    assert len({each.id for each in shelf.found()}) == 2, "other bytes are another object"
