"""The beginning of a Thermo .raw file, read for one fact: is it still being acquired?

- It begins with 01 A1 and "Finnigan" in UTF-16 (ThermoRawFileParser's test data, small.raw). A FileHeader of 1,356
  bytes
  with the version at byte 36; then SeqRow (64 bytes of injection data, strings), ASInfo (24 bytes and a string),
  RawFileInfo:
  the unfinnigan project (github.com/prvst/unfinnigan: FileHeader, SeqRow, ASInfo, RawFileInfoPreamble). A string is its
  length in letters (4 bytes) and UTF-16. SeqRow has 13 strings; from version 57 on 3 more and 4 bytes; from 60 on 15
  more.
- RawFileInfo: is there a method (4 bytes, 0 or 1), the time of creation (Windows' SYSTEMTIME, 16 bytes), and then
  IsInAcquisition (4 bytes, 0 or 1), which unfinnigan calls "unknown long[1]": RawFileReaderS (github.com/EstrellaXD/
  RawFileReaderS, raw_file_info.rs, docs/FORMAT_SPEC.md), after Thermo's own RawFileReader, whose readers refuse such a
  file with "RAW file still being acquired" (github.com/fgcz/rawrr/issues/45).

Layouts before 57 are not written down well enough to be believed: nothing is told of them.
"""

from __future__ import annotations

import struct

MOST_BYTES = 64 * 1024
"""RawFileInfo begins within the first few kilobytes; paths and comments in SeqRow come before it."""

SIGNATURE = b"\x01\xa1" + "Finnigan".encode("utf-16-le")
_VERSION_AT, _SEQ_ROW_AT, _INJECTION = 36, 1356, 64
_OLDEST, _MORE_STRINGS, _NEWEST = 57, 60, 66
_AS_INFO = 24
_LONGEST_STRING = 8192


def is_being_acquired(head: bytes) -> bool | None:
    """``head``: the first ``MOST_BYTES`` of the file. None where it does not tell: not Thermo's, of a version that
    is not known, cut off, or with values that cannot be what the layout says. Never raises."""
    if not head.startswith(SIGNATURE):
        return None
    try:
        (version,) = struct.unpack_from("<I", head, _VERSION_AT)
        if not _OLDEST <= version <= _NEWEST:
            return None
        at = _after_strings(head, _SEQ_ROW_AT + _INJECTION, 16) + 4
        if version >= _MORE_STRINGS:
            at = _after_strings(head, at, 15)
        at = _after_strings(head, at + _AS_INFO, 1)
        method, year, month, weekday, day, hour, minute, second, _, acquiring = struct.unpack_from(
            "<I8HI", head, at
        )
    except (struct.error, ValueError):
        return None
    is_a_time = 1980 <= year < 2200 and 1 <= month <= 12 and weekday <= 6 and 1 <= day <= 31
    if not is_a_time or hour > 23 or minute > 59 or second > 60 or method > 1 or acquiring > 1:
        return None
    return bool(acquiring)


def _after_strings(head: bytes, at: int, count: int) -> int:
    """Raises struct.error, ValueError."""
    for _ in range(count):
        (letters,) = struct.unpack_from("<I", head, at)
        if letters > _LONGEST_STRING:
            raise ValueError("no string is so long")
        at += 4 + 2 * letters
    return at
