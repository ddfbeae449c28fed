"""Manifest, walk and listing joined: what is sent, what is proved, what is frozen."""

from __future__ import annotations

import os
import pathlib
import sqlite3
import typing

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.transfer.ledger import Files, Ledger
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.transfer.ledger.removal_queries import entries_with_blobs
from sync_to_azure.transfer.ledger.read_backs import TO_REMOVE, to_publish
from sync_to_azure.core.model import Blob, Entry, Evidence, FileToSend, Kind, Sent, State

if typing.TYPE_CHECKING:
    from tests.transfer.ledger.conftest import Bench

PREFIX = "dest/run/"


def stub(name: str) -> Blob:
    return Blob(PREFIX + name, 0, None, "s", folder_stub=True)


# The verdict


def test_all_there_is_verified_with_the_evidence_of_a_listing(bench: Bench) -> None:
    bench.manifest({"a": "1", "b/c": "22"})
    bench.list({"a": "1", "b/c": "22"})
    verdict = bench.files.verdict(bench.run)
    assert verdict.is_verified
    assert (verdict.files, verdict.bytes, verdict.verified, verdict.extras) == (2, 3, 2, 0)
    assert verdict.weakest is Evidence.LISTED


def test_what_is_wrong_is_told_with_its_reason(bench: Bench) -> None:
    bench.manifest({name: "12" for name in ("good", "missing", "md5", "size", "none", "stub")})
    bench.walk({name: "12" for name in ("good", "missing", "md5", "size", "none", "stub", "unhashed")})
    bench.files.plan.merge_walk(bench.run)
    bench.list(
        {"good": "12", "md5": "34", "size": "123", "unhashed": "12"},
        others=(Blob(PREFIX + "none", 2, None, "1"), stub("stub")),
    )
    verdict = bench.files.verdict(bench.run)
    assert set(verdict.wrong) == {
        "missing (missing)",
        "md5 (another MD5)",
        "size (size 3 instead of 2)",
        "none (no MD5)",
        "stub (size 0 instead of 2)",
        "unhashed (not hashed)",
    }
    assert (verdict.verified, verdict.wrong_count, verdict.is_verified) == (1, 6, False)
    assert verdict.weakest is Evidence.NONE


def test_an_empty_file_is_not_mistaken_for_the_stub_of_a_folder(bench: Bench) -> None:
    bench.manifest({"empty": ""})
    bench.list({}, others=(stub("empty"),))
    assert not bench.files.verdict(bench.run).is_verified
    assert bench.planned() == ["empty"]


