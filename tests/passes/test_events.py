"""Events of whole passes: each change reported, whatever kills a pass; and delivered, whatever the receiver does."""

from __future__ import annotations

import re
import collections.abc
import hashlib
import json
import pathlib
import signal
import sqlite3
import time
import typing

import pytest

from sync_to_azure.events import cloud_event
from sync_to_azure.events.run_events import Event, RunChanged, RunNeedsAttention, RunPublished, RunRemoved
from tests.conftest import LONG
from tests.events.receiver import Receiver
from tests.passes import kill_points
from tests.passes.cut import killed_at
from tests.passes.proxy import Proxy
from tests.passes.test_mail import Postbox
from tests.passes.scene import DOCUMENTS, Scene, eventually, touch_later

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def native(scene: Scene) -> Scene:
    """Without AzCopy, which takes its time to start; events are kept for people."""
    scene.config |= {"uploader": "native", "keep-events": 30}
    return scene


@pytest.fixture
def postbox() -> collections.abc.Iterator[Postbox]:
    server = Postbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def receiver() -> collections.abc.Iterator[Receiver]:
    server = Receiver()
    yield server
    server.end()


def hooked(scene: Scene, receiver: Receiver, path: str = "/events") -> Scene:
    key = scene.folder / "notify.key"
    key.touch(mode=0o600)
    key.write_text(KEY + "\n")
    scene.config |= {"notify-url": receiver.url(path), "notify-key": key}
    return scene


def lines(scene: Scene, *arguments: object) -> list[dict[str, typing.Any]]:
    outcome = scene.run("events", "--json", *arguments)
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def events(scene: Scene) -> list[Event]:
    return [cloud_event.read(json.dumps(each).encode())[1] for each in lines(scene, "--since", "1d")]


def taken(receiver: Receiver) -> list[Event]:
    return [cloud_event.read(body)[1] for _, body in receiver.taken]


def test_the_life_of_a_run(native: Scene) -> None:
    run = native.make_run("R")
    native.run()
    [published] = events(native)
    assert isinstance(published, RunPublished)
    manifest, receipt = native.get("R.files.jsonl"), native.get("R.json")
    assert published.manifest.blob == "R.files.jsonl"
    assert published.manifest.sha256 == hashlib.sha256(manifest).hexdigest()
    assert published.receipt.sha256 == hashlib.sha256(receipt).hexdigest()
    assert (published.files, published.bytes) == (3, len("one") + len("<run/>"))
    assert (published.generation, published.weakest_evidence) == (1, "validated")
    assert (published.outcome, published.is_adopted) == ("finished", False)
    native.run()
    native.run("--thorough")
    assert len(events(native)) == 1, "nothing happened"
    (run / "late.txt").write_text("late")
    native.run()
    changed = events(native)[1]
    assert isinstance(changed, RunChanged)
    assert (changed.generation, changed.new_files, changed.new_bytes, changed.replaced_files) == (2, 1, 4, 0)
    (run / "RunInfo.xml").write_text("<other/>")
    touch_later(run / "RunInfo.xml")
    for _ in range(2):
        native.run("--thorough", expect=1 if len(events(native)) == 2 else 0)
    attention = events(native)[2]
    assert isinstance(attention, RunNeedsAttention) and len(events(native)) == 3
    assert (attention.code, attention.count, attention.text) == ("changed-after-verification", 1, None)
    native.run("accept", "R", "--yes")
    native.run()
    changed = events(native)[3]
    assert isinstance(changed, RunChanged)
    assert (changed.generation, changed.new_files, changed.replaced_files) == (3, 1, 1)
    native.config["remove-source"] = "true"
    native.run()
    removed = events(native)[4]
    assert isinstance(removed, RunRemoved) and removed.receipt is not None and not run.exists()
    assert removed.receipt.sha256 == hashlib.sha256(native.get("R.json")).hexdigest()
    native.run()
    assert len(events(native)) == 5


def test_nothing_is_kept_where_nobody_waits(native: Scene) -> None:
    del native.config["keep-events"]
    native.make_run("R")
    native.run()
    outcome = native.run("events")
    assert outcome.stdout == "" and "No events are kept" in outcome.stderr and "keep-events" in outcome.stderr
    assert native.sql("SELECT count(*) FROM outbox_event") == [(0,)]


