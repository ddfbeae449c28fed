"""A receiver elsewhere (a LIMS, a launcher of pipelines) gets each event by a signed POST.

Signed as standardwebhooks.com says it: HMAC-SHA256 over id, time and body, so that a receiver knows the sender, and
refuses what was changed or is sent again by somebody who listened. Address and key are secrets.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import time
from collections.abc import Callable

from sync_to_azure.core.posting import Post
from sync_to_azure.events.cloud_event import CONTENT_TYPE, CloudEvent

CONSUMER = "webhook"
LIMIT = 10.0
"""Seconds for one attempt, from the name's look-up to the answer."""
TRIES = 3
PAUSE = 1.0
LEAST_KEY, MOST_KEY = 24, 256
"""Bytes."""
_PREFIX = "whsec_"


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookConfig:
    """``types``: the events that are sent."""

    url: str = dataclasses.field(repr=False)
    key: bytes = dataclasses.field(repr=False)
    types: tuple[str, ...]


def key_of(text: str) -> bytes:
    """The key as a file holds it: ``whsec_`` and base64, as other products write it, or any long text. Raises
    ValueError, which does not repeat it."""
    text = text.strip()
    if text.startswith(_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("is no base64 behind whsec_") from None
    else:
        key = text.encode()
    if any(each in text for each in " \t\r\n") or not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"has to be one word of {LEAST_KEY} to {MOST_KEY} bytes")
    return key


def signature(key: bytes, identity: str, seconds: int, body: bytes) -> str:
    signed = b"%s.%d.%s" % (identity.encode(), seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(config: WebhookConfig, identity: str, seconds: int, body: bytes) -> dict[str, str]:
    return {
        "Content-Type": CONTENT_TYPE,
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(config.key, identity, seconds, body),
    }


def sender(config: WebhookConfig, now: Callable[[], float] = time.time) -> Callable[[CloudEvent], str]:
    """Sends one event; an empty text once the receiver has it, or what went wrong with the last try."""

    def send(event: CloudEvent) -> str:
        body = event.line().encode()
        for left in reversed(range(TRIES)):
            post = Post(config.url, body, headers(config, event.id, int(now()), body), LIMIT)
            problem = post.result()
            if not problem or not post.again or not left:
                break
            time.sleep(PAUSE)
        return problem

    return send
