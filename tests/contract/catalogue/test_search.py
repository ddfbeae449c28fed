"""Words, beginnings, parts; filters, pages, counts, totals."""

from __future__ import annotations

import pytest

from sync_to_azure.catalogue.db.port import COUNTED
from sync_to_azure.catalogue.query import Filters, parse
from sync_to_azure.core.model import Evidence
from tests.contract.catalogue.shelf import Shelf, claimed, proved, put

NAMES = (
    "lake/R1/Sample_12_S1_L001.fastq.gz",
    "lake/R1/sample_123_S10_L002.fastq.gz",
    "lake/R2/Ångström-µ.RAW",
    "x",
)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("sample",), {0, 1}),
        (("SAMPLE",), {0, 1}),
        (("S1",), {0}),
        (("S1*",), {0, 1}),
        (("*mple*",), {0, 1}),
        (("*ple_12*",), {0, 1}),
        (("12",), {0}),
        (("12*",), {0, 1}),
        (("*23*L00*",), set()),
        (("*23_S10_L00*",), {1}),
        (("S1_L001",), {0}),
        (("R1/Sample_12_S1",), {0}),
        (("lake/R1/",), {0, 1}),
        (("sample", "L002"), {1}),
        (("sample", "r2"), set()),
        (("x",), {3}),
        (("x*",), {3}),
        (("ångström",), {2}),
        (("ÅNGSTRÖM-Μ",), {2}),
        (("*gström*",), {2}),
        (("nothing",), set()),
        ((), {0, 1, 2, 3}),
    ],
)
def test_words(shelf: Shelf, words: tuple[str, ...], numbers: set[int]) -> None:
    shelf.apply(*map(put, NAMES))
    assert shelf.names(*words) == {NAMES[number] for number in numbers}


@pytest.mark.parametrize(
    "word", ["'", '"', "%", "_", "a'b", 'a"b', "%s", "NEAR", "AND", "-a", "a:b", "(", "^x"]
)
def test_no_word_is_a_language_of_its_own(shelf: Shelf, word: str) -> None:
    shelf.apply(put("a b"), put("and near not or"))
    if any(letter.isalnum() for letter in word):
        shelf.found(word)
        assert shelf.names("AND") == shelf.names("near") == {"and near not or"}


def test_pages_hold_each_result_once_whatever_is_added(shelf: Shelf) -> None:
    shelf.apply(*(put(f"file-{number:03}.txt") for number in range(25)))
    found, after = [], 0
    while page := shelf.found("txt", after=after, limit=7):
        found += [each.name for each in page]
        after = page[-1].number
        shelf.apply(put(f"other-{after}.csv"))
    assert found == [f"file-{number:03}.txt" for number in range(25)]


def test_filters(shelf: Shelf) -> None:
    one = shelf.run("R1", instrument="M1", flow_cell="F1", project="P1", samples=("Ada", "Bob"))
    two = shelf.run("R2", instrument="M2", flow_cell="F2", project="P2", samples=("Bob",))
    shelf.apply(
        put("a", run=one, checksums=(proved(),), tier="Hot", mtime=100.0),
        put("b", run=two, checksums=(proved("1" * 32, Evidence.VALIDATED),), tier="Cool", modified=200.0),
        put("c", checksums=(claimed(),), tier="Archive", modified=300.0),
    )
    assert shelf.names(run="R1") == shelf.names(instrument="M1") == shelf.names(flow_cell="F1") == {"a"}
    assert shelf.names(project="P2") == {"b"}
    assert shelf.names(sample="Bob") == {"a", "b"} and shelf.names(sample="Ada") == {"a"}
    assert shelf.names(tier="archive") == {"c"}
    assert shelf.names(evidence=Evidence.VALIDATED) == {"a", "b"}
    assert shelf.names(evidence=Evidence.READ_BACK) == {"a"}
    assert shelf.names(since=150.0) == {"b", "c"} and shelf.names(until=150.0) == {"a"}
    assert shelf.names(store="nowhere") == set()
    assert shelf.names("0" * 32) == {"a", "c"}
    assert shelf.names("0" * 32, run="R1") == {"a"}


def test_counts_are_exact_up_to_their_limit(shelf: Shelf) -> None:
    shelf.apply(*(put(f"f{number}.txt", tier="Hot") for number in range(COUNTED)))
    query = parse(("txt",))
    assert shelf.catalogue.count(query) == COUNTED
    assert shelf.catalogue.facets(query)["tier"] == {"Hot": COUNTED}
    shelf.apply(*(put(f"g{number}.txt", tier="Cool") for number in range(5)))
    assert shelf.catalogue.count(query) == COUNTED + 1
    assert sum(shelf.catalogue.facets(query)["tier"].values()) == COUNTED
    assert shelf.catalogue.count(parse(("f77",))) == 1


def test_totals(shelf: Shelf) -> None:
    run = shelf.run("R1", project="P1")
    shelf.apply(
        put("a", size=10, run=run, tier="Hot"),
        put("b", size=20, run=run, tier="Hot"),
        put("c", size=5, tier="Cool"),
    )
    totals = {
        (each.cloud, each.region, each.tier, each.project): (each.objects, each.bytes)
        for each in shelf.catalogue.totals(parse(()))
    }
    assert totals == {
        ("azure", "westeurope", "Cool", ""): (1, 5),
        ("azure", "westeurope", "Hot", "P1"): (2, 30),
    }
    assert [each.bytes for each in shelf.catalogue.totals(parse((), Filters(project="P1")))] == [30]
    assert shelf.catalogue.totals(parse(("nothing",))) == []


def test_the_views_keep_their_columns(shelf: Shelf) -> None:
    """Under contract: columns are added at the end of the list here, never renamed or dropped (docs/catalogue.md)."""
    run = shelf.run("R1", samples=("Ada",))
    shelf.apply(put("a", run=run, checksums=(proved(),)))
    columns = {
        view: list(next(iter(shelf.catalogue.rows(view))))
        for view in ("catalogue_files", "catalogue_runs", "catalogue_samples", "catalogue_events")
    }
    assert columns == {
        "catalogue_files": (
            "id version_id name size store kind cloud region tier mime_type etag store_version modified file_modified"
            " md5 md5_provenance evidence evidence_at run instrument flow_cell project first_seen last_seen is_current"
            " deleted_at deleted_by"
        ).split(),
        "catalogue_runs": (
            "run store base generation profile outcome instrument instrument_type flow_cell project files bytes"
            " weakest_evidence published_at sheet_findings problems"
        ).split(),
        "catalogue_samples": "sample run store project".split(),
        "catalogue_events": "at event id version_id name source".split(),
    }
    [file] = shelf.catalogue.rows("catalogue_files")
    assert (file["md5"], file["md5_provenance"], file["evidence"]) == ("0" * 32, "proved", "read-back")
    assert file["id"] == shelf.one().id and file["version_id"] == shelf.one().version_id
