"""`check`: late, too long, never started, vanished; told once, reminded, and well again."""

from __future__ import annotations

import os
import signal

import pytest
from harness import LONG, Beat, Receiver, pids_in, sh, wait_until


@pytest.fixture(autouse=True)
def webhook(beat: Beat, receiver: Receiver) -> None:
    beat.ini(webhook=receiver.url)
    beat.write(
        {"a": {"commands": [sh("test ! -e broken")], "expected_every": "1h"}, "b": {"commands": [["true"]]}}
    )


def told(receiver: Receiver) -> list[tuple[str, str]]:
    found = [
        (each["task"], each["text"]) for request in receiver.requests for each in request.json["entries"]
    ]
    receiver.requests.clear()
    return found


def test_a_task_that_was_never_run_at_all(beat: Beat, receiver: Receiver) -> None:
    ended = beat("check", beat.tasks)
    assert ended.code == 0 and ended.output == ""
    beat.age(3961)
    ended = beat("check")
    assert ended.code == 1
    assert "a was never started in the 1 h 6 min since it is watched (expected every 1 h)" in ended.stderr
    ((task, text),) = told(receiver)
    assert task == "a" and text.startswith("was never started")


def test_told_once_reminded_daily_and_well_again(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    assert beat("check").code == 0
    (beat.home / "broken").touch()
    beat.age(3961)
    beat.run("a")
    assert beat("check").code == 1
    ((_, text),) = told(receiver)
    assert text.startswith("has not succeeded for 1 h 6 min") and "failed, exit code 1" in text
    second = beat("check")
    assert second.code == 1 and second.output == ""
    assert told(receiver) == []
    beat.age(86500)
    beat("check")
    ((_, text),) = told(receiver)
    assert text.startswith("still has not succeeded for 1 d 1 h")
    (beat.home / "broken").unlink()
    beat.run("a")
    ended = beat("check")
    assert ended.code == 0
    ((_, text),) = told(receiver)
    assert text == "is well again, after 1 d"
    assert beat("check").output == "" and told(receiver) == []


def test_a_task_that_runs_too_long(beat: Beat, receiver: Receiver) -> None:
    beat.write({"a": {"commands": [sh("echo $$ > pid; exec sleep 300")], "too_long": "10m"}})
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: pids_in(beat.home / "pid"))
    assert beat("check").code == 0
    beat.age(661)
    assert beat("check").code == 1
    ((_, text),) = told(receiver)
    assert text.startswith("has been running for 11 min") and "(at most 10 min expected)" in text
    process.send_signal(signal.SIGTERM)
    process.wait(LONG)
    assert beat("check").code == 0
    assert told(receiver)[0][1].startswith("is well again")


@pytest.mark.parametrize("what", ["gone", "broken"])
def test_a_tasks_file_that_vanished_or_is_broken(beat: Beat, receiver: Receiver, what: str) -> None:
    beat.run("a")
    good = beat.tasks.read_text()
    if what == "gone":
        beat.tasks.unlink()
    else:
        beat.tasks.write_text("{")
    assert beat("check").code == 1
    ((name, text),) = told(receiver)
    assert name == str(beat.tasks)
    assert ("there is no such file" if what == "gone" else "line 1, column 2: is not JSON") in text
    beat.age(3961)
    beat("check")
    assert [name for name, _ in told(receiver)] == ["a"]  # watched as it was
    beat.tasks.write_text(good)
    beat.run("a")
    assert beat("check").code == 0
    assert len(told(receiver)) == 2


def test_a_file_of_which_nothing_was_expected_may_go(beat: Beat, receiver: Receiver) -> None:
    beat.write({"try": {"commands": [["true"]]}})
    beat.run("try")
    beat.tasks.unlink()
    assert beat("check").code == 0 and told(receiver) == []
    assert beat.listed() == {}


def test_a_file_that_was_named_must_be_there(beat: Beat) -> None:
    assert beat("check", "nowhere.json").code == 1
    beat.ini(tasks="/nowhere.json")
    assert "/nowhere.json: there is no such file" in beat("check").stderr


