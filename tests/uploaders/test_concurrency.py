"""uploaders/concurrency.py on a simulated link: no clock, no thread, 20,000 files in a fraction of a second."""

from __future__ import annotations

import dataclasses
import functools
import heapq
import math
import random

import pytest

from sync_to_azure.uploaders.concurrency import LEAST, MOST, START, Concurrency

SMALL, BLOCK = 10_000, 8 * 1024 * 1024


@dataclasses.dataclass
class Link:
    """``latency``: seconds of a round trip. ``work``: seconds of one processor that a request takes at our side, and
    ``a_byte`` of it. ``capacity``: requests a second of the service, which refuses what would wait for more than
    ``patience``, and all between the two times ``storm``. ``noise``: how much work and latency scatter. ``busy``: our
    processor has other work as well, which makes it slower, three times on average and up to six times, for 0.3 s.
    """

    latency: float
    work: float = 0.0002
    a_byte: float = 1.2e-9
    capacity: float = math.inf
    patience: float = math.inf
    storm: tuple[float, float] = (math.inf, math.inf)
    noise: float = 0.0
    busy: bool = False

    def best(self, files: int, size: int) -> float:
        """Seconds that no number can be better than."""
        work = (self.work + self.a_byte * size) * (1 + self.noise)
        return files * max(work, 1 / self.capacity) + self.latency


class Fixed(Concurrency):
    def __init__(self, limit: int) -> None:
        super().__init__(limit, limit, limit)


@dataclasses.dataclass
class Outcome:
    seconds: float
    limits: list[tuple[float, int]]
    refusals: int

    def limits_after(self, time: float) -> list[int]:
        return [limit for at, limit in self.limits if at >= time]


def simulated(
    control: Concurrency, link: Link, files: int, size: int = SMALL, most: int = MOST, sees: bool = False
) -> Outcome:
    """``most``: under way at once, whatever the limit says, as a slow source has it. ``sees``: the processor time that
    the process used is known."""
    chance = random.Random(1)
    now = processor_free = service_free = work_done = 0.0
    under_way = refusals = 0
    left = files
    # When, number to break ties, what (True: done, False: refused, None: to be tried again), began.
    events: list[tuple[float, int, bool | None, float]] = []
    number = 0
    limits = [(0.0, control.limit)]

    slower = [chance.choice([1, 1, 3, 6]) if link.busy else 1 for _ in range(1000)]

    def scattered(seconds: float) -> float:
        return seconds * (1 + link.noise * chance.expovariate(1)) if link.noise else seconds

    def begin() -> None:
        nonlocal processor_free, service_free, work_done, number
        number += 1
        processor_free = max(now, processor_free)
        factor = slower[int(processor_free / 0.3) % len(slower)]
        work = factor * scattered(link.work + link.a_byte * size)
        processor_free += work
        work_done += work
        arrives = processor_free + scattered(link.latency / 2)
        refused = service_free - arrives > link.patience or link.storm[0] <= arrives < link.storm[1]
        if not refused:
            service_free = max(service_free, arrives) + 1 / link.capacity
        ends = (arrives if refused else service_free) + link.latency / 2
        heapq.heappush(events, (ends, number, not refused, now))

    while left or under_way:
        while left and under_way < min(control.limit, most):
            left -= 1
            under_way += 1
            begin()
        now, _, what, began = heapq.heappop(events)
        if what is None:
            begin()
        elif what:
            # What was handed out but is not worked on yet lies between now and processor_free.
            used = work_done - max(0.0, processor_free - now) if sees else 0.0
            control.done(now, size, under_way >= control.limit, now - began, functools.partial(float, used))
            under_way -= 1
        else:
            refusals += 1
            control.refused(now, began)
            heapq.heappush(events, (now + chance.uniform(0.5, 1.0), -refusals, None, now))
        if control.limit != limits[-1][1]:
            limits.append((now, control.limit))
    return Outcome(now, limits, refusals)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("latency", [0.0002, 0.005, 0.020])
def test_small_files_are_sent_nearly_as_fast_as_any_number_could(latency: float, noise: float) -> None:
    link = Link(latency, noise=noise)
    outcome = simulated(Concurrency(), link, 20_000)
    assert outcome.seconds <= 1.15 * link.best(20_000, SMALL)


@pytest.mark.parametrize("latency", [0.0002, 0.005, 0.020])
def test_a_machine_that_is_busy_with_other_work_misleads_it_little(latency: float) -> None:
    link = Link(latency, busy=True)
    best = min(simulated(Fixed(limit), link, 20_000).seconds for limit in (16, 64, 256))
    assert simulated(Concurrency(), link, 20_000).seconds <= 1.25 * best


def test_small_files_that_keep_one_core_busy_get_no_more_requests() -> None:
    """Where tries alone lead it by chance: from 16, which keep the core busy at a round trip of 5 ms."""
    link = Link(0.005, work=0.0006, noise=0.5)
    alone = simulated(Concurrency(), link, 20_000)
    seeing = simulated(Concurrency(), link, 20_000, sees=True)
    assert max(limit for _, limit in seeing.limits) <= 2 * START < max(limit for _, limit in alone.limits)
    assert seeing.seconds <= 1.02 * min(alone.seconds, link.best(20_000, SMALL))


