"""What is published at the destination already? Asked once a run, and again after anything that may have been cut off.

The ledger can be lost, and a crash can fall between the marker and the ledger's note of it: the published manifest is
what counts, so it is read before anything is compared or sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import BlobMissing, DocumentTooLarge, RunError
from sync_to_azure.transfer.ledger import announcing
from sync_to_azure.transfer.ledger.audits import Audits
from sync_to_azure.transfer.ledger.azcopy_history import AzCopyHistory
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.transfer.ledger.removal_queries import ADOPTED
from sync_to_azure.core.model import Evidence
from sync_to_azure.core.reasons import Reason
from sync_to_azure.manifest import documents
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.steps import ownership, spool, vouching
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

AZCOPY_EXPIRY = "azcopy_credentials_expire"
"""In a receipt's ``times``: when all credentials that AzCopy was given for the run have expired; null if none was."""


class OtherKind(RunError):
    """It was published as a run that is finished, and this profile would carry it as one that never is; or the other
    way round."""

    def __init__(self, run: str, is_continuous: bool) -> None:
        there = "a project that is never done" if is_continuous else "a run that is finished"
        self.reason = Reason("other-kind", {"there": there})
        super().__init__(f"{run}: {self.reason.text}", self.reason.advice)


@dataclasses.dataclass(frozen=True, slots=True)
class _Published:
    """What stands at the destination. ``is_marked``: it says by itself that the run is published; ``text``: the receipt
    as it was read."""

    is_marked: bool
    text: bytes | None
    receipt: Mapping[str, Any] | None

    @property
    def generation(self) -> int:
        return int((self.receipt or {}).get("generation") or 1)


def publication(context: PassContext, current: RunContext) -> None:
    """Take over what the lake says of this run, until its documents are whole each time it is carried. Raises
    OtherFlow, OtherKind."""
    run, there = current.run, _read(context, current)
    is_newer = there.receipt is not None and there.generation > run.generation
    is_known = run.manifest_cached and not is_newer if run.is_published else there.receipt is None
    if not there.is_marked and is_known:
        # Never published, or cut off before the receipt: what stands there is no claim of ours. A receipt is one, with
        # its marker or without. Of a published run the ledger knows what shall stand there.
        current.republish = run.is_published
        taken_over = int(current.continuous is not None)
        context.ledger.note_asked(run, is_known=not current.republish, foreign_blobs=taken_over)
        return
    if there.receipt is None:
        # The tool before this one wrote a marker and nothing else: its blobs count, and are not overwritten.
        context.ledger.note_asked(run, is_known=True, foreign_blobs=1)
        if context.ledger.report_once(f"taken-over:{current.key}", context.clock.now()):
            _log.warning(
                "%s: the destination has the marker of another tool; its blobs are verified, none is replaced",
                run.key,
            )
        return
    current.receipt = there.receipt
    azcopy_until = documents.time_in(there.receipt, AZCOPY_EXPIRY)
    if azcopy_until is not None:
        AzCopyHistory(context.ledger).note_receipt(run, azcopy_until)
    listed, summed, doubt = _take_documents(context, current, there)
    digests = there.receipt.get("sha256") or {}
    wanted = (digests.get(f"{run.key}.files.jsonl"), digests.get(f"{run.key}.md5"))
    if wanted[0] != listed:
        _read_again(context, current, listed)
    # A publishing that was cut off between its blobs: every line is true, the set is written again.
    is_whole = there.is_marked and wanted == (listed, summed)
    current.ready_is_due = _ready_is_due(context, current, there.receipt, is_whole)
    current.republish = not is_whole or current.ready_is_due
    _note(context, current, there, listed, doubt, is_whole)
    _log.info(
        "%s: published before (%s files); its manifest was read from the container, %s",
        run.key,
        run.files,
        f"its files count as listed: {doubt}" if doubt else "confirmed by the evidence-key",
    )


