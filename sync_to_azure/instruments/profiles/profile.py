"""What a profile declares. A new one is written by copying one file of this folder, and named in ``__init__``."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation
from sync_to_azure.instruments.profiles.continuous import Continuous
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome


class Strength(enum.IntEnum):
    """How sure a recognition is: a name can be anything, files of an instrument say more, its own statement most.
    FALLBACK is what any instrument of a maker writes: every family is believed before."""

    NO = 0
    FALLBACK = 1
    NAME = 2
    FILES = 3
    STATED = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Sign:
    """``reason``: by what it was recognised, for a person."""

    strength: Strength
    reason: str = ""


NO_SIGN = Sign(Strength.NO)


@dataclasses.dataclass(frozen=True, slots=True)
class Words:
    """What docs/instruments.md says of a profile. ``source``: where the facts are from. ``tried``: on what (REAL,
    DOCUMENTED). ``know``: what a user must know."""

    recognised: str
    finished: str
    outcome: str
    completeness: str
    sheet: str
    source: str
    tried: str
    know: str


REAL = "real runs"
DOCUMENTED = "its documented layout"
PASSES = "whole passes"


def _unknown(view: View) -> RunOutcome:
    return RunOutcome(End.UNKNOWN, "the instrument writes nothing about how a run ended")


def _no_facts(view: View) -> Mapping[str, Any]:
    return {}


def _nothing_expected(view: View) -> Expectation | None:
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """One family of instruments. All functions are pure and never raise: what cannot be read is unknown.

    ``recognise``: is it a run of this family? ``waits_for``: what is still missing before the run is finished, in
    words, empty if it is. ``outcome``: how it ended. ``expect``: what its files must be, where that is certain.
    ``facts``: what is known of it, with the keys of docs/receipt.md. ``wanted``: the files that these functions read;
    ``deeper``: those that are looked for only in a folder of this family, or of none. ``sheet``: its own sample
    sheet, a pattern at the top level. ``quiet``: seconds for which a finished run must have stood still at least,
    where nothing but quiet tells that it is finished. Every file is carried under its own path, but for a
    ``continuous`` one's, which is never recognised by itself and never finished.
    """

    name: str
    title: str
    words: Words
    recognise: Callable[[View], Sign]
    waits_for: Callable[[View], tuple[str, ...]]
    outcome: Callable[[View], RunOutcome] = _unknown
    expect: Callable[[View], Expectation | None] = _nothing_expected
    facts: Callable[[View], Mapping[str, Any]] = _no_facts
    wanted: tuple[Wanted, ...] = ()
    deeper: tuple[Wanted, ...] = ()
    sheet: str = ""
    quiet: float = 0.0
    continuous: Continuous | None = None
