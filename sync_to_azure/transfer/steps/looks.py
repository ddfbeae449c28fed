"""What looks at a run in this pass found, as values: what its instrument says of it, its sample sheet, and which of its
published files became others."""

from __future__ import annotations

import dataclasses

from sync_to_azure.core.model import FileToSend
from sync_to_azure.core.reasons import Reason
from sync_to_azure.instruments.profiles.completeness import Completeness, Expectation
from sync_to_azure.instruments.profiles.profile import Profile
from sync_to_azure.instruments.profiles.view import View
from sync_to_azure.instruments.run_facts.outcome import RunOutcome
from sync_to_azure.transfer.decisions.next_step import Readiness


@dataclasses.dataclass(slots=True)
class Known:
    """``profile`` is None where no family was recognised: ``reason`` says why, or by what it was."""

    view: View
    profile: Profile | None
    reason: str
    outcome: RunOutcome
    expectation: Expectation | None = None
    completeness: Completeness | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """``reason``: why it is not uploaded; ``waits``: what an unfinished run waits for."""

    readiness: Readiness
    reason: Reason | None = None
    waits: Reason | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Scanned:
    """The last scan of a run into the ledger. ``began``: in seconds since 1970, where its folders are to be remembered;
    ``acquiring``: files that are still being acquired, and since when each is as it is."""

    fingerprint: str
    began: float | None = None
    acquiring: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was read: whole, between two equal looks at its size and mtime."""

    content: bytes
    md5: bytes
    size: int
    mtime_ns: int


@dataclasses.dataclass(slots=True)
class Differences:
    """How many published files became others at the source; up to 20 names, under which code they are told, and
    the last ones as they are now. ``renewed``: the blobs of those that may."""

    count: int = 0
    names: list[str] = dataclasses.field(default_factory=list)
    code: str = "changed-after-verification"
    last: list[FileToSend] = dataclasses.field(default_factory=list)
    renewed: list[str] = dataclasses.field(default_factory=list)

    @property
    def reason(self) -> Reason:
        """What is told of them."""
        return Reason(self.code, {"count": self.count, "names": self.names})

    def add(self, file: FileToSend) -> None:
        self.count += 1
        self.last.append(file)
        if len(self.names) < 20:
            self.names.append(file.blob)
