"""One option: what a value of it is, and how text becomes one."""

from __future__ import annotations

import dataclasses
import enum
import math
import re


class Type(enum.StrEnum):
    """What a value is; also its placeholder in the documents."""

    TEXT = "TEXT"
    PATH = "PATH"
    INTEGER = "INTEGER"
    NUMBER = "NUMBER"
    FLAG = "FLAG"
    CHOICE = "CHOICE"


_YES = {"true", "yes", "on", "1"}
_NO = {"false", "no", "off", "0"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One option.

    ``help``: one sentence, verb first, short enough for one line. ``details``: what else there is to know; shown by
    ``--help-all`` and in docs/configuration.md. ``default`` is text, so that it takes the same way as what a person
    gives; None is unset. ``word``: what an INTEGER or NUMBER accepts instead of a number, and then is its value.
    """

    key: str
    type: Type
    group: str
    help: str
    details: str = ""
    default: str | None = None
    placeholder: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    word: str = ""
    repeatable: bool = False
    commas: bool = False
    secret: bool = False
    on_command_line: bool = True
    in_file: bool = True
    obsolete: bool = False

    @property
    def name(self) -> str:
        """The field of Settings."""
        return self.key.replace("-", "_")

    @property
    def flag(self) -> bool:
        return self.type is Type.FLAG

    @property
    def explanation(self) -> str:
        """All there is to say of it, its default apart."""
        lists_choices = self.choices and self.placeholder
        parts = (self.help, self.details, f"One of: {', '.join(self.choices)}." if lists_choices else "")
        return " ".join(filter(None, parts))

    @property
    def metavar(self) -> str:
        return self.placeholder or ("|".join(self.choices) if self.choices else str(self.type))

    def parse(self, text: str) -> object:
        """One value from text; ValueError says what is wrong with it and what is accepted, never a secret."""
        if _CONTROL.search(text):
            raise ValueError("holds a control character, such as a tab or a line break")
        match self.type:
            case Type.FLAG:
                return self._flag(text)
            case Type.INTEGER | Type.NUMBER if self.word and text.strip().lower() == self.word:
                return self.word
            case Type.INTEGER | Type.NUMBER:
                return self._number(text)
            case Type.CHOICE:
                return self._choice(text)
            case Type.PATH if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
                raise ValueError(f"{self.shown(text)}: quotes would be part of the name; leave them out")
        return text

    def shown(self, text: str) -> str:
        """The value for a message; what is or looks like a secret is not repeated."""
        if self.secret or len(text) > 100 or re.search(r"sig=|key=|password|secret", text, re.IGNORECASE):
            return "the value"
        return repr(text)

    def _flag(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in _YES | _NO:
            raise ValueError(
                f"{self.shown(text)} is neither yes nor no: give true/yes/on/1 or false/no/off/0"
            )
        return word in _YES

    def _number(self, text: str) -> int | float:
        whole = self.type is Type.INTEGER
        pattern = r"[+-]?[0-9]{1,18}" if whole else r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
        value = float(text) if re.fullmatch(pattern, text.strip(), re.ASCII) else math.nan
        wrong = (
            not math.isfinite(value)
            or (self.least is not None and value < self.least)
            or (self.above is not None and value <= self.above)
            or (self.most is not None and value > self.most)
        )
        if wrong:
            raise ValueError(f"{self.shown(text)} is not accepted: give {self.accepted}")
        return int(text) if whole else value

    def _choice(self, text: str) -> str:
        for choice in self.choices:
            if choice.lower() == text.strip().lower():
                return choice
        why = dict(self.refused).get(text.strip().lower())
        raise ValueError(why or f"{self.shown(text)} is not accepted: give {self.accepted}")

    @property
    def accepted(self) -> str:
        """In words, what a value may be."""
        if self.choices:
            return ", ".join(self.choices[:-1]) + " or " + self.choices[-1]
        words = f"{self.word} or " if self.word else ""
        words += "a whole number" if self.type is Type.INTEGER else "a number"
        if self.above is not None:
            words += f" above {self.above:g}" + (f", at most {self.most:,}" if self.most is not None else "")
        if self.least is not None:
            words += f" from {self.least:g}" + (f" to {self.most:g}" if self.most is not None else " up")
        return words
