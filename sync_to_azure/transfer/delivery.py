"""Events of a flow on their way out: who is registered at the beginning of a pass, and what is sent at its end.

Nothing here changes how a pass goes: what cannot be delivered stays in the outbox, and is a warning; after a day it is
in the mail, once.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.core.model import Problem
from sync_to_azure.events import webhook
from sync_to_azure.events.relay import relay
from sync_to_azure.notify.terminal import how_many, human_time
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.configs import webhook_config
from sync_to_azure.transfer.ledger import Ledger, Lock
from sync_to_azure.transfer.ledger.backlogs import PEOPLE

_log = logging.getLogger(__name__)

RESERVED = (PEOPLE, webhook.CONSUMER)
"""Consumers of the configuration; nobody may give his own these names."""
SECONDS = 30.0
"""For all deliveries of a pass; the attempt that is under way then goes on for its own tries."""
GIVEN_UP_AFTER = 7 * 24 * 3600.0
"""Seconds for which a webhook's events are kept after a pass whose configuration had none."""
PATIENCE = 24 * 3600.0
"""Seconds after which it is reported to a person that nothing can be delivered."""
_DAY = 86400.0


def prepare(ledger: Ledger, settings: Settings, now: float) -> None:
    """Whoever the configuration names is registered before anything can happen, and nobody else of that name."""
    is_partial = settings.source.only_run is not None
    outbox, given_up = ledger.outbox, None
    with ledger.transaction():
        outbox.forget_expired(now)
        if settings.events.notify_url is not None:
            outbox.register(webhook.CONSUMER, now, settings.events.notify_events)
        elif (known := outbox.consumer(webhook.CONSUMER)) and known.expires_at is None and not is_partial:
            # Somebody may have started this pass by hand, without cron's environment.
            given_up = outbox.backlog(known).count
            outbox.register(webhook.CONSUMER, now, known.types, expires_at=now + GIVEN_UP_AFTER)
        if settings.events.keep_events:
            outbox.register(PEOPLE, now)
            outbox.let_go(PEOPLE, now - settings.events.keep_events * _DAY)
        else:
            outbox.forget(PEOPLE)
    if given_up is not None:
        _log.warning(
            "notify-url is not given any more: %s for it will be forgotten in %s, unless a pass has it again",
            how_many(given_up, "event"),
            human_time(GIVEN_UP_AFTER),
        )


def deliver(ledger: Ledger, settings: Settings, clock: Clock, redact: Callable[[str], str]) -> list[Problem]:
    """What the webhook has not had yet; what a person should hear of that. Another pass may be at it already: then
    that one goes on."""
    if settings.events.notify_url is None:
        return []
    config = webhook_config(settings)
    if config is None:
        problem = f"notify-key {settings.events.notify_key} cannot be read; nothing is sent"
        try:
            with ledger.transaction():
                now = clock.now()
                ledger.outbox.failed(webhook.CONSUMER, now, now, problem)
            return _trouble(ledger, clock.now(), problem)
        except (StateUnavailable, sqlite3.Error) as error:
            _log.warning("webhook: %s; this cannot be recorded in the state file: %s", problem, error)
            return []
    lock = Lock(ledger.path.with_name(f"{ledger.path.name}.{ledger.flow.key}.webhook.lock"))
    try:
        if not lock.take():
            return []
        with lock:
            send = webhook.sender(config)
            done = relay(
                ledger.outbox,
                ledger.transaction,
                webhook.CONSUMER,
                # A problem is kept in the ledger, and shown.
                lambda event: redact(send(event)),
                clock,
                SECONDS,
            )
        if done.delivered:
            _log.info("webhook: %s delivered", how_many(done.delivered, "event"))
        return _trouble(ledger, clock.now(), done.problem)
    except (StateUnavailable, sqlite3.Error, OSError, RuntimeError) as error:
        # RuntimeError: no thread can be started.
        _log.warning("webhook: what was delivered cannot be noted, so it is sent again: %s", error)
        return []


def _trouble(ledger: Ledger, now: float, problem: str) -> list[Problem]:
    consumer = ledger.outbox.consumer(webhook.CONSUMER)
    left = ledger.outbox.backlog(consumer) if consumer is not None else None
    if consumer is None or left is None or left.oldest is None:
        return []
    text = f"webhook: {how_many(left.count, 'event')} not delivered yet, the oldest {human_time(now - left.oldest)} old"
    text += f": {problem}" if problem else ""
    _log.warning("%s", text)
    if consumer.failing_since is None or now - consumer.failing_since < PATIENCE:
        return []
    return [Problem("webhook", f"{text} (see docs/events.md)", 1, new=False)]
