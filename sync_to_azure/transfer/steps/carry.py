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
    scan,
    neighbours,
    read_back,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.context import PassContext, RunContext
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
    " --uploader native avoids that for what it sends",
    "read-back": "because verify = read-back asks for it",
}


def until_verified(context: PassContext, current: RunContext, listed: bool = False) -> Verdict:
    """``listed``: a listing was just taken (and maybe corrected). Raises RunChanged when the source moved meanwhile,
    RunError when all tries failed, Overtaken when somebody else wrote below the run since it was listed: then it has to
    be decided again what is to be sent."""
    if not listed:
        take_listing(context, current)
    least = Evidence.from_label(context.settings.upload.verify)
    tries, wrong_before = 0, sys.maxsize
    while True:
        override_checks.go_on(context, current)
        misread: list[str] = []
        _mark(context, current)
        problem = _send_and_hash(context, current, context.files.plan.without_md5)
        verdict = context.files.verdict(current.run)
        _log_verdict(current.key, verdict)
        if isinstance(problem, Overtaken):
            raise problem
        if verdict.wrong_count <= _given_up(context.files, current.run):
            if problem is not None and problem.is_try:
                _log.warning(
                    "%s: %s; the listing agrees with the manifest all the same", current.key, problem
                )
            misread = read_back.until(context, current, least, _WHY_READ_BACK[context.settings.upload.verify])
            if not misread:
                return context.files.verdict(current.run)
            problem = UploadFailed(
                f"{len(misread)} blobs contain other bytes than their MD5: {', '.join(misread[:5])}"
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
        if scan.fingerprint_now(context, current) != current.fingerprint:
            raise FilesChanged(f"{current.key}: files changed during the upload")
        if tries >= context.settings.upload.retry_times:
            raise RunError(f"{current.key}: not verified after {tries} tries: {what}")
        if not misread:
            context.files.doubt_md5s(current.run)
        if not is_try:
            _log.info("%s: %s", current.key, what)
        else:
            _log.warning(
                "%s: try %d of %d: %s", current.key, tries, context.settings.upload.retry_times, what
            )
            context.clock.sleep(min(_LONGEST_BACK_OFF, 2.0**tries / 2) * random.uniform(0.5, 1.0))


def take_listing(context: PassContext, current: RunContext) -> None:
    """List DEST/RUN/ into the ledger's ``listing`` table."""

    def counted() -> Iterator[Blob]:
        for number, blob in enumerate(context.lake().list(current.prefix)):
            if number % 1000 == 999:
                context.progress(current, Progress(current.key, "listing", number + 1))
            if blob.name.endswith(neighbours.NOTICED) and len(current.noticed) < _NOTICED:
                current.noticed.append(blob.name.removeprefix(current.prefix))
            if blob.name != ready:
                yield blob

    # What tells that results are there is a sign of ours, no file of the folder.
    told = current.continuous.ready if current.continuous is not None else None
    ready = current.prefix + told.blob if told is not None else ""
    current.noticed.clear()

    nonces = azcopy_record.Nonces()
    context.files.scratch.take_listing(nonces.watch(counted()), current.prefix)
    nonces.note(context, current)


def _mark(context: PassContext, current: RunContext) -> None:
    if current.run.is_published:
        frozen.mark_what_to_heal(context, current)
    # A blob of the same size may be the very file: its MD5 decides, so that nothing identical is sent again.
    _hash(context, current, context.files.plan.to_hash_first(current.run))
    if current.run.foreign_blobs:
        may_differ = current.continuous is not None and current.continuous.is_frozen
        context.files.scratch.hold(
            (blob, "taken-over")
            for blob in context.files.plan.unpublished_that_differ(current.run)
            if not may_differ or may_differ(blob)
        )


def _given_up(files: Files, run: Run) -> int:
    """Blobs that no try of ours may put right: they are the caller's to flag (the sheet's is the sheet step's)."""
    held = sum(files.scratch.held(code)[0] for code in ("lost", "taken-over"))
    return held + int(sheets.is_lost(files, run))


def all_is_ours(context: PassContext, current: RunContext) -> bool:
    """Is every blob below the prefix a file of our source, by size and MD5? Sizes first: another run is recognised by
    them without reading a file. By the walk and the listing in the ledger; MD5s that are computed are kept.
    """
    if context.files.plan.foreign_blobs(current.run, by_md5=False):
        return False
    _hash(context, current, context.files.plan.to_hash_first(current.run))
    return not context.files.plan.foreign_blobs(current.run, by_md5=True)


def what_stands_still(context: PassContext, current: RunContext) -> None:
    """Of a run that goes on: send what is not held, and prove it as ``verify`` asks, so that nothing of that remains
    for its end. Raises RunChanged for files that moved all the same, UploadFailed; what went through is written down
    before."""
    problem: FilesChanged | UploadFailed | None
    try:
        # Sent by a pass that was cut off, or only touched: not sent again if it is the same.
        _hash(context, current, context.files.plan.to_hash_early(current.run))
        problem = _send_and_hash(context, current, context.files.plan.to_send_without_md5)
    except FilesChanged as error:
        problem = error
        context.files.learn_md5s(current.run)
        take_listing(context, current)
    context.files.verdict(current.run)
    if read_back.until(
        context,
        current,
        Evidence.from_label(context.settings.upload.verify),
        _WHY_READ_BACK[context.settings.upload.verify],
    ):
        # The listing is corrected for blobs that hold other bytes.
        problem = _send_and_hash(context, current, context.files.plan.to_send_without_md5) or problem
        context.files.verdict(current.run)
    if problem is not None:
        raise problem


def _send_and_hash(
    context: PassContext, current: RunContext, to_hash: Callable[[Run], Iterator[FileToSend]]
) -> UploadFailed | None:
    """Send what is missing while the MD5s are computed; list again if anything was sent."""
    count, size = context.files.plan.to_send(current.run)
    # One that computes no MD5s opens files by itself, by their paths.
    led = bool(count) and not context.uploader().computes_md5
    try:
        problem = _sent_and_hashed(context, current, to_hash, count, size)
    except FilesChanged:
        if led:
            take_listing(context, current)
            led_away.undo(context, current, lambda files: _send_natively(context, current, files))
        raise
    if count:
        take_listing(context, current)
    if led and led_away.undo(context, current, lambda files: _send_natively(context, current, files)):
        take_listing(context, current)
    return problem


def _sent_and_hashed(
    context: PassContext,
    current: RunContext,
    to_hash: Callable[[Run], Iterator[FileToSend]],
    count: int,
    size: int,
) -> UploadFailed | None:
    files, run = context.files, current.run
    problem: UploadFailed | None = None
    if count:
        claims.take(context, current, lambda: all_is_ours(context, current))
        neighbours.none_below(context, current)
        uploader = _uploader(context, current)
        if run.foreign_blobs:
            files.plan.note_begun(run)
        _log.info("%s: sending %d files, %s", current.key, count, human_size(size))
        apart = context.hashes_meanwhile and not uploader.computes_md5
        meanwhile = to_hash(run) if apart else iter(())
        with Hasher(current.root, meanwhile, context.hash_readers) as hasher:
            took = _Hashes(context, current)
            try:
                _upload(context, current, uploader, count, size, hasher, took)
            except UploadFailed as error:
                problem = error
            hasher.grow(context.settings.upload.source_readers)
            _finish(context, current, hasher, took)
        current.sent_files += count
        current.sent_bytes += size
    files.learn_md5s(run)
    _hash(context, current, to_hash(run))
    return problem


def _uploader(context: PassContext, current: RunContext) -> UploadSession:
    uploader = context.uploader()
    if not uploader.computes_md5 and azcopy_record.was_cut_off(context, current):
        _log.info(
            "%s: AzCopy was cut off while it uploaded this run; the rest is uploaded natively", current.key
        )
        return context.native()
    return uploader


def _upload(
    context: PassContext,
    current: RunContext,
    uploader: UploadSession,
    count: int,
    size: int,
    hasher: Hasher,
    took: "_Hashes",
) -> None:
    started = context.clock.monotonic()
    direct: list[FileToSend] = []
    in_blocks = put_blob_mib(os.environ) * 1024 * 1024

    def listed() -> Iterator[FileToSend]:
        for file in context.files.plan.each_to_send(current.run):
            is_ours = uploader.computes_md5 or file.size <= in_blocks
            # Among blocks that another upload left, AzCopy's would fail: their ids have another length.
            if uploader.can_carry(file) and (is_ours or not _has_leftovers(context, current, file)):
                yield file
            else:
                direct.append(file)

    def tick(at: Tick) -> None:
        took.take(hasher.drain())
        claims.keep(context, current)
        seconds = max(context.clock.monotonic() - started, 0.001)
        progress = Progress(current.key, "uploading", at.files, count, at.bytes, size, at.bytes / seconds)
        context.progress(current, progress)

    context.must_hold_lock()
    record = azcopy_record.LedgerJobRecord(context, current)
    job = Job(current.key, current.root, current.base, listed(), count, size, record)
    problem: UploadFailed | None = None
    try:
        context.files.scratch.sent(uploader.carry(job, tick))
    except UploadFailed as error:
        problem = error
    # Not in a ``finally``: asked to stop, or refused, we begin nothing new.
    _send_natively(context, current, direct)
    if problem is not None:
        raise problem


def _send_natively(context: PassContext, current: RunContext, files: Sequence[FileToSend]) -> None:
    """What AzCopy cannot take: few names, and what replaces a blob."""
    if not files:
        return
    context.must_hold_lock()
    size = sum(file.size for file in files)
    job = Job(current.key, current.root, current.base, files, len(files), size)
    context.files.scratch.sent(context.native().carry(job, lambda at: claims.keep(context, current)))


def _has_leftovers(context: PassContext, current: RunContext, file: FileToSend) -> bool:
    return bool(context.lake().uncommitted_blocks(current.prefix + file.blob))


def _hash(context: PassContext, current: RunContext, files: Iterator[FileToSend]) -> None:
    first = next(files, None)
    if first is None:
        return

    def again() -> Iterator[FileToSend]:
        yield first
        yield from files

    with Hasher(current.root, again(), context.settings.upload.source_readers) as hasher:
        _finish(context, current, hasher, _Hashes(context, current))


def _finish(context: PassContext, current: RunContext, hasher: Hasher, took: "_Hashes") -> None:
    started, before = context.clock.monotonic(), took.bytes
    while not hasher.finished:
        took.take(hasher.drain(0.2))
        seconds = max(context.clock.monotonic() - started, 0.001)
        rate = (took.bytes - before) / seconds
        context.progress(current, Progress(current.key, "hashing", took.files, 0, took.bytes, 0, rate))
    took.end()


class _Hashes:
    """Takes MD5s into the ledger in batches; remembers what could not be hashed, and says so at the end."""

    def __init__(self, context: PassContext, current: RunContext) -> None:
        self._context, self._current = context, current
        self._batch: list[tuple[FileToSend, bytes, int | None]] = []
        self._changed: list[str] = []
        self._unreadable = Few(_log, logging.WARNING, "%s: … and %d more files cannot be read", current.key)
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
                raise SourceUnavailable(f"{self._current.key}: {file.blob} cannot be read: {hashed.detail}")
            elif hashed.problem == "unreadable":
                self._unreadable.show(
                    "%s: %s cannot be read: %s", self._current.key, file.blob, hashed.detail
                )
                self._context.files.plan.note_unreadable(self._current.run, file, hashed.detail)
            else:
                self._changed.append(file.blob)

    def _flush(self) -> None:
        if self._batch:
            self._context.files.set_md5s(self._current.run, self._batch)
            self._batch = []

    def end(self) -> None:
        """Raises RunChanged if files were not as the walk saw them."""
        self._flush()
        self._unreadable.end()
        if self._changed:
            names = ", ".join(self._changed[:5])
            raise FilesChanged(
                f"{self._current.key}: {len(self._changed)} files changed during the upload: {names}"
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
