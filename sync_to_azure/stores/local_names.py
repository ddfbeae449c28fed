"""Where a local store keeps the object of a name: its path below the folder, and back. Pure.

``run/sub/file`` is the file ``run/sub/file``. What a file system cannot hold is escaped, each part by itself: ``%``
and control characters as ``%XX`` of their bytes, an empty part as ``%e``, the dots of ``.`` and ``..``. A part that
is longer than a file's name may be goes on in a folder: every piece but its last ends in ``%+``. So each name has
one path, no path has an empty part or leaves the folder, and a path that is not that of its name belongs to no
object.
"""

from __future__ import annotations

import re

from sync_to_azure.core.names import OURS_PREFIX

OWN_FOLDER = f"{OURS_PREFIX}-store"
"""In the store's folder: what is kept beside the objects. No object has its path."""

_ODD = re.compile(r"[%\x00-\x1f\x7f]")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")
_GOES_ON = b"%+"
_EMPTY = b"%e"
_LONGEST = 250
"""Bytes; file systems take 255."""


def parts_of(name: str) -> list[bytes]:
    """The parts of the path of an object, at least one."""
    parts = []
    for number, part in enumerate(name.split("/")):
        escaped = _escaped(part, is_first=number == 0)
        while len(escaped) > _LONGEST:
            piece = escaped[: _cut(escaped)]
            parts.append(piece + _GOES_ON)
            escaped = escaped[len(piece) :]
        parts.append(escaped)
    return parts


def beginning_of(part: bytes) -> str | None:
    """What a folder of this name adds to the name of the objects below it; None if they are no objects of ours."""
    goes_on = part.endswith(_GOES_ON)
    text = _unescaped(part.removesuffix(_GOES_ON))
    if text is None:
        return None
    return text if goes_on else text + "/"


def name_of(parts: list[bytes]) -> str | None:
    """The name of the object at this path, None if no object has it."""
    if not parts or parts[-1].endswith(_GOES_ON):
        return None
    begins = [beginning_of(part) for part in parts[:-1]]
    last = _unescaped(parts[-1])
    if last is None or any(each is None for each in begins):
        return None
    name = "".join(each or "" for each in begins) + last
    return name if parts_of(name) == parts else None


def _escaped(part: str, is_first: bool) -> bytes:
    if part == "":
        return _EMPTY
    if part in (".", ".."):
        return part.replace(".", "%2E").encode()
    escaped = _ODD.sub(lambda found: f"%{ord(found[0]):02X}", part)
    if is_first and part.startswith(OWN_FOLDER):
        escaped = "%2E" + escaped[1:]
    return escaped.encode("utf-8")


def _unescaped(part: bytes) -> str | None:
    if part == _EMPTY:
        return ""
    try:
        return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), part).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _cut(escaped: bytes) -> int:
    """Not within an escape, nor within a character."""
    at = _LONGEST - len(_GOES_ON)
    while escaped[at] & 0xC0 == 0x80:
        at -= 1
    escape = escaped.rfind(b"%", at - 2, at)
    return escape if escape >= 0 else at
