"""Bounds for documents that were read from the container, where others may write: JSON, numbers, texts. Pure.

What does not fit raises ValueError, whatever it is: nothing of a document overflows a number, the stack, the memory or
a calendar later. What is read at most is said here, too; ``lake`` sees to it.
"""

from __future__ import annotations

import json
import math
from typing import Any

MEBIBYTE = 1024 * 1024
MOST_DOCUMENT = 32 * MEBIBYTE
"""Bytes of a receipt. Ours may name a thousand entries that were not uploaded and 16 MiB of replaced blobs."""
MOST_MANIFEST = 1024 * MEBIBYTE
"""Bytes of either manifest of a run: about four million files."""
MOST_LINE = 64 * 1024
"""Bytes of a line of a manifest, which names two paths."""
MOST_SIZE = 2**48
"""Bytes of one file; a blob has at most 190.7 TiB."""
MOST_BYTES = 2**50
"""Bytes of one run. Sums over runs stay within 64 bits."""
MOST_COUNT = 2**31
MOST_GENERATIONS = 10**6
"""Publishings of one run; the next one must be readable, too."""
MOST_TEXT = 64 * 1024
"""Letters of one text."""
MOST_PATH = 4096
LATEST = 253_402_300_799.0
"""Seconds from 1970 to the end of the year 9999."""
_MOST_VALUES = 2_000_000
_MOST_DEPTH = 40
_MOST_DIGITS = 19


def json_of(text: bytes, most: int = MOST_DOCUMENT) -> Any:
    """The values of a JSON document of at most ``most`` bytes."""
    if len(text) > most:
        raise ValueError(f"more than {most} bytes")
    if text.count(b",") + text.count(b"[") + text.count(b"{") > _MOST_VALUES:
        raise ValueError("too many values")
    try:
        values = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _look_through(values)
    return values


def count(value: object, most: int = MOST_COUNT) -> int:
    """A whole number from 0 to ``most``."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("not a number within bounds")
    return value


def text(value: object, most: int = MOST_TEXT) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("not a text within bounds")
    return value


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError("a number beyond all bounds")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number beyond all bounds")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _look_through(values: object) -> None:
    """Without recursion: what was read at this depth of the stack must not be too deep for another."""
    level, depth = [values], 0
    while level:
        depth += 1
        if depth > _MOST_DEPTH:
            raise ValueError("nested too deeply")
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                if any(len(name) > MOST_TEXT for name in value):
                    raise ValueError("a name beyond all bounds")
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and len(value) > MOST_TEXT:
                raise ValueError("a text beyond all bounds")
        level = below
