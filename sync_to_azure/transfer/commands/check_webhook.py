"""What `check` says of the webhook: a signed test event is sent, which receivers take and do nothing with."""

from __future__ import annotations

import secrets
import time
import urllib.parse
from collections.abc import Iterator

from sync_to_azure.events import webhook
from sync_to_azure.events.cloud_event import CloudEvent, data_of, subject_of
from sync_to_azure.events.run_events import Destination, WebhookTest
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.configs import webhook_config

Answers = Iterator[tuple[bool, str, str]]
"""(is it well, text, advice)."""


def answers(settings: Settings) -> Answers:
    if settings.events.notify_url is None:
        return
    config = webhook_config(settings)
    if config is None:
        advice = "let the user who runs the passes read it"
        yield False, f"notify-key {settings.events.notify_key} cannot be read", advice
        return
    host = urllib.parse.urlsplit(config.url).hostname
    if problem := webhook.sender(config)(_test(settings)):
        advice = (
            "check notify-url, the receiver's log, and whether it has the key of notify-key; docs/events.md"
        )
        yield False, f"{host} did not take a signed test event: {problem}", advice
        return
    yield True, f"{host} took a signed test event", ""


def _test(settings: Settings) -> CloudEvent:
    event = WebhookTest(
        destination=Destination(
            settings.destination.blob_endpoint,
            settings.destination.container_name,
            settings.destination.destination,
        )
    )
    epoch = secrets.token_hex(8)
    return CloudEvent(
        id=f"{epoch}-0-{secrets.token_hex(4)}",
        source="/sync_to_azure/check",
        type=event.type,
        version=event.version,
        subject=subject_of(event),
        time=time.time(),
        epoch=epoch,
        number=0,
        data=data_of(event),
    )