def test_killed_at_each_document_and_reported_when_it_is_whole(native: Scene, proxy: Proxy) -> None:
    """A run for each point, so that none is helped by the one before."""
    native.through(proxy)
    for number, suffix in enumerate(DOCUMENTS):
        name = f"R{number}"
        native.make_run(name)
        killed_at(native, proxy, f"/{name}{suffix}")
        assert name not in {event.run for event in events(native)}, suffix  # type: ignore[union-attr]
    native.run()
    found = {event.run: event for event in events(native)}  # type: ignore[union-attr]
    assert sorted(found) == ["R0", "R1", "R2", "R3"]
    for name, event in found.items():
        assert isinstance(event, RunPublished), "the first report, whatever its generation"
        assert event.receipt.sha256 == hashlib.sha256(native.get(f"{name}.json")).hexdigest()


def test_killed_after_the_marker_and_reported_when_it_is_adopted(native: Scene, proxy: Proxy) -> None:
    native.through(proxy).make_run("R")

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("/R.sync"):
            process.kill()
            process.wait(LONG)

    proxy.after = kill
    process = native.start()
    process.wait(LONG)
    assert process.returncode == -signal.SIGKILL and native.is_published("R")
    assert events(native) == []
    proxy.reset()
    before = native.etags()
    native.run()
    [event] = events(native)
    assert isinstance(event, RunPublished) and event.is_adopted and native.etags() == before


