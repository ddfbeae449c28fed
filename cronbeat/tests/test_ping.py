"""Pings for each run, in the way of healthchecks.io, against a server that may be there or not."""

from __future__ import annotations

import pytest
from cronbeat import ping
from harness import Beat, Receiver, sh


def test_start_and_success_belong_together(beat: Beat, receiver: Receiver) -> None:
    beat.write({"a": {"commands": [["true"]], "ping": receiver.url}})
    assert beat.run("a").code == 0
    start, success = receiver.requests
    query = "?sig=topsecretsignature0&rid="
    assert start.path.startswith(f"/workflows/{receiver.secret}/start{query}")
    assert success.path.startswith(f"/workflows/{receiver.secret}{query}")
    assert start.path[-36:] == success.path[-36:]


def test_a_failure_with_its_exit_code_and_last_lines(beat: Beat, receiver: Receiver) -> None:
    beat.write({"a": {"commands": [sh("echo hopeless; exit 9")], "ping": receiver.url}})
    assert beat.run("a").code == 9
    failure = receiver.requests[1]
    assert f"{receiver.secret}/fail" in failure.path
    assert failure.body == b"exit code 9\nexit code 9\nhopeless"


SECRETS = {
    "a SAS": ("curl: (22) https://x.blob.core.windows.net/c?sv=1&sig=Zm9v%2BbmFy%3D", "Zm9v"),
    "a key": ("AccountName=x;AccountKey=a2V5b2ZhbGxrZXlz==;EndpointSuffix=y", "a2V5"),
    "a token": ("Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln", "eyJ"),
    "far behind": ("x" * 490 + " ?sig=Zm9vYmFyYmF6Zm9vYmFyYmF6", "Zm9v"),
    "after a line that is too long": ("y" * 30_000 + "?sig=Zm9vYmFy" + "Zm9vYmFy" * 900, "Zm9v"),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_leaves_in_no_way(beat: Beat, receiver: Receiver, secret: str) -> None:
    """Neither by ping and webhook nor into the database, nor to cron's mail."""
    text, telling = SECRETS[secret]
    (beat.home / "said").write_text(text)
    beat.ini(webhook=receiver.url)
    beat.write({"a": {"commands": [sh("cat said; exit 3")], "ping": receiver.url}})
    ended = beat.run("a")
    assert ended.code == 3 and telling not in ended.output
    assert beat("emit").code == 0
    assert len(receiver.requests) == 3
    assert not any(telling.encode() in request.body for request in receiver.requests)
    assert telling not in str(beat.sql("SELECT tail, reason FROM runs") + beat.sql("SELECT * FROM messages"))


@pytest.mark.parametrize("answers", [["hang"] * 4, ["drop"] * 4, [500] * 4, ["drip"] * 4])
def test_no_ping_server_changes_how_a_task_ends(
    beat: Beat, receiver: Receiver, answers: list[object]
) -> None:
    receiver.answers = answers
    beat.ini(http_timeout="0.5s")
    beat.write({"a": {"commands": [["touch", "ran"]], "ping": receiver.url}})
    ended = beat.run("a")
    assert ended.code == 0 and (beat.home / "ran").exists()
    assert "ping: not delivered" in ended.stderr and receiver.secret not in ended.output
    assert beat.runs() == [("a", "ok", 0)]


def test_the_address() -> None:
    assert ping.address("https://hc-ping.com/uuid/", "/start", "r") == "https://hc-ping.com/uuid/start?rid=r"
    assert ping.address("https://host/push/x?a=b", "", None) == "https://host/push/x?a=b"
