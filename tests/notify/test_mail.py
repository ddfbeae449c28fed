"""The mail: when one is due, what it says, and handing it to real SMTP servers, willing and unwilling ones."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import email
import email.message
import email.policy
import logging
import pathlib
import socket
import ssl
import threading
import time
import typing

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sync_to_azure.core.model import RunLine, State, Summary, Problem
from sync_to_azure.notify.mail_config import MailConfig
from sync_to_azure.notify.mail import (
    Mail,
    MailFailed,
    body,
    compose,
    connection,
    digest,
    send,
    sender_of,
)
from sync_to_azure.notify.redact import Redactor
from tests.certificates import make_certificate

PASSWORD = "hunter2%#x"
FIRST, SECOND = "170609_NB551051_0017_AHLFFJBGX2", "170610_NB551051_0018_BHLFFJBGX3"
DAY = 24 * 3600.0


class Postbox:
    """What a server got; refuses recipients that begin with "refused"."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], email.message.EmailMessage]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 no such person, " + PASSWORD
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = typing.cast(bytes, envelope.content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 OK"


@dataclasses.dataclass
class Certificate:
    file: pathlib.Path
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One for 127.0.0.1, and contexts that show and trust it."""
    file, key_file = make_certificate(tmp_path_factory.mktemp("certificate"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file, key_file)
    return Certificate(file, server, ssl.create_default_context(cafile=str(file)))


class OnAnyFreePort(Controller):
    """aiosmtpd wakes its server by connecting to it; which port it got is known after the bind only."""

    def _trigger_server(self) -> None:
        self.port = typing.cast(typing.Any, self.server).sockets[0].getsockname()[1]
        typing.cast(typing.Any, super())._trigger_server()


@contextlib.contextmanager
def _server(
    tls: ssl.SSLContext | None = None, password: str = PASSWORD, **options: typing.Any
) -> collections.abc.Iterator[tuple[Postbox, int]]:
    """A real server on a free port of the loopback; ``tls``: from the first byte on."""
    postbox = Postbox()

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == password.encode()
        return AuthResult(success=good, handled=False)

    controller = OnAnyFreePort(
        postbox,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls,
        authenticator=login,
        ready_timeout=120,
        **options,
    )
    controller.start()
    try:
        yield postbox, controller.port
    finally:
        controller.stop()


def _settings(port: int, **changes: typing.Any) -> MailConfig:
    settings = MailConfig("127.0.0.1", port, recipients=("lab@example.org",), timeout=60)
    return dataclasses.replace(settings, **changes)


def _message(recipients: tuple[str, ...] = ("lab@example.org",)) -> email.message.EmailMessage:
    return compose("runs need attention", "Grüße\n" + "x" * 2000 + "\n.\nend", "sync@example.org", recipients)


def test_a_mail_arrives_as_it_was_written() -> None:
    with _server() as (postbox, port):
        send(_settings(port), _message())
    ((recipients, message),) = postbox.mails
    assert recipients == ["lab@example.org"]
    assert message["Subject"] == "runs need attention" and message["To"] == "lab@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>") and message["Date"].datetime.tzinfo
    assert message.get_content().replace("\r\n", "\n") == "Grüße\n" + "x" * 2000 + "\n.\nend\n"


def test_starttls_and_a_login(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    with _server(tls_context=certificate.server, require_starttls=True, auth_required=True) as (
        postbox,
        port,
    ):
        settings = _settings(port, user="sync@example.org", password=PASSWORD)
        send(settings, _message(), certificate.client)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        send(settings, _message())
    assert len(postbox.mails) == 2


def test_tls_from_the_first_byte(certificate: Certificate) -> None:
    with _server(certificate.server, auth_require_tls=False) as (postbox, port):
        settings = _settings(port, security="tls", user="sync@example.org", password=PASSWORD)
        send(settings, _message(), certificate.client)
    assert len(postbox.mails) == 1


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(security: str, certificate: Certificate) -> None:
    tls = certificate.server if security == "tls" else None
    with _server(tls, tls_context=None if tls else certificate.server) as (postbox, port):
        with pytest.raises(
            MailFailed, match="certificate is not trusted: self.signed certificate.*SSL_CERT_FILE"
        ):
            send(_settings(port, security=security), _message())
    assert not postbox.mails


def test_a_password_never_goes_over_an_open_line_unasked() -> None:
    with _server(auth_require_tls=False) as (postbox, port):
        settings = _settings(port, user="sync@example.org", password=PASSWORD)
        with pytest.raises(MailFailed, match="does not offer STARTTLS"):
            send(settings, _message())
        assert not postbox.mails
        send(dataclasses.replace(settings, security="none"), _message())
    assert len(postbox.mails) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("password", ["wrong-password", "wrong-pässword"])
def test_a_refused_login_says_so_without_the_password(password: str) -> None:
    with _server(auth_require_tls=False, auth_required=True) as (postbox, port):
        with pytest.raises(MailFailed, match="refuses the login: 535.*smtp-password") as caught:
            send(_settings(port, security="none", user="sync@example.org", password=password), _message())
    assert password not in str(caught.value) and f"127.0.0.1:{port}" in str(caught.value)
    assert not postbox.mails


def test_one_refused_recipient_does_not_keep_it_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    recipients = ("refused@example.org", "lab@example.org")
    with _server() as (postbox, port), caplog.at_level(logging.WARNING):
        send(_settings(port, recipients=recipients, password=PASSWORD), _message(recipients))
    assert [to for to, _ in postbox.mails] == [["lab@example.org"]]
    (record,) = [record for record in caplog.records if record.name.startswith("sync_to_azure")]
    assert "refused@example.org: 550 no such person, ***" in record.getMessage()


def test_a_password_beyond_ascii_is_sent_as_utf8() -> None:
    with _server(auth_require_tls=False, password="pässwörd漢") as (postbox, port):
        send(_settings(port, security="none", user="u", password="pässwörd漢"), _message())
    assert len(postbox.mails) == 1


def test_all_recipients_refused() -> None:
    with _server() as (postbox, port):
        with pytest.raises(MailFailed, match=r"refuses all recipients \(refused@x.org: 550 .*log-recipient"):
            send(_settings(port, recipients=("refused@x.org",)), _message())


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MailFailed, match="127.0.0.1:.*Connection refused.*smtp-host"):
            send(_settings(taken.getsockname()[1]), _message())
    with pytest.raises(MailFailed, match="no-such-host.invalid:25: cannot be reached"):
        send(_settings(25, host="no-such-host.invalid"), _message())
    with pytest.raises(MailFailed):
        send(_settings(25, host="x" * 100 + ".org"), _message())


@pytest.mark.parametrize(("greeting", "security"), [(b"", "none"), (b"220 hello\r\n", "none"), (b"", "tls")])
def test_a_server_that_stalls_costs_its_timeout_only(greeting: bytes, security: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept: list[socket.socket] = []

        def greet() -> None:
            with contextlib.suppress(OSError):
                connected, _ = listening.accept()
                kept.append(connected)
                connected.sendall(greeting)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(MailFailed, match=r"no answer within 0.3 s"):
            send(_settings(listening.getsockname()[1], timeout=0.3, security=security), _message())
        assert time.monotonic() - started < 60
        thread.join(60)
        for connected in kept:
            connected.close()


def test_a_server_that_talks_nonsense_or_hangs_up() -> None:
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"554 go away " + PASSWORD.encode() + b"\r\n", b""):
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def answer() -> None:
                connected, _ = listening.accept()
                with connected:
                    connected.sendall(greeting)

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            with pytest.raises(MailFailed) as caught:
                send(_settings(listening.getsockname()[1], password=PASSWORD), _message())
            assert PASSWORD not in str(caught.value)
            thread.join(60)


@pytest.mark.parametrize(
    ("security", "port", "user", "expected"),
    [
        ("auto", 0, "", ("none", 25)),
        ("auto", 0, "u", ("starttls", 587)),
        ("auto", 465, "", ("tls", 465)),
        ("auto", 587, "", ("starttls", 587)),
        ("auto", 25, "", ("none", 25)),
        ("auto", 25, "u", ("starttls", 25)),
        ("auto", 2525, "u", ("starttls", 2525)),
        ("tls", 0, "", ("tls", 465)),
        ("starttls", 0, "", ("starttls", 587)),
        ("none", 0, "u", ("none", 25)),
        ("none", 465, "u", ("none", 465)),
    ],
)
def test_security_and_port(security: str, port: int, user: str, expected: tuple[str, int]) -> None:
    assert connection(MailConfig("h", port, user, security=security)) == expected


def test_settings_do_not_show_the_password() -> None:
    assert PASSWORD not in repr(MailConfig("h", password=PASSWORD))


def test_the_sender_is_the_one_who_logs_in() -> None:
    assert sender_of(MailConfig("h", user="lab@example.org")) == "lab@example.org"
    assert sender_of(MailConfig("h", user="lab")).startswith("sync_to_azure@")


def test_nothing_can_add_a_header() -> None:
    message = compose(
        "x\r\nBcc: evil@example.org\x1b", "b\r\n\x1b[2J", "Sync <s@e.org>", ("Lab é <l@e.org>", "root")
    )
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert read["Bcc"] is None and read["Subject"] == "x\\r\\nBcc: evil@example.org\\x1b"
    assert read["To"] == "Lab é <l@e.org>, root"
    assert read.get_content() == "b\r\n\\x1b[2J\r\n"


@pytest.mark.parametrize(
    "address", ["", "a@b\r\nBcc: c@d", "a b@c", "a@b, c@d", "<>", "a@b>c", "@b", "a@@b", "é@b\x00"]
)
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(MailFailed, match="is no mail address"):
        compose("s", "b", "sync@example.org", (address,))


def _summary(*troubles: Problem) -> Summary:
    lines = [RunLine(FIRST, State.FAILING, "storage unavailable"), RunLine(SECOND, State.FLAGGED, "changed")]
    return Summary(lines, list(troubles), published=3, waiting=2)


ONE = Problem(f"{FIRST}:storage-unavailable", f"{FIRST}: the container is not there (create it)", 3)
TWO = Problem(f"{SECOND}:changed-after-verification", f"{SECOND}: 2 files changed (decide)", 1)
ALL = Problem("source-unavailable", "/data/main is empty (is it mounted?)", 3)


def test_new_trouble_is_mailed_and_told_trouble_is_not() -> None:
    now = 1_000_000.0
    mail = digest("nextseq", _summary(ONE, TWO), {}, now, False)
    assert mail is not None and mail.keys == (ONE.key, TWO.key) and not mail.all_well
    assert digest("nextseq", _summary(ONE, TWO), dict.fromkeys(mail.keys, now), now + DAY - 1, True) is None
    again = digest("nextseq", _summary(ONE, TWO), dict.fromkeys(mail.keys, now), now + DAY, True)
    assert again is not None and again.keys == mail.keys
    assert digest("nextseq", _summary(ONE), {ONE.key: now + 9 * DAY}, now, True) is not None
    known = dataclasses.replace(TWO, new=False)
    assert (
        digest("nextseq", _summary(known), {TWO.key: now}, now + 9 * DAY, True) is None
    ), "a person knows of it"
    assert digest("nextseq", _summary(known), {}, now, True) is not None, "its mail could not be sent"


def test_what_is_new_stands_first_and_all_is_listed() -> None:
    mail = digest("nextseq", _summary(ONE, TWO), {ONE.key: 100.0}, 200.0, True)
    assert mail is not None and mail.keys == (TWO.key, ONE.key)
    assert mail.lead.index(TWO.text) < mail.lead.index("(reported before) " + ONE.text)
    assert "Published in this pass: 3. Waiting: 2." in mail.lead


def test_all_is_well_again_is_said_once() -> None:
    mail = digest("nextseq", _summary(), {ONE.key: 100.0}, 200.0, True)
    assert mail is not None and mail.all_well and mail.keys == ()
    assert mail.subject == "[sync_to_azure] nextseq: all problems resolved"
    assert digest("nextseq", _summary(), {ONE.key: 100.0}, 200.0, False) is None
    assert digest("nextseq", Summary(), {}, 0.0, False) is None


@pytest.mark.parametrize(
    ("troubles", "expected"),
    [
        ([ONE], f"[sync_to_azure] nextseq: 1 run needs attention: {FIRST} (storage unavailable)"),
        ([ALL], "[sync_to_azure] nextseq: source unavailable"),
        (
            [ALL, Problem("mail:smtp-refused", "x", 3)],
            "[sync_to_azure] nextseq: 2 problems: source unavailable, smtp refused",
        ),
        (
            [ONE, TWO],
            f"[sync_to_azure] nextseq: 2 runs need attention: {FIRST}, … (storage unavailable, …)",
        ),
        (
            [Problem(f"run{number}:bad-name", "x") for number in range(12)],
            "[sync_to_azure] nextseq: 12 runs need attention: "
            "run0, run1, run2, run3, run4, run5, run6, run7, run8, … (bad name)",
        ),
    ],
)
def test_the_subject_says_what_and_how_many(troubles: list[Problem], expected: str) -> None:
    mail = digest("nextseq", _summary(*troubles), {}, 0.0, False)
    assert mail is not None and mail.subject == expected


def test_no_subject_is_long_unsafe_or_tells_a_secret() -> None:
    redact = Redactor(["hunter22"])
    for key in (
        "r" * 500 + ":" + "c" * 500,
        "a\nBcc: x:hunter22",
        "hunter22" * 40 + ":x",
        ":",
        "",
        "日本" * 99 + ":語",
    ):
        mail = digest(
            "flow\n" * 9 + "hunter22", _summary(Problem(key, "hunter22\x1b\nnext")), {}, 0.0, False, redact
        )
        assert mail is not None and len(mail.subject) < 120
        assert (
            "\n" not in mail.subject and "hunter" not in mail.subject + mail.lead and "\x1b" not in mail.lead
        )


def test_a_thousand_troubles_stay_a_mail() -> None:
    troubles = [Problem(f"r{number}:x", f"trouble {number} " + "y" * 10_000) for number in range(1000)]
    mail = digest("f", _summary(*troubles), {}, 0.0, False)
    assert mail is not None and len(mail.keys) == 1000
    assert "and 900 more: see the log" in mail.lead and len(mail.lead) < 250_000


def test_the_body_has_digest_table_host_and_then_the_log() -> None:
    summary = _summary(ONE)
    mail = digest("nextseq", summary, {}, 0.0, False)
    assert mail is not None
    text = body(mail, summary, "first line\nlogin hunter22", "sequencer-pc", Redactor(["hunter22"]))
    places = [
        text.index(part) for part in (ONE.text, "Published in", "run  ", "failing", "sequencer-pc", "-" * 72)
    ]
    assert places == sorted(places) and text.endswith("-" * 72 + "\n\nfirst line\nlogin ***\n")
    well = Mail("s", "All problems reported before are resolved", (), True)
    assert "No run was worked on." in body(well, Summary(), "")
