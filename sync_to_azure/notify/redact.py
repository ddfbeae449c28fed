"""Secrets never leave, and text of others cannot act: ``Redactor`` and ``plain``, applied where text goes out.

Secrets are replaced at the sinks (terminal, log file, mail), not where messages are made: a new message, a
traceback or a library's warning cannot forget it.
"""

from __future__ import annotations

import base64
import logging
import numbers
import re
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MASK = "***"
SHORTEST_SECRET = 4
"""Characters. A shorter secret would turn half of the log into stars and so give itself away; it is hidden only
where it stands as a value (``password=ab``), which is done for every value, known or not."""

_CONTINUATION = "    "
_BASE64_CHARACTER = r"[A-Za-z0-9+/_-]"
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#(?:39|x27);"}
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "/": "/", '"': '"', "'": "'"}

# The ends of names: "client_secret", "smtp-password" and all the others need not be spelt out, and it is fast.
_SECRET_NAMES = (
    r"secret|password|passwd|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)|sas[_-]?token"
    r"|client[_-]?assertion|(?:access|refresh|id)[_-]?token"
)
_QUOTED = r'"(?:[^"\\\r\n]|\\.)+"|' + r"'(?:[^'\\\r\n]|\\.)+'"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # A header, also of a dictionary or JSON: all of its value, to the closing quote or the end of the line.
        (
            r"(authorization(?:\\*[\"'])?(?:\s*[:=]\s*|%3a(?:%20|\+)?)(?:b?\\*[\"'])?)[^\r\n\"'\\]+",
            r"\1" + MASK,
        ),
        (
            r"\b((?:Bearer|SharedKey(?:Lite)?|AUTH (?:PLAIN|LOGIN|XOAUTH2))(?:\s|%20|\+)+)[^\s\"'<>*,;]+",
            r"\1" + MASK,
        ),
        # A password within an address, as proxies have it.
        (r"(://[^\s/?#:@\"'<>]*:)[^\s/?#\"'<>]+(?=@)", r"\1" + MASK),
        # A token as Entra gives it, whatever stands before it: three parts of base64, the first of JSON.
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", MASK),
        # The signature of a SAS; the rest of a SAS (times, permissions) is no secret and helps to find a fault.
        (r"(sig(?:\s?=|\\*[\"']\s?:|%(?:25)*3d)\s?(?:\\*[\"'])?)[A-Za-z0-9%+/=_~.-]+", r"\1" + MASK),
        (rf"((?:{_SECRET_NAMES})\s?(?:=|%(?:25)*3d)\s?)(?:{_QUOTED}|[^\s&;\"'<>]+)", r"\1" + MASK),
        # Not the end of a path: '/etc/passwd': no such file.
        (
            rf"((?<!/)(?:{_SECRET_NAMES})(?:\\*[\"'])\s?:\s?b?)(?:{_QUOTED}|\\\"[^\"\r\n]*\\\"|[^\s,;}}\"'\\]+)",
            r"\1" + MASK,
        ),
    )
)


class Redactor:
    """Replaces secrets in a text by ``***``.

    Hidden are the secrets given: as they are, URL-quoted (also twice), escaped as JSON, Python, HTML or a shell do
    it, and inside base64 (``user:password`` of a header, wherever it starts). Hidden are also, without being known:
    the ``sig`` of a SAS, values of ``Authorization`` headers, ``Bearer`` and ``SharedKey`` values, tokens (JWT),
    passwords in addresses, and values of ``client_secret=``, ``AccountKey=``, ``password=`` and the like. Too much is
    hidden rather than too little.

    Secrets shorter than ``SHORTEST_SECRET`` are hidden by these shapes only. Lines of at least 8 characters of a
    secret of several lines (a private key) are secrets of their own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known: set[str] = set()
        for secret in secrets:
            known.update((secret, secret.strip()))
            known.update(line.strip() for line in secret.splitlines() if len(line.strip()) >= 8)
        self._patterns: list[re.Pattern[str]] = []
        for secret in sorted(known):
            if len(secret.strip()) >= SHORTEST_SECRET:
                self._patterns.append(
                    re.compile("".join(_forms(character) for character in secret), re.DOTALL)
                )
                self._patterns.extend(_base64_patterns(secret))

    def __call__(self, text: str) -> str:
        text = self._hide_known(text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def within(self, value: Any) -> Any:
        """The same value of JSON, each text in it without secrets; keys stay."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.within(each) for key, each in value.items()}
        return [self.within(each) for each in value] if isinstance(value, (list, tuple)) else value

    def _hide_known(self, text: str) -> str:
        """Spans of all secrets are found first and hidden together: secrets may overlap each other and themselves."""
        spans: list[tuple[int, int]] = []
        for pattern in self._patterns:
            found = pattern.search(text)
            while found:
                spans.append(found.span())
                found = pattern.search(text, found.start() + 1)
        if not spans:
            return text
        pieces: list[str] = []
        end = 0
        for start, stop in sorted(spans):
            if start > end or not pieces:
                pieces += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*pieces, text[end:]])


