"""Plan, upload, hash and verify, again until the listing agrees with the manifest or the tries are used up."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from sync_to_azure.core.errors import Overtaken, FilesChanged, RunError, SourceUnavailable, UploadFailed
from sync_to_azure.files.hashing import Hashed, Hasher
from sync_to_azure.transfer.ledger import Files, Run
from sync_to_azure.transfer.ledger.files import Verdict
from sync_to_azure.core.model import Blob, Evidence, FileToSend, Progress
from sync_to_azure.transfer.steps import (
    azcopy_record,
    claims,
    frozen,
    led_away,
    look,
    neighbours,
    read_back,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.core.few import Few
from sync_to_azure.notify.terminal import human_size
from sync_to_azure.uploaders import Job, Tick, UploadSession
from sync_to_azure.uploaders.azcopy_words import put_blob_mib

_log = logging.getLogger(__name__)

_LONGEST_BACK_OFF = 60.0
_BATCH = 500
_NOTICED = 100

_WHY_READ_BACK = {
    "listed": "",
    "validated": "because the service did not check them as they came (AzCopy's larger files, blobs that others wrote);"
    " --uploader native spares that for what it sends",
    "read-back": "because verify = read-back asks for it",
}


def until_verified(rooms: Rooms, work: Work, listed: bool = False) -> Verdict:
    """``listed``: a listing was just taken (and maybe corrected). Raises RunChanged when the source moved meanwhile,
    RunError when all tries failed, Overtaken when somebody else wrote below the run since it was listed: then it has to
    be decided again what is to be sent."""
    if not listed:
        take_listing(rooms, work)
    least = Evidence.from_label(rooms.settings.upload.verify)
    tries, wrong_before = 0, sys.maxsize
    while True:
        override_checks.go_on(rooms, work)
        misread: list[str] = []
        _mark(rooms, work)
        problem = _send_and_hash(rooms, work, rooms.files.plan.without_md5)
        verdict = rooms.files.verdict(work.run)
        _log_verdict(work.key, verdict)
        if isinstance(problem, Overtaken):
            raise problem
        if verdict.wrong_count <= _given_up(rooms.files, work.run):
            if problem is not None and problem.is_try:
                _log.warning("%s: %s; the listing agrees with the manifest all the same", work.key, problem)
            misread = read_back.until(rooms, work, least, _WHY_READ_BACK[rooms.settings.upload.verify])
            if not misread:
                return rooms.files.verdict(work.run)
            problem = UploadFailed(
                f"{len(misread)} blobs hold other bytes than their MD5 says: {', '.join(misread[:5])}"
            )
        # A new start that got nothing further is a try: a file that takes longer than a SAS lives would go on for ever.
        is_try = problem is None or problem.is_try or verdict.wrong_count >= wrong_before
        wrong_before = verdict.wrong_count
        tries += is_try
        what = (
            str(problem)
            if problem
            else f"{verdict.wrong_count} files are not right: {', '.join(verdict.wrong[:5])}"
        )
        if look.fingerprint_now(rooms, work) != work.fingerprint:
            raise FilesChanged(f"{work.key}: files changed while they were carried")
        if tries >= rooms.settings.upload.retry_times:
            raise RunError(f"{work.key}: not verified after {tries} tries: {what}")
        if not misread:
            rooms.files.doubt_md5s(work.run)
        if not is_try:
            _log.info("%s: %s", work.key, what)
        else:
            _log.warning("%s: try %d of %d: %s", work.key, tries, rooms.settings.upload.retry_times, what)
            rooms.clock.sleep(min(_LONGEST_BACK_OFF, 2.0**tries / 2) * random.uniform(0.5, 1.0))


def take_listing(rooms: Rooms, work: Work) -> None:
    """List DEST/RUN/ into the ledger's ``listing`` table."""

    def counted() -> Iterator[Blob]:
        for number, blob in enumerate(rooms.lake().list(work.prefix)):
            if number % 1000 == 999:
                rooms.progress(work, Progress(work.key, "listing", number + 1))
            if blob.name.endswith(neighbours.NOTICED) and len(work.noticed) < _NOTICED:
                work.noticed.append(blob.name.removeprefix(work.prefix))
            if blob.name != ready:
                yield blob

    # What tells that results are there is a sign of ours, no file of the folder.
    told = work.continuous.ready if work.continuous is not None else None
    ready = work.prefix + told.blob if told is not None else ""
    work.noticed.clear()

    nonces = azcopy_record.Nonces()
    rooms.files.scratch.take_listing(nonces.watch(counted()), work.prefix)
    nonces.note(rooms, work)