def _read(context: PassContext, current: RunContext) -> _Published:
    """Marker and receipt. Raises RunError where they contradict the ledger, or are not ours to go on with."""
    run, lake = current.run, context.lake()
    # The marker first: another machine may publish meanwhile. A continuous folder has none: its receipt is its claim,
    # but while accepted files are under way, of which the ledger alone knows what was kept of them.
    is_marked = current.continuous is None and lake.exists(current.base + ".sync")
    text = lake.get(current.base + ".json")
    if current.continuous is not None and not context.files.changes.pending(run):
        is_marked = text is not None
    receipt = documents.parse_receipt(text) if text is not None else None
    if text is not None and receipt is None:
        raise RunError(
            f"{current.base}.json is no receipt that this version can read",
            "move it away, or use a newer version",
        )
    if receipt is not None:
        ownership.of_receipt(context, current, receipt)
        is_continuous = receipt.get("outcome") == "continuous"
        if is_continuous is not (current.continuous is not None):
            raise OtherKind(current.key, is_continuous)
    if not is_marked and run.is_published and not run.manifest_cached and receipt is None:
        raise RunError(
            f"{current.key} was published, but neither its marker nor its receipt is at the destination any more",
            "restore them",
        )
    return _Published(is_marked, text, receipt)


def _take_documents(context: PassContext, current: RunContext, there: _Published) -> tuple[str, str, str]:
    """The manifest into the ledger: its SHA-256, that of the other form, and why it proves nothing (or nothing)."""
    summed = hashlib.sha256()
    assert there.receipt is not None
    context.files.forget(current.run)
    try:
        listed, doubt = _take_manifest(context, current, there.receipt, there.generation)
        # Where it is missing, it is written again from the manifest.
        with contextlib.suppress(BlobMissing):
            for chunk in context.lake().read(current.base + ".md5", most=bounded.MOST_MANIFEST):
                summed.update(chunk)
    except DocumentTooLarge:
        context.files.forget(current.run)
        raise
    except (ValueError, BlobMissing) as error:
        context.files.forget(current.run)
        raise RunError(
            f"{current.base}.files.jsonl cannot be read: {error}", "restore it, or move the marker away"
        ) from error
    return listed, summed.hexdigest(), doubt


def _note(
    context: PassContext, current: RunContext, there: _Published, listed: str, doubt: str, is_whole: bool
) -> None:
    run, receipt, now = current.run, there.receipt, context.clock.now()
    assert receipt is not None
    receipt_sha256 = hashlib.sha256(there.text or b"").hexdigest()
    weakest = int(Evidence.LISTED) if doubt else _weakest(receipt)
    files, size = int(receipt.get("files") or 0), int(receipt.get("bytes") or 0)
    event = None
    # What is not whole is reported by the publishing that completes it.
    if is_whole and receipt_sha256 != run.announced:
        outcome = receipt.get("outcome")
        event = announcing.published(
            context.ledger.flow,
            run,
            there.generation,
            listed,
            receipt_sha256,
            files,
            size,
            weakest,
            outcome,
            None,
        )
    context.ledger.note_asked(
        run,
        # Should this pass not come to it, the next one writes them.
        is_known=not current.republish,
        event=event,
        now=now,
        announced=run.announced if event is None else receipt_sha256,
        foreign_blobs=int(current.continuous is not None),
        manifest_cached=1,
        generation=there.generation,
        files=files,
        bytes=size,
        weakest=weakest,
        verified_at=documents.time_in(receipt, "published"),
        published_at=documents.time_in(receipt, "published"),
        first_published=documents.time_in(receipt, "first_published"),
        receipt_sha256=receipt_sha256,
        **ended.of_receipt(receipt),
    )
    Audits(context.ledger).doubt(run)
    context.ledger.append_event(run, now, ADOPTED, {"generation": there.generation})


def _ready_is_due(
    context: PassContext, current: RunContext, receipt: Mapping[str, Any], is_whole: bool
) -> bool:
    """Cut off within the documents, or between the receipt and the sign that results are there: the pipelines may still
    wait for it. Better that they start once too often."""
    ready, told = current.continuous.ready if current.continuous is not None else None, documents.ready(
        receipt
    )
    if ready is None:
        return False
    if not is_whole or told is None:
        return not is_whole
    try:
        return context.lake().get(current.prefix + ready.blob) != f"{told[1]}\n".encode()
    except DocumentTooLarge:
        return True


