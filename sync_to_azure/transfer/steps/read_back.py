"""Reading back: what is proved too weakly is downloaded and hashed, one chunk at a time; each file's result is kept in
the ledger with its ETag, so that an interrupted reading goes on where it was."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from sync_to_azure.core.errors import RunError
from sync_to_azure.transfer.ledger.read_backs import TO_REMOVE, to_publish
from sync_to_azure.core.model import Evidence, Progress
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.core.few import Few
from sync_to_azure.notify.terminal import human_size

if TYPE_CHECKING:
    from sync_to_azure.settings.values import RemovalSettings

_log = logging.getLogger(__name__)

LIMITED, ARCHIVED = "removal-read-back", "removal-archived"
"""Codes of reasons: the limit of a pass is reached; blobs cannot be read."""


@dataclasses.dataclass(slots=True)
class ReadBack:
    """``files`` were read; ``wrong``: blobs (up to 20 reported) whose bytes are not those of their MD5: the listing
    just taken is corrected for them, so that the plan sends them again. ``waits``: why not all of it could be read.
    """

    files: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    waits: Reason | None = None


def limit_in_words(removal: "RemovalSettings") -> str:
    limit = removal.read_back_limit
    return f", at most {human_size(int(limit * 1e9))} in a pass (read-back-limit)" if limit else ""


def until(rooms: Rooms, work: Work, least: Evidence, why: str) -> list[str]:
    """To publish: bring every file to ``least``, but those that were published and adopted. Returns the wrong blobs.
    Raises RunError where blobs are archived."""
    which = to_publish(least)
    count, size, names = rooms.files.read_backs.archived(work.run, which)
    if count:
        raise RunError(
            f"{work.key}: {count} blobs, {human_size(size)}, are archived and cannot be read back:"
            f" {', '.join(names[:5])}",
            "rehydrate them (az storage blob set-tier --tier Cool, takes hours); the next pass goes on",
        )
    return _read(rooms, work, which, why, limited=False).wrong


def before_removal(rooms: Rooms, work: Work) -> ReadBack:
    """Bring every file to a proof that rests on our own requests; at most ``read-back-limit`` in a pass. Nothing is
    read while archived blobs hold the removal anyway."""
    count, size, names = rooms.files.read_backs.archived(work.run, TO_REMOVE)
    if count:
        parameters = {"count": count, "size": human_size(size), "names": names, "looked": rooms.clock.now()}
        return ReadBack(waits=Reason(ARCHIVED, parameters))
    return _read(rooms, work, TO_REMOVE, "before the source is removed", limited=True)


def _read(rooms: Rooms, work: Work, which: str, why: str, limited: bool) -> ReadBack:
    reading = ReadBack()
    count, size = rooms.files.read_backs.to_read_back(work.run, which)
    if not count:
        return reading
    if not limited or rooms.read_back_left > 0:
        _log.info("%s: %d files, %s, are read back %s", work.key, count, human_size(size), why)
    few = Few(_log, logging.ERROR, "%s: … and %d more blobs hold other bytes than their MD5 says", work.key)
    done = 0
    started = rooms.clock.monotonic()
    for row in rooms.files.read_backs.each_to_read_back(work.run, which):
        if limited and rooms.read_back_left <= 0:
            left = {"count": count - reading.files, "size": human_size(size - done)}
            reading.waits = Reason(LIMITED, left)
            break
        if limited:
            rooms.read_back_left -= row.size
        found = rooms.lake().md5_of(work.prefix + row.blob, row.etag)
        reading.files += 1
        done += row.size
        seconds = max(rooms.clock.monotonic() - started, 0.001)
        rooms.progress(
            work, Progress(work.key, "reading back", reading.files, count, done, size, done / seconds)
        )
        if found == row.md5:
            rooms.files.set_evidence(work.run, row.blob, row.etag, Evidence.READ_BACK)
            continue
        rooms.files.scratch.correct_listing(row.blob, found)
        reading.wrong.append(row.blob)
        few.show("%s: blob %s holds other bytes than its MD5 says", work.key, row.blob)
    few.end()
    return reading