def _mark(rooms: Rooms, work: Work) -> None:
    if work.run.is_published:
        frozen.mark_what_to_heal(rooms, work)
    # A blob of the same size may be the very file: its MD5 decides, so that nothing identical is sent again.
    _hash(rooms, work, rooms.files.plan.to_hash_first(work.run))
    if work.run.foreign_blobs:
        may_differ = work.continuous is not None and work.continuous.is_frozen
        rooms.files.scratch.hold(
            (blob, "taken-over")
            for blob in rooms.files.plan.unpublished_that_differ(work.run)
            if not may_differ or may_differ(blob)
        )


def _given_up(files: Files, run: Run) -> int:
    """Blobs that no try of ours may put right: they are the caller's to flag (the sheet's is the sheet step's)."""
    held = sum(files.scratch.held(code)[0] for code in ("lost", "taken-over"))
    return held + int(sheets.is_lost(files, run))


def all_is_ours(rooms: Rooms, work: Work) -> bool:
    """Is every blob below the prefix a file of our source, by size and MD5? Sizes first: another run is recognised by
    them without reading a file. By the walk and the listing in the ledger; MD5s that are computed are kept.
    """
    if rooms.files.plan.foreign_blobs(work.run, by_md5=False):
        return False
    _hash(rooms, work, rooms.files.plan.to_hash_first(work.run))
    return not rooms.files.plan.foreign_blobs(work.run, by_md5=True)


def what_stands_still(rooms: Rooms, work: Work) -> None:
    """Of a run that goes on: send what is not held, and prove it as ``verify`` asks, so that nothing of that remains
    for its end. Raises RunChanged for files that moved all the same, UploadFailed; what went through is written down
    before."""
    problem: FilesChanged | UploadFailed | None
    try:
        # Sent by a pass that was cut off, or only touched: not sent again if it is the same.
        _hash(rooms, work, rooms.files.plan.to_hash_early(work.run))
        problem = _send_and_hash(rooms, work, rooms.files.plan.to_send_without_md5)
    except FilesChanged as error:
        problem = error
        rooms.files.learn_md5s(work.run)
        take_listing(rooms, work)
    rooms.files.verdict(work.run)
    if read_back.until(
        rooms,
        work,
        Evidence.from_label(rooms.settings.upload.verify),
        _WHY_READ_BACK[rooms.settings.upload.verify],
    ):
        # The listing is corrected for blobs that hold other bytes.
        problem = _send_and_hash(rooms, work, rooms.files.plan.to_send_without_md5) or problem
        rooms.files.verdict(work.run)
    if problem is not None:
        raise problem


def _send_and_hash(
    rooms: Rooms, work: Work, to_hash: Callable[[Run], Iterator[FileToSend]]
) -> UploadFailed | None:
    """Send what is missing while the MD5s are computed; list again if anything was sent."""
    count, size = rooms.files.plan.to_send(work.run)
    # One that computes no MD5s opens files by itself, by their paths.
    led = bool(count) and not rooms.uploader().computes_md5
    try:
        problem = _sent_and_hashed(rooms, work, to_hash, count, size)
    except FilesChanged:
        if led:
            take_listing(rooms, work)
            led_away.undo(rooms, work, lambda files: _send_natively(rooms, work, files))
        raise
    if count:
        take_listing(rooms, work)
    if led and led_away.undo(rooms, work, lambda files: _send_natively(rooms, work, files)):
        take_listing(rooms, work)
    return problem


def _sent_and_hashed(
    rooms: Rooms, work: Work, to_hash: Callable[[Run], Iterator[FileToSend]], count: int, size: int
) -> UploadFailed | None:
    files, run = rooms.files, work.run
    problem: UploadFailed | None = None
    if count:
        claims.take(rooms, work, lambda: all_is_ours(rooms, work))
        neighbours.none_below(rooms, work)
        uploader = _uploader(rooms, work)
        if run.foreign_blobs:
            files.plan.note_begun(run)
        _log.info("%s: sending %d files, %s", work.key, count, human_size(size))
        apart = rooms.hashes_meanwhile and not uploader.computes_md5
        meanwhile = to_hash(run) if apart else iter(())
        with Hasher(work.root, meanwhile, rooms.hash_readers) as hasher:
            took = _Hashes(rooms, work)
            try:
                _upload(rooms, work, uploader, count, size, hasher, took)
            except UploadFailed as error:
                problem = error
            hasher.grow(rooms.settings.upload.source_readers)
            _finish(rooms, work, hasher, took)
        work.sent_files += count
        work.sent_bytes += size
    files.learn_md5s(run)
    _hash(rooms, work, to_hash(run))
    return problem


def _uploader(rooms: Rooms, work: Work) -> UploadSession:
    uploader = rooms.uploader()
    if not uploader.computes_md5 and azcopy_record.was_cut_off(rooms, work):
        _log.info(
            "%s: AzCopy was cut off while it uploaded this run; the rest is uploaded natively", work.key
        )
        return rooms.native()
    return uploader


