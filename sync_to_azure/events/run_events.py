"""The events, as values. docs/events.md describes each; a test compares its examples with what these make.

A version belongs to each type. Fields are only added; what changes a field's meaning, or removes it, is a new version.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import ClassVar


class EventType(enum.StrEnum):
    """Stable codes. Names that begin with ``object.`` are reserved for what happens to single objects."""

    RUN_PUBLISHED = "run.published"
    RUN_CHANGED = "run.changed"
    RUN_REMOVED = "run.removed"
    RUN_NEEDS_ATTENTION = "run.needs_attention"
    WEBHOOK_TEST = "webhook.test"


OF_RUNS = tuple(each for each in EventType if each.startswith("run."))
"""What an outbox holds; a test of the webhook is sent by ``check`` alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Destination:
    """Where a flow writes to: blobs are below ``prefix``, which may be empty."""

    endpoint: str
    container: str
    prefix: str


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A blob beside the run, and the SHA-256 of what stood in it at that generation."""

    blob: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunPublished:
    """The first publishing of a run that this ledger reports. ``is_adopted``: it was published before, by a pass that
    was cut off, by another machine, or before the ledger was lost; that may have been reported already."""

    type: ClassVar[EventType] = EventType.RUN_PUBLISHED
    version: ClassVar[int] = 1

    run: str
    generation: int
    destination: Destination
    manifest: Document
    receipt: Document
    files: int
    bytes: int
    weakest_evidence: str
    outcome: str
    profile: str
    is_adopted: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunChanged:
    """A later generation. ``new_files``: those that it is the first to publish, the replaced ones included; None where
    it was adopted, so that the manifests have to be compared."""

    type: ClassVar[EventType] = EventType.RUN_CHANGED
    version: ClassVar[int] = 1

    run: str
    generation: int
    destination: Destination
    manifest: Document
    receipt: Document
    files: int
    bytes: int
    weakest_evidence: str
    outcome: str
    profile: str
    is_adopted: bool
    new_files: int | None
    new_bytes: int | None
    replaced_files: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunRemoved:
    """The source was freed: what was published is the only copy now, unless somebody made another."""

    type: ClassVar[EventType] = EventType.RUN_REMOVED
    version: ClassVar[int] = 1

    run: str
    generation: int
    destination: Destination
    receipt: Document | None
    files: int
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunNeedsAttention:
    """A person has to act. ``code`` is a reason's; ``text`` may name files, and is there only with ``sample-names``."""

    type: ClassVar[EventType] = EventType.RUN_NEEDS_ATTENTION
    version: ClassVar[int] = 1

    run: str
    code: str
    advice: str
    count: int | None
    text: str | None
    is_published: bool
    destination: Destination


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTest:
    """Sent by ``check``; receivers answer it as any other, and do nothing."""

    type: ClassVar[EventType] = EventType.WEBHOOK_TEST
    version: ClassVar[int] = 1

    destination: Destination


Event = RunPublished | RunChanged | RunRemoved | RunNeedsAttention | WebhookTest
CLASSES: dict[EventType, type[Event]] = {
    each.type: each for each in (RunPublished, RunChanged, RunRemoved, RunNeedsAttention, WebhookTest)
}
