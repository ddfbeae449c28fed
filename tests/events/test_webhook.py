"""The webhook, taken by a real server on loopback: signed, over TLS, and whatever the server answers."""

from __future__ import annotations

import base64
import collections.abc
import hashlib
import hmac
import pathlib
import time

import pytest

from sync_to_azure.events import cloud_event, webhook
from sync_to_azure.events.webhook import WebhookConfig, key_of
from tests.certificates import make_certificate
from tests.conftest import LONG
from tests.events.conftest import published
from tests.events.receiver import Receiver
from tests.events.test_cloud_event import enveloped
from tests.server import nobody_listens

KEY = "0123456789abcdef0123456789abcdef"
NOW = 1_795_000_000.0


@pytest.fixture
def receiver() -> collections.abc.Iterator[Receiver]:
    server = Receiver()
    yield server
    server.end()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an answer comes; on a busy machine that may take some seconds."""
    monkeypatch.setattr(webhook, "LIMIT", 60.0)
    monkeypatch.setattr(webhook, "PAUSE", 0.01)


def sent(url: str, key: bytes = KEY.encode()) -> str:
    config = WebhookConfig(url, key, ("run.published",))
    return webhook.sender(config, lambda: NOW)(enveloped(published()))


def test_an_event_arrives_whole_and_signed(receiver: Receiver) -> None:
    assert sent(receiver.url()) == ""
    [(headers, body)] = receiver.taken
    identity, event = cloud_event.read(body)
    assert event == published() and headers["webhook-id"] == identity
    assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["webhook-timestamp"] == "1795000000"
    signed = identity.encode() + b".1795000000." + body
    digest = hmac.new(KEY.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of their specification."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    text = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert text == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_tls_is_verified(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = make_certificate(tmp_path)
    server = Receiver((certificate, key))
    try:
        assert "certificate verify failed" in sent(server.url()) and server.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert sent(server.url()) == "" and len(server.taken) == 1
    finally:
        server.end()


def test_what_may_pass_is_tried_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    assert sent(receiver.url()) == "" and len(receiver.taken) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1
    receiver.answers = [500, 500, 500]
    assert sent(receiver.url()) == "it answered 500"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_what_is_refused_is_not_repeated_at_once(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert sent(receiver.url()) == f"it answered {status}" and len(receiver.taken) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_success(receiver: Receiver, status: int) -> None:
    other = Receiver()
    receiver.location, receiver.answers = other.url("/login"), [status]
    try:
        assert sent(receiver.url()).startswith(f"it answered {status}, a redirect")
        assert other.taken == []
    finally:
        other.end()


def test_an_answer_that_trickles_ends_and_the_connection_with_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "LIMIT", 1.0)
    receiver.answers = ["hang"] * 3
    began = time.monotonic()
    assert sent(receiver.url()) == "no answer in 1 s"
    assert 2.9 < time.monotonic() - began < 100
    assert receiver.hung_up.wait(LONG), "nothing of it goes on behind our back"


def test_of_a_huge_answer_only_the_head_is_read(receiver: Receiver) -> None:
    receiver.answers = ["huge"]
    assert sent(receiver.url()) == "" and receiver.hung_up.wait(LONG)


def test_an_endless_head_is_no_answer(receiver: Receiver) -> None:
    receiver.answers = ["headers"] * 3
    assert sent(receiver.url()) == "no proper answer (HTTPException)"


def test_nobody_there() -> None:
    with nobody_listens() as port:
        assert "refused" in sent(f"http://127.0.0.1:{port}/events")
    assert sent("http://no-such-host.invalid/events") != ""


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 300, "two words that are long enough", "whsec_###", "whsec_YQ=="]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        key_of(text)
    assert not text or text not in str(caught.value)


def test_a_key_is_a_word_in_a_file() -> None:
    assert key_of(f"{KEY}\n") == KEY.encode()


def test_neither_address_nor_key_is_shown() -> None:
    assert repr(WebhookConfig("https://host/secret", KEY.encode(), ())) == "WebhookConfig(types=())"
