"""One redactor at every sink: whatever a text is made of, no sink lets a secret through. The judge is the hunt's own
list of forms, not the redactor's."""

from __future__ import annotations

import io
import json
import logging
import pathlib
import threading
import time
import urllib.parse
import warnings

import base64
import html

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.cli import failures
from sync_to_azure.core.model import RunLine, State, Summary, Problem
from sync_to_azure.notify import log as tell_log
from sync_to_azure.notify import mail
from sync_to_azure.notify.redact import Redactor
from tests.passes.secrets.hunt import Hunt, canary

SECRET = strategies.text(
    strategies.characters(
        min_codepoint=0x21, max_codepoint=0x2FF, blacklist_categories=("Cc", "Cs", "Zs", "Cf")
    ),
    min_size=14,
    max_size=60,
).filter(lambda text: len(set(text)) > 8)
TEXT = strategies.text(max_size=40)
FORMS = {
    "plain": lambda secret: secret,
    "quoted": lambda secret: urllib.parse.quote(secret, safe=""),
    "quoted but slashes": lambda secret: urllib.parse.quote(secret),
    "quoted twice": lambda secret: urllib.parse.quote(urllib.parse.quote(secret, safe="")),
    "form": urllib.parse.quote_plus,
    "json": json.dumps,
    "json as it is": lambda secret: json.dumps(secret, ensure_ascii=False),
    "repr": repr,
    "bytes": lambda secret: repr(secret.encode()),
    "html": html.escape,
    "login": lambda secret: "Basic " + base64.b64encode(f"user:{secret}".encode()).decode(),
    "login without a user": lambda secret: base64.b64encode(f"\0{secret}".encode()).decode(),
    "address": lambda secret: f"https://user:{urllib.parse.quote(secret, safe='')}@host/",
    "query": lambda secret: f"https://host/c?sv=1&sig={urllib.parse.quote(secret, safe='')}&se=2",
    "header": lambda secret: f"{{'Authorization': 'SharedKey account:{secret}'}}",
}


def logged(redact: Redactor, text: str) -> str:
    """Through a logger with all its handlers: as message, as argument, as error and traceback."""
    stream = io.StringIO()
    setup = tell_log.set_up("DEBUG", None, redact, stream)
    logger = logging.getLogger("sync_to_azure.x")
    try:
        logger.error("about %s", text)
        logger.error("%s", {"answer": text, "list": [text]})
        try:
            raise ValueError(text) from RuntimeError(text)
        except ValueError as error:
            logger.error("failed", exc_info=error)
        return stream.getvalue() + setup.mail_text()
    finally:
        setup.close()


def mailed(redact: Redactor, text: str) -> str:
    summary = Summary([RunLine(text, State.FAILING, text)], [Problem(f"{text}:{text}", text)])
    due = mail.digest(text, summary, {}, 0.0, False, redact)
    assert due is not None
    whole = mail.compose(due.subject, mail.body(due, summary, text, "host", redact), "a@b.org", ("c@d.org",))
    return f"{whole['Subject']}\n{whole.get_content()}"


@hypothesis.settings(max_examples=1500, deadline=None)
@hypothesis.given(SECRET, strategies.sampled_from(sorted(FORMS)), TEXT, TEXT)
def test_no_form_of_a_secret_passes(secret: str, form: str, before: str, after: str) -> None:
    hunt = Hunt({"secret": secret})
    hunt.look("around it", before + after)
    hypothesis.assume(not hunt.findings)
    written = FORMS[form](secret)
    hunt.look("as written", written)
    hypothesis.assume(hunt.findings)
    hunt.findings.clear()
    hunt.look("redacted", Redactor([secret])(before + written + after))
    hunt.assert_nothing()


@hypothesis.settings(max_examples=120, deadline=None)
@hypothesis.given(SECRET, strategies.sampled_from(sorted(FORMS)), TEXT)
def test_no_sink_lets_one_through(secret: str, form: str, around: str) -> None:
    hunt = Hunt({"secret": secret})
    hunt.look("around it", around)
    hypothesis.assume(not hunt.findings)
    text = f"{around} {FORMS[form](secret)} {around}"
    redact = Redactor([secret])
    hunt.look("log", logged(redact, text))
    hunt.look("mail", mailed(redact, text))
    hunt.look("terminal", failures.hidden(text, [secret]))
    hunt.assert_nothing()


def test_what_python_itself_would_write_to_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    """A library's warning, and the end of a thread."""
    secret = canary("stray")
    stream = io.StringIO()
    setup = tell_log.set_up("INFO", tmp_path / "log", Redactor([secret]), stream)
    try:
        warnings.warn(f"deprecated {secret}", stacklevel=1)

        def fault() -> None:
            raise RuntimeError(f"with {secret}")

        thread = threading.Thread(target=fault)
        thread.start()
        thread.join()
    finally:
        setup.close()
    captured = capsys.readouterr()
    text = stream.getvalue() + setup.mail_text() + (tmp_path / "log").read_text("utf-8")
    assert text.count("deprecated ***") >= 3 and text.count("with ***") >= 3
    hunt = Hunt({"stray": secret})
    hunt.look("all", text + captured.out + captured.err)
    hunt.assert_nothing()


def test_what_azcopy_says_is_never_cut_within_a_word() -> None:
    """Half a secret is one that no redactor knows."""
    from sync_to_azure.uploaders.azcopy_session import _shortened

    secret = canary("cut")
    for length in range(300, 420):
        text = "x" * 90 + " " + "y" * (length - 91) + " " + secret + " and more " + "z" * 300
        hunt = Hunt({"cut": secret})
        hunt.look("shortened", Redactor([secret])(_shortened(text)))
        hunt.assert_nothing()


def test_ordinary_lines_are_not_slow_or_starred() -> None:
    redact = Redactor([canary("a"), canary("b"), canary("c")])
    lines = "".join(
        f"2026-11-22 10:00:00 INFO run{number}: sending 120 files, 4.0 MB to http://127.0.0.1:10000/devstoreaccount1\n"
        for number in range(2000)
    )
    # Of this thread's own processor time: others may take the rest.
    started = time.thread_time()
    assert redact(lines) == lines
    assert time.thread_time() - started < 6
