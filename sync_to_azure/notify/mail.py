"""The mail of a pass: when one is due and what it says (pure), and sending it by SMTP.

What costs time to import (smtplib, email) is imported where it is used: a pass without trouble sends nothing.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sync_to_azure.core import deadline
from sync_to_azure.core.errors import SyncError
from sync_to_azure.core.model import Summary, Problem
from sync_to_azure.notify.mail_config import MailConfig
from sync_to_azure.notify.redact import Redactor, plain, plain_lines
from sync_to_azure.notify.terminal import cut, table

if TYPE_CHECKING:
    import smtplib
    import ssl
    from email.headerregistry import Address
    from email.message import EmailMessage

SILENCE = 24 * 3600.0
"""Seconds in which the same trouble is not mailed again."""
SUBJECT_LENGTH = 118
TROUBLES_LISTED = 100
RUNS_LISTED = 300
TEXT_CHARACTERS = 2000

_log = logging.getLogger(__name__)


class MailFailed(SyncError):
    """A mail could not be handed over; its text holds no secret. It is logged and changes nothing else."""


@dataclasses.dataclass(frozen=True)
class Mail:
    """A mail that is due: ``keys`` of the troubles it tells (to be remembered as mailed once it is sent);
    ``all_well`` for the one that ends them."""

    subject: str
    lead: str
    keys: tuple[str, ...]
    all_well: bool = False


def digest(
    flow_name: str,
    summary: Summary,
    known: Mapping[str, float],
    now: float,
    open_problem: bool,
    redact: Callable[[str], str] = Redactor(),
) -> Mail | None:
    """The mail that this pass owes, or None.

    ``known``: when (seconds since the epoch) the trouble of a key was last mailed. A mail is due as soon as one
    trouble was not mailed (within ``SILENCE``, if it arose anew); it lists all that is wrong now, what is new first.
    ``open_problem``: a mail about trouble went out and none since that all is well; the first pass without trouble
    sends that.
    A time in the future (a clock that was put right) counts as not mailed.
    """
    counts = summary.counted or f"Published in this pass: {summary.published}. Waiting: {summary.waiting}."
    prefix = f"[sync_to_azure] {plain(redact(flow_name))}: "
    if not summary.problems:
        if not open_problem:
            return None
        lead = f"All problems reported before are resolved.\n\n{counts}"
        return Mail(cut(prefix + "all problems resolved", SUBJECT_LENGTH), lead, (), all_well=True)
    unique = {problem.key: problem for problem in summary.problems}
    due = [problem for key, problem in unique.items() if _is_due(problem, known.get(key), now)]
    if not due:
        return None
    due_keys = {problem.key for problem in due}
    problems = due + [problem for key, problem in unique.items() if key not in due_keys]
    listed = [_listed(problem, problem.key in due_keys, redact) for problem in problems[:TROUBLES_LISTED]]
    if len(problems) > TROUBLES_LISTED:
        listed.append(f"* and {len(problems) - TROUBLES_LISTED} more: see the log")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lead = "\n".join([f"{count}:", "", *listed, "", counts])
    subject = _subject(prefix, problems, {redact(line.run) for line in summary.runs}, redact)
    return Mail(subject, lead, tuple(problem.key for problem in problems))


def _is_due(problem: Problem, mailed: float | None, now: float) -> bool:
    """What stays wrong (a flagged run) is mailed once: a person knows of it, ``status`` shows it. What goes wrong anew
    in each pass is mailed again after ``SILENCE``."""
    if mailed is None or mailed > now:
        return True
    return problem.new and now - mailed >= SILENCE


def _listed(problem: Problem, due: bool, redact: Callable[[str], str]) -> str:
    text = cut(plain_lines(redact(problem.text)).strip(), TEXT_CHARACTERS).replace("\n", "\n  ")
    return f"* {text}" if due else f"* (reported before) {text}"


def _subject(prefix: str, problems: list[Problem], runs: set[str], redact: Callable[[str], str]) -> str:
    """What and how many: names of runs as far as they fit, and the kinds of trouble, each once."""
    names: dict[str, None] = {}
    kinds: dict[str, None] = {}
    for problem in problems:
        # Before it is split: a secret may hold a colon.
        run, _, code = redact(problem.key).rpartition(":")
        kinds.setdefault(plain(code).replace("-", " ").replace("_", " "))
        if run and (run in runs or problem.exit_code == 1):
            names.setdefault(plain(run))
    if not names:
        count = f"{len(problems)} problems: " if len(problems) > 1 else ""
        return cut(f"{prefix}{count}{_joined(list(kinds), SUBJECT_LENGTH)}", SUBJECT_LENGTH)
    lead = (
        f"{prefix}1 run needs attention: "
        if len(names) == 1
        else f"{prefix}{len(names)} runs need attention: "
    )
    room = SUBJECT_LENGTH - len(lead) - len(" ()")
    kind_words = _joined(list(kinds), max(room - min(len(next(iter(names))) + len(", …"), 60), 15))
    return cut(f"{lead}{_joined(list(names), room - len(kind_words))} ({kind_words})", SUBJECT_LENGTH)


def _joined(words: list[str], room: int) -> str:
    """As many words as fit, at least a cut first one; an ellipsis stands for the rest."""
    text = cut(words[0], max(room - 3, 12))
    for at, word in enumerate(words[1:], 1):
        last = at == len(words) - 1
        if len(text) + 2 + len(word) + (0 if last else 3) > room:
            return text + ", …"
        text += ", " + word
    return text


def body(
    mail: Mail, summary: Summary, log: str, host: str | None = None, redact: Callable[[str], str] = Redactor()
) -> str:
    """The whole text: what is wrong, the table of runs, and after a line the log of the pass. Redacted."""
    runs = table(summary.runs[:RUNS_LISTED]) or "No run was worked on."
    if len(summary.runs) > RUNS_LISTED:
        runs += f"\n… and {len(summary.runs) - RUNS_LISTED} more"
    where = f"sync_to_azure on {plain(host if host is not None else socket.gethostname())}"
    text = "\n".join([mail.lead, "", runs, "", where, "", "-" * 72, "", log, ""])
    return plain_lines(redact(text))


def compose(
    subject: str, body: str, sender: str, recipients: tuple[str, ...], now: float | None = None
) -> "EmailMessage":
    """A message ready to send; reads and sends nothing. ``now``: seconds since the epoch, None for this moment.

    Nothing in subject or names can add a header: line ends and control characters become visible escapes there.
    MailFailed: an address that is none.
    """
    import email.message
    import email.policy
    import email.utils

    policy = email.policy.SMTP.clone(cte_type="7bit")
    message = email.message.EmailMessage(policy=policy)
    from_address = _address(sender)
    message["From"] = from_address
    message["To"] = [_address(recipient) for recipient in recipients]
    message["Subject"] = plain(subject)
    message["Date"] = email.utils.formatdate(time.time() if now is None else now, localtime=True)
    message["Message-ID"] = email.utils.make_msgid(domain=from_address.domain or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain_lines(body.replace("\r\n", "\n")), charset="utf-8")
    return message


def _address(text: str) -> "Address":
    import email.errors
    import email.headerregistry

    parts = re.fullmatch(r"(?:([^<>]*)<)?([^<>]*)(?(1)>)", text.strip())
    name, address = (parts[1] or "", parts[2]) if parts else ("", "")
    local, _, domain = address.partition("@")
    odd = plain(text) != text or re.search(r"[\s@<>,;\"()]", domain)
    if odd or not re.fullmatch(r"[^\s@<>,;:\"()\[\]\\]+", local):
        raise MailFailed(f"{plain(text)!r} is no mail address", "correct log-recipient")
    try:
        return email.headerregistry.Address(display_name=name.strip(' "'), username=local, domain=domain)
    except (ValueError, IndexError, email.errors.MessageError) as error:
        raise MailFailed(f"{plain(text)!r} is no mail address", "correct log-recipient") from error


def sender_of(config: MailConfig) -> str:
    """Whom the mails come from: many servers accept only the address that logs in."""
    if "@" in config.user:
        return config.user
    return f"sync_to_azure@{re.sub(r'[^A-Za-z0-9.-]', '-', socket.gethostname()) or 'localhost'}"


def connection(config: MailConfig) -> tuple[str, int]:
    """Security (tls, starttls, none) and port. A password goes over an open line only where ``none`` is said."""
    security, port = config.security, config.port
    if security == "auto":
        if port == 465:
            security = "tls"
        elif port == 587 or config.user:
            security = "starttls"
        else:
            security = "none"
    return security, port or {"tls": 465, "starttls": 587}.get(security, 25)


def send(config: MailConfig, message: "EmailMessage", context: "ssl.SSLContext | None" = None) -> list[str]:
    """Hands the message to the server for all recipients; MailFailed says why that was not possible.

    A recipient whom the server refuses is logged as a warning, and returned with its answer, as long as another one is
    accepted. The server's certificate is always verified: against the system's authorities, or by ``context``.
    """
    with _session(config, context) as server:
        to = [_address(recipient).addr_spec for recipient in config.recipients]
        if not to:
            raise MailFailed("a mail has no recipient", "set log-recipient")
        redact = Redactor([config.password])
        refused = []
        for recipient, (code, answer) in server.send_message(message, to_addrs=to).items():
            refused.append(f"{recipient}: {plain(redact(f'{code} {_decoded(answer)}'))}")
            _log.warning("%s refuses %s; the others have the mail", _where(config), refused[-1])
        return refused


def knock(config: MailConfig) -> None:
    """Connect and log in, and send nothing. MailFailed says why that is not possible."""
    with _session(config, None) as server:
        server.noop()


def _where(config: MailConfig) -> str:
    return f"{plain(config.host)}:{connection(config)[1]}"


@contextlib.contextmanager
def _session(config: MailConfig, context: "ssl.SSLContext | None") -> "Iterator[smtplib.SMTP]":
    """The server, ready to take a mail. What goes wrong, also within, comes out as MailFailed."""
    import smtplib
    import ssl

    security, port = connection(config)
    server: Any = None
    try:
        verified = context if context is not None else ssl.create_default_context()
        plain_kind, tls_kind = _kinds()
        with deadline.within(config.whole):
            if security == "tls":
                server = tls_kind(config.host, port, timeout=config.timeout, context=verified)
            else:
                server = plain_kind(config.host, port, timeout=config.timeout)
            if security == "starttls":
                server.starttls(context=verified)
            if config.user:
                _log_in(server, config.user, config.password)
            yield server
        with contextlib.suppress(OSError, smtplib.SMTPException, deadline.TooSlow):
            # The mail is accepted by now: a server without a goodbye is no failure.
            with deadline.within(config.timeout):
                deadline.watch(server.line)
                server.quit()
    except deadline.TooSlow as error:
        raise MailFailed(
            f"mail server {_where(config)}: not done within {config.whole:g} s",
            "check smtp-host and smtp-port",
        ) from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        problem, advice = _explained(error, config.timeout)
        redact = Redactor([config.password])
        raise MailFailed(plain(redact(f"mail server {_where(config)}: {problem}")), advice) from error
    finally:
        if server is not None:
            server.close()


@functools.cache
def _kinds() -> "tuple[type[smtplib.SMTP], type[smtplib.SMTP_SSL]]":
    """Of connections that are watched from the first byte on: also the greeting may drip."""
    import smtplib

    class Plain(smtplib.SMTP):
        def _get_socket(self, *arguments: Any) -> socket.socket:
            connection: socket.socket = super()._get_socket(*arguments)  # type: ignore[misc]
            self.line = deadline.watched(connection)
            return connection

    class Tls(smtplib.SMTP_SSL, Plain):
        """smtplib asks for the socket as above, and then for TLS on it."""

    return Plain, Tls


def _log_in(server: "smtplib.SMTP", user: str, password: str) -> None:
    """smtplib knows ASCII passwords only; AUTH PLAIN is UTF-8 (RFC 4616)."""
    import smtplib

    if (user + password).isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode("ascii")
    code, answer = server.docmd("AUTH", f"PLAIN {secret}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, answer)


def _explained(error: Exception, timeout: float) -> tuple[str, str]:
    """What happened and what to do, in words; may still hold what the server said."""
    import smtplib
    import ssl

    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = (f"{who}: {code} {_decoded(text)}" for who, (code, text) in error.recipients.items())
        return f"refuses all recipients ({'; '.join(answers)})", "check log-recipient"
    if isinstance(error, smtplib.SMTPResponseException):
        answer = f"{error.smtp_code} {_decoded(error.smtp_error)}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"refuses the login: {answer}", "check smtp-user and smtp-password"
        if isinstance(error, smtplib.SMTPSenderRefused):
            return f"refuses the sender {error.sender}: {answer}", "check smtp-user"
        return f"answers {answer}", ""
    if isinstance(error, smtplib.SMTPNotSupportedError) and "STARTTLS" in str(error):
        return "does not offer STARTTLS", "set smtp-security to tls, or to none for a line you trust"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}", "SSL_CERT_FILE names authorities"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}", "check smtp-security and smtp-port"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return f"no answer within {timeout:g} s", "check smtp-host and smtp-port"
    if isinstance(error, smtplib.SMTPException):
        return str(error) or type(error).__name__, ""
    return f"cannot be reached: {getattr(error, 'strerror', None) or error}", "check smtp-host and smtp-port"


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