def _read_again(context: PassContext, current: RunContext, listed: str) -> None:
    """A manifest that its receipt does not vouch for: was it damaged on its way to us? Then its rows must not stay."""
    again = hashlib.sha256()
    for line in context.lake().lines(current.base + ".files.jsonl"):
        again.update(line + b"\n")
    if again.hexdigest() != listed:
        context.files.forget(current.run)
        raise RunError(
            f"{current.base}.files.jsonl differed when it was read twice", "the next pass reads it again"
        )


def is_overtaken(context: PassContext, current: RunContext) -> bool:
    """Has more been published than the ledger knows? By another machine, or by us before the ledger was set back."""
    run, lake = current.run, context.lake()
    text = lake.get(current.base + ".json") or b""
    if documents.is_newer(text):
        raise RunError(
            f"{current.base}.json was written by a newer version of sync_to_azure", "use that version"
        )
    receipt = documents.parse_receipt(text)
    current.receipt = receipt or current.receipt
    if run.is_published:
        if receipt is not None:
            ownership.of_receipt(context, current, receipt)
        return receipt is not None and int(receipt.get("generation") or 1) > run.generation
    if current.continuous is not None:
        return receipt is not None
    return (receipt is not None or not run.foreign_blobs) and lake.exists(current.base + ".sync")


def documents_stand(context: PassContext, current: RunContext) -> bool:
    """Are manifest, receipt and marker of a published run still there, as we published or adopted them?"""
    lake = context.lake()
    if current.continuous is None and not lake.exists(current.base + ".sync"):
        return False
    text = lake.get(current.base + ".json") or b""
    receipt, ours = documents.parse_receipt(text), current.run.receipt_sha256
    if receipt is None or receipt.get("generation") != current.run.generation:
        return False
    if ours is not None and hashlib.sha256(text).hexdigest() != ours:
        _log.warning(
            "%s: its receipt is not the one that was published; its documents are written again", current.key
        )
        return False
    for suffix in (".md5", ".files.jsonl"):
        digest = hashlib.sha256()
        try:
            for chunk in lake.read(current.base + suffix, most=bounded.MOST_MANIFEST):
                digest.update(chunk)
        except (BlobMissing, DocumentTooLarge):
            return False
        if digest.hexdigest() != (receipt.get("sha256") or {}).get(current.key + suffix):
            return False
    return True


def lacks_documents(context: PassContext, current: RunContext) -> bool:
    """Does the marker of a published run stand, and manifest or receipt are gone or others? A marker that somebody took
    away is told, and written anew only by a thorough look: it may have been meant."""
    return context.lake().exists(current.base + ".sync") and not documents_stand(context, current)


def _take_manifest(
    context: PassContext, current: RunContext, receipt: Mapping[str, Any], generation: int
) -> tuple[str, str]:
    """Its rows into the ledger; its checksum, and why it proves nothing (empty if our key vouches for it). It is
    believed only when all of it was read: until then, it lies beside the ledger."""
    name, lake = current.base + ".files.jsonl", context.lake()
    stands = lake.stat(name)
    if stands is not None:
        spool.must_have_room(context, name, stands.size)
    listed = hashlib.sha256()

    def lines() -> Iterator[bytes]:
        for line in lake.lines(name):
            listed.update(line + b"\n")
            yield line + b"\n"

    with spool.spooled(context.ledger, lines()) as manifest:
        doubt = vouching.doubt(context.settings.identity, context.settings.destination, current.key, receipt)
        if (
            not doubt
            and (receipt.get("sha256") or {}).get(f"{current.key}.files.jsonl") != listed.hexdigest()
        ):
            doubt = "its manifest is not the one that its receipt was written for"
        manifest.seek(0)
        rows = documents.file_rows((line.removesuffix(b"\n") for line in manifest), generation)
        context.files.put(run=current.run, rows=_only_listed(rows) if doubt else rows, adopted=True)
    return listed.hexdigest(), doubt


def _only_listed(rows: Iterator[FileRow]) -> Iterator[FileRow]:
    """Whoever may write to the container may have written them: they prove nothing."""
    for row in rows:
        yield dataclasses.replace(row, evidence=min(row.evidence, Evidence.LISTED), etag_is_own=False)


def _weakest(receipt: Mapping[str, Any]) -> int | None:
    try:
        return int(Evidence.from_label(str(receipt.get("weakest_evidence"))))
    except KeyError:
        return None
