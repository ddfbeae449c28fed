"""What is kept of AzCopy's jobs of a run: before AzCopy starts, from a listing, for a removal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sync_to_azure.transfer.ledger.azcopy_history import AzCopyHistory
from sync_to_azure.core.model import Blob
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

_MOST_NONCES = 100_000
"""Of one listing. Whoever writes others into the metadata of blobs must not fill our memory."""


class LedgerJobRecord:
    """The ``JobRecord`` of a run: in the ledger."""

    def __init__(self, rooms: Rooms, work: Work) -> None:
        self._rooms, self._work = rooms, work
        self._jobs = AzCopyHistory(rooms.ledger)

    def begin(self, nonce: str, expires: float, token_life: float) -> None:
        self._jobs.begin(self._work.run, nonce, expires, token_life)

    def end(self, nonce: str) -> None:
        self._jobs.end(self._work.run, nonce, self._rooms.clock.now())


class Nonces:
    """Those of a listing as it goes by."""

    def __init__(self) -> None:
        self._found: set[str] = set()

    def watch(self, blobs: Iterator[Blob]) -> Iterator[Blob]:
        found = self._found
        for blob in blobs:
            if blob.nonce is not None and len(found) < _MOST_NONCES:
                found.add(blob.nonce)
            yield blob

    def note(self, rooms: Rooms, work: Work) -> None:
        """Jobs that are not in our ledger (it was lost or set back, or another machine ran them) may have been cut off,
        with credentials that were given to them as late as now."""
        if not self._found:
            return
        jobs = AzCopyHistory(rooms.ledger)
        unknown = jobs.unknown(work.run, self._found)
        if unknown:
            expires, _ = rooms.identity().azcopy_expiry(rooms.clock.now())
            jobs.note_unknown(work.run, unknown, expires)
            _log.info(
                "%s: %d AzCopy jobs uploaded some of it that the ledger does not know", work.key, len(unknown)
            )


def was_cut_off(rooms: Rooms, work: Work) -> bool:
    """Did an AzCopy job of this run not report its end? A request of it may still be on its way, without a condition:
    the rest of the run is uploaded natively."""
    return AzCopyHistory(rooms.ledger).was_cut_off(work.run, rooms.clock.now())


def expiry(rooms: Rooms, work: Work) -> float:
    """When every credential that AzCopy was given for this run has expired, in seconds since 1970; 0 if none was."""
    return AzCopyHistory(rooms.ledger).expiry(work.run, rooms.clock.now())
