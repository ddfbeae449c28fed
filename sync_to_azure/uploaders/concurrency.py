"""How many requests should be under way at once? Found from what requests did; no clock, no thread, no lock in here.

Requests far from the service want many at once, near to it few: there more of them only take processor time. So the
number follows what is measured. A number is worth its throughput, and a little less the larger it is (``_PRICE``).

- At the start the number doubles as long as that pays (TCP's slow start): 20,000 small files are over in seconds.
- Afterwards it is tried a step up, a step down, and each try is compared with the rounds before and after it at the old
  number, so that a service or machine that gets slower by itself misleads nobody. A step down must win against both,
  twice: where it is wrong it costs throughput, and a number that is too high costs little. What did not pay is tried
  rarely. More requests for the same throughput wait longer for nothing, so this is what backs off on latency.
- Where small requests mostly wait for each other (near to the service), no step up is tried at all.
- Nor where small files keep one core busy: Python sends them with one core at most, and more requests under way only
  wait for it. Nothing is tried then, unless requests wait for each other: what a busy core does in a round differs by
  more than what a try would show.
- A refusal for load (503, 429) takes 30 % off, once for all that were under way; afterwards growth is fast again up to
  half of what was refused.
- A round in which the number was not reached (the source is slower, the files are at their end) teaches nothing.

Sizes differ, so a request counts as its bytes and ``_REQUEST`` bytes more: small files count as requests, blocks of
large ones as bytes.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable

LEAST, START, MOST = 4, 16, 256
"""256 bodies of small files (at most 128 KiB each) are 32 MiB; larger ones wait for one of ``buffers.BUFFERS``."""

_REQUEST = 128 * 1024
_PRICE = 0.05
_PRICE_UP = 0.25
"""To go up, where a busy machine's noise would else lead upwards by itself."""
_CROWDED = 6.0
"""Small requests take so many times as long as the fastest: they wait for each other, not for the service, and no more
of them are tried. (The service's own answers vary less.)"""
_BUSY = 0.9
"""Of one core's time, while small requests are under way. A core that others use, too, never shows it: then tries tell.
"""
_FORGET = 1.02
_SMALL = 128 * 1024
_LESS = 0.7
_UP, _DOWN = (1.4, 2.0), 1.25
"""Steps of tries: upwards the second after one that paid."""
_ROUND = {True: 0.03, False: 0.1}
"""Seconds that a round takes at least, while growing and afterwards."""
_LONGEST_REST = 32
"""Rounds between tries that did not pay."""
_CALM, _STORM = 0.2, 5.0
"""Seconds in which refusals count as one, and as one storm: how far growth is fast again is decided at its start."""
_AFTER_REFUSAL = 6
"""Tries that count as failed then, so that the next one waits."""
_OTHER = 1.5
"""Throughput that differs so much from the last round's, or its inverse: tries begin again at once."""


class _Phase(enum.Enum):
    GROW = enum.auto()
    BASE = enum.auto()
    """At the number found so far."""
    TRY = enum.auto()


