"""The tail, the ring of a log, the redactor, cards, and what Teams says behind a 200."""

from __future__ import annotations

import json
import pathlib
import typing

import pytest
from cronbeat import cards, judge, locks, place, redact
from cronbeat.runlog import RunLog, Tail


def test_the_last_lines_of_any_bytes() -> None:
    tail = Tail()
    tail.write(b"1\n2\n3\n4\n")
    tail.write(b"five \xff\n10%\r50%\r99%\r\n\n\x1b[31mred\x1b[0m\x07")
    assert tail.text() == "3\n4\nfive \\xff\n99%\nred\\x07"


def test_a_line_without_end_fills_no_memory() -> None:
    tail = Tail()
    for _ in range(100):
        tail.write(b"x" * 65536)
    assert len(tail._rest) < 10_000 and len(tail.text()) == 500


@pytest.mark.parametrize("size", [0, 99, 100, 101, 150, 199, 5000, 5037])
def test_a_log_keeps_its_beginning_and_its_end(tmp_path: pathlib.Path, size: int) -> None:
    data = b"".join(b"%05d\n" % number for number in range(size // 6 + 1))[:size]
    log = RunLog(tmp_path / "log", 100)
    for start in range(0, size, 7):
        log.write(data[start : start + 7])
        assert (tmp_path / "log").stat().st_size <= 100
    assert locks.is_held(tmp_path / "log")
    log.close()
    assert not locks.is_held(tmp_path / "log")
    kept = (tmp_path / "log").read_bytes()
    if size <= 100:
        assert kept == data
    else:
        assert kept == data[:50] + b"\n[cronbeat: %d bytes left out]\n" % (size - 100) + data[-50:]


def test_a_full_disk_stops_no_task(tmp_path: pathlib.Path) -> None:
    log = RunLog(tmp_path / "log", 100)
    full = open("/dev/full", "wb", buffering=0)
    import os

    os.dup2(full.fileno(), log._file)
    log.write(b"something\n" * 50)
    assert "space" in log.broken
    assert log.tail.text().startswith("something")
    log.close()
    full.close()


def test_the_redactor_hides_the_whole_address_and_its_parts() -> None:
    url = "https://prod-1.logic.azure.com:443/workflows/0a1b2c3d4e5f/triggers/manual?sig=Zm9vYmFyYmF6&sp=%2Ftriggers"
    hide = redact.Redactor([url, None])
    for text in (
        url,
        "0a1b2c3d4e5f",
        "Zm9vYmFyYmF6",
        "Max retries with url: /workflows/0a1b2c3d4e5f/triggers/manual",
    ):
        assert "0a1b2c" not in hide(f"at {text}!") and "Zm9v" not in hide(f"at {text}!")
    assert hide("the workflows of manual triggers") == "the workflows of manual triggers"


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://prod-12.westeurope.logic.azure.com:443/workflows/x", "adaptive"),
        (
            "https://default1.2.environment.api.powerplatform.com/powerautomate/automations/direct/x",
            "adaptive",
        ),
        ("https://contoso.webhook.office.com/webhookb2/x", "messagecard"),
        ("https://outlook.office.com/webhook/x", "messagecard"),
        ("https://chat.example.org/hook", "json"),
        ("https://logic.azure.com.example.org/hook", "json"),
    ],
)
def test_the_format_goes_by_the_host(url: str, form: str) -> None:
    assert cards.format_of(url, "auto") == form
    assert cards.format_of(url, "json") == "json"


def message(count: int, lines: int) -> dict[str, typing.Any]:
    entry = {
        "tone": "attention",
        "text": "1 failed & <b>",
        "file": "/f",
        "lines": ["[x](http://evil) é" * 20] * lines,
    }
    return {
        "title": "host: **runs**",
        "tone": "attention",
        "entries": [entry | {"task": f"task {number}"} for number in range(count)],
    }


@pytest.mark.parametrize("form", ["adaptive", "messagecard"])
@pytest.mark.parametrize(("count", "lines"), [(1, 0), (3, 6), (60, 6), (3000, 0)])
def test_a_card_is_never_larger_than_teams_takes(form: str, count: int, lines: int) -> None:
    data = cards.body(message(count, lines), form)
    assert len(data) <= cards.LARGEST
    assert b"task 0" in data
    if count == 3000:
        assert b"more, see: cronbeat list" in data
    if form == "messagecard":
        assert len(json.loads(data)["sections"]) <= 10


def test_an_adaptive_card_lets_no_task_write_markdown() -> None:
    card = json.loads(cards.body(message(1, 2), "adaptive"))
    assert card["type"] == "message"
    (attachment,) = card["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {block["type"] for block in attachment["content"]["body"]} == {"RichTextBlock"}


def test_a_message_card_lets_no_task_write_html() -> None:
    card = json.loads(cards.body(message(1, 0), "messagecard"))
    assert card["@type"] == "MessageCard"
    assert card["sections"][0]["facts"][0]["value"] == "1 failed &amp; &lt;b&gt;"


def test_teams_tells_errors_in_the_text_of_a_200() -> None:
    text = (
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with x"
    )
    assert cards.refusal(text) == 429
    assert cards.refusal("1") is None


def watched(**changes: typing.Any) -> judge.Watched:
    known: dict[str, typing.Any] = dict.fromkeys(
        ("expected_every", "longest", "last_success", "running_since", "started", "last")
    )
    return judge.Watched(**(known | {"file": "/f", "name": "a", "first_seen": 1000.0} | changes))


def test_when_a_task_is_late() -> None:
    def kinds(now: float, **changes: typing.Any) -> list[str]:
        return [problem.kind for problem in judge.problems(watched(**changes), now)]

    assert kinds(9999) == []
    assert kinds(1100, expected_every=100) == []
    assert kinds(1101, expected_every=100) == ["late"]
    assert kinds(1150, expected_every=100, last_success=1050) == []
    assert kinds(1151, expected_every=100, last_success=1050) == ["late"]
    assert kinds(1300, longest=100, running_since=1200) == []
    assert kinds(1301, longest=100, running_since=1200) == ["long"]


def test_no_lock_name_leaves_the_folder() -> None:
    root = place.Place(pathlib.Path("/c"))
    for name in ("../../etc/passwd", "a/b", "..", ".", "é", "x" * 500, "x" * 499 + "y"):
        path = root.lock(name)
        assert (
            path.parent == pathlib.Path("/c/locks") and len(path.name) <= 100 and path.name not in (".", "..")
        )
    assert root.lock("x" * 500) != root.lock("x" * 499 + "y")
    assert root.lock("/run/lock/lake") == pathlib.Path("/run/lock/lake")
