"""What looks at a run in this pass found, as values: what its instrument says of it, and its sample sheet."""

from __future__ import annotations

import dataclasses

from sync_to_azure.instruments.profiles.completeness import Completeness, Expectation
from sync_to_azure.instruments.profiles.profile import Profile
from sync_to_azure.instruments.profiles.view import View
from sync_to_azure.instruments.run_facts.outcome import Outcome


@dataclasses.dataclass(slots=True)
class Known:
    """``profile`` is None where no family was recognised: ``reason`` says why, or by what it was."""

    view: View
    profile: Profile | None
    reason: str
    outcome: Outcome
    expectation: Expectation | None = None
    completeness: Completeness | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was read: whole, between two equal looks at its size and mtime."""

    content: bytes
    md5: bytes
    size: int
    mtime_ns: int
