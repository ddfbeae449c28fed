"""The small tables of the ledger, copies for dry runs, and a file that is damaged, foreign or of another version."""

from __future__ import annotations

import os
import pathlib
import sqlite3
import subprocess
import sys
import typing

import pytest

from embedded.tools import PROJECT
from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.transfer.ledger import Files, Flow, Ledger
from sync_to_azure.transfer.ledger.place import is_damaged, ledger_path, move_aside
from sync_to_azure.core.model import Entry, Kind, Progress, State
from sync_to_azure.core.reasons import Reason

if typing.TYPE_CHECKING:
    from tests.transfer.ledger.conftest import Bench

FLOW = Flow("/main", "https://account.blob.core.windows.net", "container", "dest")


def events(ledger: Ledger) -> list[str]:
    return [row[0] for row in ledger.connection.execute("SELECT code FROM event ORDER BY id")]


# Runs


def test_a_run_comes_back_as_it_was_left(path: pathlib.Path, ledger: Ledger) -> None:
    run = ledger.add_run("run", State.SEEN, 5.0)
    reason = Reason("uncarried", {"count": 2, "names": ["a", "b"]})
    assert ledger.set_state(
        run, State.FLAGGED, reason, 6.0, remote_state_current=1, generation=3, fingerprint="f"
    )
    ledger.close()
    again = Ledger.open(path, FLOW)
    try:
        found = again.runs()["run"]
        assert (found.state, found.reason, found.since, found.first_seen) == (State.FLAGGED, reason, 6.0, 5.0)
        assert (found.remote_state_current, found.foreign_blobs, found.manifest_cached) == (True, False, True)
        assert (found.generation, found.fingerprint, found.is_published) == (3, "f", True)
    finally:
        again.close()


def test_news_is_another_state_or_another_code(ledger: Ledger) -> None:
    run = ledger.add_run("run", State.SEEN, 1.0)
    assert ledger.set_state(run, State.WAITING, Reason("flag-missing", {"flags": ["a"]}), 2.0)
    assert not ledger.set_state(run, State.WAITING, Reason("flag-missing", {"flags": ["a"]}), 3.0)
    assert not ledger.set_state(run, State.WAITING, Reason("flag-missing", {"flags": ["b"]}), 4.0)
    assert ledger.set_state(run, State.WAITING, Reason("not-quiet-yet", {}), 5.0)
    assert run.since == 2.0
    assert ledger.set_state(run, State.PUBLISHED, None, 6.0)
    assert not ledger.set_state(run, State.PUBLISHED, None, 7.0, event="published-again")
    assert run.since == 6.0
    assert events(ledger) == ["waiting:flag-missing", "waiting:not-quiet-yet", "published", "published-again"]


def test_only_columns_of_a_run_are_set(ledger: Ledger) -> None:
    run = ledger.add_run("run", State.SEEN, 1.0)
    for name in ("state", "id", "nonsense", "files = 1; --"):
        with pytest.raises(ValueError):
            ledger.set(run, **{name: 1})
    ledger.set(run, files=4)
    assert ledger.runs()["run"].files == run.files == 4