def test_killed_while_it_is_removed_and_reported_once_it_is(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.config["remove-source"] = "true"
    for point in (("os.remove", "one.bcl"), ("os.rmdir", "removing-R")):
        killed = native.start(environment=kill_points.environment(native.folder, *point))
        killed.communicate(timeout=LONG)
        assert killed.returncode == -signal.SIGKILL
        assert [event.type for event in events(native)] == ["run.published"]
    native.run()
    assert [event.type for event in events(native)] == ["run.published", "run.removed"]


def test_a_lost_ledger_reports_what_it_finds_again(native: Scene) -> None:
    native.make_run("R")
    native.run()
    [before] = lines(native)
    native.lose_ledger()
    native.run()
    [after] = lines(native)
    assert after["data"] == before["data"] | {"is_adopted": True}
    assert after["epoch"] != before["epoch"] and after["source"] == before["source"]


def test_the_webhook_gets_each_event_once_and_in_order(native: Scene, receiver: Receiver) -> None:
    del native.config["keep-events"]
    hooked(native, receiver)
    for name in "ABC":
        native.make_run(name)
    native.run()
    assert [event.run for event in taken(receiver)] == ["A", "B", "C"]  # type: ignore[union-attr]
    assert native.sql("SELECT count(*) FROM outbox_event") == [(0,)], "nobody else waits for them"
    native.run()
    assert len(receiver.taken) == 3


def test_a_receiver_that_fails_holds_up_nothing_and_gets_it_later(native: Scene, receiver: Receiver) -> None:
    hooked(native, receiver)
    native.make_run("A")
    receiver.answers = [400]
    outcome = native.run()
    assert native.is_published("A") and "it answered 400" in outcome.stderr
    native.make_run("B")
    outcome = native.run()
    assert len(receiver.taken) == 1, "it waits for the pause to end"
    shown = native.run("status").stdout
    assert "webhook: 2 events not delivered yet" in shown and "it answered 400" in shown
    native.sql("UPDATE outbox_consumer SET next_try = 1")
    native.run()
    assert [event.run for event in taken(receiver)] == ["A", "A", "B"]  # type: ignore[union-attr]
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2
    assert "not delivered" not in native.run("status").stdout


def test_a_pass_that_is_killed_while_it_delivers_sends_it_again(native: Scene, receiver: Receiver) -> None:
    hooked(native, receiver)
    native.make_run("A")
    receiver.answers = ["hang"]
    process = native.start()
    assert eventually(lambda: receiver.taken, LONG)
    other = native.run()
    assert "another pass" not in other.output, "the lock was released before"
    process.kill()
    process.communicate(timeout=LONG)
    native.run()
    assert [event.run for event in taken(receiver)] == ["A", "A"]  # type: ignore[union-attr]
    assert receiver.taken[0][0]["webhook-id"] == receiver.taken[1][0]["webhook-id"]


def test_check_sends_a_signed_test_event(native: Scene, receiver: Receiver) -> None:
    hooked(native, receiver)
    assert "127.0.0.1 took a signed test event" in native.run("check").stdout
    [event] = taken(receiver)
    assert event.type == "webhook.test"
    receiver.answers = [401]
    outcome = native.run("check", expect=3)
    assert "did not take a signed test event: it answered 401" in outcome.stdout


def test_a_day_without_delivery_is_mailed_once_and_changes_no_exit_code(
    native: Scene, receiver: Receiver, postbox: Postbox
) -> None:
    hooked(native, receiver)
    native.make_run("A")
    native.config["metrics-file"] = native.folder / "m.prom"
    native.config |= {"log-recipient": "lab@example.org", "smtp-host": "127.0.0.1"}
    native.config |= {"smtp-port": postbox.port, "smtp-security": "none"}
    receiver.answers = [410] * 3
    native.run()
    assert postbox.mails == [], "it may be repaired soon"
    native.sql("UPDATE outbox_consumer SET failing_since = failing_since - 90000, next_try = 1")
    native.sql("UPDATE outbox_event SET at = at - 90000")
    outcome = native.run()
    assert "1 event not delivered yet, the oldest 1 d 1 h old: it answered 410" in outcome.stderr
    native.sql("UPDATE outbox_consumer SET next_try = 1")
    native.run()
    assert len(postbox.mails) == 1 and "it answered 410" in postbox.mails[0].as_string()
    metrics = (native.folder / "m.prom").read_text()
    line = re.search(r"^sync_to_azure_undelivered_events\{(.*)\} 1(\.0)?$", metrics, re.MULTILINE)
    assert line is not None and 'consumer="webhook"' in line[1] and 'flow="' in line[1]
    assert "oldest_undelivered_event_timestamp_seconds" in metrics
    found = json.loads(native.run("status", "--json").stdout)["undelivered_events"]
    assert [(each["consumer"], each["events"], each["problem"]) for each in found] == [
        ("webhook", 1, "it answered 410")
    ]
    native.sql("UPDATE outbox_consumer SET next_try = 1")
    native.run()
    assert len(receiver.taken) == 4 and len(postbox.mails) == 2, "and that it is over"


def test_only_the_events_that_are_wanted(native: Scene, receiver: Receiver) -> None:
    hooked(native, receiver).config["notify-events"] = "run.removed"
    native.make_run("A")
    native.run()
    assert receiver.taken == []
    native.config["remove-source"] = "true"
    native.run()
    assert [event.type for event in taken(receiver)] == ["run.removed"]


def test_a_webhook_that_is_taken_away_costs_nothing_more(native: Scene, receiver: Receiver) -> None:
    del native.config["keep-events"]
    hooked(native, receiver)
    native.make_run("A")
    receiver.answers = [400]
    native.run()
    del native.config["notify-url"]
    assert "1 event for it will be forgotten in 7 d" in native.run().stderr
    assert "will be forgotten" not in native.run().stderr, "said once"
    assert native.sql("SELECT count(*) FROM outbox_event") == [(1,)], "the pass may have been one by hand"
    native.sql("UPDATE outbox_consumer SET expires_at = 1")
    native.run()
    assert native.sql("SELECT count(*) FROM outbox_event") == [(0,)]


def test_neither_address_nor_key_is_written_anywhere(native: Scene, receiver: Receiver) -> None:
    token = "canary-of-the-receiver-0f8e7d6c"
    hooked(native, receiver, f"/hooks/{token}?again={token}")
    native.config |= {"log-file": native.folder / "log", "log-level": "DEBUG"}
    native.make_run("A")
    output = ""
    for answer in (400, 302, "headers"):
        receiver.answers, receiver.location = [answer] * 3, receiver.url(f"/{token}")
        native.sql("UPDATE outbox_consumer SET next_try = 1") if output else None
        output += native.run().output
    for command in ("status", "events", "settings"):
        output += native.run(command).output
    receiver.answers = [401]
    output += native.run("check", expect=3).output
    output += (native.folder / "log").read_text()
    output += native.ledger.read_bytes().decode("latin-1")
    assert len(receiver.taken) >= 3 and token not in output and KEY not in output


def test_a_dry_run_reports_nothing(native: Scene, receiver: Receiver) -> None:
    hooked(native, receiver)
    native.make_run("A")
    native.run("--dry-run")
    assert receiver.taken == [] and not native.ledger.exists()


def test_samples_are_named_only_with_sample_names(native: Scene) -> None:
    for setting, is_named in (("false", False), ("true", True)):
        native.config["sample-names"] = setting
        run = native.make_run(f"R-{setting}")
        (run / "Doe_Jane.fastq").symlink_to("/etc/hostname")
        native.run(expect=1)
        line = native.run("events", "--json").stdout.splitlines()[-1]
        assert "run.needs_attention" in line and ("Doe_Jane" in line) is is_named


def test_following_shows_what_happens_and_leaves_nothing_behind(native: Scene) -> None:
    del native.config["keep-events"]
    native.run()
    process = native.start("events", "--follow", "--json")
    assert eventually(lambda: native.sql("SELECT count(*) FROM outbox_consumer") == [(1,)], LONG)
    native.make_run("A")
    native.run()
    assert json.loads(process.stdout.readline())["subject"] == "A"  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert native.sql("SELECT count(*) FROM outbox_consumer") == [(0,)]
    assert native.sql("SELECT count(*) FROM outbox_event") == [(0,)]


def test_whoever_follows_and_was_killed_is_forgotten_in_time(native: Scene) -> None:
    del native.config["keep-events"]
    native.run()
    process = native.start("events", "--follow")
    assert eventually(lambda: native.sql("SELECT count(*) FROM outbox_consumer") == [(1,)], LONG)
    process.kill()
    process.communicate(timeout=LONG)
    [(expires,)] = native.sql("SELECT expires_at FROM outbox_consumer")
    assert 0 < expires - time.time() <= 600
    native.sql("UPDATE outbox_consumer SET expires_at = 1")
    native.run()
    assert native.sql("SELECT count(*) FROM outbox_consumer") == [(0,)]


def test_a_named_consumer_gets_what_it_has_not_had(native: Scene) -> None:
    del native.config["keep-events"]
    assert "from now on" in native.run("events", "--consumer", "lims").stderr
    native.make_run("A")
    native.run()
    assert [each["subject"] for each in lines(native)] == ["A"], "looking moves nobody's cursor"
    assert "run.published  A  generation 1" in native.run("events").stdout
    assert [each["subject"] for each in lines(native, "--consumer", "lims")] == ["A"]
    assert lines(native, "--consumer", "lims") == []
    native.make_run("B")
    native.run()
    assert "1 event that it has not had" in native.run("events", "--forget", "lims").stdout
    assert native.sql("SELECT count(*) FROM outbox_event") == [(0,)]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--consumer", "webhook"), "choose another one"),
        (("--consumer", "a b"), "no consumer's name"),
        (("--consumer", "x", "--since", "1d"), "exclude each other"),
        (("--forget", "nobody"), "registered: keep-events"),
        (("--forget", "x", "--json"), "no other option"),
        (("--since", "yesterday"), "not a time"),
    ],
)
def test_wrong_usage(native: Scene, arguments: tuple[str, ...], says: str) -> None:
    native.run()
    assert says in native.run("events", *arguments, expect=2).stderr


