"""The envelope, written and strictly read."""

from __future__ import annotations

import dataclasses
import json
import typing

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.events import cloud_event
from sync_to_azure.events.cloud_event import CloudEvent
from sync_to_azure.events.run_events import CLASSES, OF_RUNS, Event, EventType, RunNeedsAttention, WebhookTest
from tests.events.conftest import DESTINATION, SOURCE, published, removed

ATTENTION = RunNeedsAttention(
    run="R", code="uncarried", advice="", count=None, text=None, is_published=False, destination=DESTINATION
)


def enveloped(event: Event) -> CloudEvent:
    return CloudEvent(
        id="0011223344556677-1-89abcdef",
        source=SOURCE,
        type=event.type,
        version=event.version,
        subject=cloud_event.subject_of(event),
        time=1_795_000_000.0,
        epoch="0011223344556677",
        number=1,
        data=cloud_event.data_of(event),
    )


@pytest.mark.parametrize("event", [published(), removed(), ATTENTION, WebhookTest(destination=DESTINATION)])
def test_what_is_written_is_read(event: Event) -> None:
    line = enveloped(event).line()
    assert "\n" not in line and line.isascii()
    assert cloud_event.read(line.encode()) == ("0011223344556677-1-89abcdef", event)


def test_the_envelope_is_cloudevents_1_0() -> None:
    values = enveloped(published()).values()
    assert values["specversion"] == "1.0" and values["time"] == "2026-11-18T11:06:40+00:00"
    assert values["sequence"] == "000000000001" and values["subject"] == "R"
    assert values["dataschema"] == "urn:sync-to-azure:event:run.published:1"
    # Names of attributes, by the specification: lower-case letters and digits.
    assert all(name.isalnum() and name == name.lower() for name in values)


def test_every_code_has_its_class_and_none_is_of_an_object() -> None:
    assert CLASSES.keys() == set(EventType) and EventType.WEBHOOK_TEST not in OF_RUNS
    assert not any(str(each).startswith("object.") for each in EventType)


def changed(**changes: typing.Any) -> bytes:
    values = enveloped(published()).values()
    for name, value in changes.items():
        place, _, field = name.rpartition("__")
        target = values[place] if place else values
        if value is KeyError:
            del target[field]
        else:
            target[field] = value
    return json.dumps(values).encode()


def test_what_a_later_version_added_is_ignored() -> None:
    _, event = cloud_event.read(changed(traceparent="x", data__more={"deep": [1]}))
    assert event == published()


@pytest.mark.parametrize(
    "text, why",
    [
        (changed(specversion="0.3"), "specversion"),
        (changed(type="object.created"), "type"),
        (changed(type=7), ""),
        (changed(id=None), ""),
        (changed(dataschema="urn:sync-to-azure:event:run.published:2"), "dataschema"),
        (changed(data__files="3"), "data.files is no int"),
        (changed(data__files=True), "data.files is no int"),
        (changed(data__files=-1), "data.files is out of range"),
        (changed(data__run=KeyError), "data has no run"),
        (changed(data__manifest="x"), "data.manifest is no object"),
        (changed(data__run="x" * 9000), "data.run is too long"),
        (changed(data="x"), "data is no object"),
        (b"[]", "a JSON object"),
        (b"{", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b" " * 70_000, "more than 65536"),
    ],
)
def test_what_does_not_fit_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        cloud_event.read(text)
    assert why in str(caught.value)


_json = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(strategies.text(), inner, max_size=3),
    max_leaves=10,
)
_names = strategies.sampled_from(sorted(enveloped(published()).values()))
_fields = strategies.sampled_from([field.name for field in dataclasses.fields(published())])


@hypothesis.given(_names, _fields, _json, strategies.booleans())
def test_nothing_else_is_raised(name: str, field: str, value: object, within: bool) -> None:
    try:
        cloud_event.read(changed(**{f"data__{field}" if within else name: value}))
    except ValueError:
        pass