def test_events_are_append_only(ledger: Ledger) -> None:
    ledger.append_event(None, 1.0, "hello", {"a": 1})
    for statement in ("UPDATE event SET code = 'x'", "DELETE FROM event"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            ledger.connection.execute(statement)
    assert events(ledger) == ["hello"]


def test_flows_in_one_file_do_not_see_each_other(path: pathlib.Path, ledger: Ledger) -> None:
    other = Ledger.open(path, Flow("/main", FLOW.endpoint, FLOW.container, "elsewhere"))
    try:
        ledger.add_run("run", State.SEEN, 1.0)
        ledger.report_once("key", 1.0)
        ledger.note_mailed(("trouble",), 1.0, True)
        assert other.runs() == {}
        assert other.report_once("key", 1.0)
        assert other.mailed() == {} and not other.problem_is_open()
        assert other.add_run("run", State.SEEN, 1.0).key == "run"
    finally:
        other.close()


def test_each_part_of_a_flow_makes_another_key() -> None:
    flows = [FLOW, Flow("/other", *list_of(FLOW)[1:]), Flow("/main", "e", "container", "dest")]
    flows += [Flow("/main", FLOW.endpoint, "c", "dest"), Flow("/main", FLOW.endpoint, "container", "")]
    assert len({flow.key for flow in flows}) == len(flows)
    assert Flow("a", "b", "c", "d").key != Flow("ab", "", "c", "d").key


def list_of(flow: Flow) -> list[str]:
    return [flow.main_folder, flow.endpoint, flow.container, flow.destination]


def test_a_main_folder_whose_name_is_not_utf_8(path: pathlib.Path) -> None:
    Ledger.open(path, Flow(os.fsdecode(b"/m\xff"), "e", "c", "d")).close()


# What was told


def test_told_once_until_it_is_forgotten(ledger: Ledger) -> None:
    assert ledger.report_once("stray:x", 1.0)
    assert not ledger.report_once("stray:x", 2.0)
    ledger.clear_reported("stray:x")
    ledger.clear_reported("never told")
    assert ledger.report_once("stray:x", 3.0)


def test_what_was_mailed_and_when(ledger: Ledger) -> None:
    ledger.report_once("mailbox:full", 1.0)
    ledger.note_mailed(("run:failed", "b"), 10.0, True)
    ledger.note_mailed(("b",), 20.0, True)
    assert ledger.mailed() == {"run:failed": 10.0, "b": 20.0}
    assert ledger.problem_is_open()
    ledger.note_mailed((), 30.0, False)
    assert ledger.mailed() == {} and not ledger.problem_is_open()
    assert not ledger.report_once("mailbox:full", 40.0)


def test_signs_of_life_and_progress(ledger: Ledger) -> None:
    assert ledger.heartbeat() is None
    run = ledger.add_run("run", State.SEEN, 1.0)
    ledger.beat(5.0)
    ledger.beat(6.0, run, Progress("run", "hashing", 1, 2, 3, 4))
    ledger.beat(7.0, run, Progress("run", "hashing", 2, 2, 4, 4))
    assert ledger.heartbeat() == 7.0
    rows = ledger.connection.execute("SELECT step, files_done, bytes_done FROM progress").fetchall()
    assert rows == [("hashing", 2, 4)]
    ledger.end_progress()
    assert ledger.connection.execute("SELECT count(*) FROM progress").fetchone() == (0,)


def test_the_mount_is_remembered(ledger: Ledger) -> None:
    assert ledger.mount() is None
    ledger.set_mount("cifs", "//server/share")
    assert ledger.mount() == ("cifs", "//server/share")


# Transactions and copies


def test_an_error_in_a_step_undoes_it_and_the_next_one_works(ledger: Ledger) -> None:
    run = ledger.add_run("run", State.SEEN, 1.0)
    with pytest.raises(RuntimeError):
        with ledger.transaction() as connection:
            connection.execute("UPDATE run SET files = 9")
            raise RuntimeError
    ledger.set(run, bytes=1)
    assert (ledger.runs()["run"].files, ledger.runs()["run"].bytes) == (0, 1)


def test_a_commit_that_fails_leaves_no_transaction_open(ledger: Ledger) -> None:
    ledger.connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        with ledger.transaction() as connection:
            connection.execute("PRAGMA defer_foreign_keys = ON")
            connection.execute("INSERT INTO uncarried VALUES (99, x'61', 'junk', 0, '')")
    assert not ledger.connection.in_transaction
    ledger.add_run("run", State.SEEN, 1.0)


def dump(path: pathlib.Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_copy_learns_what_it_likes_and_nothing_of_it_stays(path: pathlib.Path, bench: Bench) -> None:
    """For a dry run. The ledger itself goes on meanwhile, also while the copy is in the middle of a step."""
    bench.manifest({"a": "1"})
    before, there = dump(path), sorted(path.parent.iterdir())
    copy = Ledger.open_copy(path, bench.ledger.flow)
    files = Files(copy)
    try:
        run = copy.runs()["run"]
        assert [row.blob for row in files.rows(run)] == ["a"]
        files.scratch.take_walk([Entry(b"b", Kind.FILE, 1, 1)], {})
        files.plan.merge_walk(run)
        assert [row.blob for row in files.rows(run)] == ["b"]
        copy.set_state(run, State.PUBLISHED, None, 9.0)
        with pytest.raises(RuntimeError):
            with copy.transaction():
                copy.connection.execute("UPDATE run SET files = 99")
                bench.ledger.connection.execute("PRAGMA busy_timeout = 0")
                bench.ledger.report_once("meanwhile, in earnest", 1.0)
                raise RuntimeError
        assert copy.runs()["run"].files == 0 and bench.ledger.runs()["run"].state is not State.PUBLISHED
        assert sorted(path.parent.iterdir()) == there, "a kill leaves nothing either"
    finally:
        files.close()
        copy.close()
    assert sorted(path.parent.iterdir()) == there
    assert [line for line in dump(path) if "meanwhile, in earnest" not in line] == before


def test_a_copy_of_nothing_is_an_empty_ledger(tmp_path: pathlib.Path) -> None:
    copy = Ledger.open_copy(tmp_path / "none.sqlite", FLOW)
    try:
        copy.add_run("run", State.SEEN, 1.0)
        assert set(copy.runs()) == {"run"}
    finally:
        copy.close()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_what_is_no_ledger_is_refused(path: pathlib.Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StateUnavailable, match="another program"):
        Ledger.open_copy(path, FLOW)
    assert list(path.parent.iterdir()) == [path]


# The file


def test_the_file_is_its_owners_only(path: pathlib.Path, ledger: Ledger) -> None:
    ledger.add_run("run", State.SEEN, 1.0)
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def filled(path: pathlib.Path) -> None:
    """A ledger with some hundred pages."""
    ledger = Ledger.open(path, FLOW)
    run, files = ledger.add_run("run", State.SEEN, 1.0), Files(ledger)
    files.scratch.take_walk([Entry(b"%05d" % number, Kind.FILE, number, 1) for number in range(5000)], {})
    files.plan.merge_walk(run)
    files.close()
    ledger.close()
    assert path.stat().st_size > 50 * 4096


def read_all(path: pathlib.Path) -> int:
    ledger = Ledger.open(path, FLOW)
    try:
        run = ledger.runs()["run"]
        return sum(1 for _ in Files(ledger).rows(run))
    finally:
        ledger.close()


@pytest.mark.parametrize("damage", ["header", "all", "truncated", "short", "middle"])
def test_damage_is_seen_and_the_file_is_kept_aside(path: pathlib.Path, damage: str) -> None:
    filled(path)
    assert read_all(path) == 5000
    size = path.stat().st_size
    with open(path, "r+b") as handle:
        if damage == "header":
            handle.write(b"\x13" * 100)
        elif damage == "all":
            handle.write(os.urandom(size))
        elif damage == "truncated":
            handle.truncate(size // 2)
        elif damage == "short":
            handle.truncate(60)
        else:
            # Every page of the file table but the first of the file: which one is read first is SQLite's choice.
            for page in range(30, size // 4096):
                handle.seek(page * 4096)
                handle.write(b"\xee" * 4096)
    with pytest.raises(sqlite3.Error) as caught:
        read_all(path)
    assert is_damaged(caught.value)
    content = path.read_bytes()
    aside = move_aside(path, 1_700_000_000.0)
    assert not path.exists() and aside.read_bytes() == content
    assert aside.parent == path.parent and "damaged-1700000000" in aside.name
    Ledger.open(path, FLOW).close()


def test_what_only_hinders_is_no_damage(path: pathlib.Path, ledger: Ledger) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        ledger.connection.execute("SELECT * FROM nonsense")
    assert not is_damaged(caught.value)
    with pytest.raises(sqlite3.Error) as caught:
        ledger.connection.execute("INSERT INTO reported VALUES (1, 'a', 1), (1, 'a', 1)")
    assert not is_damaged(caught.value)


def test_the_log_of_a_damaged_file_goes_with_it(path: pathlib.Path) -> None:
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        pathlib.Path(f"{path}{suffix}").write_text(suffix)
    aside = move_aside(path, 5.0)
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        aside.name + suffix for suffix in ("", "-wal", "-shm")
    )


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(path: pathlib.Path) -> None:
    Ledger.open(path, FLOW).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO migration VALUES ('9999_future')")
    connection.commit()
    connection.close()
    before = dump(path)
    with pytest.raises(StateUnavailable, match="newer version.*9999_future"):
        Ledger.open(path, FLOW)
    assert dump(path) == before


def test_a_second_opening_migrates_nothing(path: pathlib.Path, ledger: Ledger) -> None:
    before = dump(path)
    Ledger.open(path, FLOW).close()
    assert dump(path) == before


OPEN = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.transfer.ledger import Flow, Ledger
sys.stdin.read()
Ledger.open(pathlib.Path(sys.argv[2]), Flow(sys.argv[3], "e", "c", "d")).close()
"""


def test_several_first_passes_may_open_one_new_ledger_at_once(tmp_path: pathlib.Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(PROJECT), str(tmp_path / "ledger"), flow],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for flow in ("/1", "/2", "/3", "/1")
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        assert process.stderr is not None
        with process.stderr:
            assert process.stderr.read() == b""
        assert process.wait() == 0
    connection = sqlite3.connect(tmp_path / "ledger")
    assert connection.execute("SELECT count(*) FROM flow").fetchone() == (3,)
    connection.close()


# Where it lies


@pytest.mark.parametrize("text", ['{"runs": {}}', "[]", '\n  {"a": 1}', '\ufeff{"a": 1}'])
def test_the_state_of_the_tool_before_this_one_is_left_alone(tmp_path: pathlib.Path, text: str) -> None:
    old = tmp_path / "state.json"
    old.write_text(text, encoding="utf-8")
    path, word = ledger_path(old, FLOW, tmp_path)
    assert path == tmp_path / "state.json.sqlite"
    assert "is not changed" in word
    Ledger.open(path, FLOW).close()
    assert old.read_text(encoding="utf-8") == text


def test_the_place_of_the_ledger(tmp_path: pathlib.Path) -> None:
    assert ledger_path(None, FLOW, tmp_path) == (tmp_path / f"{FLOW.key}.sqlite", "")
    assert ledger_path(tmp_path / "new", FLOW, tmp_path) == (tmp_path / "new", "")
    (tmp_path / "empty").touch()
    assert ledger_path(tmp_path / "empty", FLOW, tmp_path) == (tmp_path / "empty", "")
    Ledger.open(tmp_path / "empty", FLOW).close()
    assert ledger_path(tmp_path / "empty", FLOW, tmp_path) == (tmp_path / "empty", "")
    with pytest.raises(StateUnavailable, match="folder"):
        ledger_path(tmp_path, FLOW, tmp_path)


def test_a_publishing_that_does_not_end_leaves_the_ledger_in_doubt(ledger: Ledger) -> None:
    run = ledger.add_run("R", State.VERIFIED, 1.0)
    ledger.note_asked(run, is_known=True)
    with pytest.raises(RuntimeError), ledger.publishing(run):
        raise RuntimeError
    assert not ledger.runs()["R"].remote_state_current
    with ledger.publishing(run) as published:
        assert not ledger.runs()["R"].remote_state_current
        ledger.set_state(run, State.PUBLISHED, None, 2.0, **published)
    assert ledger.runs()["R"].remote_state_current and run.remote_state_current


def test_nobody_else_says_whether_the_ledger_knows_what_is_published(ledger: Ledger) -> None:
    run = ledger.add_run("R", State.VERIFIED, 1.0)
    with pytest.raises(ValueError):
        ledger.set(run, remote_state_current=1)
    assert not ledger.runs()["R"].remote_state_current