def _forms(character: str) -> str:
    """A regular expression for one character as it is and as the usual quotings write it."""
    if character.isascii() and character.isalnum():
        return character
    forms = [re.escape(character)]
    data = character.encode("utf-8", "surrogatepass")
    forms.append("(?i:" + "".join(rf"%(?:25)*{byte:02x}" for byte in data) + ")")
    forms.append("(?i:" + "".join(rf"\\{{1,4}}x{byte:02x}" for byte in data) + ")")
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass").hex()
    forms.append("(?i:" + "".join(rf"\\{{1,4}}u{units[at:at + 4]}" for at in range(0, len(units), 4)) + ")")
    forms.append(rf"(?i:\\{{1,4}}U{code:08x})")
    if code < 0x100 or 0xDC80 <= code <= 0xDCFF:
        forms.append(rf"(?i:\\{{1,4}}x{code & 0xFF:02x})")
    if character in _SHORT_ESCAPES:
        forms.append(r"\\{1,4}" + _SHORT_ESCAPES[character])
    if character in _HTML:
        forms.append(_HTML[character])
    if character == "'":
        forms.append(re.escape("'\"'\"'"))
    if character == "\\":
        forms.append(r"\\{2,4}")
    if character == " ":
        forms.append(r"\+")
    return "(?:" + "|".join(sorted(forms, key=len, reverse=True)) + ")"


def _base64_patterns(secret: str) -> Iterable[re.Pattern[str]]:
    """The secret inside base64, for each of the three places in a group of three bytes where it can start.

    Only characters made wholly of the secret's bits are compared; the neighbours that share bits go with them.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode("ascii").rstrip("=")
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        middle = whole[first:last]
        if len(middle) >= 5:
            expression = "".join(_BASE64_FORMS.get(character, character) for character in middle)
            yield re.compile(
                rf"{_BASE64_CHARACTER}{{0,{first}}}{expression}{_BASE64_CHARACTER}?(?:=|%3[dD]){{0,2}}"
            )


_BASE64_FORMS = {"+": r"(?:\+|-|%(?:25)*2[bB])", "/": r"(?:\\{0,4}/|_|%(?:25)*2[fF])"}


_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (direction, zero width), surrogates, private use, unassigned, ends of lines and paragraphs."""


def plain(text: str) -> str:
    """Text of others (file names, a server's answer) made safe for a terminal, one line of a log and a mail header.

    Control characters, line ends, invisible and direction-changing characters and lone surrogates become visible
    escapes: ``\\n``, ``\\x1b``, ``\\u202e``; a byte of a file name that is no UTF-8 (a surrogate of Python's) becomes
    ``\\xNN``. A backslash stays as it is: the result is for reading, not for turning back.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def plain_lines(text: str) -> str:
    """``plain`` for text of several lines of our own: line feeds stay."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _ACTING:
        return character
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    code = ord(character)
    if code < 0x100 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class CleanFormatter(logging.Formatter):
    """Formats by ``inner`` after message, exception and stack are redacted and plain.

    Arguments of a message (file names, errors) are made ``plain`` one by one, so no argument can start a line. The
    message's own line feeds stay; every further line is indented, so that none looks like an entry of the log.
    Colours that ``inner`` adds stay, because they come after.
    """

    def __init__(self, redact: Callable[[str], str], inner: logging.Formatter) -> None:
        super().__init__()
        self._redact = redact
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        clean = logging.makeLogRecord(record.__dict__)
        kept = record.__dict__.get("clean_text")
        if kept is None or kept[0] is not self._redact:
            stack = _CONTINUATION + self._tidy(record.stack_info) if record.stack_info else None
            kept = (self._redact, self._tidy(_message(record)), self._trace(record), stack)
            record.__dict__["clean_text"] = kept  # three handlers format it, the rotation a fourth time
        clean.msg, clean.exc_text, clean.stack_info = kept[1:]
        clean.args = clean.exc_info = None
        return self._inner.format(clean)

    def _trace(self, record: logging.LogRecord) -> str | None:
        if record.exc_info and record.exc_info[1] is not None:
            return _CONTINUATION + self._tidy("".join(traceback.format_exception(*record.exc_info)))
        return _CONTINUATION + self._tidy(record.exc_text) if record.exc_text else None

    def _tidy(self, text: str) -> str:
        lines = plain_lines(self._redact(text).rstrip("\n"))
        return lines.replace("\n", "\n" + _CONTINUATION)


class _PlainArgument:
    """Stands for an argument of a log message and is plain however it is written."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return plain(str(self._value))

    def __repr__(self) -> str:
        return plain(repr(self._value))


def _message(record: logging.LogRecord) -> str:
    """The record's text; a message that does not fit its arguments is told as it is, it never stops a pass."""
    if not record.args:
        return str(record.msg)
    try:
        if isinstance(record.args, Mapping):
            return str(str(record.msg) % {key: _argument(value) for key, value in record.args.items()})
        return str(record.msg) % tuple(_argument(value) for value in record.args)
    except Exception:
        return f"{record.msg} {plain(repr(record.args))}"


def _argument(value: object) -> object:
    return value if isinstance(value, numbers.Number) else _PlainArgument(value)