class Concurrency:
    """``limit`` is the answer; a caller that shares it between threads calls under a lock of its own. Times are seconds
    of any steady clock."""

    def __init__(self, start: int = START, least: int = LEAST, most: int = MOST) -> None:
        self._least = least
        self._most = most
        self.limit = max(least, min(start, most))
        self._phase = _Phase.GROW
        self._base = self.limit
        self._base_worth: float | None = None
        """None: to be measured."""
        self._tried: tuple[int, float] | None = None
        """A number and its worth, to be compared with the base measured again."""
        self._up = True
        self._step = 0
        self._failures = 0
        self._rest = 0
        self._is_sure = False
        self._is_crowded = self._is_busy = False
        self._fastest = self._fastest_of_round = math.inf
        self._seconds = 0.0
        self._requests = self._work = self._reached = self._small = self._enough = 0
        self._refused_at = -math.inf
        self._fast_below = math.inf
        """While growing: the number at which doubling ends."""
        self._begin_round(0.0, 0.0)
        self._change(self.limit)

    def begin_job(self) -> None:
        """The number stays where the last job ended; what is compared is measured again, and tries begin at once."""
        self._base_worth = self._tried = None
        self._fastest = self._fastest_of_round = math.inf
        self._failures = self._rest = 0
        if self._phase is not _Phase.GROW:
            self._phase = _Phase.BASE
            self.limit = self._base
        self._up, self._step, self._is_sure = True, len(_UP) - 1, False
        self._change(self.limit)

    def done(
        self,
        now: float,
        size: int,
        is_reached: bool,
        seconds: float = 0.0,
        processor: Callable[[], float] = lambda: 0.0,
    ) -> int:
        """A request of ``size`` bytes succeeded and took ``seconds``; ``is_reached``: as many were in flight as the
        limit allows; ``processor``: seconds of processor time that the process has used so far. Returns the limit.
        """
        if size <= _SMALL:
            self._fastest_of_round = min(self._fastest_of_round, seconds)
        if self._settle:
            # Begun under another number, or on a new connection.
            self._settle -= 1
            if not self._settle:
                self._begin_round(now, processor())
            return self.limit
        self._requests += 1
        if size <= _SMALL:
            self._small += 1
            self._seconds += seconds
        self._work += size + _REQUEST
        self._reached += is_reached
        if self._requests >= self._enough and now - self._began >= _ROUND[self._phase is _Phase.GROW]:
            self._end_round(now, processor())
        return self.limit

    def refused(self, now: float, began: float) -> int:
        """The service answered 503 or 429 to a request that began at ``began``. Returns the limit."""
        if began < self._refused_at or now < self._refused_at + _CALM:
            return self.limit
        if now > self._refused_at + _STORM:
            self._fast_below = max(self._least, self.limit / 2)
        self._refused_at = now
        self._base = max(self._least, int(min(self.limit, self._base) * _LESS))
        self._base_worth = self._tried = None
        self._phase = _Phase.GROW if self._base < self._fast_below else _Phase.BASE
        self._failures, self._rest = _AFTER_REFUSAL, 2 ** (_AFTER_REFUSAL // 2)
        self._up, self._step, self._is_sure = True, 0, False
        self._change(self._base)
        return self.limit

    def _change(self, limit: int) -> None:
        self.limit = max(self._least, min(limit, self._most))
        self._settle = self.limit + 1

    def _begin_round(self, now: float, processor: float) -> None:
        self._began = now
        self._processor_began = processor
        self._requests = self._work = self._reached = self._small = 0
        self._seconds = 0.0
        self._enough = max(16, 2 * self.limit)

    def _end_round(self, now: float, processor: float) -> None:
        reached = self._reached >= 0.8 * self._requests
        throughput = self._work / (now - self._began)
        # What was fastest is forgotten by and by: the way to the service may have become longer.
        self._fastest = min(self._fastest_of_round, self._fastest * _FORGET)
        self._fastest_of_round = math.inf
        self._is_crowded = self._small > 0 and self._seconds > _CROWDED * self._fastest * self._small
        is_small = 2 * self._small > self._requests
        self._is_busy = is_small and processor - self._processor_began > _BUSY * (now - self._began)
        self._begin_round(now, processor)
        if reached:
            worth = math.log(throughput) - _PRICE * math.log(self.limit)
            {_Phase.GROW: self._grow, _Phase.BASE: self._at_base, _Phase.TRY: self._at_try}[self._phase](
                worth
            )
        elif self._phase is _Phase.TRY:
            self._change(self._base)
            self._phase = _Phase.BASE

    def _grow(self, worth: float) -> None:
        before = self._base_worth
        if before is not None and worth <= before:
            # Once more at the number before: a machine that is busy with something else misleads.
            self._tried = (self.limit, worth)
        else:
            self._base, self._base_worth = self.limit, worth
            if self.limit < min(self._most, self._fast_below) and not self._is_crowded and not self._is_busy:
                self._change(int(min(self.limit * 2, max(self._fast_below, self.limit + 1))))
                return
        self._phase = _Phase.BASE
        self._up, self._step = True, len(_UP) - 1 if self._fast_below == math.inf else 0
        self._fast_below = math.inf
        if self._base != self.limit:
            self._change(self._base)

    def _at_base(self, worth: float) -> None:
        before, self._base_worth = self._base_worth, worth
        if self._tried is not None and before is not None:
            (number, its_worth), self._tried = self._tried, None
            if self._judge(number, its_worth, before, worth):
                return
        elif before is not None and abs(worth - before) > math.log(_OTHER):
            self._failures = self._rest = 0
        if self._rest:
            self._rest -= 1
            return
        if self._is_busy and not self._is_crowded:
            return
        if self._is_crowded:
            self._up = False
        wanted = self._stepped()
        if wanted == self._base and not self._is_crowded:
            self._up = not self._up
            wanted = self._stepped()
        if wanted != self._base:
            self._try(wanted)

    def _judge(self, number: int, its_worth: float, before: float, after: float) -> bool:
        """Was ``number`` worth more? True: what comes next is decided."""
        price = (_PRICE_UP - _PRICE) * math.log(number / self._base)
        if self._up and its_worth - price > (before + after) / 2:
            self._take(number)
            self._step = len(_UP) - 1
            return True
        if not self._up and its_worth > max(before, after):
            if self._is_sure:
                self._take(number)
            else:
                self._try(number)
            self._is_sure = not self._is_sure
            return True
        self._up = not self._up
        self._step, self._is_sure = 0, False
        self._failures += 1
        self._rest = min(_LONGEST_REST, 2 ** (self._failures // 2))
        return False

    def _take(self, number: int) -> None:
        self._base, self._base_worth = number, None
        self._failures = self._rest = 0
        self._change(number)

    def _try(self, number: int) -> None:
        self._phase = _Phase.TRY
        self._change(number)

    def _at_try(self, worth: float) -> None:
        self._tried = (self.limit, worth)
        self._phase = _Phase.BASE
        self._change(self._base)

    def _stepped(self) -> int:
        if self._up:
            return min(self._most, max(self._base + 1, round(self._base * _UP[self._step])))
        return max(self._least, min(self._base - 1, round(self._base / _DOWN)))
