"""The gate as a pure function: whatever stands in the folder, nothing may go that is not proved."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_to_azure.manifest.rows import FileRow
from sync_to_azure.core.model import Blob, Entry, Evidence, Kind
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.transfer.decisions.removal_gate import (
    CREDENTIALS,
    DAY,
    REMOVAL_DUE,
    Fate,
    PublishedRun,
    RemovalRules,
    EntryState,
    decide,
    due_at,
    fate,
    objection,
    waits,
)

PATHS = ("a", "Data/b", "skip/c", "x.tmp", ".nfs000000000012", "Data/.__smbfile_silly7", "Thumbs.db")
EXCLUDE = ("skip", "*.tmp")
MD5S = (b"\x01" * 16, b"\x02" * 16)


def few(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


@st.composite
def standings(draw: st.DrawFn) -> EntryState:
    """Mostly right; each fact wrong now and then, independent of the others."""
    path = draw(st.sampled_from(PATHS))
    entry = Entry(
        path.encode(),
        draw(few(*[Kind.FILE] * 8, *Kind)),
        draw(few(5, 5, 5, 6)),
        draw(few(7, 7, 7, 8)),
        ctime_ns=draw(few(9, 9, 9, 10)),
    )
    row = FileRow(
        blob=path,
        path=draw(few(entry.path, entry.path, entry.path, b"other")),
        origin=draw(few("run", "run", "run", "sheet")),
        size=5,
        mtime_ns=7,
        md5=draw(few(MD5S[0], MD5S[0], MD5S[0], b"")),
        evidence=draw(few(Evidence.VALIDATED, Evidence.READ_BACK, Evidence.READ_BACK, *Evidence)),
        etag=draw(few("e1", "e1", "e1", "e2", "")),
        generation=draw(few(1, 2, 3, 0)),
        etag_is_own=draw(few(True, True, True, False)),
        ctime_ns=draw(few(9, 9, 9, None)),
    )
    blob = Blob(path, draw(few(5, 5, 5, 6)), draw(few(MD5S[0], MD5S[0], MD5S[0], MD5S[1], None)), "e1")
    if draw(few(*[False] * 9, True)):
        blob = dataclasses.replace(blob, folder_stub=True)
    return EntryState(entry, draw(few(row, row, row, None)), draw(few(blob, blob, blob, None)))


@st.composite
def publications(draw: st.DrawFn) -> PublishedRun:
    times = few(50.0, 50.0, 99.0, 120.0, None)
    return PublishedRun(
        marker=draw(times),
        published=draw(times),
        now=100.0,
        after=draw(few(0.0, 0.0, 10.0)),
        wrong=draw(few(0, 0, 0, 1)),
        unpublished=draw(few(0, 0, 0, 1)),
        mounts=draw(few((), (), (), ("/main/R/mounted",))),
        never=draw(few("", "", "", "it failed")),
        service_now=draw(few(100.0, 100.0, 90.0, 110.0, 401.0, None)),
    )


def is_proved(standing: EntryState) -> bool:
    """The rule of docs/design.md, word for word, written apart from the gate."""
    entry, row, blob = standing.entry, standing.row, standing.blob
    in_the_manifest = (
        row is not None and row.path == entry.path and row.origin == "run" and row.generation > 0
    )
    if entry.kind is not Kind.FILE or row is None or not in_the_manifest or blob is None or blob.folder_stub:
        return False
    same_file = (row.size, row.mtime_ns, row.ctime_ns) == (entry.size, entry.mtime_ns, entry.ctime_ns)
    same_bytes = row.md5 == blob.md5 == MD5S[0] and blob.size == row.size
    stands = row.etag == blob.etag != "" and row.evidence in (Evidence.VALIDATED, Evidence.READ_BACK)
    return same_file and same_bytes and stands and row.etag_is_own


def is_let_go(standing: EntryState, rules: RemovalRules) -> bool:
    """By the person who gave ``remove-excluded``: not in the manifest, and named by a rule or junk."""
    entry = standing.entry
    name = entry.path.decode()
    if not rules.remove_excluded or standing.row is not None or entry.kind is Kind.UNREADABLE:
        return False
    return name.startswith("skip/") or name.endswith(".tmp") or entry.kind is Kind.JUNK


@settings(max_examples=1500, deadline=None)
@given(publications(), st.lists(standings(), max_size=4), st.booleans())
def test_nothing_goes_unless_everything_is_proved(
    facts: PublishedRun, found: list[EntryState], remove_excluded: bool
) -> None:
    rules = RemovalRules(ExcludeRules(EXCLUDE), remove_excluded)
    decision = decide(facts, found, rules)
    held_open = [each for each in found if each.entry.path.startswith((b".nfs", b"Data/.__smb"))]
    may_go = [each for each in found if is_proved(each) or is_let_go(each, rules)]
    folders = [each for each in found if each.entry.kind is Kind.EMPTY_FOLDER]
    times = [time for time in (facts.marker, facts.published) if time is not None]
    both = (facts.now, facts.service_now or 0.0)
    old_enough = not facts.after or (bool(times) and max(times) + facts.after <= min(both))
    as_a_whole = (
        facts.marker is not None
        and facts.service_now is not None
        and abs(facts.now - facts.service_now) <= 300
        and old_enough
        and not (facts.wrong or facts.unpublished or facts.mounts or facts.never)
    )
    others = [
        each
        for each in found
        if each not in folders and (each in held_open or not (is_proved(each) or is_let_go(each, rules)))
    ]
    assert decision.may_begin == (as_a_whole and not others)
    assert bool(decision.why) == (not decision.may_begin)
    if decision.may_begin:
        assert decision.files == len([each for each in may_go if each not in folders])
        assert decision.bytes == sum(each.entry.size for each in may_go if each not in folders)
    for each in found:
        if fate(each, rules)[0] is Fate.GOES:
            assert is_proved(each) or is_let_go(each, rules)


def test_of_two_times_the_later_counts() -> None:
    """A ledger set back, a receipt that lies, a marker written again: never earlier than proved."""
    week = 7 * DAY
    assert due_at(PublishedRun(100.0, 50.0, 0.0, week)) == 100 + week
    assert due_at(PublishedRun(50.0, 100.0, 0.0, week)) == 100 + week
    assert due_at(PublishedRun(None, None, 30.0, week)) == 30 + week
    assert due_at(PublishedRun(100.0, 1e12, 0.0, 0.0)) == 0


@pytest.mark.parametrize(
    ("now", "after", "credentials", "expected"),
    [
        (10.0, 0.0, 0.0, None),
        (10.0, 0.0, 10.0, None),
        (10.0, 0.0, 10.5, (CREDENTIALS, 10.5)),
        (10.0, 5.0, 0.0, (REMOVAL_DUE, 14.0)),
        (10.0, 5.0, 12.0, (REMOVAL_DUE, 14.0)),
        (10.0, 5.0, 16.0, (CREDENTIALS, 16.0)),
        (15.0, 5.0, 16.0, (CREDENTIALS, 16.0)),
        (16.0, 5.0, 16.0, None),
    ],
)
def test_nothing_goes_while_a_credential_that_azcopy_was_given_is_valid(
    now: float, after: float, credentials: float, expected: tuple[str, float] | None
) -> None:
    facts = PublishedRun(9.0, 9.0, now, after, credentials=credentials)
    assert waits(facts) == expected
    assert bool(objection(facts)) is (expected is not None)


@pytest.mark.parametrize(
    ("now", "service_now", "expected"),
    [
        (10.0, 20.0, (REMOVAL_DUE, 14.0)),
        (20.0, 10.0, (REMOVAL_DUE, 14.0)),
        (20.0, 14.0, None),
        (20.0, None, None),
    ],
)
def test_time_has_passed_when_it_has_by_both_clocks(
    now: float, service_now: float | None, expected: tuple[str, float] | None
) -> None:
    assert waits(PublishedRun(9.0, 9.0, now, 5.0, service_now=service_now)) == expected


@pytest.mark.parametrize(
    ("service_now", "words"),
    [
        (1000.0, ""),
        (700.0, ""),
        (1300.0, ""),
        (699.0, "5 min 1 s ahead of the service's"),
        (1301.0, "5 min 1 s behind the service's"),
        (None, "have no time"),
    ],
)
def test_nothing_goes_while_the_clocks_differ(service_now: float | None, words: str) -> None:
    found = [EntryState(Entry(b"empty", Kind.EMPTY_FOLDER))]
    decision = decide(
        PublishedRun(1.0, 1.0, 1000.0, service_now=service_now), found, RemovalRules(ExcludeRules(()))
    )
    assert decision.may_begin is not bool(words) and words in decision.why
    assert decision.only_waits is bool(words), "what was begun is not put back for that"


def test_folders_are_counted_once_with_the_run_itself() -> None:
    entries = [
        Entry(b"a/b/c/d", Kind.EMPTY_FOLDER),
        Entry(b"a/b/e", Kind.EMPTY_FOLDER),
        Entry(b"f", Kind.EMPTY_FOLDER),
    ]
    decision = decide(
        PublishedRun(1.0, 1.0, 2.0, service_now=2.0), map(EntryState, entries), RemovalRules(ExcludeRules(()))
    )
    assert decision.may_begin and decision.folders == len({"", "a", "a/b", "a/b/c", "a/b/c/d", "a/b/e", "f"})


@pytest.mark.parametrize("count", [1, 5, 6, 30])
def test_what_is_in_the_way_is_told_with_a_few_names(count: int) -> None:
    found = [EntryState(Entry(f"late {number}".encode(), Kind.FILE)) for number in range(count)]
    decision = decide(PublishedRun(1.0, 1.0, 2.0, service_now=2.0), found, RemovalRules(ExcludeRules(())))
    assert (decision.blocked, len(decision.in_the_way)) == (count, min(count, 20))
    assert decision.why.count("late") == min(count, 5) and ("more" in decision.why) == (count > 5)
