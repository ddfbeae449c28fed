"""Reads a config file: sections of `key = value` lines into key, values and line number. What sections and keys mean is
not known here.

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

FIRST_SECTION = "sync_to_azure"
"""The section of what stands before any header: most files have none."""
LARGEST = 1 << 20
"""Bytes. No config file and no secret is as long; a path such as /dev/zero must not fill the memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One key as it stands in ``file``, first on ``line``. ``values``: its non-empty lines, stripped; none: unset."""

    values: tuple[str, ...]
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file} line {self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """What a section says, which may stand in several pieces, and every line of it that could not be understood.

    ``line``: of its first header, 0 without one. ``shown``: the header for a message.
    """

    line: int = 0
    shown: str = ""
    entries: dict[str, ConfigEntry] = dataclasses.field(default_factory=dict)
    problems: tuple[tuple[int, str], ...] = ()
    """(line, text)"""


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """Sections by name: lower case, ``_`` for ``-``, one space between words. ``problems`` of no section, as (line,
    text): a header that is none, below which nobody knows whose keys are."""

    sections: dict[str, Section] = dataclasses.field(default_factory=dict)
    problems: tuple[tuple[int, str], ...] = ()

    def section(self, name: str) -> Section:
        """Empty if the file has no such section."""
        return self.sections.get(name, Section())


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
    """The sections of a config file's text. Only line feeds end a line: other breaks can be in a value."""
    reading = _Reading(name)
    for number, whole in enumerate(text.split("\n"), start=1):
        # Files that an editor on Windows wrote, put together by `cat`, have a byte order mark at each beginning.
        line = whole.removeprefix("\ufeff")
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            reading.take(number, stripped, len(line) - len(line.lstrip()))
    sections = {section: draft.finished() for section, draft in reading.drafts.items()}
    return ConfigFile(sections, tuple(reading.problems))


class _Draft:
    """A section that is still being read."""

    def __init__(self, line: int, shown: str) -> None:
        self.line = line
        self.shown = shown
        self.entries: dict[str, tuple[ConfigEntry, list[str]]] = {}
        self.problems: list[tuple[int, str]] = []

    def finished(self) -> Section:
        entries = {
            key: dataclasses.replace(entry, values=tuple(values))
            for key, (entry, values) in self.entries.items()
        }
        return Section(self.line, self.shown, entries, tuple(self.problems))


class _Reading:
    """Where in the file we are: in which section, and below which key an indented line would go on."""

    def __init__(self, name: str) -> None:
        self.drafts: dict[str, _Draft] = {}
        self.problems: list[tuple[int, str]] = []
        self._name = name
        self._section = FIRST_SECTION
        self._header = (0, "")
        self._values: list[str] | None = None
        self._indent_of_key = 0

    def take(self, number: int, stripped: str, indent: int) -> None:
        if self._values is not None and indent > self._indent_of_key:
            self._values.append(stripped)
        elif header := re.fullmatch(r"\[(.*)\]", stripped):
            self._values = None
            self._section = " ".join(header[1].lower().replace("-", "_").split())
            self._header = number, f"[{header[1]}]" if looks_like_a_key(header[1]) else "(not repeated)"
            self._draft()
        elif stripped[0] == "[":
            self._values = None
            text = f"{self._name} line {number}: is no section: it must be [NAME] and nothing else"
            self.problems.append((number, text))
        else:
            self._values, self._indent_of_key = [], indent
            self._key(number, stripped, self._values)

    def _draft(self) -> _Draft:
        return self.drafts.setdefault(self._section, _Draft(*self._header))

    def _key(self, number: int, stripped: str, values: list[str]) -> None:
        draft, where = self._draft(), f"{self._name} line {number}"
        match = re.fullmatch(r"([^=:]*?)\s*[=:]\s*(.*)", stripped)
        if match is None or not match[1]:
            # The line is not repeated: it may be a password that slipped.
            text = f"{where}: is not 'key = value', and not indented to go on with a key"
            draft.problems.append((number, text))
            return
        key, value = match[1].lower(), match[2]
        if key in draft.entries:
            first = draft.entries[key][0].line
            shown = repr(key) if looks_like_a_key(key) else "(not repeated: is it a value?)"
            text = f"{where}: key {shown} is on line {first} already; remove one of them"
            draft.problems.append((number, text))
            return
        draft.entries[key] = ConfigEntry((), self._name, number), values
        if value:
            values.append(value)