def test_a_task_that_cannot_be_run_as_it_is_written(beat: Beat, receiver: Receiver) -> None:
    beat.write({"a": {"commands": "ls"}, "b": {"commands": [["true"]]}})
    assert beat("check", beat.tasks).code == 1
    assert told(receiver)[0][0] == "a"


def test_a_task_that_was_taken_out_is_watched_no_more(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    beat.age(3961)
    beat("check")
    told(receiver)
    beat.write({"b": {"commands": [["true"]]}})
    assert beat("check").code == 0
    assert told(receiver)[0][1].startswith("is watched no more")


def test_forget(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    beat.tasks.unlink()
    beat("check")
    told(receiver)
    assert beat("forget", beat.tasks).stdout == "2 tasks forgotten\n"
    assert beat("check").code == 0
    assert beat.listed() == {}


def test_an_alarm_that_cannot_be_sent_is_kept(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    beat.age(3961)
    receiver.answers = [500] * 3
    ended = beat("check")
    assert ended.code == 3 and "has not succeeded" in ended.stderr
    receiver.requests.clear()
    assert beat("check").code == 1
    assert len(told(receiver)) == 1  # late, but not lost, and once
    assert beat("check").output == "" and told(receiver) == []


def test_without_a_webhook_cron_mails_it(beat: Beat) -> None:
    beat.ini()
    beat.run("a")
    beat.age(3961)
    ended = beat("check")
    assert ended.code == 1 and "a has not succeeded for" in ended.stderr
    assert beat("check").output == ""


def test_a_clock_that_was_wrong_and_went_back(beat: Beat, receiver: Receiver) -> None:
    """A success dated in the future must not keep the switch quiet until then."""
    beat.run("a")
    beat.age(-365 * 86400)
    ended = beat("check")
    assert ended.code == 0 and "the clock went back" in ended.stderr
    beat.age(3961)
    assert beat("check").code == 1
    assert len(told(receiver)) == 1


def test_a_run_that_ends_while_check_looks_is_no_clock_that_went_back(beat: Beat) -> None:
    """Cron starts them in the same second: what is written after check asked for the time lies ahead of it."""
    beat.run("a")
    beat.age(-3)
    ended = beat("check")
    assert (ended.code, ended.output) == (0, "")


def test_a_new_promise_begins_when_it_is_made(beat: Beat) -> None:
    beat.write({"b": {"commands": [["true"]]}})
    beat.run("b")
    beat.age(86400)
    beat.sql("UPDATE tasks SET last_success = NULL")
    beat.write({"b": {"commands": [["true"]], "expected_every": "1h"}})
    assert beat("check").code == 0


def test_the_switch_itself_can_be_watched(beat: Beat, receiver: Receiver) -> None:
    beat.ini(check_ping=receiver.url)
    assert beat("check").code == 0
    assert receiver.requests[0].path.startswith("/workflows/")


def test_ten_checks_at_once_alarm_once(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    beat.age(3961)
    processes = [beat.start("check") for _ in range(10)]
    assert {process.wait(LONG) for process in processes} == {1}
    beat("check")
    assert len(told(receiver)) == 1


def test_list(beat: Beat) -> None:
    beat.run("a")
    (beat.home / "broken").touch()
    beat.run("a")
    beat.age(3961)
    listed = beat.listed()
    a = listed["a"]
    assert (a["outcome"], a["code"], a["due"] - a["last_success"]) == ("failed", 1, 3600)
    assert a["problems"] and a["duration"] < LONG
    assert listed["b"]["outcome"] is None
    lines = beat("list").stdout.splitlines()
    assert lines[0].split() == ["task", "last", "start", "took", "memory", "outcome", "due", "by", "file"]
    assert "failed (1)" in lines[1] and "LATE" in lines[1]
    assert "never run" in lines[2]


def test_list_of_nothing(beat: Beat) -> None:
    assert "no task is known yet" in beat("list").stdout


def test_a_killed_check_tells_all_the_same(beat: Beat, receiver: Receiver) -> None:
    beat.run("a")
    beat.age(3961)
    receiver.answers = ["hang"]
    process = beat.start("check")
    receiver.wait_for(1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    beat("check")
    first, second = receiver.requests
    assert first.body == second.body
