"""Is a run complete? A pure decision: the flags are there, and the tree stood still between two looks on our own clock.

Modification times on shares are late, preserved from elsewhere or from a wrong clock, so they are compared only with
themselves; the quiet time is measured between our looks, which the ledger remembers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sync_to_azure.core.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Remembered:
    """The first look at which the tree had this fingerprint; ``since`` in seconds since 1970, by our clock."""

    digest: str
    since: float


@dataclasses.dataclass(frozen=True, slots=True)
class CompletionDecision:
    ready: bool
    reason: Reason | None
    remember: Remembered | None


def named_flags(
    family: str | None, of_all: tuple[str, ...], of_families: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The flags that a person named for a run of this family: its own, else those of all runs; none: empty."""
    return of_families.get(family or "") or of_all


def missing_flags(wanted: Sequence[str], top_level_files: Sequence[str]) -> tuple[str, ...]:
    """The completion flags that are not there; names are compared without case (CopyComplete.txt, copycomplete.txt)."""
    there = {name.casefold() for name in top_level_files}
    return tuple(flag for flag in wanted if flag.casefold() not in there)


def without_flags(missing: Sequence[str]) -> CompletionDecision:
    return CompletionDecision(False, Reason("flag-missing", {"flags": list(missing)}), None)


def decide(digest: str, remembered: Remembered | None, now: float, delay: float) -> CompletionDecision:
    """The flags are there; was the tree quiet for ``delay`` seconds? With delay 0 one look is enough.

    A clock that went back (``since`` lies in the future) starts the quiet time anew.
    """
    if remembered is None or remembered.digest != digest or remembered.since > now:
        remembered = Remembered(digest, now)
    if now - remembered.since >= delay:
        return CompletionDecision(True, None, remembered)
    reason = Reason("not-quiet-yet", {"since": remembered.since, "from": remembered.since + delay})
    return CompletionDecision(False, reason, remembered)
