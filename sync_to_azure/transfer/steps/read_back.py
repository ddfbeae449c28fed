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
from sync_to_azure.transfer.steps.context import PassContext, RunContext
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


def until(context: PassContext, current: RunContext, least: Evidence, why: str) -> list[str]:
    """To publish: bring every file to ``least``, but those that were published and adopted. Returns the wrong blobs.
    Raises RunError where blobs are archived."""
    which = to_publish(least)
    count, size, names = context.files.read_backs.archived(current.run, which)
    if count:
        raise RunError(
            f"{current.key}: {count} blobs, {human_size(size)}, are archived and cannot be read back:"
            f" {', '.join(names[:5])}",
            "rehydrate them (az storage blob set-tier --tier Cool, takes hours); the next pass continues",
        )
    return _read(context, current, which, why, limited=False).wrong


def before_removal(context: PassContext, current: RunContext) -> ReadBack:
    """Bring every file to a proof that rests on our own requests; at most ``read-back-limit`` in a pass. Nothing is
    read while archived blobs hold the removal anyway."""
    count, size, names = context.files.read_backs.archived(current.run, TO_REMOVE)
    if count:
        parameters = {"count": count, "size": human_size(size), "names": names, "looked": context.clock.now()}
        return ReadBack(waits=Reason(ARCHIVED, parameters))
    return _read(context, current, TO_REMOVE, "before the source is removed", limited=True)


def _read(context: PassContext, current: RunContext, which: str, why: str, limited: bool) -> ReadBack:
    reading = ReadBack()
    count, size = context.files.read_backs.to_read_back(current.run, which)
    if not count:
        return reading
    if not limited or context.read_back_left > 0:
        _log.info("%s: %d files, %s, are read back %s", current.key, count, human_size(size), why)
    few = Few(_log, logging.ERROR, "%s: … and %d more blobs contain other bytes than their MD5", current.key)
    done = 0
    started = context.clock.monotonic()
    for row in context.files.read_backs.each_to_read_back(current.run, which):
        if limited and context.read_back_left <= 0:
            left = {"count": count - reading.files, "size": human_size(size - done)}
            reading.waits = Reason(LIMITED, left)
            break
        if limited:
            context.read_back_left -= row.size
        found = context.lake().md5_of(current.prefix + row.blob, row.etag)
        reading.files += 1
        done += row.size
        seconds = max(context.clock.monotonic() - started, 0.001)
        context.progress(
            current, Progress(current.key, "reading back", reading.files, count, done, size, done / seconds)
        )
        if found == row.md5:
            context.files.set_evidence(current.run, row.blob, row.etag, Evidence.READ_BACK)
            continue
        context.files.scratch.correct_listing(row.blob, found)
        reading.wrong.append(row.blob)
        few.show("%s: blob %s contains other bytes than its MD5", current.key, row.blob)
    few.end()
    return reading
