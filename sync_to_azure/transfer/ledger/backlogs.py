"""What consumers of events have not had yet: for `status` and for metrics."""

from __future__ import annotations

import dataclasses

from sync_to_azure.events.outbox import Outbox

PEOPLE = "keep-events"
"""The consumer that only keeps events for some time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Undelivered:
    """``oldest``: when the oldest of ``count`` events happened, None if there is none. ``problem``: of the last
    attempt, None where nothing failed."""

    consumer: str
    count: int
    oldest: float | None
    problem: str | None


def undelivered(outbox: Outbox) -> list[Undelivered]:
    """Of all consumers that stay; what is kept for people is not on its way to anybody."""
    found = []
    for consumer in outbox.consumers():
        if consumer.name != PEOPLE and consumer.expires_at is None:
            left = outbox.backlog(consumer)
            found.append(Undelivered(consumer.name, left.count, left.oldest, consumer.problem))
    return found
