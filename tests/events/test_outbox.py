"""Events beside the state that they report: kept for who is registered, in order, and only if it was committed."""

from __future__ import annotations

import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from embedded.tools import PROJECT
from sync_to_azure.events.outbox import Backlog, Outbox
from tests.conftest import LONG
from tests.events.conftest import SOURCE, Base, published, removed


def test_nothing_is_kept_where_nobody_is_registered(base: Base) -> None:
    base.outbox.append(published(), 1.0)
    assert base.rows() == 0
    base.outbox.register("one", 2.0)
    base.outbox.append(published(), 3.0)
    assert base.rows() == 1, "what happens from then on"
    assert base.outbox.forget("one") and not base.outbox.forget("one")
    assert base.rows() == 0
    base.outbox.append(published(), 4.0)
    assert base.rows() == 0


def test_an_event_is_there_if_and_only_if_its_transaction_is(base: Base) -> None:
    base.outbox.register("one", 1.0)
    with pytest.raises(ValueError), base.transaction():
        base.outbox.append(published("undone"), 2.0)
        raise ValueError
    with base.transaction():
        base.outbox.append(published("done"), 3.0)
    assert [(event.number, event.subject) for event in base.outbox.read(0, 10)] == [(1, "done")]


def test_events_come_in_order_and_a_part_at_a_time(base: Base) -> None:
    base.outbox.register("one", 1.0)
    for name in "abcde":
        base.outbox.append(published(name), 2.0)
    assert [event.subject for event in base.outbox.read(0, 2)] == ["a", "b"]
    assert [event.subject for event in base.outbox.read(2, 2)] == ["c", "d"]
    assert [event.subject for event in base.outbox.latest(2)] == ["d", "e"]
    first, *_ = base.outbox.read(0, 1)
    assert first.type == "run.published" and first.data["run"] == "a" and first.source == SOURCE
    assert len({event.id for event in base.outbox.read(0, 9)}) == 5


def test_rows_go_when_every_cursor_has_passed(base: Base) -> None:
    base.outbox.register("fast", 1.0)
    base.outbox.register("slow", 1.0)
    for name in "abc":
        base.outbox.append(published(name), 2.0)
    base.outbox.acknowledge("fast", 3)
    assert base.rows() == 3
    base.outbox.acknowledge("slow", 1)
    assert [event.subject for event in base.outbox.read(0, 9)] == ["b", "c"]
    base.outbox.acknowledge("slow", 0)
    assert base.outbox.consumer("slow").passed == 1, "never backwards"  # type: ignore[union-attr]
    base.outbox.forget("slow")
    assert base.rows() == 0
    base.outbox.append(published("d"), 3.0)
    assert [event.number for event in base.outbox.read(0, 9)] == [4], "no number is given twice"


def test_a_consumer_that_only_follows_goes_by_itself(base: Base) -> None:
    base.outbox.register("follow", 1.0, expires_at=100.0)
    base.outbox.append(published(), 2.0)
    base.outbox.forget_expired(99.0)
    assert base.rows() == 1
    base.outbox.register("follow", 99.0, expires_at=200.0)
    base.outbox.forget_expired(150.0)
    assert base.rows() == 1, "it said that it is there still"
    base.outbox.forget_expired(200.0)
    assert base.rows() == 0 and base.outbox.consumers() == []


def test_what_a_consumer_has_not_had(base: Base) -> None:
    base.outbox.register("some", 1.0, types=["run.removed"])
    consumer = base.outbox.consumer("some")
    assert consumer is not None and base.outbox.backlog(consumer) == Backlog(0, None)
    base.outbox.append(published(), 5.0)
    base.outbox.append(removed(), 7.0)
    base.outbox.append(removed(), 9.0)
    assert base.outbox.backlog(consumer) == Backlog(2, 7.0)
    assert not consumer.wants("run.published")


def test_kept_for_some_time(base: Base) -> None:
    base.outbox.register("people", 1.0)
    for at in (10.0, 20.0, 30.0):
        base.outbox.append(published(), at)
    base.outbox.let_go("people", 30.0)
    assert [event.time for event in base.outbox.read(0, 9)] == [30.0]
    base.outbox.let_go("people", 5.0)
    assert base.rows() == 1


