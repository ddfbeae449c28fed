"""Reading back: what is proved too weakly is downloaded and hashed, one chunk at a time; each file's result is kept in
the ledger with its ETag, so that an interrupted reading goes on where it was."""

from __future__ import annotations

import logging

from sync_to_azure.model import Evidence, Progress
from sync_to_azure.steps.rooms import Rooms, Work
from sync_to_azure.tell.few import Few
from sync_to_azure.tell.terminal import human_size

_log = logging.getLogger(__name__)


def until(rooms: Rooms, work: Work, least: Evidence, why: str, own: bool = False) -> list[str]:
    """Bring every file of the run to ``least``; with ``own`` to a proof that rests on our own requests. Returns
    the blobs (up to 20 reported) whose bytes are not those of their MD5: the listing just taken is corrected for them,
    so that the plan sends them again.
    """
    count, size = rooms.files.weaker(work.run, least, own)
    if not count:
        return []
    _log.info("%s: %d files, %s, are read back %s", work.key, count, human_size(size), why)
    wrong: list[str] = []
    few = Few(_log, logging.ERROR, "%s: … and %d more blobs hold other bytes than their MD5 says", work.key)
    done = number = 0
    started = rooms.clock.monotonic()
    for row in rooms.files.each_weaker(work.run, least, own):
        found = rooms.lake().md5_of(work.prefix + row.blob, row.etag)
        number += 1
        done += row.size
        seconds = max(rooms.clock.monotonic() - started, 0.001)
        rooms.progress(work, Progress(work.key, "reading back", number, count, done, size, done / seconds))
        if found == row.md5:
            rooms.files.set_evidence(work.run, row.blob, row.etag, Evidence.READ_BACK)
            continue
        rooms.files.correct_listing(row.blob, found)
        wrong.append(row.blob)
        few.show("%s: blob %s holds other bytes than its MD5 says", work.key, row.blob)
    few.end()
    return wrong
