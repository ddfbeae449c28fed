"""Bytes of an instrument's or a laboratory's text file into text. Instruments are Windows machines: UTF-16, byte order
marks and Windows code pages occur, and the encoding that a file claims is not always the one that it has."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class MalformedFile(ValueError):
    """What was to be read cannot be; the text says why, for a person. Never more than a reason for "unknown"."""


def cached(parse: Callable[[bytes], _Value]) -> Callable[[bytes], _Value]:
    """The last four answers are kept, Problems as well: every family asks for the same file."""

    @functools.lru_cache(maxsize=4)
    def answer(content: bytes) -> _Value | MalformedFile:
        try:
            return parse(content)
        except MalformedFile as problem:
            return problem

    @functools.wraps(parse)
    def ask(content: bytes) -> _Value:
        found = answer(content)
        if isinstance(found, MalformedFile):
            raise MalformedFile(str(found))
        return found

    return ask


def decode(content: bytes) -> str:
    """Never fails: what is neither marked nor valid UTF-8 is taken for Windows-1252, in which every letter of Western
    Europe stands; its five unused bytes become U+FFFD."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    # UTF-16 without a mark: text of an instrument begins with an ASCII character.
    if len(content) >= 2 and content[1] == 0 and content[0] != 0:
        return content.decode("utf-16-le", "replace")
    if len(content) >= 2 and content[0] == 0 and content[1] != 0:
        return content.decode("utf-16-be", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def lines_of(content: bytes, most: int) -> list[str]:
    """Its lines with their ends. Raises Problem for more than ``most``: each costs a hundred times its bytes in memory,
    so a limit on bytes is none."""
    if content.count(b"\n") + content.count(b"\r") > 2 * most:
        raise MalformedFile(f"has more than {most} lines")
    lines = decode(content).splitlines(keepends=True)
    if len(lines) > most:
        raise MalformedFile(f"has more than {most} lines")
    return lines


def short(text: str, most: int = 300) -> str:
    """An instrument's words on one line, without control characters, cut where they become a book."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= most else words[: most - 1] + "…"
