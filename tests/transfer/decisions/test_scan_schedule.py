"""When the folders of a published run are due, and what a pass has room for."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from sync_to_azure.transfer.ledger import Run
from sync_to_azure.core.model import State
from sync_to_azure.transfer.decisions.scan_schedule import DAY, ENTRIES_A_PASS, HOUR, due, next_scan

NOW = 1_800_000_000.0


def run(key: str = "R", **values: typing.Any) -> Run:
    """A run at rest, published and scanned just now; ``published`` and ``scanned`` in seconds ago."""
    published, scanned = values.pop("published", 0.0), values.pop("scanned", 0.0)
    row: dict[str, typing.Any] = {field.name: None for field in dataclasses.fields(Run)}
    row |= {"key": key, "state": State.PUBLISHED, "folder_mtime_ns": 1, "folders": 10, "files": 100}
    row |= {"published_at": NOW - published, "scanned_at": None if scanned is None else NOW - scanned}
    return Run(**row | values)


@pytest.mark.parametrize(
    ("row", "after"),
    [
        (run(), HOUR),
        (run(published=2 * DAY - 1), HOUR),
        (run(published=2 * DAY), DAY),
        (run(published=32 * DAY - 1), DAY),
        (run(published=32 * DAY), 7 * DAY),
        (run(published=900 * DAY), 7 * DAY),
        (run(published=900 * DAY, folders_changed_at=NOW - DAY), HOUR),
        (run(published=900 * DAY, complete=1), 7 * DAY),
        (run(published=900 * DAY, complete=0), 0.0),
        (run(state=State.VERIFIED, published_at=None, verified_at=NOW - 3 * DAY), DAY),
    ],
)
def test_looks_become_rare(row: Run, after: float) -> None:
    assert next_scan(row, NOW) == NOW + after


@pytest.mark.parametrize(
    ("row", "at"),
    [
        (run(scanned=None), 0.0),
        (run(folders=None), 0.0),
        (run(scanned=-60.0), 0.0),
        (run(folder_mtime_ns=None), None),
        (run(state=State.FLAGGED), None),
        (run(state=State.REMOVED), None),
        (run(state=State.WAITING), None),
    ],
    ids=["never", "earlier version", "the clock went back", "walked anyway", "flagged", "removed", "waits"],
)
def test_at_once_or_not_at_all(row: Run, at: float | None) -> None:
    assert next_scan(row, NOW) == at


def names(looks: typing.Any) -> list[tuple[str, int]]:
    return [(look.run.key, look.entries) for look in looks]


def test_the_oldest_look_first_and_what_is_not_due_not_at_all() -> None:
    runs = [
        run("A", scanned=HOUR),
        run("B", scanned=3 * HOUR),
        run("C", scanned=HOUR / 2),
        run("D", folders=None, scanned=None),
    ]
    runs.append(run("E", scanned=HOUR - 240.0))
    # D was never walked: that costs as much as it has files. E is less than five minutes early: passes are hourly.
    assert names(due(runs, NOW)) == [("D", 100), ("B", 10), ("A", 10), ("E", 10)]
    assert names(due(runs, NOW, only="[AC]*")) == [("A", 10)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("A", 150_000), ("B", 150_000), ("C", 1)], [("A", 150_000), ("B", 50_000)]),
        ([("A", ENTRIES_A_PASS), ("B", 1)], [("A", ENTRIES_A_PASS)]),
        ([("A", 3 * ENTRIES_A_PASS)], [("A", ENTRIES_A_PASS)]),
        ([("A", 0), ("B", 5)], [("A", 1), ("B", 5)]),
    ],
    ids=["the last in part", "full", "one in part", "one without folders"],
)
def test_no_more_than_a_pass_has_room_for(
    rows: list[tuple[str, int]], expected: list[tuple[str, int]]
) -> None:
    runs = [run(key, folders=count, scanned=DAY - place) for place, (key, count) in enumerate(rows)]
    assert names(due(runs, NOW)) == expected


def test_what_was_begun_is_ended_first() -> None:
    runs = [run("A", scanned=9 * DAY), run("B", scanned=DAY, scan_cursor=b"Data")]
    assert [key for key, _ in names(due(runs, NOW))] == ["B", "A"]


def test_a_run_that_was_never_walked_is_walked_whole() -> None:
    huge, small = 5 * ENTRIES_A_PASS, ENTRIES_A_PASS // 2
    first = [run("A", folders=None, files=huge, scanned=None), run("B", scanned=DAY)]
    assert names(due(first, NOW)) == [("A", huge)]
    second = [run("A", folders=None, files=huge), run("B", folders=small, scanned=DAY)]
    assert names(due(second, NOW)) == [("B", small)], "A is the first of a later pass"
