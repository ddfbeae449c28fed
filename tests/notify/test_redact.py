"""No secret survives, whatever quoting it went through; and text of others cannot act on a terminal."""

from __future__ import annotations

import base64
import html
import importlib.util
import json
import logging
import shlex
import sys
import typing
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.tools import PROJECT
from sync_to_azure.notify import redact as redact_module
from sync_to_azure.notify.redact import MASK, CleanFormatter, Redactor, plain, plain_lines

# "*" is left out: a mask beside other text can look like such a secret by chance.
SECRETS = st.text(
    st.one_of(st.sampled_from("aB7+/=%&\"'\\ ~.:;#ä漢😀\t"), st.characters(exclude_characters="*")),
    min_size=4,
    max_size=40,
).filter(lambda secret: len(secret.strip()) >= 4)
AROUND = st.text(st.sampled_from("aB7+/=%&\"'\\ \n.:?"), max_size=20)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(st.lists(SECRETS, min_size=1, max_size=3), AROUND, AROUND)
def test_no_secret_survives(secrets: list[str], before: str, after: str) -> None:
    text = before + after.join(secrets) + after
    clean = Redactor(secrets)(text)
    for secret in secrets:
        assert secret not in clean
        assert secret.strip() not in clean


@given(SECRETS.filter(_is_utf8), AROUND, AROUND)
def test_no_quoted_form_survives(secret: str, before: str, after: str) -> None:
    redact = Redactor([secret])
    for quoted in (
        urllib.parse.quote(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        urllib.parse.quote(urllib.parse.quote(secret, safe=""), safe=""),
        urllib.parse.quote(secret, safe="").lower() if secret.islower() else secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        html.escape(secret),
        shlex.quote(secret),
        plain(secret),
        base64.b64encode(secret.encode()).decode(),
    ):
        assert quoted not in redact(f"{before}{quoted}{after}"), quoted


@given(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=5, max_size=40
    ),
    st.text("abc", max_size=6),
)
def test_no_login_in_base64_survives(password: str, user: str) -> None:
    for login in (f"{user}:{password}", f"\0{user}\0{password}"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(login.encode()).decode()
            clean = Redactor([password])(f"sent {encoded} there")
            assert MASK in clean and encoded not in clean


SHAPES = [
    ("https://h/c?se=1&sig=ab%2Bc%3D&sv=2", "https://h/c?se=1&sig=***&sv=2"),
    ("https://h/c?se=1&SIG=ab+c=", "https://h/c?se=1&SIG=***"),
    ("https%3A%2F%2Fh%2Fc%3Fsig%3Dab%252Bc", "https%3A%2F%2Fh%2Fc%3Fsig%3D***"),
    ("a%253Fsig%253Dabc", "a%253Fsig%253D***"),
    ('{"sig": "abc"}', '{"sig": "***"}'),
    ("{'Authorization': 'Bearer abc', 'Host': 'h'}", "{'Authorization': '***', 'Host': 'h'}"),
    ("b'authorization': b'Basic abc'", "b'authorization': b'***'"),
    ('{\\"Authorization\\": \\"SharedKey a:b\\"}', '{\\"Authorization\\": \\"***\\"}'),
    ("Authorization: Basic dXNlcjpw\nHost: h", "Authorization: ***\nHost: h"),
    ("curl -H 'x' bearer eyJ0.e30.abc rest", "curl -H 'x' bearer *** rest"),
    ("SharedKey account:abc= rest", "SharedKey *** rest"),
    ("SharedKeyLite account:abc= rest", "SharedKeyLite *** rest"),
    ("AccountName=a;AccountKey=abc/+==;Endpoint=x", "AccountName=a;AccountKey=***;Endpoint=x"),
    ("grant=x&client_secret=abc%21&scope=y", "grant=x&client_secret=***&scope=y"),
    ("AZCOPY_SPA_CLIENT_SECRET=abc x", "AZCOPY_SPA_CLIENT_SECRET=*** x"),
    ("smtp-password = ab", "smtp-password = ***"),
    ('{"password": "a\\"b c", "x": 1}', '{"password": ***, "x": 1}'),
]


@pytest.mark.parametrize(("text", "expected"), SHAPES)
def test_shapes_of_secrets_are_hidden_without_being_known(text: str, expected: str) -> None:
    assert Redactor()(text) == expected


ORDINARY = [
    "AuthorizationFailure: This request is not authorized",
    "design=3 config=abc, the signal: lost; signature of the run: none",
    "smtp-password: not given; credentials: /etc/azure is missing",
    "command '/etc/passwd': cannot be run",
    "/data/170609_NB551051_0017_AHLFFJBGX2/Data/s_1_1101.bcl 100 %",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor(["hunter22"])(text) == text


def _cronbeat_shapes() -> typing.Any:
    """Of the package beside ours, which is not installed here and imports nothing of us."""
    path = PROJECT / "cronbeat" / "src" / "cronbeat" / "shapes.py"
    spec = importlib.util.spec_from_file_location("cronbeat_shapes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cronbeat_hides_the_same_shapes() -> None:
    """It tells what a failed command said, and the command may be ours."""
    theirs = _cronbeat_shapes()
    for text in [text for text, _ in SHAPES] + ORDINARY:
        assert theirs.hide(text) == Redactor()(text), text
    assert [(shape.pattern, shape.flags, put) for shape, put in theirs.SHAPES] == [
        (shape.pattern, shape.flags, put) for shape, put in redact_module._SHAPES
    ]


def test_short_and_empty_secrets_do_not_turn_the_log_into_stars() -> None:
    assert Redactor(["", " ", "a", "abc", "ab\n"])("a cab: abc, password=abc") == "a cab: abc, password=***"


def test_overlapping_secrets_leave_no_rest() -> None:
    assert Redactor(["abcdef", "defghi", "xyxy"])("1abcdefghi2xyxyxy3") == "1***2***3"


def test_each_line_of_a_private_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END KEY-----\n"
    assert Redactor([key])("line kqhkiG9w0BAQ") == "line ***"


def test_redaction_keeps_up_with_a_large_log() -> None:
    line = "2026-11-22 INFO /data/run/s_1_1101.bcl to https://account.blob.core.windows.net/container\n"
    text = line * 5_000
    assert Redactor(["a+b/c" * 17, "pass word", "hunter22"])(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run 日本 é ok", "run 日本 é ok"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x00\x7f\x9b", "\\x1b[2J\\x00\\x7f\\x9b"),
        ("gpj\u202ecod", "gpj\\u202ecod"),
        ("a\u2028b\u200bc\ufeff", "a\\u2028b\\u200bc\\ufeff"),
        (b"f\xe4\xff".decode("utf-8", "surrogateescape"), "f\\xe4\\xff"),
        ("\ud800x", "\\ud800x"),
        ("\U000e0041", "\\U000e0041"),
        ("C:\\new", "C:\\new"),
    ],
)
def test_plain_shows_what_would_act(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text(st.characters()))
def test_plain_text_is_one_line_that_any_sink_takes(text: str) -> None:
    result = plain(text)
    result.encode()
    assert len(result.splitlines()) <= 1
    assert plain(result) == result
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in result)


