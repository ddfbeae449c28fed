"""A person accepted what the source became: the marker is withdrawn, old bytes are kept, the new ones published.

In this order, so that a kill at any point leaves no marker over bytes that are not there, and no good copy lost: we ask
whether the marker may be deleted at all (if not, nothing is touched); snapshots keep the blobs that will be replaced;
the marker is deleted (the receipt stays: by it the run is known as published, should the ledger be lost now); the files
become an unpublished part of the manifest. From there on it is an ordinary publishing. Only exactly what was accepted
is replaced: anything that changed since is told anew.
"""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import AccessRefused, BlobMissing, BlobRefused, BlobReplaced, RunError
from sync_to_azure.transfer.ledger.overrides import Override
from sync_to_azure.core.model import FileToSend, Progress
from sync_to_azure.core.reasons import Reason
from sync_to_azure.manifest import documents
from sync_to_azure.transfer.steps import override_checks
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

UNFINISHED, FAILED, CHANGED, TAKEN_OVER = "unfinished", "failed", "changed", "taken-over"
"""What can be accepted: a run without its flags; one that failed and is held; a published run's changed files; other
bytes than somebody else published."""


class NotReplaced(RunError):
    """What was accepted cannot be done; nothing was changed at the destination. ``reason`` flags the run."""

    def __init__(self, run: str, reason: Reason) -> None:
        self.reason = reason
        super().__init__(f"{run}: {reason.text}", reason.advice)


def changed_files(
    context: PassContext, current: RunContext, changed: Differences, quiet: bool
) -> Differences:
    """Of a published run whose walk and differences are in the ledger: what is still to be told as changed.

    Where a person accepted exactly these files, and the run is quiet, they are made ready to be published, and nothing
    is left to be told. Raises NotReplaced.
    """
    run, files = current.run, context.files
    moved = files.changes.note_moved(run)
    if changed.count == 0 and not files.changes.pending(run):
        return changed
    offer = files.changes.offered(run)
    covered = (
        _replaces(current.override)
        and current.override is not None
        and _covers(current.override, offer.digest)
    )
    if not covered:
        if moved or files.changes.pending(run):
            names = moved or changed.names
            raise NotReplaced(
                current.key,
                Reason("changed-after-accept", {"count": len(moved) + changed.count, "names": names}),
            )
        if override_checks.accepts(current.override, CHANGED):
            changed.code = "changed-after-accept"
        return changed
    if not quiet or context.settings.mode.dry_run:
        return changed
    if changed.count:
        _receipt_stands(context, current)
        _may_withdraw(context, current)
        _keep(context, current)
        _withdraw(context, current)
        files.changes.apply(run)
        context.ledger.append_event(run, context.clock.now(), "withdrawn", {"count": offer.count})
        _log.warning("%s: %d accepted files replace what was published", current.key, changed.count)
    return Differences()


def taken_over(context: PassContext, current: RunContext, others: list[FileToSend]) -> bool:
    """Blobs of somebody else that differ were just held: put down which, and True if a person accepted exactly these
    and the marker is withdrawn; the run is then an ordinary, unpublished one. Raises NotReplaced."""
    run, files = current.run, context.files
    files.changes.offer_held(run, "taken-over", others)
    offer = files.changes.offered(run)
    if current.override is None or not (
        override_checks.accepts(current.override, TAKEN_OVER) and _covers(current.override, offer.digest)
    ):
        return False
    _may_withdraw(context, current)
    _keep(context, current)
    if current.continuous is None:
        # What is published of a continuous folder goes on standing.
        _withdraw(context, current)
    files.changes.apply(run)
    context.ledger.set(run, foreign_blobs=0)
    _log.warning("%s: %d blobs of another writer are replaced, as accepted", current.key, offer.count)
    return True


def take_back(context: PassContext, current: RunContext) -> None:
    """Nobody accepts any more what is half done (released, or the source is gone): the manifest is what it was. The
    lake is asked anew, and the marker comes back when all of it is verified."""
    run = current.run
    if not run.is_published or not context.files.changes.pending(run):
        return
    if _replaces(current.override) and current.folder is not None:
        return
    context.files.changes.take_back(run)
    context.ledger.doubt_remote(run)
    _log.warning("%s: what was accepted is taken back; the published manifest counts again", current.key)


def _replaces(override: Override | None) -> bool:
    """Of a continuous folder, which is published while it goes on, blobs of somebody else may be accepted, too."""
    return override_checks.accepts(override, CHANGED) or override_checks.accepts(override, TAKEN_OVER)


def _covers(override: Override, digest: str) -> bool:
    return override.about.get("digest") == digest


def _receipt_stands(context: PassContext, current: RunContext) -> None:
    name = current.base + ".json"
    values = documents.parse_receipt(context.lake().get(name) or b"")
    if values is None or values.get("generation") != current.run.generation:
        raise RunError(
            f"{name} is not the receipt of what was published, so nothing is replaced",
            f"{override_checks.command(context.settings.general, 'retry', current.key)} checks all of it again",
        )


def _keep(context: PassContext, current: RunContext) -> None:
    """The bytes that will be replaced stay as snapshots; each is noted, so that an interrupted keeping goes on."""
    for number, blob in enumerate(context.files.changes.without_snapshot(current.run)):
        try:
            snapshot = context.lake().snapshot(current.prefix + blob)
        except BlobMissing:
            snapshot = ""
        except (AccessRefused, BlobRefused) as error:
            raise NotReplaced(current.key, Reason("snapshot-refused", {"problem": error.message})) from error
        context.files.changes.set_snapshot(current.run, blob, snapshot)
        context.progress(current, Progress(current.key, "keeping", number + 1))


def _may_withdraw(context: PassContext, current: RunContext) -> None:
    """Asked before anything is written: where the role cannot delete, nothing changes."""
    if current.continuous is not None:
        return
    try:
        context.deleting_lake().may_delete(current.base + ".sync")
    except BlobMissing:
        _log.info("%s: its marker no longer exists", current.key)
    except (AccessRefused, BlobRefused) as error:
        raise NotReplaced(current.key, Reason("withdraw-refused", {"problem": error.message})) from error


def _withdraw(context: PassContext, current: RunContext) -> None:
    override_checks.go_on(context, current)
    context.ledger.doubt_remote(current.run)
    if current.continuous is not None:
        # It has no marker.
        return
    try:
        marker = current.base + ".sync"
        found = context.lake().stat(marker)
        if found is not None:
            context.deleting_lake().delete(marker, found.etag)
    except (AccessRefused, BlobReplaced, BlobRefused) as error:
        raise NotReplaced(current.key, Reason("withdraw-refused", {"problem": error.message})) from error
    _log.warning("%s: its marker is withdrawn", current.key)
