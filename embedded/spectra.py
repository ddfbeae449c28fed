"""Thermo .raw files as far as their beginning goes, built after the documented layout (unfinnigan's FileHeader, SeqRow,
ASInfo, RawFileInfoPreamble; RawFileReaderS for IsInAcquisition), with bytes of chance behind it."""

from __future__ import annotations

import random
import struct

SIGNATURE = b"\x01\xa1" + "Finnigan".encode("utf-16-le")


def _string(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def thermo_raw(
    size: int = 4096, *, acquiring: bool = False, version: int = 66, seed: int = 1, name: str = "sample.raw"
) -> bytes:
    """At least the header, of some two kilobytes. ``acquiring``: as the file is while the instrument writes it."""
    header = SIGNATURE + bytes(36 - len(SIGNATURE)) + struct.pack("<I", version)
    header += bytes(1356 - len(header))
    seq_row = bytes(64)
    strings = [
        "",
        "",
        "1",
        "a comment",
        "",
        "",
        "",
        "",
        "",
        r"C:\Xcalibur\methods\top20.meth",
        "",
        name,
        r"D:\Data",
    ]
    seq_row += b"".join(map(_string, [*strings, "1:A1", "", ""])) + bytes(4)
    if version >= 60:
        seq_row += _string("") * 15
    autosampler = struct.pack("<6i", -1, -1, -1, -1, -1, 4) + _string("")
    #                             method, 2026-11-20 (a Friday) 09:30:15.250, in acquisition
    info = struct.pack("<I8HI", 1, 2026, 11, 5, 20, 9, 30, 15, 250, int(acquiring)) + bytes(12 + 768)
    whole = header + seq_row + autosampler + info
    return whole + random.Random(seed).randbytes(max(0, size - len(whole)))
