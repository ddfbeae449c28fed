"""How a run ended, in one word and in the instrument's own."""

from __future__ import annotations

import dataclasses
import enum


class End(enum.StrEnum):
    COMPLETED = "completed"
    ENDED_EARLY = "ended-early"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class RunOutcome:
    """``words``: what the instrument says, and in which file; for UNKNOWN why nothing is known."""

    end: End
    words: str

    @property
    def is_bad(self) -> bool:
        """It did not end as planned. What is not known is not bad."""
        return self.end in (End.ENDED_EARLY, End.FAILED)
