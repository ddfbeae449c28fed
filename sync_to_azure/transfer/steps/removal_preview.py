"""``--dry-run`` for removal: exactly what would go, and what would stand in the way. The lake is asked, nothing changes
at either end; what the ledger learns goes with the copy of it that a dry run works on."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

from sync_to_azure.core.clock import local_time
from sync_to_azure.transfer.ledger.read_backs import TO_REMOVE
from sync_to_azure.transfer.ledger.removal_queries import changed_since
from sync_to_azure.core.model import Blob, Evidence
from sync_to_azure.core.reasons import Reason
from sync_to_azure.files.mounts import mounts_below
from sync_to_azure.transfer.steps import carry, read_back, removal_proof, sheets
from sync_to_azure.transfer.decisions import ended, removal_gate
from sync_to_azure.transfer.decisions.removal_gate import Fate, PublishedRun, RemovalRules, EntryState
from sync_to_azure.transfer.steps.looks import Differences, Sheet
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.notify.terminal import human_size

_log = logging.getLogger(__name__)

_SHOWN = 20


def show(context: PassContext, current: RunContext, again: bool = False, problem: str = "") -> None:
    """``again``: the folder stands aside already. ``problem``: why the main folder cannot be written at all."""
    rules = RemovalRules(context.rules, context.settings.removal.remove_excluded)
    context.files.scratch.clear_try()
    removal_proof.look_again(context, current)
    carry.take_listing(context, current)
    wrong = context.files.verdict(current.run).wrong_count
    facts = removal_proof.facts_of(context, current, removal_proof.ask(context, current), wrong)
    waits = removal_gate.waits(facts) if facts.marker is not None else None
    if waits is not None:
        why = " (AzCopy's credentials expire then)" if waits[0] == removal_gate.CREDENTIALS else ""
        _log.info("%s: would be removed from %s on%s", current.key, local_time(waits[1]), why)
        facts = dataclasses.replace(facts, after=0.0, credentials=0.0)
    decision = removal_gate.decide(
        facts, _read_back(removal_proof.seen_again(context.ledger, current.run)), rules
    )
    count, size, names = context.files.read_backs.archived(current.run, TO_REMOVE)
    if count:
        archived = {"count": count, "size": human_size(size), "names": names}
        problem = problem or Reason(read_back.ARCHIVED, archived).text
    decision.objection = problem or decision.objection
    if not decision.may_begin:
        _log.info(
            "%s: would not be removed%s: %s", current.key, " but put back" if again else "", decision.why
        )
        for each in decision.in_the_way:
            _log.info("%s: in the way: %s", current.key, each)
        return
    what = "its removal would go on" if again else "would be removed"
    _log.info("%s: %s: %s", current.key, what, _how_much(decision))
    count, size = context.files.read_backs.to_read_back(current.run, TO_REMOVE)
    if count:
        _log.info(
            "%s: of its blobs %d, %s, would be read back first%s",
            current.key,
            count,
            human_size(size),
            read_back.limit_in_words(context.settings.removal),
        )
    if not _tell_of_rehashing(context, current):
        count, size = changed_since(context.ledger.connection, current.run)
        if count:
            _log.info(
                "%s: %d files, %s, would be read once more first: they changed in some way since they were hashed",
                current.key,
                count,
                human_size(size),
            )
    _show_each(current.key, rules, _read_back(removal_proof.seen_again(context.ledger, current.run)))


def not_published(
    context: PassContext,
    current: RunContext,
    sheet: Sheet | None,
    sheet_problem: Reason | None,
    changed: Differences,
) -> str:
    """Of a dry run: why a pass would not publish it, or leave it flagged, although all of it arrives; or empty."""
    run, files = current.run, context.files
    if not files.verdict(run).files:
        return Reason("empty", {}).text
    if changed.count:
        return changed.reason.text
    lost, names = files.scratch.held("lost")
    if lost:
        return Reason("blob-lost", {"count": lost, "names": names}).text
    others = list(files.plan.unpublished_that_differ(run)) if run.foreign_blobs else []
    if others:
        return Reason("taken-over-differs", {"count": len(others), "names": others[:20]}).text
    count, uncarried = files.plan.uncarried(run, holding_up=True)
    if count:
        told = [f"{path} ({kind})" for path, kind, _ in uncarried[:20]]
        return Reason("uncarried", {"count": count, "names": told}).text
    if sheets.is_awaited(context, current, sheet):
        waits = current.sheet_waits or sheet_problem
        return waits.text if waits is not None else "it waits for its sample sheet"
    return ""


def show_after_carrying(context: PassContext, current: RunContext, problem: str) -> None:
    """Of a run that this pass would publish first: what it would remove then, if all of it arrives. ``problem``: why it
    would not be published, or not be removed, as a whole."""
    rules, now = RemovalRules(context.rules, context.settings.removal.remove_excluded), context.clock.now()
    removal_proof.look_again(context, current)
    facts = PublishedRun(
        now,
        now,
        now,
        mounts=mounts_below(current.root.path),
        never=ended.never_removed(current.run),
        service_now=now,
    )
    decision = removal_gate.decide(
        facts, _arrived(removal_proof.seen_again(context.ledger, current.run)), rules
    )
    decision.objection = problem or decision.objection
    if not decision.may_begin:
        _log.info("%s: would not be removed after that: %s", current.key, decision.why)
        return
    days = context.settings.removal.remove_after
    when = f"{days:g} days after that" if days else "after that"
    _log.info("%s: would be removed %s: %s", current.key, when, _how_much(decision))
    _tell_of_rehashing(context, current)
    _show_each(current.key, rules, _arrived(removal_proof.seen_again(context.ledger, current.run)))


def _tell_of_rehashing(context: PassContext, current: RunContext) -> bool:
    must = removal_proof.must_rehash(context, current)
    if must:
        _log.info("%s: its files would be read once more first", current.key)
    return must


def _how_much(decision: removal_gate.RemovalDecision) -> str:
    what = f"{decision.files} files, {human_size(decision.bytes)}, in {decision.folders} folders"
    return what + (f"; {decision.uncarried} of them are not at the destination" if decision.uncarried else "")


def _arrived(standings: Iterator[EntryState]) -> Iterator[EntryState]:
    """As if every file of the manifest had been sent and proved."""
    md5 = bytes(16)
    for standing in standings:
        row = standing.row
        if row is not None:
            row = dataclasses.replace(
                row,
                md5=md5,
                evidence=Evidence.VALIDATED,
                etag="sent",
                generation=1,
                etag_is_own=True,
                ctime_ns=standing.entry.ctime_ns,
            )
            blob = Blob(row.blob, row.size, md5, "sent")
            standing = dataclasses.replace(standing, row=row, blob=blob)
        yield standing


def _read_back(standings: Iterator[EntryState]) -> Iterator[EntryState]:
    """As if what is only listed, or not proved by our own requests, had been read back and found right; and what may
    have changed since it was hashed, at the source."""
    for standing in standings:
        row = standing.row
        if row is not None and (row.evidence is Evidence.LISTED or (row.evidence and not row.etag_is_own)):
            row = dataclasses.replace(row, evidence=Evidence.READ_BACK, etag_is_own=True)
        if row is not None:
            row = dataclasses.replace(row, ctime_ns=standing.entry.ctime_ns)
        yield dataclasses.replace(standing, row=row)


def _show_each(key: str, rules: RemovalRules, standings: Iterator[EntryState]) -> None:
    number = 0
    for standing in standings:
        if removal_gate.fate(standing, rules)[0] is Fate.GOES:
            number += 1
            level = logging.INFO if number <= _SHOWN else logging.DEBUG
            _log.log(level, "%s: would go: %s", key, standing.entry.path.decode("utf-8", "backslashreplace"))
    if number > _SHOWN:
        _log.info("%s: and %d files more; --log-level DEBUG names each", key, number - _SHOWN)
