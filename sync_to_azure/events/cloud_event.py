"""The envelope: CloudEvents 1.0 in JSON, written and strictly read. Pure.

Reading takes what a later version added: unknown attributes and fields are ignored. What is missing, of another type,
too long, of an unknown event type or of a newer version is a ValueError that says what is wrong.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from sync_to_azure.core import bounded
from sync_to_azure.core.clock import iso
from sync_to_azure.events.run_events import CLASSES, Event, EventType

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
MOST = 64 * 1024
"""Bytes of one event; CloudEvents asks every hop to take as much."""
_MOST_TEXT = 8192
_MOST_NUMBER = 2**63 - 1
_SCHEMA = "urn:sync-to-azure:event"


@dataclasses.dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event as it is sent. ``id`` is unique in the world, ``number`` grows within an ``epoch``: another epoch means
    that the ledger was made again, a number that is not above the last one that it was set back. ``data`` is what the
    event's type and version say (``read`` makes a typed event of it)."""

    id: str
    source: str
    type: str
    version: int
    subject: str
    time: float
    epoch: str
    number: int
    data: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": iso(self.time),
            "datacontenttype": "application/json",
            "dataschema": schema(self.type, self.version),
            "epoch": self.epoch,
            "sequence": f"{self.number:012d}",
            "data": dict(self.data),
        }

    def line(self) -> str:
        """On one line, in ASCII."""
        return json.dumps(self.values())


def schema(event_type: str, version: int) -> str:
    return f"{_SCHEMA}:{event_type}:{version}"


def data_of(event: Event) -> dict[str, Any]:
    return dataclasses.asdict(event)


def subject_of(event: Event) -> str:
    return str(getattr(event, "run", event.type))


def read(text: bytes) -> tuple[str, Event]:
    """(id, event) of a message, however malformed or hostile. Raises ValueError."""
    values = bounded.json_of(text, MOST)
    if not isinstance(values, dict):
        raise ValueError("an event is a JSON object")
    if values.get("specversion") != "1.0":
        raise ValueError("specversion is not 1.0")
    identity = bounded.text(values.get("id"), 256)
    try:
        event_type = EventType(bounded.text(values.get("type"), 256))
    except ValueError:
        raise ValueError("type is unknown to this version") from None
    made = CLASSES[event_type]
    if values.get("dataschema") != schema(event_type, made.version):
        raise ValueError(f"dataschema is not {schema(event_type, made.version)}")
    return identity, typing.cast(Event, _made(made, values.get("data"), "data"))


def _made(wanted: Any, value: Any, where: str) -> Any:
    if isinstance(wanted, types.UnionType):
        if value is None and type(None) in wanted.__args__:
            return None
        [wanted] = [each for each in wanted.__args__ if each is not type(None)]
    if dataclasses.is_dataclass(wanted):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        hints = typing.get_type_hints(wanted)
        names = [field.name for field in dataclasses.fields(wanted)]
        missing = [name for name in names if name not in value]
        if missing:
            raise ValueError(f"{where} has no {', '.join(missing)}")
        fields = {name: _made(hints[name], value[name], f"{where}.{name}") for name in names}
        return typing.cast(Any, wanted)(**fields)
    if type(value) is not wanted:
        raise ValueError(f"{where} is no {wanted.__name__}")
    if isinstance(value, str) and len(value) > _MOST_TEXT:
        raise ValueError(f"{where} is too long")
    if type(value) is int and not 0 <= value <= _MOST_NUMBER:
        raise ValueError(f"{where} is out of range")
    return value
