"""Who gets the events of a flow: registered at the beginning of a pass, and what a person hears at its end."""

from __future__ import annotations

import collections.abc
import pathlib
import types
from typing import Any

import pytest

from sync_to_azure.events import webhook
from sync_to_azure.transfer import delivery
from sync_to_azure.transfer.ledger import Ledger
from tests.events.conftest import published
from tests.events.test_relay import Moved
from tests.transfer.ledger.conftest import FLOW

_DAY = 86400.0


@pytest.fixture
def ledger(tmp_path: pathlib.Path) -> collections.abc.Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite", FLOW)
    yield opened
    opened.close()


def settings(url: str | None, only_run: str | None = None) -> Any:
    events = types.SimpleNamespace(notify_url=url, notify_key=None, notify_events=(), keep_events=0.0)
    return types.SimpleNamespace(events=events, source=types.SimpleNamespace(only_run=only_run))


def with_backlog(ledger: Ledger) -> None:
    delivery.prepare(ledger, settings("https://lims.example.org"), 1.0)
    with ledger.transaction():
        ledger.outbox.append(published(), 2.0)


def backlog(ledger: Ledger) -> int | None:
    consumer = ledger.outbox.consumer(webhook.CONSUMER)
    return None if consumer is None else ledger.outbox.backlog(consumer).count


@pytest.mark.parametrize("only_run", [None, "R*"])
def test_a_pass_by_hand_without_the_webhook_keeps_what_waits_for_it(
    ledger: Ledger, only_run: str | None
) -> None:
    with_backlog(ledger)
    delivery.prepare(ledger, settings(None, only_run), 3.0)
    with ledger.transaction():
        ledger.outbox.append(published("S"), 4.0)
    delivery.prepare(ledger, settings("https://lims.example.org"), 5.0)
    delivery.prepare(ledger, settings("https://lims.example.org"), 30 * _DAY)
    assert backlog(ledger) == 2


def test_a_webhook_that_is_not_given_any_more_is_forgotten_after_a_week(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with_backlog(ledger)
    for day in range(6):
        delivery.prepare(ledger, settings(None), 3.0 + day * _DAY)
        assert backlog(ledger) == 1
    assert caplog.text.count("will be forgotten") == 1
    delivery.prepare(ledger, settings(None), 4.0 + 7 * _DAY)
    assert backlog(ledger) is None and ledger.outbox.read(0, 10) == []


def test_a_key_that_cannot_be_read_reaches_a_person_after_a_day(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_backlog(ledger)
    monkeypatch.setattr(delivery, "webhook_config", lambda settings: None)
    clock = Moved()
    assert delivery.deliver(ledger, settings("https://lims.example.org"), clock, str) == []
    clock.time += delivery.PATIENCE + 1
    [trouble] = delivery.deliver(ledger, settings("https://lims.example.org"), clock, str)
    assert "notify-key" in trouble.text and backlog(ledger) == 1