def test_lines_of_our_own_stay() -> None:
    assert plain_lines("a\nb\x1b\r\n") == "a\nb\\x1b\\r\n"


def _formatted(message: object, *arguments: object, error: BaseException | None = None) -> str:
    formatter = CleanFormatter(Redactor(["hunter22"]), logging.Formatter("%(levelname)s %(message)s"))
    info = (type(error), error, error.__traceback__) if error else None
    return formatter.format(logging.LogRecord("x", logging.INFO, "f", 1, message, arguments, info))


def test_a_file_name_cannot_write_a_line_of_its_own() -> None:
    assert _formatted("found %s", "a\nERROR b\x1b[0m") == "INFO found a\\nERROR b\\x1b[0m"
    assert _formatted("found %s (%d, %.1f)", OSError("a\nb"), 3, 0.5) == "INFO found a\\nb (3, 0.5)"
    assert _formatted("found %(name)s", {"name": "a\nb"}) == "INFO found a\\nb"
    assert _formatted("found %-6s|%r", "a", b"\x1b") == "INFO found a     |b'\\x1b'"


def test_our_own_lines_stay_and_are_indented() -> None:
    assert (
        _formatted("two problems:\nERROR one\x1b\ntwo") == "INFO two problems:\n    ERROR one\\x1b\n    two"
    )


def test_a_message_that_does_not_fit_its_arguments_is_still_told() -> None:
    assert _formatted("%d files", "hunter22") == "INFO %d files ('***',)"
    assert _formatted("100 % done", "x") == "INFO 100 % done ('x',)"


def test_errors_and_tracebacks_are_redacted() -> None:
    try:
        try:
            raise ValueError("with hunter22\nINFO forged")
        except ValueError as inner:
            raise OSError("client_secret=abc") from inner
    except OSError as error:
        text = _formatted("failed: %s", error, error=sys.exc_info()[1])
    assert "hunter22" not in text and "abc" not in text and "Traceback" in text
    assert all(line.startswith("    ") for line in text.split("\n")[1:])


def test_one_record_is_cleaned_for_each_redactor() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "hunter22 opensesame", None, None)
    inner = logging.Formatter("%(message)s")
    first, second = CleanFormatter(Redactor(["hunter22"]), inner), CleanFormatter(
        Redactor(["opensesame"]), inner
    )
    assert [each.format(record) for each in (first, second, first)] == [
        "*** opensesame",
        "hunter22 ***",
        "*** opensesame",
    ]
    assert record.getMessage() == "hunter22 opensesame"
