"""`emit` against a server that fails, hangs, repeats and asks to wait: nothing is lost, nothing is told twice."""

from __future__ import annotations

import email.utils
import time
import typing

import pytest
from harness import LONG, Beat, Receiver, kill_hard, sh, wait_until


@pytest.fixture(autouse=True)
def webhook(beat: Beat, receiver: Receiver) -> None:
    beat.ini(webhook=receiver.url)
    beat.write({"good": {"commands": [["true"]]}, "bad": {"commands": [sh("echo why; exit 3")]}})


def counts(receiver: Receiver) -> dict[str, int]:
    """How many runs of each task were told, each message once, as a receiver that heeds the id has them."""
    messages = {request.json["id"]: request.json for request in receiver.requests}
    total: dict[str, int] = {}
    for message in messages.values():
        for entry in message["entries"]:
            total[entry["task"]] = total.get(entry["task"], 0) + sum(entry["counts"].values())
    return total


def test_a_summary_since_the_last_one(beat: Beat, receiver: Receiver) -> None:
    for name in ("good", "bad", "good"):
        beat.run(name)
    ended = beat("emit")
    assert ended.code == 0 and ended.output == ""
    (request,) = receiver.requests
    message: dict[str, typing.Any] = request.json
    assert request.headers["Idempotency-Key"] == message["id"]
    bad, good = message["entries"]
    assert (bad["task"], bad["counts"], bad["lines"][1:]) == ("bad", {"failed": 1}, ["why"])
    assert (good["task"], good["counts"]) == ("good", {"ok": 2})
    assert bad["failures"][0]["code"] == 3
    assert beat("emit").code == 0
    assert len(receiver.requests) == 1  # nothing new
    beat.run("good")
    beat("emit")
    assert counts(receiver) == {"good": 3, "bad": 1}


@pytest.mark.parametrize(
    "answers", [[500], ["drop"], [503, "drop"], [408], [(429, {"Retry-After": "0"}, "")]]
)
def test_a_receiver_that_recovers(beat: Beat, receiver: Receiver, answers: list[typing.Any]) -> None:
    receiver.answers = list(answers)
    beat.run("good")
    assert beat("emit").code == 0
    assert len({request.body for request in receiver.requests}) == 1  # the very same, so that it can be told
    assert len(receiver.requests) == len(answers) + 1
    assert beat.sql("SELECT tries, delivered > 0 FROM messages") == [(len(answers) + 1, 1)]


@pytest.mark.parametrize(
    "answer", [500, "drop", "hang", "drip", 404, 400, (302, {"Location": "/elsewhere"}, "")]
)
def test_nothing_is_taken_off_the_list_without_a_2xx(
    beat: Beat, receiver: Receiver, answer: typing.Any
) -> None:
    if answer in ("hang", "drip"):
        beat.ini(webhook=receiver.url, http_timeout="1s")
    receiver.answers = [answer] * 3
    beat.run("good")
    ended = beat("emit")
    assert ended.code == 3 and "1 message not delivered, kept for the next time" in ended.stderr
    assert ended.seconds < 100
    assert beat.sql("SELECT delivered FROM messages") == [(None,)]
    beat.ini(webhook=receiver.url)
    beat.run("bad")
    if answer in ("hang", "drip"):
        receiver.wait_for(3)  # what was sent before it was given up, and taken late by us
    receiver.answers = []
    seen = len(receiver.requests)
    assert beat("emit").code == 0
    assert len(receiver.requests) == seen + 2  # the one that waited, as it was, and what came since
    assert counts(receiver) == {"good": 1, "bad": 1}
    assert receiver.requests[seen].json["id"] == receiver.requests[0].json["id"]


def test_a_dead_receiver_gets_one_message_for_all_that_came_meanwhile(beat: Beat, receiver: Receiver) -> None:
    receiver.answers = [500] * 12
    for _ in range(4):
        beat.run("good")
        assert beat("emit").code == 3
    assert len(beat.sql("SELECT * FROM messages")) == 1
    beat("emit")
    assert counts(receiver) == {"good": 4}
    assert len({request.json["id"] for request in receiver.requests}) == 2


def test_nobody_listens(beat: Beat, receiver: Receiver) -> None:
    receiver.close()
    beat.run("good")
    ended = beat("emit")
    assert ended.code == 3 and "cannot connect" in ended.stderr
    assert receiver.secret not in ended.output


def test_retry_after_is_heeded(beat: Beat, receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}, "")]
    beat.run("good")
    began = time.monotonic()
    assert beat("emit").code == 0
    assert time.monotonic() - began > 1


def test_a_long_retry_after_is_left_to_a_later_start(beat: Beat, receiver: Receiver) -> None:
    later = email.utils.formatdate(time.time() + 1800, usegmt=True)
    receiver.answers = [(429, {"Retry-After": later}, "")]
    beat.run("good")
    ended = beat("emit")
    assert ended.code == 3 and len(receiver.requests) == 1
    ended = beat("emit")
    assert ended.code == 3 and "left alone" in ended.stderr
    assert len(receiver.requests) == 1
    beat.sql("UPDATE notes SET value = ?", str(time.time() - 1))
    assert beat("emit").code == 0


