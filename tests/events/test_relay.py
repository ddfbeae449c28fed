"""Delivery to one consumer: in order, again after a failure, and no longer than its time."""

from __future__ import annotations

import pytest

from sync_to_azure.core.clock import Clock
from sync_to_azure.events.cloud_event import CloudEvent
from sync_to_azure.events.relay import FIRST_PAUSE, LONGEST_PAUSE, Relayed, pause, relay
from tests.events.conftest import Base, published, removed


class Moved(Clock):
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Receiver:
    """Takes events; ``problems``: what it answers to the next ones."""

    def __init__(self, clock: Moved) -> None:
        self.clock = clock
        self.problems: list[str] = []
        self.taken: list[str] = []
        self.takes = 0.0

    def __call__(self, event: CloudEvent) -> str:
        self.clock.time += self.takes
        problem = self.problems.pop(0) if self.problems else ""
        if not problem:
            self.taken.append(event.subject)
        return problem


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture
def receiver(clock: Moved) -> Receiver:
    return Receiver(clock)


def relayed(base: Base, receiver: Receiver, seconds: float = 30.0) -> Relayed:
    return relay(base.outbox, base.transaction, "webhook", receiver, receiver.clock, seconds)


def test_each_event_in_order_and_once_when_nothing_fails(base: Base, receiver: Receiver) -> None:
    base.outbox.register("webhook", 1.0)
    for name in "abc":
        base.outbox.append(published(name), 2.0)
    assert relayed(base, receiver) == Relayed(3) and receiver.taken == ["a", "b", "c"]
    assert relayed(base, receiver) == Relayed(0) and base.rows() == 0


def test_what_fails_holds_back_what_follows_and_is_tried_again_later(
    base: Base, receiver: Receiver, clock: Moved
) -> None:
    base.outbox.register("webhook", 1.0)
    for name in "abc":
        base.outbox.append(published(name), 2.0)
    receiver.problems = ["", "it answered 500"]
    assert relayed(base, receiver) == Relayed(1, "it answered 500")
    assert relayed(base, receiver) == Relayed(0, "it answered 500", waits=True) and receiver.taken == ["a"]
    clock.time += FIRST_PAUSE
    receiver.problems = ["it answered 400"]
    assert relayed(base, receiver) == Relayed(0, "it answered 400")
    clock.time += FIRST_PAUSE
    assert relayed(base, receiver).waits, "the pause grows"
    clock.time += FIRST_PAUSE
    assert relayed(base, receiver) == Relayed(2) and receiver.taken == ["a", "b", "c"]


def test_a_clock_that_was_set_back_does_not_silence_it(base: Base, receiver: Receiver, clock: Moved) -> None:
    base.outbox.register("webhook", 1.0)
    base.outbox.append(published(), 2.0)
    clock.time = 1_000_000.0
    receiver.problems = ["it answered 500"]
    relayed(base, receiver)
    clock.time = 1000.0
    assert relayed(base, receiver) == Relayed(1)


def test_only_what_is_wanted_is_sent(base: Base, receiver: Receiver) -> None:
    base.outbox.register("webhook", 1.0, types=["run.removed"])
    base.outbox.append(published("a"), 2.0)
    base.outbox.append(removed("b"), 2.0)
    base.outbox.append(published("c"), 2.0)
    assert relayed(base, receiver) == Relayed(1) and receiver.taken == ["b"]
    assert base.rows() == 0, "what is not wanted is passed"


def test_it_ends_in_time_and_goes_on_from_there(base: Base, receiver: Receiver) -> None:
    base.outbox.register("webhook", 1.0)
    for number in range(10):
        base.outbox.append(published(str(number)), 2.0)
    receiver.takes = 10.0
    assert relayed(base, receiver).delivered == 3
    assert relayed(base, receiver).delivered == 3 and receiver.taken == list("012345")


def test_what_is_cut_off_is_sent_again(base: Base, receiver: Receiver) -> None:
    base.outbox.register("webhook", 1.0)
    base.outbox.append(published("a"), 2.0)

    def cut_off(event: CloudEvent) -> str:
        receiver(event)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relay(base.outbox, base.transaction, "webhook", cut_off, receiver.clock, 30.0)
    assert relayed(base, receiver) == Relayed(1) and receiver.taken == ["a", "a"]


def test_nobody_registered(base: Base, receiver: Receiver) -> None:
    assert relayed(base, receiver) == Relayed()


def test_pauses_grow_to_an_hour() -> None:
    assert [pause(failures) for failures in (0, 1, 2)] == [60.0, 120.0, 240.0]
    assert pause(6) == pause(10_000) == LONGEST_PAUSE