def test_a_core_that_is_not_busy_leaves_room_for_more() -> None:
    link = Link(0.020, work=0.0002)
    outcome = simulated(Concurrency(), link, 20_000, sees=True)
    assert outcome.limits[-1][1] >= 64
    assert outcome.seconds <= 1.15 * link.best(20_000, SMALL)


@pytest.mark.parametrize("latency", [0.0002, 0.005, 0.020])
def test_large_files_are_sent_nearly_as_fast_as_any_number_could(latency: float) -> None:
    """96 blocks of 8 MiB, of which ten at most are under way: so many buffers are there."""
    link = Link(latency)
    outcome = simulated(Concurrency(), link, 96, BLOCK, most=10)
    assert outcome.seconds <= 1.15 * link.best(96, BLOCK)
    assert max(limit for _, limit in outcome.limits) <= 16


@pytest.mark.parametrize("busy", [False, True])
def test_near_to_the_service_the_number_is_low(busy: bool) -> None:
    outcome = simulated(Concurrency(), Link(0.0002, busy=busy), 20_000)
    assert max(limit for _, limit in outcome.limits) <= (2 * START if busy else START)


def test_at_the_start_it_doubles_within_less_than_half_a_second() -> None:
    outcome = simulated(Concurrency(), Link(0.020), 20_000)
    assert [limit for _, limit in outcome.limits][:3] == [START, 2 * START, 4 * START]
    assert outcome.limits[2][0] < 0.5


def test_it_stops_where_the_service_gives_no_more() -> None:
    """1,000 a second at 20 ms are 20 at once; more of them only wait there."""
    outcome = simulated(Concurrency(), Link(0.020, capacity=1000), 20_000)
    assert outcome.seconds <= 1.15 * 20
    assert max(outcome.limits_after(10)) <= 40


def test_rising_latency_without_more_throughput_takes_it_back() -> None:
    control = Concurrency()
    simulated(control, Link(0.020), 20_000)
    before = control.limit
    control.begin_job()
    outcome = simulated(control, Link(0.020, capacity=500), 20_000)
    assert before >= 64
    assert max(outcome.limits_after(30)) <= before // 2


def test_it_grows_again_when_the_way_becomes_longer() -> None:
    control = Concurrency()
    simulated(control, Link(0.0002), 20_000)
    assert control.limit <= START
    control.begin_job()
    link = Link(0.020)
    outcome = simulated(control, link, 40_000)
    assert outcome.seconds <= 1.3 * link.best(40_000, SMALL)


def test_the_next_job_starts_where_the_last_one_ended() -> None:
    control = Concurrency()
    simulated(control, Link(0.020), 20_000)
    found = control.limit
    control.begin_job()
    assert control.limit >= found // 2
    link = Link(0.020)
    # Without a start of its own.
    assert simulated(control, link, 5000).seconds <= 1.15 * link.best(5000, SMALL)


def test_a_storm_of_refusals_passes() -> None:
    """A second of nothing but 503s: far down, never to nothing, and up again."""
    link = Link(0.020, storm=(2.0, 3.0))
    outcome = simulated(Concurrency(), link, 20_000)
    assert outcome.refusals > 0
    assert min(limit for _, limit in outcome.limits) >= LEAST
    assert min(outcome.limits_after(2.0)) <= 32
    assert max(outcome.limits_after(3.0)) >= 64
    # The second itself, a retry after it, and the way up.
    assert outcome.seconds <= link.best(20_000, SMALL) + 3.5


def test_a_service_that_refuses_more_than_it_can_take_is_not_stormed() -> None:
    link = Link(0.020, capacity=1000, patience=0.03)
    outcome = simulated(Concurrency(), link, 20_000)
    assert outcome.refusals < 200
    assert outcome.seconds <= 1.2 * link.best(20_000, SMALL)


def test_refusals_of_one_moment_count_once() -> None:
    control = Concurrency(start=100)
    limits = [control.refused(10.0 + number / 1000, began=9.9) for number in range(50)]
    assert set(limits) == {70}
    # Under way when the first came: known already.
    assert control.refused(20.0, began=9.95) == 70
    assert control.refused(21.0, began=20.5) == 49


def test_what_is_not_reached_teaches_nothing() -> None:
    """A slow source: four at once, whatever the limit is."""
    outcome = simulated(Concurrency(), Link(0.020), 2000, most=4)
    assert [limit for _, limit in outcome.limits] == [START]


@pytest.mark.parametrize("start, least, most", [(8, 1, 1), (300, 4, 256), (1, 4, 256), (8, 4, 12)])
def test_it_stays_within_its_bounds(start: int, least: int, most: int) -> None:
    control = Concurrency(start, least, most)
    for number in range(20):
        simulated(control, Link(0.020, noise=1.0, storm=(0.1 * number, 0.1 * number + 0.1)), 500)
        assert least <= control.limit <= most
        control.begin_job()
