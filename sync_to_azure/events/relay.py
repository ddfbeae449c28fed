"""From the outbox to one consumer: in order, until something fails or the time is up.

At least once: the cursor moves after the receiver has answered, so what is cut off in between is sent again. A failure
stops here, so that no later event overtakes an earlier one; the next attempt comes after a pause that grows.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

from sync_to_azure.core.clock import Clock
from sync_to_azure.events.cloud_event import CloudEvent
from sync_to_azure.events.outbox import Outbox

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds between attempts after the first failure, and at most."""
_BATCH = 100

Transaction = Callable[[], contextlib.AbstractContextManager[object]]


@dataclasses.dataclass(frozen=True, slots=True)
class Relayed:
    """``problem``: why it ended before everything was delivered, or empty; ``waits``: an earlier failure's pause is
    not over."""

    delivered: int = 0
    problem: str = ""
    waits: bool = False


def relay(
    outbox: Outbox,
    transaction: Transaction,
    name: str,
    send: Callable[[CloudEvent], str],
    clock: Clock,
    seconds: float,
) -> Relayed:
    """``send`` returns an empty text once the receiver has the event, or the problem. ``transaction``: of the outbox's
    connection."""
    consumer, until, delivered = outbox.consumer(name), clock.monotonic() + seconds, 0
    if consumer is None:
        return Relayed()
    if consumer.next_try is not None and 0 < consumer.next_try - clock.now() <= LONGEST_PAUSE:
        return Relayed(waits=True, problem=consumer.problem or "")
    number, failures = consumer.passed, consumer.failures
    while events := outbox.read(number, _BATCH):
        for event in events:
            if consumer.wants(event.type):
                if clock.monotonic() >= until:
                    return Relayed(delivered, f"not everything could be delivered in {seconds:g} s")
                if problem := send(event):
                    with transaction():
                        now = clock.now()
                        outbox.failed(name, now, now + pause(failures), problem)
                    return Relayed(delivered, problem)
                delivered, failures = delivered + 1, 0
            number = event.number
            with transaction():
                outbox.acknowledge(name, number)
    return Relayed(delivered)


def pause(failures: int) -> float:
    """Seconds until the next attempt, after so many failures and one more."""
    return min(FIRST_PAUSE * 2.0 ** min(failures, 20), LONGEST_PAUSE)
