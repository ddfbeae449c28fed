"""AzCopy opens files by their paths: where a folder of the run, or the run itself, became a symbolic link after the
walk, it uploads what the link leads to. Its blobs are compared with what we read below handles: what is not of the run
is overwritten, and reported as a finding of the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Sequence

from sync_to_azure.core.errors import SyncError
from sync_to_azure.files.hashing import hash_file
from sync_to_azure.core.model import Blob, FileToSend
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.notify.terminal import how_many
from sync_to_azure.transfer.ledger import Files, Run
from sync_to_azure.files.folder import Place

_log = logging.getLogger(__name__)

_EVENT = "led-away"
_BLOCK = 1024 * 1024
_NAMES = 5
_EMPTY = hashlib.md5(usedforsecurity=False).digest()

Send = Callable[[Sequence[FileToSend]], None]
"""Writes files from the source, opened by us."""


@dataclasses.dataclass(slots=True)
class _Blobs:
    """How many, and the first of their names."""

    count: int = 0
    names: list[str] = dataclasses.field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= _NAMES:
            self.names.append(name)

    def __str__(self) -> str:
        return ", ".join(self.names) + (", …" if self.count > _NAMES else "")


def undo(context: PassContext, current: RunContext, send: Send) -> bool:
    """After AzCopy ended and its blobs were listed. True if a blob was written."""
    again, emptied, unclear = _Blobs(), _Blobs(), _Blobs()
    _with_other_bytes(context.files, current.run, current.root, send, again)
    _not_hashed(context, current, send, again, emptied, unclear)
    parts = []
    if emptied.count:
        parts.append(
            f"{how_many(emptied.count, 'blob')} held files from outside of the run, to which links lead, and were"
            f" emptied ({emptied})"
        )
    if unclear.count:
        parts.append(
            f"{how_many(unclear.count, 'blob')} may hold files from outside of the run, as links are on their paths;"
            f" look at them ({unclear})"
        )
    if parts:
        _report(context, current, f"AzCopy was led out of the run by links: {'; '.join(parts)}", exit_code=1)
    if again.count:
        what = f"{how_many(again.count, 'blob')} held other bytes than the file at the source ({again})"
        why = "a link led AzCopy elsewhere, or another writer wrote there"
        _report(context, current, f"{what}, and were written again from it: {why}", exit_code=0)
    return bool(again.count or emptied.count)


def _report(context: PassContext, current: RunContext, text: str, exit_code: int) -> None:
    context.ledger.append_event(current.run, context.clock.now(), _EVENT, {})
    advice = "find out who writes to the share; mount it with nosymfollow, or set uploader = native"
    context.report_problem(
        f"{current.key}:{_EVENT}", f"{current.key}: {text} ({advice})", exit_code=exit_code, once=True
    )


def _with_other_bytes(files: Files, run: Run, root: Place, send: Send, again: _Blobs) -> None:
    """Files that are at the source as they were hashed, and whose blobs hold something else: a link that was there
    while AzCopy read, and is not any more."""
    for file in files.plan.sent_with_other_bytes(run):
        _send_if_other(files, root, file, send, again)


def _send_if_other(files: Files, root: Place, file: FileToSend, send: Send, again: _Blobs) -> None:
    """Not where the file was rewritten since it was hashed, under the same size and time: AzCopy read it rightly."""
    listed, md5 = files.scratch.listed(file.blob), hash_file(root, file).md5
    if listed is not None and md5 is not None and md5 != listed.md5:
        again.add(file.blob)
        send([file])


def _not_hashed(
    context: PassContext, current: RunContext, send: Send, again: _Blobs, emptied: _Blobs, unclear: _Blobs
) -> None:
    """Of files that could not be hashed. Emptied is a blob that holds, byte by byte, the file to which the link leads:
    so nothing is lost with it, should it be the run's own that somebody moved."""
    links = _Links(current)
    for file in context.files.plan.sent_and_not_hashed(current.run):
        listed = context.files.scratch.listed(file.blob)
        if listed is None or not listed.size:
            continue
        path = os.path.join(current.root.path, file.path)
        if not links.lead_away(file.path):
            # The link may be gone by now.
            _send_if_other(context.files, current.root, file, send, again)
        elif _is_the_file_at(path, listed) and _empty(context, current, file, listed):
            emptied.add(file.blob)
        else:
            unclear.add(file.blob)


def _empty(context: PassContext, current: RunContext, file: FileToSend, listed: Blob) -> bool:
    context.must_hold_lock()
    name = current.prefix + file.blob
    try:
        context.lake().put(name, b"", 0, _EMPTY, "application/octet-stream", replaces=listed.etag)
    except SyncError as error:
        _log.error("%s holds a file from outside of the run and cannot be emptied: %s", name, error)
        return False
    return True


class _Links:
    """Asked in the order of paths: a folder is looked at once, whatever it holds."""

    def __init__(self, current: RunContext) -> None:
        self._root = current.root.path
        self._last: tuple[bytes, bool] | None = None

    def lead_away(self, path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        if self._last is None or self._last[0] != folder:
            self._last = folder, self._holds_a_link(folder)
        return self._last[1]

    def _holds_a_link(self, folder: bytes) -> bool:
        path = self._root
        if os.path.islink(path):
            return True
        for part in folder.split(b"/") if folder else ():
            path = os.path.join(path, part)
            if os.path.islink(path):
                return True
        return False


def _is_the_file_at(path: bytes, blob: Blob) -> bool:
    """Follows links, as AzCopy did: what it reads is compared, and goes nowhere."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size != blob.size:
                return False
            digest = hashlib.md5(usedforsecurity=False)
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return digest.digest() == blob.md5