def test_an_absurd_retry_after_silences_nobody_for_ever(beat: Beat, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "99999999"}, "")]
    beat.run("good")
    beat("emit")
    ((until,),) = beat.sql("SELECT value FROM notes")
    assert float(until) < time.time() + 3700
    beat.sql("UPDATE notes SET value = ?", "99999999999")  # as after a clock that went back by years
    assert beat("emit").code == 0


def test_killed_between_the_answer_and_the_note_of_it(beat: Beat, receiver: Receiver) -> None:
    """The one moment in which HTTP allows a second delivery: it has the same id."""
    receiver.answers = ["hang"]
    beat.run("good")
    process = beat.start("emit")
    receiver.wait_for(1)
    kill_hard(process)
    assert beat("emit").code == 0
    first, second = receiver.requests
    assert first.body == second.body and first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert counts(receiver) == {"good": 1}


def test_a_run_that_ends_during_an_emit_comes_with_the_next(beat: Beat, receiver: Receiver) -> None:
    """A run that began first and ends last has the lowest number: a cursor over numbers would lose it."""
    beat.write(
        {
            "good": {"commands": [["true"]]},
            "slow": {"commands": [sh("while [ ! -e go ]; do sleep 0.05; done")]},
        }
    )
    slow = beat.start("run", beat.tasks, "slow")
    while not (beat.cache / "cronbeat.sqlite").exists() or not beat.sql(
        "SELECT 1 FROM sqlite_master WHERE name = 'runs'"
    ):
        time.sleep(0.02)
    while not beat.runs():
        time.sleep(0.02)
    beat.run("good")
    assert beat("emit").code == 0
    assert counts(receiver) == {"good": 1}
    (beat.home / "go").touch()
    slow.wait(LONG)
    assert beat("emit").code == 0
    assert counts(receiver) == {"good": 1, "slow": 1}


def test_many_emits_and_runs_at_once_tell_each_run_once(beat: Beat, receiver: Receiver) -> None:
    receiver.answers = [500, "drop"] * 3
    processes = []
    for _ in range(10):
        processes += [beat.start("run", beat.tasks, "good"), beat.start("emit")]
    assert all(process.wait(LONG) in (0, 3) for process in processes)
    wait_until(lambda: beat("emit").code == 0)
    assert counts(receiver) == {"good": 10}
    ids = [request.json["id"] for request in receiver.requests]
    delivered = beat.sql("SELECT id FROM messages WHERE delivered IS NOT NULL")
    assert set(ids) == {each for (each,) in delivered}


@pytest.mark.parametrize("form", ["adaptive", "messagecard"])
def test_cards_for_teams(beat: Beat, receiver: Receiver, form: str) -> None:
    beat.ini(webhook=receiver.url, webhook_format=form)
    beat.run("bad")
    assert beat("emit").code == 0
    (request,) = receiver.requests
    assert (b"AdaptiveCard" if form == "adaptive" else b"MessageCard") in request.body
    assert b"why" in request.body and b"failed" in request.body


def test_a_200_of_an_old_connector_can_be_an_error(beat: Beat, receiver: Receiver) -> None:
    beat.ini(webhook=receiver.url, webhook_format="messagecard")
    receiver.answers = [
        (
            200,
            {},
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 x",
        )
    ]
    beat.run("good")
    assert beat("emit").code == 0
    assert len(receiver.requests) == 2


def test_the_webhook_is_nowhere(beat: Beat, receiver: Receiver) -> None:
    """Not in what we say, in a log, in the database, in a process list, or in what we send."""
    log = beat.home / "cronbeat.log"
    beat.ini(webhook=receiver.url, log_file=log, log_level="DEBUG")
    (beat.home / ".cronbeat.ini").chmod(0o644)
    beat.write({"leak": {"commands": [sh(f"echo {receiver.url}; exit 1")]}})
    said = beat.run("leak").output
    receiver.answers = [500, "drop", 404, "drop", 500, 500]
    for _ in range(3):
        said += beat("emit").output
    said += beat("list").output + beat("check").output
    assert "chmod o-r" in said
    receiver.close()
    beat.run("leak")
    said += beat("emit").output
    said += log.read_text()
    said += "\n".join(beat.sql("SELECT group_concat(tail || reason) FROM runs")[0])
    said += "".join(content for (content,) in beat.sql("SELECT content FROM messages"))
    assert receiver.secret not in said and "topsecret" not in said
    assert "***" in said
    assert not any(receiver.secret.encode() in request.body for request in receiver.requests)


def test_nothing_untold_is_pruned(beat: Beat, receiver: Receiver) -> None:
    beat.run("bad")
    beat.run("bad")
    beat.age(400 * 86400)
    beat.run("good")
    assert beat("emit").code == 0
    assert counts(receiver) == {"good": 1, "bad": 2}
    beat("emit")
    assert beat.runs() == [("bad", "failed", 3), ("good", "ok", 0)]  # each task's newest stays
