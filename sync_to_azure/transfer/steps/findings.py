"""What the steps of a pass found out about one run so far, as a value: each step returns it with one thing more."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_to_azure.core.model import FileToSend
    from sync_to_azure.core.reasons import Reason
    from sync_to_azure.instruments.completion import CompletionDecision
    from sync_to_azure.manifest.rows import Verdict
    from sync_to_azure.transfer.decisions.next_step import Removal
    from sync_to_azure.transfer.steps.looks import Differences, Judged, Sheet


@dataclasses.dataclass(frozen=True, slots=True)
class Proved:
    """After an upload: the verdict, and what stands in the way of publishing, as how many and up to 20 names."""

    verdict: Verdict
    lost: tuple[int, list[str]]
    foreign: tuple[int, list[str]]
    unusable: tuple[int, list[str]]
    other_sheets: list[FileToSend]


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """The fields are those of ``next_step.Facts``, where they need more than a yes or no. ``plan``: how often it was
    planned in this pass, because somebody else wrote below the run; ``is_doubted``: a pass may have been cut off while
    it replaced what is published; ``goes_on``: it was looked at, and is not finished."""

    plan: int = 1
    begun: bool = False
    prepared: bool = False
    remote_asked: bool = False
    judged: Judged | None = None
    sheet_read: bool = False
    outside_sheet: Sheet | None = None
    sheet_problem: Reason | None = None
    quiet: CompletionDecision | None = None
    changed: Differences | None = None
    replaces_pending: bool = False
    is_doubted: bool = False
    has_additions: bool | None = None
    is_overtaken: bool | None = None
    proved: Proved | None = None
    foreign_offered: bool = False
    sheet_written: bool = False
    written: bool = False
    ended: bool = False
    goes_on: bool = False
    removal: Removal | None = None

    def planned_again(self, plan: int = 0) -> "Findings":
        """Nothing is known of it any more, but whether its source was to be removed."""
        return Findings(plan or self.plan, begun=True, removal=self.removal)
