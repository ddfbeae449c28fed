"""What the ledger knows about flows other than its own, and about the claims that this flow wrote."""

from __future__ import annotations

import dataclasses

from sync_to_azure.transfer.ledger.ledger import Ledger, storable
from sync_to_azure.transfer.ledger.run import Run

SAME_FILES, ACCEPTED, DIFFERS = "same-files", "accepted", "differs"
"""How another flow's published run was judged: its files are those of our source; a person took it over; neither."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """The claim that this flow wrote last for a run. ``number`` names the blob; ``written`` in seconds since 1970;
    ``is_fixed``: the service refused to replace it, so the next one gets the next number."""

    number: int
    etag: str
    written: float
    is_fixed: bool = False


class Flows:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def judged(self, key: str, identity: str) -> tuple[str, float] | None:
        """(how, when) another flow's published run ``key`` was judged, or None."""
        row = self._ledger.connection.execute(
            "SELECT how, at FROM other_flow WHERE flow_id = ? AND run = ? AND identity = ?",
            (self._ledger.flow_id, key, storable(identity)),
        ).fetchone()
        return None if row is None else (str(row[0]), float(row[1]))

    def judge(self, key: str, identity: str, how: str, at: float) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO other_flow (flow_id, run, identity, how, at) VALUES (?, ?, ?, ?, ?)",
                (self._ledger.flow_id, key, storable(identity), how, at),
            )

    def claim(self, run: Run) -> Claim | None:
        row = self._ledger.connection.execute(
            "SELECT number, etag, written, is_fixed FROM claim WHERE run_id = ?", (run.id,)
        ).fetchone()
        return None if row is None else Claim(row[0], row[1], row[2], bool(row[3]))

    def note_claim(self, run: Run, claim: Claim) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO claim (run_id, number, etag, written, is_fixed) VALUES (?, ?, ?, ?, ?)",
                (run.id, claim.number, claim.etag, claim.written, int(claim.is_fixed)),
            )