@pytest.mark.parametrize(
    "config, says",
    [
        ({"notify-url": "http://lims.example.org/x"}, "is plain http"),
        ({"notify-url": "https://user:pw@lims.example.org/x"}, "holds a user"),
        ({"notify-url": "lims.example.org"}, "is no http(s) address"),
        ({"notify-url": "https://lims.example.org/x"}, "without notify-key"),
        ({"notify-events": "run.gone"}, "'run.gone' is no event"),
        ({"notify-key": "{folder}/short"}, "24 to 256 bytes"),
        ({"notify-key": "{folder}/open"}, "can be read by others"),
    ],
)
def test_wrong_settings(native: Scene, config: dict[str, str], says: str) -> None:
    for name, mode, text in (("short", 0o600, "short"), ("open", 0o644, KEY)):
        path: pathlib.Path = native.folder / name
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)
    native.config |= {key: value.format(folder=native.folder) for key, value in config.items()}
    assert says in native.run(expect=2).stderr


def test_whoever_follows_goes_on_with_a_new_ledger(native: Scene) -> None:
    del native.config["keep-events"]
    native.run()
    process = native.start("events", "--follow", "--json")
    assert eventually(lambda: native.sql("SELECT count(*) FROM outbox_consumer") == [(1,)], LONG)
    native.lose_ledger()
    assert "was replaced" in process.stderr.readline()  # type: ignore[union-attr]
    assert eventually(lambda: native.ledger.exists() and _follows(native), LONG)
    native.make_run("A")
    native.run()
    assert json.loads(process.stdout.readline())["subject"] == "A"  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG)


def _follows(scene: Scene) -> bool:
    try:
        return scene.sql("SELECT count(*) FROM outbox_consumer") == [(1,)]
    except sqlite3.Error:
        return False
