"""What becomes of changes: new, changed, gone, back; late, twice, wrong."""

from __future__ import annotations

import typing

import pytest

from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.model import Delete, Provenance
from sync_to_azure.core.model import Evidence
from tests.contract.catalogue.shelf import Shelf, claimed, proved, put


def test_a_new_object(shelf: Shelf) -> None:
    counts = shelf.apply(put("a/b.txt", "e1", 7, tier="Hot", mime="text/plain", modified=90.0, mtime=80.0))
    assert (counts.new, counts.changed, counts.poison) == (1, 0, 0)
    found = shelf.one("b")
    assert (found.name, found.size, found.etag, found.tier, found.mime) == (
        "a/b.txt",
        7,
        "e1",
        "Hot",
        "text/plain",
    )
    assert (found.modified, found.mtime, found.checksums, found.evidence) == (90.0, 80.0, (), Evidence.NONE)
    assert found.places == ((found.store, "a/b.txt"),) and found.deleted_at is None


def test_the_same_again_changes_nothing(shelf: Shelf) -> None:
    shelf.apply(put("a", checksums=(proved(),)))
    before = shelf.found()
    counts = shelf.apply(put("a", checksums=(proved(),)))
    assert (counts.unchanged, counts.new, counts.changed) == (1, 0, 0)
    assert shelf.found() == before


def test_an_id_stays_over_versions_and_a_version_keeps_its_own(shelf: Shelf) -> None:
    shelf.apply(put("a", "e1", 1, 100.0))
    first = shelf.one()
    counts = shelf.apply(put("a", "e2", 2, 200.0))
    second = shelf.one()
    assert counts.changed == 1
    assert first.id == second.id and first.version_id != second.version_id
    both = shelf.catalogue.versions(first.id)
    assert [(each.etag, each.is_current) for each in both] == [("e2", True), ("e1", False)]
    [again] = shelf.catalogue.versions(first.version_id)
    assert (again.size, again.etag) == (1, "e1"), "the same bytes for ever"


def test_a_late_message_of_an_old_version_does_not_come_back(shelf: Shelf) -> None:
    shelf.apply(put("a", "e2", 2, 200.0))
    shelf.apply(put("a", "e1", 1, 100.0))
    assert shelf.one().etag == "e2"


def test_gone_and_back(shelf: Shelf) -> None:
    shelf.apply(put("a", at=100.0))
    assert shelf.apply(Delete("a", 150.0, "inventory 1")).gone == 1
    assert shelf.names() == set()
    found = shelf.one(deleted=True)
    assert (found.deleted_at, found.deleted_by) == (150.0, "inventory 1")
    assert shelf.apply(put("a", at=160.0)).restored == 1
    assert shelf.one().deleted_at is None


def test_a_deletion_that_comes_before_its_object(shelf: Shelf) -> None:
    shelf.apply(Delete("a", 150.0, "queue"))
    shelf.apply(put("a", at=100.0))
    assert shelf.names() == set() and shelf.names(deleted=True) == {"a"}
    shelf.apply(put("a", "e2", at=170.0))
    assert shelf.names() == {"a"}


def test_a_deletion_of_an_old_version_leaves_the_new_one(shelf: Shelf) -> None:
    """Google tells of the overwritten generation after it told of the new one."""
    shelf.apply(put("a", "e1", at=100.0), put("a", "e2", at=200.0), Delete("a", 201.0, "queue", etag="e1"))
    assert shelf.one().etag == "e2"


def test_evidence_belongs_to_the_version(shelf: Shelf) -> None:
    shelf.apply(put("a", "e1", checksums=(proved(),), at=100.0))
    shelf.apply(put("a", "e2", checksums=(claimed("1" * 32),), at=200.0))
    found = shelf.one()
    assert found.evidence is Evidence.NONE
    assert [(each.value, each.provenance) for each in found.checksums] == [("1" * 32, Provenance.CLIENT)]


def test_the_strongest_claim_of_a_checksum_counts(shelf: Shelf) -> None:
    shelf.apply(put("a", checksums=(claimed(),)))
    shelf.apply(put("a", checksums=(proved(evidence=Evidence.VALIDATED),)))
    shelf.apply(put("a", checksums=(claimed(),)))
    [checksum] = shelf.one().checksums
    assert (checksum.provenance, checksum.evidence, checksum.at) == (
        Provenance.PROVED,
        Evidence.VALIDATED,
        50.0,
    )


def test_all_kinds_of_checksums_are_kept_also_those_that_disagree(shelf: Shelf) -> None:
    every = (proved(), claimed("1" * 32), proved("2" * 64, kind="sha-256"), claimed("3" * 8, kind="crc32c"))
    shelf.apply(put("a", checksums=every))
    assert set(shelf.one().checksums) == set(every)
    assert shelf.names("1" * 32) == shelf.names("2" * 64) == {"a"}


