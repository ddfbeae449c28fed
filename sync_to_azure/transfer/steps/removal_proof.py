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
from sync_to_azure.transfer.steps import azcopy_record, carry, look, publish, read_back
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.decisions.removal_clocks import Instant
from sync_to_azure.transfer.decisions.removal_gate import DAY, PublishedRun, EntryState
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.files.walk import walk
from sync_to_azure.transfer.ledger import Files, Ledger, Run

_log = logging.getLogger(__name__)

_EVERYTHING = ExcludeRules(())
_BATCH = 500
_KEPT_EVERY = 5.0
"""Seconds: what was read once more is written down so often, and is not read again by a pass that goes on."""


def look_again(rooms: Rooms, work: Work) -> None:
    """Every entry, also what is excluded: the gate knows the rules."""
    renamed = _renamed(rooms.files, work.run)

    def watched() -> Iterator[Entry]:
        for number, entry in enumerate(walk(work.root, _EVERYTHING, work.prefix, freshly=True)):
            if number % 1000 == 999:
                rooms.progress(work, Progress(work.key, "looking", number + 1))
            yield entry

    rooms.files.scratch.take_walk(watched(), renamed)


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


def ask(rooms: Rooms, work: Work) -> Asked:
    marker = rooms.lake().modified(work.base + ".sync")
    return Asked(marker, rooms.clock.now(), instant(rooms))


def instant(rooms: Rooms) -> Instant:
    """When the lake answered last, if that was just now."""
    return Instant(rooms.clock.boottime(), rooms.lake().service_date)


def facts_of(rooms: Rooms, work: Work, asked: Asked, wrong: int) -> PublishedRun:
    return PublishedRun(
        marker=asked.marker,
        published=work.run.published_at,
        now=asked.now,
        service_now=asked.at.service,
        after=rooms.settings.removal.remove_after * DAY,
        wrong=wrong,
        unpublished=rooms.files.unpublished(work.run),
        mounts=mounts_below(work.root.path),
        never=ended.never_removed(work.run),
        credentials=azcopy_record.expiry(rooms, work),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class RemovalProof:
    """``problem``: why nothing may go, or empty; ``wrong``: how many blobs are missing or wrong; ``waits``: it is not
    proved yet, and nothing is wrong."""

    problem: str = ""
    wrong: int = 0
    waits: Reason | None = None


def prove(rooms: Rooms, work: Work) -> RemovalProof:
    """Take a listing and the verdict on it; what is proved by no request of our own is read back."""
    carry.take_listing(rooms, work)
    verdict = rooms.files.verdict(work.run)
    if verdict.is_verified:
        reading = read_back.before_removal(rooms, work)
        if reading.wrong:
            _heal(rooms, work)
            return RemovalProof(
                f"{len(reading.wrong)} blobs held other bytes than their MD5 said; they were sent again"
            )
        if reading.waits is not None:
            return RemovalProof(waits=reading.waits)
        if reading.files:
            # Reading took its time.
            carry.take_listing(rooms, work)
            verdict = rooms.files.verdict(work.run)
    return RemovalProof(wrong=verdict.wrong_count)


def _heal(rooms: Rooms, work: Work) -> None:
    """The source is still here: blobs that were read back wrong are sent again from it, if it matches the manifest."""
    work.renamed = _renamed(rooms.files, work.run)
    look.into_ledger(rooms, work)
    verdict = carry.until_verified(rooms, work, listed=True)
    if verdict.is_verified:
        publish.publish(rooms, work, verdict)


def must_rehash(rooms: Rooms, work: Work) -> bool:
    """Asked for; or the manifest was read from the lake (the ledger was lost), where whoever may write the blobs may
    have written a manifest to fit them: only the bytes at the source tell. Or files were hashed long before the run was
    complete, and a share may keep no trace of what was written to them since."""
    connection = rooms.ledger.connection
    known = (happened(connection, work.run, code) for code in (ADOPTED, CARRIED_EARLY))
    return rooms.settings.removal.remove_rehash or any(known)


def begin(rooms: Rooms, work: Work) -> None:
    """Where all of it must be read once more, no earlier reading counts; an interrupted one goes on."""
    each_time = rooms.settings.removal.remove_rehash
    if must_rehash(rooms, work) and not reads_again(rooms.ledger.connection, work.run, each_time):
        rooms.files.doubt_ctimes(work.run)
        rooms.ledger.append_event(work.run, rooms.clock.now(), READ_AGAIN, {})


def hashed_again(rooms: Rooms, work: Work) -> tuple[int, list[str]]:
    """Read those files whose ctime, as just seen, is not that of their hash: written to under the same size and time,
    or only touched (rights, owner, attributes). How many were read; those that hold other bytes than were published.
    What is the same is kept with its ctime, file by file, so that an interrupted reading goes on where it was.
    """
    connection = rooms.ledger.connection
    total, size = changed_since(connection, work.run)
    if not total:
        return 0, []
    expected: dict[str, bytes] = {}
    differ: list[str] = []
    same: list[tuple[FileToSend, int | None]] = []
    count = done = 0
    kept_at = rooms.clock.monotonic()

    def published() -> Iterator[FileToSend]:
        for file, md5 in each_changed_since(connection, work.run):
            expected[file.blob] = md5
            yield file

    def keep() -> None:
        nonlocal kept_at
        rooms.files.set_ctimes(work.run, same)
        same.clear()
        kept_at = rooms.clock.monotonic()

    with Hasher(work.root, published(), rooms.settings.upload.source_readers) as hasher:
        while not hasher.finished:
            for hashed in hasher.drain(0.2):
                count, done = count + 1, done + hashed.file.size
                right = expected.pop(hashed.file.blob)
                if hashed.problem == "share":
                    raise SourceUnavailable(f"{work.key}: {hashed.file.blob} cannot be read: {hashed.detail}")
                if hashed.md5 == right:
                    same.append((hashed.file, hashed.ctime_ns))
                elif hashed.problem != "changed":
                    # What changes at this very moment shows in the next look, by its size or time.
                    differ.append(f"{hashed.file.blob} ({hashed.detail or hashed.problem or 'other bytes'})")
                if len(same) >= _BATCH or rooms.clock.monotonic() - kept_at >= _KEPT_EVERY:
                    keep()
            rooms.progress(work, Progress(work.key, "reading once more", count, total, done, size))
    keep()
    _log.info("%s: %d files were read once more, %d differ", work.key, count, len(differ))
    return count, differ


def still_changed(ledger: Ledger, run: Run) -> int:
    """How many files, by the look just taken, changed in some way after they were hashed."""
    return changed_since(ledger.connection, run)[0]