def test_extras_are_counted_and_never_block_stubs_are_none(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    bench.list({"a": "1", "x": "2", "y": "3"}, others=(stub("folder"),))
    verdict = bench.files.verdict(bench.run)
    assert verdict.is_verified and verdict.extras == 2


def test_no_files_at_all(bench: Bench) -> None:
    bench.manifest({})
    bench.list({})
    verdict = bench.files.verdict(bench.run)
    assert (verdict.files, verdict.bytes, verdict.wrong, verdict.weakest) == (0, 0, (), Evidence.NONE)


def test_validated_only_where_it_was_sent_and_the_etag_is_new(bench: Bench) -> None:
    content = {"sent": "1", "skipped": "2", "there": "3", "large": "4"}
    bench.manifest(content)
    bench.list({"skipped": "2", "there": "3"}, etag="before")
    bench.send(["sent", "skipped"])
    bench.send(["large"], Evidence.LISTED)
    bench.list(
        {"sent": "1", "large": "4"},
        etag="after",
        others=tuple(
            Blob(PREFIX + name, 1, bench.rows()[name][2], "before") for name in ("skipped", "there")
        ),
    )
    bench.files.verdict(bench.run)
    assert bench.evidence() == {
        "sent": Evidence.VALIDATED,
        "skipped": Evidence.LISTED,
        "there": Evidence.LISTED,
        "large": Evidence.LISTED,
    }


def test_evidence_belongs_to_the_etag_of_our_own_answer(bench: Bench) -> None:
    """A blob that somebody overwrote between our upload and the listing, with the same size and a claimed MD5, was once
    taken for the one that the service had validated."""
    bench.manifest({"ours": "1", "overwritten": "2", "azcopy": "3", "weak": "4"})
    bench.list({})
    bench.send(["ours", "overwritten"], etag="answer")
    bench.send(["azcopy"])
    bench.send(["weak"], Evidence.LISTED, etag="answer")
    bench.list(
        {"ours": "1", "weak": "4"},
        etag="answer",
        others=tuple(
            Blob(PREFIX + name, 1, bench.rows()[name][2], "later") for name in ("overwritten", "azcopy")
        ),
    )
    bench.files.verdict(bench.run)
    assert bench.evidence() == {
        "ours": Evidence.VALIDATED,
        "overwritten": Evidence.LISTED,
        "azcopy": Evidence.VALIDATED,
        "weak": Evidence.LISTED,
    }
    assert bench.own() == {"ours"}
    # Before a removal, all but what our own answer named is read back; that names an ETag, too.
    assert bench.files.read_backs.to_read_back(bench.run, to_publish(Evidence.VALIDATED)) == (2, 2)
    assert bench.files.read_backs.to_read_back(bench.run, TO_REMOVE) == (3, 3)
    for row in list(bench.files.read_backs.each_to_read_back(bench.run, TO_REMOVE)):
        bench.files.set_evidence(bench.run, row.blob, row.etag, Evidence.READ_BACK)
    assert bench.own() == {"ours", "overwritten", "azcopy", "weak"}
    # And is no more once the blob stands under another ETag.
    bench.list({"ours": "1", "overwritten": "2", "azcopy": "3", "weak": "4"}, etag="later")
    bench.files.verdict(bench.run)
    assert bench.own() == {"overwritten", "azcopy"}


def test_a_blob_that_another_writer_put_there_is_not_ours_beside_the_blobs_of_others(bench: Bench) -> None:
    bench.run.foreign_blobs = True
    bench.manifest({"a": "1", "b": "2"})
    bench.list({"a": "x", "b": "x"}, etag="before")
    bench.send(["a", "b"], etag="answer")
    bench.list({"a": "y"}, etag="answer", others=(Blob(PREFIX + "b", 1, b"y" * 16, "other"),))
    bench.files.verdict(bench.run)
    assert list(bench.files.plan.unpublished_that_differ(bench.run)) == ["b"]


def test_an_uploader_whose_md5_is_another_proves_nothing(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    bench.list({})
    bench.files.scratch.sent([Sent("a", Evidence.VALIDATED, b"x" * 16)])
    bench.list({"a": "1"})
    bench.files.verdict(bench.run)
    assert bench.evidence() == {"a": Evidence.LISTED}


def test_evidence_stays_with_the_etag_and_falls_to_listed_under_another(bench: Bench) -> None:
    bench.manifest({"a": "1", "b": "2"})
    bench.list({"a": "1", "b": "2"}, etag="1")
    bench.files.verdict(bench.run)
    for name in "ab":
        bench.files.set_evidence(bench.run, name, "1", Evidence.READ_BACK)
    bench.list({"a": "1"}, etag="1", others=(Blob(PREFIX + "b", 1, bench.rows()["b"][2], "2"),))
    assert bench.files.verdict(bench.run).weakest is Evidence.LISTED
    assert bench.evidence() == {"a": Evidence.READ_BACK, "b": Evidence.LISTED}


def test_evidence_is_gone_with_the_blob_and_does_not_come_back_by_itself(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    bench.list({"a": "1"})
    bench.files.verdict(bench.run)
    bench.files.set_evidence(bench.run, "a", "1", Evidence.READ_BACK)
    bench.list({"a": "x"}, etag="2")
    assert bench.files.verdict(bench.run).wrong == ("a (another MD5)",)
    bench.list({"a": "1"}, etag="1")
    bench.files.verdict(bench.run)
    assert bench.evidence() == {"a": Evidence.LISTED}


def test_what_was_sent_counts_for_one_verdict(bench: Bench) -> None:
    """A blob replaced after our verdict, by blocks with a mere claim of the MD5, was once taken for ours: its source
    could have been removed."""
    bench.manifest({"a": "1"})
    bench.list({})
    bench.send(["a"])
    bench.list({"a": "1"}, etag="ours")
    assert bench.files.verdict(bench.run).weakest is Evidence.VALIDATED
    bench.list({"a": "1"}, etag="somebody else's")
    assert bench.files.verdict(bench.run).weakest is Evidence.LISTED


def test_what_was_sent_for_one_run_says_nothing_of_the_next(bench: Bench) -> None:
    bench.manifest({"RunInfo.xml": "1"})
    bench.list({})
    bench.send(["RunInfo.xml"])
    bench.list({"RunInfo.xml": "1"}, etag="2")
    bench.files.verdict(bench.run)
    bench.run = bench.ledger.add_run("another", State.SEEN, 1.0)
    bench.manifest({"RunInfo.xml": "1"})
    bench.list({"RunInfo.xml": "1"}, etag="3")
    assert bench.files.verdict(bench.run).weakest is Evidence.LISTED


# The plan


def test_missing_and_different_are_sent_and_nothing_else(bench: Bench) -> None:
    bench.manifest({"same": "1", "missing": "2", "other": "3", "size": "4"})
    bench.list({"same": "1", "other": "x", "size": "44", "extra": "5"}, etag="seen")
    assert bench.planned() == ["missing", "other", "size"]
    etags = {file.blob: file.etag for file in bench.files.plan.each_to_send(bench.run)}
    assert etags == {"missing": None, "other": "seen", "size": "seen"}, "the condition of each upload"
    assert bench.files.plan.to_send(bench.run) == (3, 3)


def test_a_blob_of_the_same_size_is_hashed_before_it_is_sent(bench: Bench) -> None:
    bench.walk({"same": "12", "longer": "123", "missing": "1", "bare": "12"})
    bench.files.plan.merge_walk(bench.run)
    bench.list({"same": "12", "longer": "1"}, others=(Blob(PREFIX + "bare", 2, None, "1"),))
    assert [file.blob for file in bench.files.plan.to_hash_first(bench.run)] == ["same"]
    assert [file.blob for file in bench.files.plan.without_md5(bench.run)] == [
        "bare",
        "longer",
        "missing",
        "same",
    ]


def test_a_published_file_is_sent_only_if_it_is_to_be_healed(bench: Bench) -> None:
    bench.manifest({"heal": "1", "lost": "2", "plain": "3"})
    bench.files.freeze(bench.run, 1)
    bench.walk({"heal": "1", "lost": "2", "plain": "3", "new": "4", "held": "5"})
    bench.files.plan.merge_walk(bench.run)
    bench.list({})
    bench.files.scratch.hold([("heal", "heal"), ("lost", "lost"), ("held", "taken-over")])
    assert bench.planned() == ["heal", "new"]
    assert bench.files.scratch.held("lost") == (1, ["lost"])
    bench.files.scratch.clear_try()
    assert bench.files.scratch.held("lost") == (0, [])


def test_what_the_sheet_step_carries_is_not_planned(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    bench.files.put(
        bench.run, [FileRow("SampleSheet.csv", b"run.csv", "sheet", 1, 1, b"m" * 16, Evidence.NONE, "")]
    )
    bench.list({})
    assert bench.planned() == ["a"]
    assert bench.files.verdict(bench.run).wrong_count == 2


def test_unpublished_blobs_that_differ_from_the_source(bench: Bench) -> None:
    bench.manifest({"same": "1", "other": "2", "missing": "3"})
    bench.list({"same": "1", "other": "x"})
    assert list(bench.files.plan.unpublished_that_differ(bench.run)) == ["other"]


def test_published_blobs_that_went_wrong_with_what_the_walk_saw(bench: Bench) -> None:
    bench.manifest({"fine": "1", "gone": "2", "changed": "3", "vanished": "4"})
    bench.files.freeze(bench.run, 1)
    bench.walk({"fine": "1", "gone": "2", "changed": "33"}, mtime_ns=9)
    bench.list({"fine": "1"})
    found = {row.blob: seen for row, seen in bench.files.plan.published_gone_wrong(bench.run)}
    assert found == {"gone": FileToSend(b"gone", "gone", 1, 9), "changed": None, "vanished": None}


# Pages


@pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001, 4000, 4001])
def test_pages_lose_and_double_nothing(bench: Bench, count: int) -> None:
    files = {f"{number:05d}": "" for number in range(count)}
    bench.walk(files)
    bench.files.plan.merge_walk(bench.run)
    bench.list({})
    assert [file.blob for file in bench.files.plan.without_md5(bench.run)] == sorted(files)
    assert bench.planned() == sorted(files)
    assert [row.blob for row in bench.files.rows(bench.run)] == sorted(files)


def test_rows_may_be_written_while_pages_are_read(bench: Bench) -> None:
    files = {f"{number:05d}": "x" for number in range(4500)}
    bench.walk(files)
    bench.files.plan.merge_walk(bench.run)
    seen = []
    for file in bench.files.plan.without_md5(bench.run):
        seen.append(file.blob)
        if len(seen) % 500 == 0:
            bench.files.set_md5s(bench.run, [(file, b"m" * 16, 3)])
        if len(seen) == 700:
            bench.files.plan.note_unreadable(bench.run, FileToSend(b"00650", "00650", 1, 1), "no")
            bench.files.plan.note_unreadable(bench.run, FileToSend(b"04400", "04400", 1, 1), "no")
    assert seen == [name for name in sorted(files) if name != "04400" or name in seen]
    assert len(seen) == len(set(seen)) >= 4499


def test_no_page_is_found_by_sorting_the_whole_run(bench: Bench) -> None:
    """A page that needs a sort or a scan of all rows makes a run of a million files quadratic."""
    bench.walk({"a": "1"})
    bench.files.plan.merge_walk(bench.run)
    bench.list({"a": "1"})
    told: list[str] = []
    bench.ledger.connection.set_trace_callback(told.append)
    for stream in (
        bench.files.plan.to_hash_first,
        bench.files.plan.each_to_send,
        bench.files.plan.without_md5,
        bench.files.rows,
        bench.files.plan.unpublished_that_differ,
        bench.files.plan.published_gone_wrong,
        bench.files.plan.published_that_differ,
    ):
        list(stream(bench.run))
    bench.ledger.connection.set_trace_callback(None)
    queries = [statement for statement in told if "LIMIT 2000" in statement]
    assert len(queries) == 7
    for query in queries:
        plan = [row[3] for row in bench.ledger.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")], (query, plan)
        assert "SEARCH f USING PRIMARY KEY (run_id=? AND blob>?)" in plan[0], (query, plan)


# The walk becomes the manifest


def test_files_that_stood_still_keep_their_md5(bench: Bench) -> None:
    bench.manifest({"still": "1", "touched": "2", "grown": "3", "gone": "4"})
    still = Entry(b"still", Kind.FILE, 1, 1)
    touched, grown, new = (
        Entry(b"touched", Kind.FILE, 1, 2),
        Entry(b"grown", Kind.FILE, 2, 1),
        Entry(b"new", Kind.FILE),
    )
    bench.files.scratch.take_walk([still, touched, grown, new], {})
    bench.files.plan.merge_walk(bench.run)
    assert set(bench.rows()) == {"still", "touched", "grown", "new"}
    assert [file.blob for file in bench.files.plan.without_md5(bench.run)] == ["grown", "new", "touched"]


def test_an_md5_of_a_file_that_moved_on_is_not_taken(bench: Bench) -> None:
    bench.walk({"a": "1"}, mtime_ns=2)
    bench.files.plan.merge_walk(bench.run)
    bench.hash({"a": "1"}, mtime_ns=1)
    bench.hash({"a": "22"}, mtime_ns=2)
    assert [file.blob for file in bench.files.plan.without_md5(bench.run)] == ["a"]


NAMES = strategies.sampled_from(["a", "b", "c", "d/e"])
TREE = strategies.dictionaries(NAMES, strategies.tuples(strategies.integers(0, 2), strategies.integers(1, 2)))


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(published=TREE, walks=strategies.lists(TREE, max_size=4))
def test_frozen_rows_never_change_nor_go_whatever_the_walks_see(
    tmp_path_factory: pytest.TempPathFactory,
    published: dict[str, tuple[int, int]],
    walks: list[dict[str, tuple[int, int]]],
) -> None:
    from sync_to_azure.transfer.ledger import Flow

    with_ledger = Ledger.open(tmp_path_factory.mktemp("frozen") / "l", Flow("m", "e", "c", "d"))
    files = Files(with_ledger)
    try:
        run = with_ledger.add_run("run", State.SEEN, 1.0)

        def walk(tree: dict[str, tuple[int, int]]) -> None:
            files.scratch.take_walk([Entry(n.encode(), Kind.FILE, *facts) for n, facts in tree.items()], {})
            files.plan.merge_walk(run)

        walk(published)
        files.freeze(run, 1)
        frozen = [row for row in files.rows(run)]
        for tree in walks:
            walk(tree)
            rows = {row.blob: row for row in files.rows(run)}
            assert [rows[row.blob] for row in frozen] == frozen
            assert set(rows) == set(published) | set(tree)
            assert files.unpublished(run) == len(set(tree) - set(published))
            differing = {file.blob for file, _, _ in files.plan.published_that_differ(run)}
            assert differing == {
                name for name in tree.keys() & published.keys() if tree[name] != published[name]
            }
    finally:
        files.close()
        with_ledger.close()


def test_a_later_publishing_leaves_the_generations_before_alone(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    bench.files.freeze(bench.run, 1)
    bench.manifest({"a": "1", "b": "2"})
    bench.files.freeze(bench.run, 2)
    assert {name: row[3] for name, row in bench.rows().items()} == {"a": 1, "b": 2}


def test_names_that_fall_on_one_blob_are_all_told_and_none_is_carried(bench: Bench) -> None:
    entries = [Entry(b"SampleSheet.csv", Kind.FILE, 1), Entry(b"SampleSheet.instrument.csv", Kind.FILE, 2)]
    bench.files.scratch.take_walk(
        [*entries, Entry(b"x", Kind.FILE)], {b"SampleSheet.csv": "SampleSheet.instrument.csv"}
    )
    bench.files.plan.merge_walk(bench.run)
    assert set(bench.rows()) == {"x"}
    count, told = bench.files.plan.uncarried(bench.run, holding_up=True)
    assert count == 2
    assert [(path, kind) for path, kind, _ in told] == [
        ("SampleSheet.csv", "name-clash"),
        ("SampleSheet.instrument.csv", "name-clash"),
    ]
    assert "SampleSheet.instrument.csv" in told[0][2]


def test_what_is_not_carried_is_kept_by_kind_and_forgotten_when_solved(bench: Bench) -> None:
    others = (
        Entry(b"empty", Kind.EMPTY_FOLDER),
        Entry(b"bad\xff", Kind.BAD_NAME, 5, 1, "the name is not UTF-8"),
        Entry(b"pipe", Kind.SPECIAL, 0, 1, "fifo"),
    )
    bench.manifest({"a": "1"}, others=others)
    assert bench.files.plan.uncarried(bench.run, holding_up=True) == (
        2,
        [("bad\\xff", "bad-name", "the name is not UTF-8"), ("pipe", "special-file", "fifo")],
    )
    assert bench.files.plan.uncarried(bench.run, holding_up=False) == (1, [("empty", "empty-folder", "")])
    assert bench.files.plan.uncarried_counts(bench.run) == {
        "bad-name": 1,
        "empty-folder": 1,
        "special-file": 1,
    }
    bench.manifest({"a": "1"})
    assert bench.files.plan.uncarried(bench.run, holding_up=True) == (0, [])


def test_a_file_that_turned_out_unreadable_leaves_the_manifest_unless_it_is_published(bench: Bench) -> None:
    bench.manifest({"old": "1"})
    bench.files.freeze(bench.run, 1)
    bench.manifest({"old": "1", "new": "2"})
    for name in ("old", "new"):
        bench.files.plan.note_unreadable(bench.run, FileToSend(name.encode(), name, 1, 1), "denied")
    assert set(bench.rows()) == {"old"}
    assert bench.files.plan.uncarried(bench.run, holding_up=True)[0] == 2


def test_removal_sees_whatever_is_not_exactly_as_published(bench: Bench) -> None:
    bench.manifest({"same": "1", "touched": "2", "grown": "3"})
    bench.files.freeze(bench.run, 1)
    bench.manifest({"same": "1", "unpublished": "4"})
    seen = [
        Entry(b"same", Kind.FILE, 1, 1),
        Entry(b"touched", Kind.FILE, 1, 2),
        Entry(b"grown", Kind.FILE, 9, 1),
        Entry(b"unpublished", Kind.FILE, 1, 1),
        Entry(b"link", Kind.SYMLINK),
        Entry(b"Thumbs.db", Kind.JUNK),
        Entry(b"empty", Kind.EMPTY_FOLDER),
    ]
    bench.files.scratch.take_walk(seen, {})
    bench.list({"same": "1", "grown": "3"})
    found = list(entries_with_blobs(bench.ledger.connection, bench.run))
    assert [entry for entry, _, _ in found] == sorted(seen, key=lambda entry: entry.path)
    rows = {entry.path: row for entry, row, _ in found if row is not None}
    assert {path: row.generation for path, row in rows.items()} == {
        b"same": 1,
        b"touched": 1,
        b"grown": 1,
        b"unpublished": 0,
    }
    blobs = {entry.path: blob.size for entry, _, blob in found if blob is not None}
    assert blobs.keys() == {b"same", b"grown"}


def test_what_came_before_an_error_of_the_source_is_kept(bench: Bench) -> None:
    def blobs() -> typing.Iterator[Sent]:
        yield Sent("a", Evidence.VALIDATED)
        raise RuntimeError("the uploader broke off")

    bench.manifest({"a": "1"})
    bench.list({})
    with pytest.raises(RuntimeError):
        bench.files.scratch.sent(blobs())
    bench.list({"a": "1"})
    bench.files.verdict(bench.run)
    assert bench.evidence() == {"a": Evidence.VALIDATED}


# Its own life


def test_the_throw_away_database_has_no_name_and_takes_none(path: pathlib.Path, bench: Bench) -> None:
    """So a kill leaves nothing, and no file of others is taken for one that was left."""
    named_so = [pathlib.Path(f"{path}{each}") for each in (".scratch", f".{bench.ledger.flow.key}.scratch")]
    for other in named_so:
        other.write_bytes(b"of somebody else")
    before = sorted(os.listdir(path.parent))
    bench.walk({"a": "1"})
    assert sorted(os.listdir(path.parent)) == before
    links = [os.readlink(each) for each in pathlib.Path("/proc/self/fd").iterdir() if each.is_symlink()]
    [mine] = [
        link for link in links if f"/.{path.name}.scratch-" in link and link.startswith(str(path.parent))
    ]
    assert mine.endswith(" (deleted)")
    bench.files.close()
    bench.walk({"b": "1"})
    bench.files.plan.merge_walk(bench.run)
    assert set(bench.rows()) == {"b"}
    assert [other.read_bytes() for other in named_so] == [b"of somebody else"] * 2


def test_times_and_sizes_at_the_edge_of_64_bits(bench: Bench) -> None:
    edge = [Entry(b"a", Kind.FILE, 2**63 - 1, 2**63 - 1), Entry(b"b", Kind.FILE, 0, -(2**63))]
    bench.files.scratch.take_walk(edge, {})
    bench.files.plan.merge_walk(bench.run)
    assert bench.rows()["b"] == (0, -(2**63), b"", 0)


def test_forget_drops_one_run_only(bench: Bench) -> None:
    bench.manifest({"a": "1"})
    first = bench.run
    bench.run = bench.ledger.add_run("second", State.SEEN, 1.0)
    bench.manifest({"b": "1"})
    bench.files.forget(first)
    assert set(bench.rows()) == {"b"}
    assert list(bench.files.rows(first)) == []


def test_two_runs_of_one_name_do_not_fit_in_one_flow(bench: Bench) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        bench.ledger.add_run("run", State.SEEN, 2.0)
