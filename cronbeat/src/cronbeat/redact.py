"""Keeps secrets out of every text that leaves: webhook and ping URLs, as who knows one can write in our name, and what
looks like a secret of any kind (``shapes``). Pure."""

from __future__ import annotations

import logging
import re
import urllib.parse
from collections.abc import Iterable

from cronbeat import shapes

HIDDEN = shapes.MASK
SHORTEST = 8
"""Characters. A shorter part of a path (``v2``, ``webhook``) is no secret, nor is one below 16 without a digit."""
WORDS = {"webhookb2"}


class Redactor:
    """Replaces the URLs, each longer part of their paths and queries, and secrets of known shapes, by ``***``."""

    def __init__(self, urls: Iterable[str | None] = ()) -> None:
        parts: set[str] = set()
        for url in urls:
            if not url:
                continue
            split = urllib.parse.urlsplit(url)
            pieces = re.split(
                r"[/&=?@]", f"{split.netloc if '@' in split.netloc else ''}/{split.path}?{split.query}"
            )
            texts = {text for text in pieces if _is_secret(text)}
            texts |= {url} | ({split.path} if len(split.path) >= SHORTEST else set())
            parts |= texts | {urllib.parse.unquote(text) for text in texts}
        ordered = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        return shapes.hide(self._pattern.sub(HIDDEN, text) if self._pattern else text)


def _is_secret(text: str) -> bool:
    if len(text) < SHORTEST or text.lower() in WORDS:
        return False
    return len(text) >= 16 or any(letter.isdigit() for letter in text)


class RedactingFilter(logging.Filter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor(record.getMessage()), None
        return True


def plain(text: str) -> str:
    """``text`` without what could act on a terminal or a card: control characters become visible or go."""
    without_colours = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text)
    return "".join(
        letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}"
        for letter in without_colours
    )
