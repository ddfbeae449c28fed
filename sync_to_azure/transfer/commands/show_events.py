"""`events`: what happened, for people and for programs that read a pipe; from the state file, also while a pass works.

Looking registers nobody. ``--follow`` registers a consumer that expires when it does not come back, ``--consumer NAME``
one that stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator

from sync_to_azure.core.clock import local_time
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.events import webhook
from sync_to_azure.events.cloud_event import CloudEvent
from sync_to_azure.events.outbox import Outbox
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import how_many, human_size
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.commands.writing_ledger import open_ledger
from sync_to_azure.transfer.delivery import RESERVED
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.announcing import source_of
from sync_to_azure.transfer.ledger.reader import unreadable
from sync_to_azure.transfer.views.records import place, reading
from sync_to_azure.transfer.views.since import time_since

_LAST, _LAST_FOLLOWED = 50, 10
_BATCH = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
POLL = 0.5
LASTS, RENEWED = 600.0, 60.0
"""Seconds that a consumer without a name lasts after it was last heard of, and between two signs of it."""
_NOBODY = (
    "No events are kept, as no consumer is registered. Set keep-events = 30 to keep them for 30 days, notify-url to"
    " have them sent, or name a consumer: sync_to_azure events --consumer NAME (docs/events.md)."
)


def run(
    settings: Settings,
    follow: bool,
    as_json: bool,
    since: str | None,
    consumer: str | None,
    forget: str | None,
) -> int:
    after = time_since(since, time.time()) if since else None
    if forget is not None:
        if follow or as_json or since or consumer:
            raise ConfigurationError("--forget goes with no other option of events")
        return _forget(settings, _named(forget))
    if consumer is not None and since is not None:
        raise ConfigurationError(
            "--consumer and --since exclude each other", "a consumer gets the events it has not received"
        )
    line = CloudEvent.line if as_json else for_people
    if consumer is None and not follow:
        _look(settings, line, after)
        return 0
    name = _named(consumer) if consumer is not None else f"follow-{os.getpid()}-{secrets.token_hex(4)}"
    if name in RESERVED:
        raise ConfigurationError(
            f"--consumer {name}: the name of a consumer of the configuration", "choose another one"
        )
    return _consume(settings, line, name, is_named=consumer is not None, follow=follow, after=after)


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{plain(name)!r} is no consumer's name", "give letters, digits, dots and dashes, at most 64"
        )
    return name


def for_people(event: CloudEvent) -> str:
    """One line."""
    data = event.data
    parts = []
    if "generation" in data:
        parts = [
            f"generation {data['generation']}",
            how_many(data["files"], "file"),
            human_size(data["bytes"]),
        ]
    if "weakest_evidence" in data:
        parts.append(data["weakest_evidence"])
    if data.get("new_files") is not None:
        parts.append(f"{how_many(data['new_files'], 'file')} new")
    if data.get("replaced_files"):
        parts.append(f"{data['replaced_files']} of them replaced")
    if data.get("is_adopted"):
        parts.append("found at the destination")
    if "code" in data:
        parts = [data.get("text") or data["code"], data["advice"]]
    words = ", ".join(filter(None, map(str, parts)))
    return plain(f"{local_time(event.time)}  {event.type}  {event.subject}  {words}".rstrip())


def _look(settings: Settings, line: Callable[[CloudEvent], str], after: float | None) -> None:
    """The last events that are kept, read-only."""
    opened = reading(settings)
    path, flow = place(settings)
    if opened is None:
        _say(_NOBODY)
        return
    with opened:
        outbox = Outbox(opened.connection, source_of(flow))
        try:
            shown = False
            for event in _kept(outbox, after, _LAST):
                show(line(event))
                shown = True
            names = [each.name for each in outbox.consumers()]
        except sqlite3.Error as error:
            raise unreadable(path, error) from error
    if not names:
        _say(_NOBODY)
    elif not shown:
        _say(f"No events{' since then' if after is not None else ''}; waiting for them: {', '.join(names)}.")


def _kept(outbox: Outbox, after: float | None, limit: int) -> Iterator[CloudEvent]:
    """Those since then; without a time the last ones."""
    if after is None:
        yield from outbox.latest(limit)
        return
    number = 0
    while events := outbox.read(number, _BATCH):
        number = events[-1].number
        yield from (event for event in events if event.time >= after)


def _consume(
    settings: Settings,
    line: Callable[[CloudEvent], str],
    name: str,
    is_named: bool,
    follow: bool,
    after: float | None,
) -> int:
    """Each event is on record as read after it was written out: what is cut off comes again. Without a name, what is
    kept of the time before comes first."""
    is_first = True
    while True:
        with open_ledger(settings) as ledger:
            identity = _identity(ledger)
            try:
                if _register(ledger, name, is_named) and is_named:
                    _say(f"{name} is registered: from now on, events are kept until it received them.")
                if is_first and not is_named:
                    _before(ledger, line, name, after)
                is_first = False
                _read(ledger, line, name)
                renewed = time.monotonic()
                while follow and _identity(ledger) == identity:
                    time.sleep(POLL)
                    _read(ledger, line, name)
                    if not is_named and time.monotonic() - renewed >= RENEWED:
                        renewed = time.monotonic()
                        _register(ledger, name, is_named)
            finally:
                if not is_named:
                    with contextlib.suppress(sqlite3.Error), ledger.transaction():
                        ledger.outbox.forget(name)
            if not follow:
                return 0
        _say("The state file was replaced; events go on with the new one.")


def _register(ledger: Ledger, name: str, is_named: bool) -> bool:
    now = time.time()
    with ledger.transaction():
        return ledger.outbox.register(name, now, expires_at=None if is_named else now + LASTS)


def _before(ledger: Ledger, line: Callable[[CloudEvent], str], name: str, after: float | None) -> None:
    consumer = ledger.outbox.consumer(name)
    for event in _kept(ledger.outbox, after, _LAST_FOLLOWED):
        if consumer is not None and event.number <= consumer.passed:
            show(line(event))


def _read(ledger: Ledger, line: Callable[[CloudEvent], str], name: str) -> None:
    consumer = ledger.outbox.consumer(name)
    if consumer is None:
        raise ConfigurationError(
            f"{name} is not registered any more",
            "it was forgotten by another command; start again to register it from now on",
        )
    number = consumer.passed
    while events := ledger.outbox.read(number, _BATCH):
        for event in events:
            show(line(event))
        number = events[-1].number
        with ledger.transaction():
            ledger.outbox.acknowledge(name, number)


def _forget(settings: Settings, name: str) -> int:
    with open_ledger(settings) as ledger:
        consumer = ledger.outbox.consumer(name)
        if consumer is None:
            known = ", ".join(each.name for each in ledger.outbox.consumers()) or "none"
            raise ConfigurationError(f"{name} is no registered consumer", f"registered: {known}")
        left = ledger.outbox.backlog(consumer).count
        with ledger.transaction():
            ledger.outbox.forget(name)
    show(f"{name} is forgotten" + (f", and {how_many(left, 'event')} that it has not had." if left else "."))
    if name in RESERVED:
        show("The next pass registers it again, if the configuration has it.")
    if name == webhook.CONSUMER and left:
        show("Undelivered events will not be sent.")
    return 0


def _identity(ledger: Ledger) -> tuple[int, int] | None:
    """Of the file under the ledger's name: a pass may have moved a damaged one aside and begun a new one."""
    try:
        status = os.stat(ledger.path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _say(text: str) -> None:
    """Beside the events, which a program may read."""
    show(text, stream=sys.stderr)
