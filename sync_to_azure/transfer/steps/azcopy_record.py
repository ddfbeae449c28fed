"""What is kept of AzCopy's jobs of a run: before AzCopy starts, from a listing, for a removal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sync_to_azure.transfer.ledger.azcopy_history import AzCopyHistory
from sync_to_azure.core.model import Blob
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

_MOST_NONCES = 100_000
"""Of one listing. Whoever writes others into the metadata of blobs must not fill our memory."""


class LedgerJobRecord:
    """The ``JobRecord`` of a run: in the ledger."""

    def __init__(self, context: PassContext, current: RunContext) -> None:
        self._context, self._current = context, current
        self._jobs = AzCopyHistory(context.ledger)

    def begin(self, nonce: str, expires: float, token_life: float) -> None:
        self._jobs.begin(self._current.run, nonce, expires, token_life)

    def end(self, nonce: str) -> None:
        self._jobs.end(self._current.run, nonce, self._context.clock.now())


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

    def note(self, context: PassContext, current: RunContext) -> None:
        """Jobs that are not in our ledger (it was lost or set back, or another machine ran them) may have been cut off,
        with credentials that were given to them as late as now."""
        if not self._found:
            return
        jobs = AzCopyHistory(context.ledger)
        unknown = jobs.unknown(current.run, self._found)
        if unknown:
            expires, _ = context.identity().azcopy_expiry(context.clock.now())
            jobs.note_unknown(current.run, unknown, expires)
            _log.info(
                "%s: %d AzCopy jobs uploaded some of it that the ledger does not know",
                current.key,
                len(unknown),
            )


def was_cut_off(context: PassContext, current: RunContext) -> bool:
    """Did an AzCopy job of this run not report its end? A request of it may still be on its way, without a condition:
    the rest of the run is uploaded natively."""
    return AzCopyHistory(context.ledger).was_cut_off(current.run, context.clock.now())


def expiry(context: PassContext, current: RunContext) -> float:
    """When every credential that AzCopy was given for this run has expired, in seconds since 1970; 0 if none was."""
    return AzCopyHistory(context.ledger).expiry(current.run, context.clock.now())
