"""A claim, as values: whose it is, which one counts, its text. ``transfer/steps/claims.py`` reads and writes it."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
from typing import Any

from sync_to_azure import __version__
from sync_to_azure.core.clock import iso
from sync_to_azure.manifest import documents
from sync_to_azure.manifest.origin import Origin, origin_in

OLD = 24 * 3600.0
"""Seconds after which a claim can be taken over if all that was uploaded under it is at our source, too."""
_GAP = 1000


class Whose(enum.Enum):
    OURS = "ours"
    SAME_FOLDER = "same folder, another ledger"
    OLD = "may be taken over if the source has all that was uploaded"
    OTHERS = "another flow's"


@dataclasses.dataclass(frozen=True, slots=True)
class NewestClaim:
    """The newest claim of a run. ``origin`` is None if nobody can read it; ``age`` in seconds by the service's clock,
    0 where it does not say."""

    number: int
    etag: str
    origin: Origin | None
    age: float = 0.0

    @property
    def identity(self) -> str:
        """What ``accept`` names: exactly this flow, or exactly this claim."""
        flow = self.origin.flow if self.origin is not None else None
        return flow or f"claim {self.number} {self.etag}"


def whose(found: NewestClaim, ours: Origin) -> Whose:
    """Pure."""
    theirs = found.origin
    if theirs is None:
        return Whose.OTHERS
    if theirs.flow == ours.flow:
        return Whose.OURS
    if ours.is_same_folder(theirs):
        return Whose.SAME_FOLDER
    return Whose.OLD if found.age >= OLD else Whose.OTHERS


def newest_of(found: list[tuple[int, str]]) -> tuple[int, str] | None:
    """Pure. Claims are numbered one by one and kept: what stands far above all others was not numbered by us, and after
    it there would be no number left."""
    newest: tuple[int, str] | None = None
    for claim in sorted(found):
        if claim[0] - (newest[0] if newest is not None else 0) > _GAP:
            break
        newest = claim
    return newest


def text(run: str, origin: Origin, container: str, destination: str, now: float) -> bytes:
    """``try`` makes each one different, so that an answer that was lost is known by size and MD5."""
    values: dict[str, Any] = {
        "schema": 1,
        "claim": "This flow uploads this run; no other flow writes to it. Kept for ever, do not delete.",
        "run": run,
        "source": origin.values(),
        "destination": {"container": container, "prefix": destination},
        "time": iso(now),
        "try": os.urandom(8).hex(),
        "tool": f"sync_to_azure {__version__}",
    }
    return json.dumps(values, indent=2).encode() + b"\n"


def origin_of_claim(content: bytes) -> Origin | None:
    """Who wrote a claim; None for what is no claim that this version can read."""
    values = documents.parsed(content)
    if values is None or values.get("schema") != 1 or "claim" not in values:
        return None
    origin = origin_in(values.get("source"))
    return origin if origin.flow is not None else None
