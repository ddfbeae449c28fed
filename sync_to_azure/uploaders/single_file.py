"""One file outside of a run, sent by the native uploader, with its proof."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import queue
import stat
from collections.abc import Iterator, Sequence

from sync_to_azure.core.clock import ctime_ns, mtime_ns
from sync_to_azure.core.errors import (
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    Overtaken,
    FilesChanged,
    RunError,
    SyncError,
    UploadFailed,
)
from sync_to_azure.core.model import Evidence
from sync_to_azure.core.names import blob_name, shown
from sync_to_azure.files.digests import Digests
from sync_to_azure.files.folder import NotRegular, is_gone_or_replaced
from sync_to_azure.uploaders import FileAt, Proof
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.sending import FileSender, Opened, Outcome, Storage, Target, as_ours
from sync_to_azure.uploaders.under_way import UnderWay

_WATCH = 0.2
"""Seconds between two looks whether it has to stop, or hangs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """What is asked for: see ``UploadSession.upload_file``."""

    source: "FileAt | int"
    name: str
    replaces: str | None
    digests: Sequence[str]
    read_back: bool


def check_name(name: str) -> None:
    """Raises BlobRefused for a name under which the service, or a listing, would show another one or none."""
    try:
        reason = blob_name(name.encode("utf-8"))[1]
    except UnicodeEncodeError:
        reason = "the name is not UTF-8"
    if not name or name[0] == "/" or name[-1] == "/":
        reason = "the name is empty, or begins or ends with a slash"
    if reason:
        raise BlobRefused(f"{name[:100]!r} cannot be the name of a blob: {reason}", "give it another name")


class SingleFile:
    def __init__(
        self,
        upload: Upload,
        crew: Crew,
        sender: FileSender,
        storage: Storage,
        work: UnderWay,
        timeout: float,
    ) -> None:
        self._upload = upload
        self._names = tuple(dict.fromkeys(("md5", *upload.digests)))
        self._crew = crew
        self._sender = sender
        self._storage = storage
        self._work = work
        self._longest = 2 * timeout
        self._before: os.stat_result | None = None
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._waiting = False

    def sent(self) -> Proof:
        """Raises what ``upload_file`` does."""
        self._waiting = True
        self._crew.read(self._carry)
        outcome = self._outcome()
        if outcome is None:
            raise FilesChanged(
                f"{self._shown()} changed while it was read; nothing was written to {self._upload.name}",
                "upload it again once nothing else writes to it",
            )
        if isinstance(outcome, Overtaken):
            raise Overtaken(outcome.message, "check it, and decide whether it may be replaced")
        if isinstance(outcome, SyncError):
            raise outcome
        assert self._before is not None
        proof = Proof(
            self._upload.name,
            outcome.etag,
            self._before.st_size,
            outcome.digests,
            outcome.evidence,
            mtime_ns(self._before),
            ctime_ns(self._before),
        )
        return self._read_back(proof) if self._upload.read_back else proof

    def _outcome(self) -> Outcome:
        while True:
            with contextlib.suppress(queue.Empty):
                outcome = self._done.get(timeout=_WATCH)
                self._waiting = False
                return outcome
            self._work.go_on()
            self._work.raise_if_still(self._longest)

    def end(self, linger: float) -> bool:
        """As of a job."""
        if self._waiting:
            try:
                self._done.get(timeout=linger)
            except queue.Empty:
                return False
        return True

    def _carry(self) -> None:
        """In a reader's thread."""
        self._work.took()
        try:
            self._work.go_on()
            with _opened(self._upload.source) as (handle, status):
                self._before = status
                target = Target(self._upload.name, status.st_size, self._upload.replaces)
                same = functools.partial(_is_same, status)
                self._sender.send(Opened(target, handle, self._names, same), self._back)
        except OSError as error:
            if is_gone_or_replaced(error):
                self._back(RunError(f"{self._shown()} cannot be read: {error.strerror}"))
            else:
                self._back(as_ours(self._shown(), error))
        except Exception as error:
            self._back(as_ours(self._upload.name, error))

    def _back(self, outcome: Outcome) -> None:
        self._work.put_down()
        self._done.put(outcome)

    def _read_back(self, proof: Proof) -> Proof:
        digests = Digests(self._names)
        size = 0
        try:
            for chunk in self._storage.read(proof.name, proof.etag):
                self._work.alive()
                digests.update(chunk)
                size += len(chunk)
        except (BlobMissing, BlobReplaced, BlobRefused) as error:
            raise UploadFailed(
                f"{proof.name} was written, and could not be read back: {error.message}", error.advice
            ) from error
        if (size, digests.results()) != (proof.size, proof.digests):
            raise UploadFailed(
                f"{proof.name} holds other bytes than were sent (ETag {proof.etag})",
                "upload it again, with this ETag as the one that may be replaced",
            )
        return dataclasses.replace(proof, evidence=Evidence.READ_BACK)

    def _shown(self) -> str:
        source = self._upload.source
        return f"file handle {source}" if isinstance(source, int) else shown(source.shown)


@contextlib.contextmanager
def _opened(source: "FileAt | int") -> Iterator[tuple[int, os.stat_result]]:
    """Raises OSError. A handle stays the caller's; its offset does not move."""
    if isinstance(source, int):
        # The caller may close it before we are done, and the number be another file's by then.
        handle = os.dup(source)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise NotRegular
    else:
        with source.place.open() as folder:
            handle, status = folder.file(source.path)
    try:
        yield handle, status
    finally:
        with contextlib.suppress(OSError):
            os.close(handle)


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_size, mtime_ns(before), ctime_ns(before)) == (now.st_size, mtime_ns(now), ctime_ns(now))