def _upload(
    rooms: Rooms,
    work: Work,
    uploader: UploadSession,
    count: int,
    size: int,
    hasher: Hasher,
    took: "_Hashes",
) -> None:
    started = rooms.clock.monotonic()
    direct: list[FileToSend] = []
    in_blocks = put_blob_mib(os.environ) * 1024 * 1024

    def listed() -> Iterator[FileToSend]:
        for file in rooms.files.plan.each_to_send(work.run):
            is_ours = uploader.computes_md5 or file.size <= in_blocks
            # Among blocks that another upload left, AzCopy's would fail: their ids have another length.
            if uploader.can_carry(file) and (is_ours or not _has_leftovers(rooms, work, file)):
                yield file
            else:
                direct.append(file)

    def tick(at: Tick) -> None:
        took.take(hasher.drain())
        claims.keep(rooms, work)
        seconds = max(rooms.clock.monotonic() - started, 0.001)
        progress = Progress(work.key, "uploading", at.files, count, at.bytes, size, at.bytes / seconds)
        rooms.progress(work, progress)

    rooms.must_hold_lock()
    record = azcopy_record.LedgerJobRecord(rooms, work)
    job = Job(work.key, work.root, work.base, listed(), count, size, record)
    problem: UploadFailed | None = None
    try:
        rooms.files.scratch.sent(uploader.carry(job, tick))
    except UploadFailed as error:
        problem = error
    # Not in a ``finally``: asked to stop, or refused, we begin nothing new.
    _send_natively(rooms, work, direct)
    if problem is not None:
        raise problem


def _send_natively(rooms: Rooms, work: Work, files: Sequence[FileToSend]) -> None:
    """What AzCopy cannot take: few names, and what replaces a blob."""
    if not files:
        return
    rooms.must_hold_lock()
    size = sum(file.size for file in files)
    job = Job(work.key, work.root, work.base, files, len(files), size)
    rooms.files.scratch.sent(rooms.native().carry(job, lambda at: claims.keep(rooms, work)))


def _has_leftovers(rooms: Rooms, work: Work, file: FileToSend) -> bool:
    return bool(rooms.lake().uncommitted_blocks(work.prefix + file.blob))


def _hash(rooms: Rooms, work: Work, files: Iterator[FileToSend]) -> None:
    first = next(files, None)
    if first is None:
        return

    def again() -> Iterator[FileToSend]:
        yield first
        yield from files

    with Hasher(work.root, again(), rooms.settings.upload.source_readers) as hasher:
        _finish(rooms, work, hasher, _Hashes(rooms, work))


def _finish(rooms: Rooms, work: Work, hasher: Hasher, took: "_Hashes") -> None:
    started, before = rooms.clock.monotonic(), took.bytes
    while not hasher.finished:
        took.take(hasher.drain(0.2))
        seconds = max(rooms.clock.monotonic() - started, 0.001)
        rate = (took.bytes - before) / seconds
        rooms.progress(work, Progress(work.key, "hashing", took.files, 0, took.bytes, 0, rate))
    took.end()


class _Hashes:
    """Takes MD5s into the ledger in batches; remembers what could not be hashed, and says so at the end."""

    def __init__(self, rooms: Rooms, work: Work) -> None:
        self._rooms, self._work = rooms, work
        self._batch: list[tuple[FileToSend, bytes, int | None]] = []
        self._changed: list[str] = []
        self._unreadable = Few(_log, logging.WARNING, "%s: … and %d more files cannot be read", work.key)
        self.files = 0
        self.bytes = 0

    def take(self, hashes: Iterable[Hashed]) -> None:
        for hashed in hashes:
            file = hashed.file
            self.files += 1
            self.bytes += file.size
            if hashed.md5 is not None:
                self._batch.append((file, hashed.md5, hashed.ctime_ns))
                if len(self._batch) >= _BATCH:
                    self._flush()
            elif hashed.problem == "share":
                self._flush()
                raise SourceUnavailable(f"{self._work.key}: {file.blob} cannot be read: {hashed.detail}")
            elif hashed.problem == "unreadable":
                self._unreadable.show("%s: %s cannot be read: %s", self._work.key, file.blob, hashed.detail)
                self._rooms.files.plan.note_unreadable(self._work.run, file, hashed.detail)
            else:
                self._changed.append(file.blob)

    def _flush(self) -> None:
        if self._batch:
            self._rooms.files.set_md5s(self._work.run, self._batch)
            self._batch = []

    def end(self) -> None:
        """Raises RunChanged if files were not as the walk saw them."""
        self._flush()
        self._unreadable.end()
        if self._changed:
            names = ", ".join(self._changed[:5])
            raise FilesChanged(
                f"{self._work.key}: {len(self._changed)} files changed while they were carried: {names}"
            )


def _log_verdict(key: str, verdict: Verdict) -> None:
    _log.info(
        "%s: %d of %d files verified, weakest evidence %s, %d extra blobs",
        key,
        verdict.verified,
        verdict.files,
        verdict.weakest.label,
        verdict.extras,
    )
