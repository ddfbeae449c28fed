"""Odd names by chance, and what may become of each: written apart from the product, so that one can check the other."""

from __future__ import annotations

import os
import pathlib
import random
import unicodedata

# What is known to have hurt somebody: AzCopy, rclone, Azurite, shells, XML, URLs, terminals, SQL.
PIECES = (
    *(bytes([byte]) for byte in range(1, 256) if byte != ord("/")),
    *(
        text.encode("utf-8", "surrogatepass")
        for text in (
            *(
                "%2F",
                "%25",
                "%00",
                "%",
                "%%",
                "%5C",
                "&amp;",
                "&#x41;",
                "<Name>",
                "]]>",
                "{}",
                "\ufeff",
                "--",
                "-rf",
            ),
            *(
                "?sig=",
                "?comp=list",
                "#frag",
                "+",
                "*",
                "**",
                "[a]",
                "'; DROP TABLE run; --",
                '"',
                "$(id)",
                "`id`",
            ),
            *(
                "\x1b[2J",
                "\r\n",
                "\n",
                "\r",
                "\t",
                " ",
                "  ",
                ".",
                "..",
                "...",
                "a.",
                ".a",
                "~",
                "~$",
                "\x7f",
                "\x85",
            ),
            *(
                "\u2028",
                "\u202e",
                "\u200b",
                "\ud800",
                "\ufffe",
                "\U0001f600",
                "e\u0301",
                "\u00e9",
                "İ",
                "ı",
                "ß",
                "Ａ",
            ),
            *("con", "NUL", "aux.txt", "desktop.ini", "SampleSheet.csv", ".sync", ".md5", "Data", "日本語"),
        )
    ),
)


def name(chance: random.Random) -> bytes:
    """One component of a path, as Linux allows it."""
    while True:
        kind = chance.random()
        if kind < 0.05:
            made = chance.randbytes(chance.randint(1, 40))
        else:
            pieces = _MILD if kind < 0.8 else PIECES
            made = b"".join(chance.choice(pieces) for _ in range(chance.choice((1, 1, 2, 3, 5, 9))))
        made = made.replace(b"\0", b"0").replace(b"/", b"_")[: chance.choice((20, 60, 255))]
        if made not in (b"", b".", b".."):
            return made


def paths(chance: random.Random, count: int) -> list[bytes]:
    """Paths of so many files that can stand in one folder together: none is a folder of another."""
    files: list[bytes] = []
    folders: set[bytes] = set()
    while len(files) < count:
        parts = [name(chance) for _ in range(chance.choice((1, 1, 1, 2, 4)))]
        path = b"/".join(parts)
        above = {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if path not in folders and path not in files and not above & set(files):
            files.append(path)
            folders |= above
    return files


def may_be_a_blob(path: bytes, prefix: str) -> bool:
    """What the service keeps as it is: UTF-8 that XML can hold, no backslash, no part that ends in a dot, 1,024 units
    of UTF-16, 254 parts."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    for part in text.split("/"):
        if "\\" in part or part[-1] == ".":
            return False
    for character in text:
        code = ord(character)
        if code < 0x20 and character not in "\t\n\r" or code in (0xFFFE, 0xFFFF):
            return False
    units = sum(2 if ord(character) > 0xFFFF else 1 for character in prefix + text)
    return units <= 1024 and (prefix + text).count("/") < 254


def is_a_leftover(path: bytes) -> bool:
    """Of a desktop or file server: noted, never carried."""
    last = path.rpartition(b"/")[2].decode("utf-8", "surrogateescape").casefold()
    return last in ("thumbs.db", ".ds_store") or last.startswith((".nfs", "~$"))


# By which more than a half of all paths can be carried, or a batch would say little of carrying.
_MILD = tuple(piece for piece in PIECES if may_be_a_blob(piece, ""))


def write(folder: pathlib.Path, path: bytes, content: bytes) -> None:
    whole = os.path.join(os.fsencode(folder), path)
    os.makedirs(os.path.dirname(whole), exist_ok=True)
    with open(whole, "xb") as handle:
        handle.write(content)


def forms(text: str) -> set[str]:
    """A name in other cases and normal forms: to Linux and to the service, other names."""
    normal = {unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    return normal | {text, text.upper(), text.lower(), text.swapcase(), text.title()}
