"""Reads a config file: `key = value` lines into key, values and line number. What keys mean is not known here.

An ini reader of our own, because the standard one wants a section header, stops at the first fault, and has
interpolation and inline comments that spoil passwords with `%` and `#`.
"""

from __future__ import annotations

import codecs
import dataclasses
import os
import re
from pathlib import Path

from sync_to_azure.core.errors import ConfigurationError

SECTION = "sync_to_azure"
LARGEST = 1 << 20
"""Bytes. No config file and no secret is as long; a path such as /dev/zero must not fill the memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One key as it stands in ``file``, first on ``line``. ``values``: its non-empty lines, stripped; none: unset."""

    values: tuple[str, ...]
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file} line {self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file says, and every line of it that could not be understood."""

    entries: dict[str, Entry] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read(path: Path, name: str) -> ConfigFile:
    """Read ``path``, called ``name`` in messages. ConfigurationError if there is no text to be had from it."""
    return parse(read_text(path, f"config file {name}"), name)


def read_text(path: Path, what: str) -> str:
    """The text of a small UTF-8 file, without byte order mark; ``what`` begins each message."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"{what}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{what}: is a folder, not a file") from None
    except PermissionError:
        reader = f"user {os.geteuid()}" if os.geteuid() else "this process"
        raise ConfigurationError(f"{what}: {reader} may not read it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{what}: cannot be read ({reason})") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigurationError(f"{what}: is UTF-16; save it as UTF-8")
    if b"\0" in data:
        raise ConfigurationError(f"{what}: is binary, not text")
    if len(data) > LARGEST:
        raise ConfigurationError(f"{what}: is larger than {LARGEST >> 20} MiB; this cannot be the right file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{what}: line {line} is not UTF-8; save it as UTF-8") from None


def looks_like_a_key(text: str) -> bool:
    """What does not may be a secret that slipped to the place of a key (base64 ends in ``=``): it is not repeated."""
    return re.fullmatch(r"\w[\w. -]{0,39}", text) is not None


def parse(text: str, name: str) -> ConfigFile:
    """Entries and problems of a config file's text. Only line feeds end a line: other breaks can be in a value."""
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    values: list[str] | None = None  # of the key that an indented line would go on with
    values_of: dict[str, list[str]] = {}
    indent_of_key = 0
    in_our_section = True
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        indent = len(line) - len(line.lstrip())
        if values is not None and indent > indent_of_key:
            values.append(stripped)
            continue
        section = re.fullmatch(r"\[(.*)\]", stripped)
        if section:
            values = None
            in_our_section = section[1].strip().lower().replace("-", "_") == SECTION
            if not in_our_section:
                shown = f"[{section[1]}]" if looks_like_a_key(section[1]) else "(not repeated)"
                problems.append(f"{name} line {number}: unknown section {shown}; only [{SECTION}] is read")
            continue
        values, indent_of_key = [], indent
        if not in_our_section:
            continue  # one problem for the section is enough
        match = re.fullmatch(r"([^=:]*?)\s*[=:]\s*(.*)", stripped)
        if match is None or not match[1]:
            # The line is not repeated: it may be a password that slipped.
            problems.append(
                f"{name} line {number}: is not 'key = value', and not indented to go on with a key"
            )
            continue
        key, value = match[1].lower(), match[2]
        if key in entries:
            first = entries[key].line
            problems.append(
                f"{name} line {number}: key '{key}' stands on line {first} already; remove one of them"
            )
            continue
        entries[key] = Entry((), name, number)
        values_of[key] = values
        if value:
            values.append(value)
    finished = {
        key: dataclasses.replace(entry, values=tuple(values_of[key])) for key, entry in entries.items()
    }
    return ConfigFile(finished, tuple(problems))
