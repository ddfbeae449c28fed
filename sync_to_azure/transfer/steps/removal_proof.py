"""What the gate before a removal is given: the folder seen again, the listing and the verdict, files read once more."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

from sync_to_azure.core.errors import SourceUnavailable
from sync_to_azure.files.hashing import Hasher
from sync_to_azure.transfer.ledger.removal_queries import (
    ADOPTED,
    CARRIED_EARLY,
    READ_AGAIN,
    changed_since,
    each_changed_since,
    happened,
    reads_again,
    entries_with_blobs,
)
from sync_to_azure.core.model import Entry, FileToSend, Progress
from sync_to_azure.core.names import INSTRUMENT_SHEET_BLOB, ExcludeRules
from sync_to_azure.core.reasons import Reason
from sync_to_azure.files.mounts import mounts_below
from sync_to_azure.transfer.steps import azcopy_record, carry, scan, publish, read_back
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.decisions.removal_clocks import Instant
from sync_to_azure.transfer.decisions.removal_gate import DAY, PublishedRun, EntryState
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.files.walk import walk
from sync_to_azure.transfer.ledger import Files, Ledger, Run

_log = logging.getLogger(__name__)

_EVERYTHING = ExcludeRules(())
_BATCH = 500
_KEPT_EVERY = 5.0
"""Seconds: what was read once more is written down so often, and is not read again by a pass that goes on."""


def look_again(context: PassContext, current: RunContext) -> None:
    """Every entry, also what is excluded: the gate knows the rules."""
    renamed = _renamed(context.files, current.run)

    def watched() -> Iterator[Entry]:
        for number, entry in enumerate(walk(current.root, _EVERYTHING, current.prefix, freshly=True)):
            if number % 1000 == 999:
                context.progress(current, Progress(current.key, "looking", number + 1))
            yield entry

    context.files.scratch.take_walk(watched(), renamed)


def _renamed(files: Files, run: Run) -> dict[bytes, str]:
    row = files.get(run, INSTRUMENT_SHEET_BLOB)
    return {row.path: row.blob} if row is not None and row.path != row.blob.encode() else {}


def seen_again(ledger: Ledger, run: Run) -> Iterator[EntryState]:
    for entry, row, blob in entries_with_blobs(ledger.connection, run):
        yield EntryState(entry, row, blob)


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """One look at the marker. ``marker``: when the service saw it written last, None if it is not there; ``now``: our
    clock when the answer came; ``at``: when that was, for the age of a proof."""

    marker: float | None
    now: float
    at: Instant


def ask(context: PassContext, current: RunContext) -> Asked:
    marker = context.lake().modified(current.base + ".sync")
    return Asked(marker, context.clock.now(), instant(context))


def instant(context: PassContext) -> Instant:
    """When the lake answered last, if that was just now."""
    return Instant(context.clock.boottime(), context.lake().service_date)


def facts_of(context: PassContext, current: RunContext, asked: Asked, wrong: int) -> PublishedRun:
    return PublishedRun(
        marker=asked.marker,
        published=current.run.published_at,
        now=asked.now,
        service_now=asked.at.service,
        after=context.settings.removal.remove_after * DAY,
        wrong=wrong,
        unpublished=context.files.unpublished(current.run),
        mounts=mounts_below(current.root.path),
        never=ended.never_removed(current.run),
        credentials=azcopy_record.expiry(context, current),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class RemovalProof:
    """``problem``: why nothing may go, or empty; ``wrong``: how many blobs are missing or wrong; ``waits``: it is not
    proved yet, and nothing is wrong."""

    problem: str = ""
    wrong: int = 0
    waits: Reason | None = None


def prove(context: PassContext, current: RunContext) -> RemovalProof:
    """Take a listing and the verdict on it; what is proved by no request of our own is read back."""
    carry.take_listing(context, current)
    verdict = context.files.verdict(current.run)
    if verdict.is_verified:
        reading = read_back.before_removal(context, current)
        if reading.wrong:
            _heal(context, current)
            return RemovalProof(
                f"{len(reading.wrong)} blobs contained other bytes than their MD5; they were sent again"
            )
        if reading.waits is not None:
            return RemovalProof(waits=reading.waits)
        if reading.files:
            # Reading took its time.
            carry.take_listing(context, current)
            verdict = context.files.verdict(current.run)
    return RemovalProof(wrong=verdict.wrong_count)


def _heal(context: PassContext, current: RunContext) -> None:
    """The source is still here: blobs that were read back wrong are sent again from it, if it matches the manifest."""
    current.renamed = _renamed(context.files, current.run)
    scan.into_ledger(context, current)
    verdict = carry.until_verified(context, current, listed=True)
    if verdict.is_verified:
        publish.publish(context, current, verdict)


def must_rehash(context: PassContext, current: RunContext) -> bool:
    """Asked for; or the manifest was read from the lake (the ledger was lost), where whoever may write the blobs may
    have written a manifest to fit them: only the bytes at the source tell. Or files were hashed long before the run was
    complete, and a share may keep no trace of what was written to them since."""
    connection = context.ledger.connection
    known = (happened(connection, current.run, code) for code in (ADOPTED, CARRIED_EARLY))
    return context.settings.removal.remove_rehash or any(known)


def begin(context: PassContext, current: RunContext) -> None:
    """Where all of it must be read once more, no earlier reading counts; an interrupted one goes on."""
    each_time = context.settings.removal.remove_rehash
    if must_rehash(context, current) and not reads_again(context.ledger.connection, current.run, each_time):
        context.files.doubt_ctimes(current.run)
        context.ledger.append_event(current.run, context.clock.now(), READ_AGAIN, {})


def hashed_again(context: PassContext, current: RunContext) -> tuple[int, list[str]]:
    """Read those files whose ctime, as just seen, is not that of their hash: written to under the same size and time,
    or only touched (rights, owner, attributes). How many were read; those that hold other bytes than were published.
    What is the same is kept with its ctime, file by file, so that an interrupted reading goes on where it was.
    """
    connection = context.ledger.connection
    total, size = changed_since(connection, current.run)
    if not total:
        return 0, []
    expected: dict[str, bytes] = {}
    differ: list[str] = []
    same: list[tuple[FileToSend, int | None]] = []
    count = done = 0
    kept_at = context.clock.monotonic()

    def published() -> Iterator[FileToSend]:
        for file, md5 in each_changed_since(connection, current.run):
            expected[file.blob] = md5
            yield file

    def keep() -> None:
        nonlocal kept_at
        context.files.set_ctimes(current.run, same)
        same.clear()
        kept_at = context.clock.monotonic()

    with Hasher(current.root, published(), context.settings.upload.source_readers) as hasher:
        while not hasher.finished:
            for hashed in hasher.drain(0.2):
                count, done = count + 1, done + hashed.file.size
                right = expected.pop(hashed.file.blob)
                if hashed.problem == "share":
                    raise SourceUnavailable(
                        f"{current.key}: {hashed.file.blob} cannot be read: {hashed.detail}"
                    )
                if hashed.md5 == right:
                    same.append((hashed.file, hashed.ctime_ns))
                elif hashed.problem != "changed":
                    # What changes at this very moment shows in the next look, by its size or time.
                    differ.append(f"{hashed.file.blob} ({hashed.detail or hashed.problem or 'other bytes'})")
                if len(same) >= _BATCH or context.clock.monotonic() - kept_at >= _KEPT_EVERY:
                    keep()
            context.progress(current, Progress(current.key, "reading once more", count, total, done, size))
    keep()
    _log.info("%s: %d files were read once more, %d differ", current.key, count, len(differ))
    return count, differ


def still_changed(ledger: Ledger, run: Run) -> int:
    """How many files, by the look just taken, changed in some way after they were hashed."""
    return changed_since(ledger.connection, run)[0]
