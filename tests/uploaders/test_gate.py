"""The gate of the native uploader: what requests do moves its limit, and threads follow the limit."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import queue
import threading
import typing

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.uploaders.concurrency import START, Concurrency
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.gate import AdaptiveGate, FixedGate, Gates
from sync_to_azure.uploaders.native import NativeUploader
from tests.uploaders.wire import Answer, Request, Settings, Wire, carried, job_of, native, right, stored


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def gate_with(clock: Clock) -> AdaptiveGate:
    return AdaptiveGate(Concurrency(), threading.Lock(), clock)


def feed(gate: AdaptiveGate, clock: Clock, rounds: int, seconds: float = 0.02) -> None:
    """So many times, as many requests as the limit allows at once, each of which takes so long."""
    for _ in range(rounds):
        limit = gate.limit
        for _ in range(limit):
            clock.now += seconds / limit
            gate.answered(10_000, seconds, 201)


def test_requests_that_take_no_longer_when_there_are_more_of_them_raise_it() -> None:
    clock = Clock()
    gate = gate_with(clock)
    feed(gate, clock, 12)
    assert gate.limit >= 4 * START


def test_where_no_work_waits_nothing_is_learnt() -> None:
    clock = Clock()
    gate = gate_with(clock)
    gate.watch(lambda: True)
    feed(gate, clock, 12)
    assert gate.limit == START


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_for_load_lowers_it(status: int, caplog: pytest.LogCaptureFixture) -> None:
    gate = gate_with(Clock())
    with caplog.at_level(logging.DEBUG):
        gate.answered(10_000, 0.02, status)
    assert gate.limit == int(START * 0.7)
    assert f"{gate.limit} requests at once instead of {START}" in caplog.text


@pytest.mark.parametrize("status", [0, 400, 403, 409, 412, 500])
def test_other_failures_say_nothing_about_load(status: int) -> None:
    gate = gate_with(Clock())
    for _ in range(1000):
        gate.answered(10_000, 0.02, status)
    assert gate.limit == START


def test_all_crews_of_a_session_and_their_next_jobs_go_on_with_what_was_found() -> None:
    gates = Gates(None)
    first = gates()
    first.answered(10_000, 0.02, 503)
    first.begin_job()
    assert gates().limit == first.limit < START
    assert Gates(5)().limit == 5


def test_threads_follow_the_limit() -> None:
    gate = FixedGate(2)
    crew = Crew(gate, 1)
    turns = threading.Semaphore(0)
    started: queue.SimpleQueue[str] = queue.SimpleQueue()
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def task() -> None:
        started.put(threading.current_thread().name)
        turns.acquire(timeout=60)
        ended.put(None)

    def begun(count: int) -> set[str]:
        return {started.get(timeout=60) for _ in range(count)}

    crew.join()
    for _ in range(30):
        crew.send(task)
    assert len(begun(2)) == 2
    assert started.empty()

    # What was handed out before has more threads as soon as one ends.
    gate.limit = 6
    turns.release(5)
    begun(9)
    assert started.empty()

    # Those that are too many end after what they do.
    gate.limit = 3
    turns.release(3)
    for _ in range(8):
        ended.get(timeout=60)
    assert started.empty()
    turns.release(60)
    for _ in range(22):
        ended.get(timeout=60)
    assert len(begun(19)) <= 3
    crew.leave()
    crew.close()


def test_an_upload_finds_its_number_by_itself(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    """A service that refuses each file once for load: all of them arrive, with fewer requests at once."""
    seen: set[str] = set()
    lock = threading.Lock()

    def refuse_once(request: Request) -> typing.Any:
        with lock:
            if request.kind != "PUT blob" or request.path in seen:
                return None
            seen.add(request.path)
        return Answer(503, "ServerBusy")

    contents = {str(number): os.urandom(1000) for number in range(100)}
    job = job_of(run, contents)
    wire.act = refuse_once
    plain: typing.Any = native(through)
    config = dataclasses.replace(plain._config, concurrency=None)
    gates = Gates(None)
    uploader = NativeUploader(config, plain._signer, plain._storage, gates)
    sent, error = carried(uploader, job)
    assert error is None
    assert set(sent) == set(contents)
    assert stored(container) == right(contents)
    assert gates().limit < START
