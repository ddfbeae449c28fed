"""docs/events.md says what the code does: its events are what is sent, and its receiver runs as it stands there."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

from embedded.tools import PROJECT
from sync_to_azure.events import cloud_event, webhook
from sync_to_azure.events.run_events import CLASSES, OF_RUNS, Event, EventType
from sync_to_azure.events.webhook import WebhookConfig, key_of
from tests.conftest import LONG
from tests.events.conftest import published, removed
from tests.events.test_cloud_event import enveloped

TEXT = (PROJECT / "docs" / "events.md").read_text(encoding="utf-8")
KEY = "0123456789abcdef0123456789abcdef"


def test_each_event_is_described() -> None:
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", TEXT, re.MULTILINE)
    assert rows == [str(each) for each in EventType]


@pytest.mark.parametrize("event_type", OF_RUNS)
def test_each_example_is_an_event(event_type: EventType) -> None:
    """Read strictly, and written again as it stands there: no field is missing, none is too many."""
    found = re.search(rf"### `{event_type}`\n\n```json\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    example = json.loads(found[1])
    values = enveloped(published()).values() | {
        "type": event_type,
        "dataschema": cloud_event.schema(event_type, CLASSES[event_type].version),
        "data": example,
    }
    _, event = cloud_event.read(json.dumps(values).encode())
    assert cloud_event.data_of(event) == example
    assert list(cloud_event.data_of(event)) == list(example), "in the same order"


def test_each_attribute_of_the_envelope_is_described() -> None:
    section = TEXT.partition("## The envelope")[2].partition("### ")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", section, re.MULTILINE) == [
        *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"),
        *("epoch", "sequence", "data"),
    ]
    assert set(re.findall(r"^\| `([a-z]+)` \|", section, re.MULTILINE)) == set(
        enveloped(published()).values()
    )


def test_the_receiver_of_the_document(tmp_path: pathlib.Path) -> None:
    found = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    (tmp_path / "receiver.py").write_text(found[1])
    (tmp_path / "key").write_text(KEY + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    note = f"import sys; open({str(log)!r}, 'a').write(sys.stdin.read() + '\\n')"
    process = subprocess.Popen(
        [sys.executable, "receiver.py", "key", "done", str(port), sys.executable, "-c", note],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )

    def sent(event: Event, key: str = KEY, now: float | None = None) -> str:
        config = WebhookConfig(f"http://127.0.0.1:{port}/", key_of(key), ())
        return webhook.sender(config, lambda: now or time.time())(enveloped(event))

    try:
        until = time.monotonic() + LONG
        while problem := sent(published()):
            assert "refused" in problem and time.monotonic() < until, problem
        assert sent(published()) == "" and sent(removed()) == ""
        assert sent(published("other"), "another-key-that-nobody-has") == "it answered 401"
        assert (
            sent(published("other"), now=time.time() - 3600) == "it answered 401"
        ), "sent again by a listener"
    finally:
        process.kill()
        process.wait(LONG)
    [line] = log.read_text().splitlines()
    assert json.loads(line)["data"]["run"] == "R", "once, however often it comes"
