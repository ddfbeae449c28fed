"""Brings messages to the webhook: at least once, in order, and taken off the list only after a 2xx.

A request that broke off may have arrived: it is sent again, with the same id, so that a receiver can tell.
Only one process delivers at a time.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import time
from collections.abc import Callable

from cronbeat import cards
from cronbeat.errors import Unreachable
from cronbeat.locks import Lock
from cronbeat.settings import Settings
from cronbeat.state import Message, State

LONGEST_PAUSE = 60.0
"""Seconds. If the receiver asks for more, a later start goes on."""
LONGEST_WISH = 3600.0
"""Seconds. No receiver can make us wait for longer than this."""
TRY_AGAIN = (408, 425, 429)
NOT_BEFORE = "deliver-not-before"

logger = logging.getLogger("cronbeat")


@dataclasses.dataclass(slots=True)
class Delivery:
    """``waiting``: messages that are kept for the next time, with the ``problem`` of the last try."""

    sent: int = 0
    waiting: int = 0
    problem: str = ""
    busy: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """``again``: another try can help; ``after``: seconds that the receiver asked for."""

    done: bool
    again: bool = False
    after: float | None = None
    problem: str = ""


def deliver(
    state: State,
    settings: Settings,
    more: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Send all messages that wait; ``more`` may make another one then, and tells whether it has."""
    result = Delivery()
    lock = Lock(state.place.own_lock("deliver"))
    if not lock.acquire():
        return dataclasses.replace(result, busy=True)
    try:
        wish = float(state.note(NOT_BEFORE) or 0) - time.time()
        if 0 < wish <= LONGEST_WISH:
            result.waiting, result.problem = (
                len(state.waiting()),
                f"it asked to be left alone for {wish:.0f} s more",
            )
            return result
        refused: set[str] = set()
        while True:
            message = next((each for each in state.waiting() if each.id not in refused), None)
            if message is None:
                if more():
                    continue
                break
            verdict = _send(state, settings, message, sleep)
            if verdict.done:
                result.sent += 1
                continue
            result.problem = verdict.problem
            if verdict.again:
                if verdict.after:
                    state.set_note(NOT_BEFORE, str(time.time() + min(verdict.after, LONGEST_WISH)))
                break  # the receiver is not well: the others would fare no better
            refused.add(message.id)
        result.waiting = len(state.waiting())
        return result
    finally:
        lock.release()


def _send(state: State, settings: Settings, message: Message, sleep: Callable[[float], None]) -> Verdict:
    assert settings.webhook
    form = cards.format_of(settings.webhook, settings.webhook_format)
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
    data = cards.body(message.content, form)
    for number in range(1, settings.retry_times + 1):
        verdict = _try(settings.webhook, data, headers, settings.http_timeout, form)
        state.tried(message.id, time.time() if verdict.done else None)
        if verdict.done:
            logger.info("webhook: message %s delivered at try %d", message.id, message.tries + number)
            return verdict
        logger.info("webhook: message %s, try %d: %s", message.id, message.tries + number, verdict.problem)
        if not verdict.again or number == settings.retry_times:
            break
        if (verdict.after or 0) > LONGEST_PAUSE:
            break
        backoff = min(settings.retry_delay * 2 ** (number - 1), LONGEST_PAUSE)
        sleep(max(verdict.after or 0, backoff * random.uniform(0.5, 1)))
    return verdict


def _try(url: str, data: bytes, headers: dict[str, str], seconds: float, form: str) -> Verdict:
    from cronbeat.post import post  # most looks have nothing to send: they need not load the HTTP library

    try:
        answer = post(url, data, headers, seconds)
    except Unreachable as error:
        return Verdict(False, again=True, problem=str(error))
    status = answer.status
    if form == "messagecard" and status == 200:
        status = cards.refusal(answer.text) or status
    if 200 <= status < 300:
        return Verdict(True)
    again = status in TRY_AGAIN or status >= 500
    problem = f"it answered {status}"
    if 300 <= status < 400:
        problem += " (a redirect; the address is old: set the new one)"
    elif not again:
        problem += " (is the address still right?)"
    return Verdict(False, again, answer.retry_after, problem)
