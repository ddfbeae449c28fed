"""What a page may say of a run without naming samples: pages are mailed, and file names are often samples'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.core.reasons import Reason

LEFT_OUT = "(names are left out)"
REASON = "(the reason is left out)"
"""For what a person wrote."""
_DETAILS = "what went wrong may name files and is left out"

_NAMING = frozenset({"names"})
_FREE = frozenset({"bad-run-name", "sheet-unreadable", "sheet-is-none", "no-profile", "unjudged"})
"""Reasons whose problem tells of the run's own name, its sheet's or its family, and of no name in it."""
_FACTS = frozenset({"experiment", "movies", "samples"})
"""Facts of a run that people fill with names of projects and samples."""


def reason(given: Reason, names: bool) -> Reason:
    """The same reason; without ``names``, nothing in it that may name a file."""
    if names:
        return given
    hidden = _NAMING if given.code in _FREE else _NAMING | {"problem"}
    instead = {key: _DETAILS if key == "problem" else LEFT_OUT for key in hidden}
    return Reason(given.code, {key: instead.get(key, value) for key, value in given.parameters.items()})


def completeness(words: str) -> str:
    """How much is there, without the names of what is missing."""
    counts, missing, _ = words.partition("; missing: ")
    return f"{counts}{missing}{LEFT_OUT}" if missing else words


def facts(given: Mapping[str, Any], names: bool) -> dict[str, Any]:
    return {key: value for key, value in given.items() if names or key not in _FACTS}