def test_failures_are_counted_until_one_comes_through(base: Base) -> None:
    base.outbox.register("one", 1.0)
    base.outbox.append(published(), 2.0)
    base.outbox.failed("one", 10.0, 70.0, "it answered 500")
    base.outbox.failed("one", 70.0, 190.0, "it answered 503")
    consumer = base.outbox.consumer("one")
    assert consumer is not None
    assert (consumer.failures, consumer.failing_since, consumer.next_try) == (2, 10.0, 190.0)
    assert consumer.problem == "it answered 503"
    base.outbox.acknowledge("one", 1)
    consumer = base.outbox.consumer("one")
    assert consumer is not None
    assert (consumer.failures, consumer.failing_since, consumer.problem) == (0, None, None)


def test_flows_in_one_database_do_not_see_each_other(base: Base) -> None:
    other = Outbox(base.connection, "/another")
    base.outbox.register("one", 1.0)
    other.append(published("unseen"), 2.0)
    other.register("one", 2.0)
    base.outbox.append(published("ours"), 3.0)
    other.append(published("theirs"), 3.0)
    other.acknowledge("one", 99)
    assert [event.subject for event in base.outbox.read(0, 9)] == ["ours"]
    assert other.read(0, 9) == []
    other.forget("one")
    assert base.rows() == 1


def test_a_database_that_is_lost_or_set_back_shows_in_the_ids(base: Base, tmp_path: pathlib.Path) -> None:
    base.outbox.register("one", 1.0)
    base.outbox.append(published("a"), 2.0)
    base.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(base.path, tmp_path / "earlier.sqlite")
    base.outbox.append(published("b"), 3.0)
    [_, b] = base.outbox.read(0, 9)
    set_back = sqlite3.connect(tmp_path / "earlier.sqlite", isolation_level=None)
    outbox = Outbox(set_back, SOURCE)
    outbox.append(published("c"), 4.0)
    [_, c] = outbox.read(0, 9)
    set_back.close()
    assert (c.epoch, c.number) == (b.epoch, b.number), "a number that is not above the last one"
    assert c.id != b.id, "another event is never taken for a duplicate"
    lost = Base(tmp_path / "new.sqlite")
    lost.outbox.register("one", 1.0)
    lost.outbox.append(published("d"), 2.0)
    [d] = lost.outbox.read(0, 9)
    lost.connection.close()
    assert d.epoch != b.epoch


_WRITER = """
import sqlite3, sys
from sync_to_azure.events.outbox import Outbox
from tests.events.conftest import SOURCE, published

connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60.0)
outbox = Outbox(connection, SOURCE)
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO state VALUES (?)", (f"{sys.argv[3]}{number}",))
    outbox.append(published(f"{sys.argv[3]}{number}"), 1.0)
    connection.execute("COMMIT")
"""


def _writer(base: Base, count: int, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(base.path), str(count), name],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def test_read_by_one_process_while_others_write(base: Base) -> None:
    base.connection.execute("CREATE TABLE state (run TEXT)")
    base.outbox.register("one", 1.0)
    writers = [_writer(base, 100, name) for name in ("x", "y")]
    seen: list[tuple[int, str]] = []
    after = 0
    while len(seen) < 200:
        events = base.outbox.read(after, 7)
        seen += [(event.number, event.subject) for event in events]
        after = seen[-1][0] if seen else 0
        if events:
            with base.transaction():
                base.outbox.acknowledge("one", after)
        elif all(writer.poll() is not None for writer in writers):
            assert base.outbox.read(after, 1), f"only {len(seen)} came"
    assert [number for number, _ in seen] == list(range(1, 201)), "none is missing, none overtakes"
    for name in ("x", "y"):
        assert [subject for _, subject in seen if subject[0] == name] == [f"{name}{n}" for n in range(100)]
    for writer in writers:
        writer.communicate(timeout=LONG)
    assert base.rows() == 0


def test_killed_at_any_moment_state_and_events_agree(base: Base) -> None:
    base.connection.execute("CREATE TABLE state (run TEXT)")
    base.outbox.register("one", 1.0)
    for round in range(5):
        writer = _writer(base, 100_000, f"r{round}-")
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        before = base.outbox.latest(1)
        least = (before[0].number if before else 0) + 3 * (round + 1)
        while not base.outbox.read(least, 1):
            pass
        writer.kill()
        writer.communicate(timeout=LONG)
        assert writer.returncode == -signal.SIGKILL
        state = [row[0] for row in base.connection.execute("SELECT run FROM state ORDER BY rowid")]
        assert [event.subject for event in base.outbox.read(0, 1_000_000)] == state