def test_an_etag_that_looks_like_an_md5_is_none(shelf: Shelf) -> None:
    shelf.apply(put("a", etag="d41d8cd98f00b204e9800998ecf8427e"))
    assert shelf.one().checksums == ()
    assert shelf.names("d41d8cd98f00b204e9800998ecf8427e") == set()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("nul\0"), "NUL"),
        (put("a", etag="e\0"), "NUL"),
        (put("\ud800"), "UTF-8"),
        (put(""), "0 characters"),
        (put("n" * 5000), "5000 characters"),
        (put("a", at=float("nan")), "calendar"),
        (put("a", at=-1.0), "calendar"),
        (put("a", size=-1), "cannot be"),
        (put("a", size=2**60), "cannot be"),
        (Delete("a", 1e300, "x"), "calendar"),
    ],
)
def test_poison_is_kept_and_blocks_nothing(shelf: Shelf, change: typing.Any, words: str) -> None:
    counts = shelf.apply(put("before"), change, put("after"))
    assert (counts.new, counts.poison) == (2, 1)
    assert shelf.names() == {"before", "after"}
    shelf.apply(change)
    count, [poisoned] = shelf.catalogue.poisoned(10)
    assert count == 1, "the same poison is kept once"
    assert words in poisoned.reason and poisoned.source == "a test"


def test_one_version_with_two_sizes_is_poison(shelf: Shelf) -> None:
    shelf.apply(put("a", size=1))
    assert shelf.apply(put("a", size=2)).poison == 1
    assert shelf.one().size == 1


@pytest.mark.parametrize(
    "name",
    [
        "a'; DROP TABLE version; --",
        'quote"d/%s/%(x)s/?',
        "percent%00/100%",
        "emoji-🧬/ﬁle.txt",
        "right-to-left-\u202e.txt",
        "line\nbreak\ttab",
        "back\\slash",
        "x/" * 500 + "end",
        "漢" * 1024,
        " leading and trailing ",
        "___",
        "A" * 1024,
    ],
)
def test_hostile_names(shelf: Shelf, name: str) -> None:
    assert shelf.apply(put(name)).new == 1
    assert shelf.apply(put(name)).unchanged == 1
    assert shelf.names() == {name}
    assert shelf.apply(Delete(name, 200.0, "x")).gone == 1
    assert [each.name for each in shelf.catalogue.versions(shelf.one(deleted=True).id)] == [name]


def test_names_with_one_long_beginning_are_told_apart(shelf: Shelf) -> None:
    shelf.apply(put("漢" * 1000 + "a"), put("漢" * 1000 + "b"))
    assert shelf.apply(put("漢" * 1000 + "a")).unchanged == 1
    assert len(shelf.names()) == 2


def test_case_tells_names_apart(shelf: Shelf) -> None:
    shelf.apply(put("a"), put("A"))
    assert shelf.names() == {"a", "A"}


def test_what_fails_within_a_transaction_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(RuntimeError):
        with shelf.catalogue.transaction():
            shelf.catalogue.apply(shelf.store, [put("a")], 1.0, "x")
            raise RuntimeError
    assert shelf.names() == set()
    shelf.apply(put("b"))
    assert shelf.names() == {"b"}


def test_runs_give_their_words_to_their_files(shelf: Shelf) -> None:
    run = shelf.run("R1", instrument="M01234", flow_cell="FC9", project="Hedgehog", samples=("Ada",))
    shelf.apply(put("x", run=run), put("y"))
    for word in ("r1", "M01234", "fc9", "hedgehog", "ADA"):
        assert shelf.names(word) == {"x"}, word
    assert shelf.run("R1", instrument="M99", samples=("Bob",)) == run
    assert shelf.names("ada") == shelf.names("m01234") == set()
    assert shelf.names("bob") == shelf.names("m99") == {"x"}
    assert shelf.one("bob").run == "R1"


def test_a_file_that_gets_its_run_later_is_found_by_its_words(shelf: Shelf) -> None:
    shelf.apply(put("x"))
    shelf.apply(put("x", run=shelf.run("R1", project="Hedgehog"), checksums=(proved(),)))
    assert shelf.names("hedgehog") == {"x"}


def test_aliases_are_kept_and_searched(shelf: Shelf) -> None:
    shelf.apply(put("x", aliases=("Original Name.raw",)))
    shelf.apply(put("x", aliases=("another",)))
    assert shelf.names("original") == shelf.names("another") == {"x"}
    assert shelf.one().aliases == ("Original Name.raw", "another")


def test_two_stores_are_apart(shelf: Shelf, catalogue: Catalogue) -> None:
    other = Shelf(catalogue, "https://other.blob.core.windows.net/runs")
    shelf.apply(put("a", size=1))
    other.apply(put("a", size=2))
    assert {(each.store, each.size) for each in shelf.found()} == {
        ("https://lake.blob.core.windows.net/runs", 1),
        ("https://other.blob.core.windows.net/runs", 2),
    }
    assert len({each.id for each in shelf.found()}) == 2
