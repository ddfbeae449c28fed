"""What changes of a run's state are for programs: events, made of what the ledger knows. Pure."""

from __future__ import annotations

from sync_to_azure.core.model import Evidence, State
from sync_to_azure.core.reasons import Reason, RunStatus, run_status
from sync_to_azure.events.run_events import (
    Destination,
    Document,
    Event,
    RunChanged,
    RunNeedsAttention,
    RunPublished,
    RunRemoved,
)
from sync_to_azure.transfer.ledger.run import Flow, Run

AUDIT = "audit-wrong"
_MOST_TEXT = 2000
_OUTCOMES = ("finished", "accepted unfinished", "continuous")
"""What a receipt says; one that others wrote may hold anything."""


def source_of(flow: Flow) -> str:
    """A URI reference that stays the same when the ledger is lost."""
    return f"/sync_to_azure/flow/{flow.key}"


def destination_of(flow: Flow) -> Destination:
    return Destination(flow.endpoint, flow.container, flow.destination)


def base_of(flow: Flow, key: str) -> str:
    return f"{flow.destination}/{key}" if flow.destination else key


def published(
    flow: Flow,
    run: Run,
    generation: int,
    manifest_sha256: str,
    receipt_sha256: str,
    files: int,
    size: int,
    weakest: int | None,
    outcome: object,
    new: tuple[int, int, int] | None,
) -> Event:
    """``new``: files and bytes that this generation is the first to publish, and how many of them replaced published
    ones; None where it was adopted."""
    base = base_of(flow, run.key)
    manifest = Document(f"{base}.files.jsonl", manifest_sha256)
    receipt = Document(f"{base}.json", receipt_sha256)
    evidence = Evidence(weakest or 0).label
    how = outcome if isinstance(outcome, str) and outcome in _OUTCOMES else "unknown"
    if run.announced is None:
        return RunPublished(
            run=run.key,
            generation=generation,
            destination=destination_of(flow),
            manifest=manifest,
            receipt=receipt,
            files=files,
            bytes=size,
            weakest_evidence=evidence,
            outcome=how,
            profile=run.profile,
            is_adopted=new is None,
        )
    new_files, new_bytes, replaced = new or (None, None, None)
    return RunChanged(
        run=run.key,
        generation=generation,
        destination=destination_of(flow),
        manifest=manifest,
        receipt=receipt,
        files=files,
        bytes=size,
        weakest_evidence=evidence,
        outcome=how,
        profile=run.profile,
        is_adopted=new is None,
        new_files=new_files,
        new_bytes=new_bytes,
        replaced_files=replaced,
    )


def of_state(flow: Flow, run: Run, state: State, reason: Reason | None, names_allowed: bool) -> Event | None:
    """What becomes of a run as its state changes to this one, before it is written."""
    if state is State.REMOVED and run.state is State.REMOVING:
        receipt = f"{base_of(flow, run.key)}.json"
        return RunRemoved(
            run=run.key,
            generation=run.generation,
            destination=destination_of(flow),
            receipt=Document(receipt, run.receipt_sha256) if run.receipt_sha256 else None,
            files=run.files,
            bytes=run.bytes,
        )
    if not _needs(state, reason, run) or reason is None:
        return None
    if _needs(run.state, run.reason, run) and run.reason is not None and run.reason.code == reason.code:
        return None
    count = reason.parameters.get("count")
    return RunNeedsAttention(
        run=run.key,
        code=reason.code,
        advice=reason.advice[:_MOST_TEXT],
        count=count if type(count) is int else None,
        text=reason.text[:_MOST_TEXT] if names_allowed else None,
        is_published=run.is_published,
        destination=destination_of(flow),
    )


def _needs(state: State, reason: Reason | None, run: Run) -> bool:
    return run_status(state, reason, run.is_published) is RunStatus.NEEDS_ATTENTION


def damaged(flow: Flow, run: str, count: int) -> Event:
    """An audit found that a published run is not there as it was published."""
    return RunNeedsAttention(
        run=run,
        code=AUDIT,
        advice="run sync_to_azure explain with the name of the run",
        count=count,
        text=None,
        is_published=True,
        destination=destination_of(flow),
    )
