"""`status`: all runs and their status, from the ledger alone; works during a pass, and shows its progress."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sync_to_azure.core.clock import iso
from sync_to_azure.transfer.views.audit_text import advice, brief
from sync_to_azure.transfer.views.since import time_since
from sync_to_azure.transfer.views.sentences import (
    at_work,
    not_uploaded,
    progress,
    scanned,
    sentence,
    undelivered,
    zoned,
)
from sync_to_azure.transfer.views.records import PassActivity, Record, Records, matching, records
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger.audits import Audited
from sync_to_azure.transfer.ledger.overrides import Override
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import RunStatus
from sync_to_azure.settings import Settings
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import folded, grid, human_size, is_coloured, terminal_width

SCHEMA = 1
_PROBLEMS = (RunStatus.NEEDS_ATTENTION, RunStatus.RETRYING)
_COLOURS = {
    RunStatus.SAFE: "32",
    RunStatus.WAITING: "33",
    RunStatus.RETRYING: "31",
    RunStatus.NEEDS_ATTENTION: "1;31",
    RunStatus.HELD: "36",
    RunStatus.IGNORED: "2",
    RunStatus.EMPTY: "2",
}


def run(
    settings: Settings,
    runs: Sequence[str],
    states: Sequence[str],
    problems: bool,
    since: str | None,
    as_json: bool,
) -> int:
    now = time.time()
    after = time_since(since, now) if since else None
    for state in states:
        if state not in choices():
            raise ConfigurationError(f"--state {plain(state)}: no state", f"one of {', '.join(choices())}")
    found = records(settings)
    chosen = [
        record
        for record in matching(found.runs, runs)
        if not states or {str(record.run.state), record.status.code} & set(states)
        if not problems or record.status in _PROBLEMS
        if after is None or record.since >= after
    ]
    if as_json:
        show(_dumped(document(settings, found, chosen, now)))
        return 0
    width = terminal_width(sys.stdout) if sys.stdout.isatty() else None
    filtered = bool(runs or states or problems or since)
    if problems and not chosen and not (runs or states or since):
        show("No run needs attention, and none is being retried.")
        return 0
    coloured = is_coloured(sys.stdout)
    show(text(found, chosen, filtered, now, width, coloured), coloured=coloured)
    return 0


def choices() -> list[str]:
    """What ``--state`` takes: statuses and states. ``waiting`` is both, and selects either."""
    return list(dict.fromkeys([each.code for each in RunStatus] + [str(state) for state in State]))


# For people


def text(
    found: Records, chosen: Sequence[Record], filtered: bool, now: float, width: int | None, colours: bool
) -> str:
    answer = sentence(found.runs, chosen, filtered)
    lines = [answer, at_work(found, now)]
    lines += not_uploaded(found) if not filtered else []
    lines += [
        f"{plain(override.key)}: {override.action}, set before the run exists"
        for override in found.expected
        if not filtered
    ]
    lines += [
        f"{plain(each.run)}, known only at the destination: {brief(each)}"
        for each in found.elsewhere
        if not filtered
    ]
    lines += [undelivered(each, now) for each in found.undelivered if each.count and not filtered]
    texts = [plain(line) for line in lines if line is not None]
    if width is not None:
        texts = [part for text in texts for part in folded(text, max(width, 20))]
    if chosen:
        texts += ["", table(chosen, width, colours, now)]
    if len(chosen) > _SCREEN:
        texts += ["", answer]
    return "\n".join(texts)


_SCREEN = 20
"""Rows after which the answer, which scrolled away, is given once more below."""

_WIDE, _NARROW = 150, 105
"""Columns from which evidence has columns of its own; below which only the name, status and since when have."""


def table(chosen: Sequence[Record], width: int | None, colours: bool, now: float) -> str:
    wide, narrow = width is None or width >= _WIDE, width is not None and width < _NARROW
    headings = ["run", "status"]
    headings += ["since"] if narrow else ["state", "since", "files", "size"]
    headings += ["evidence", "verified"] if wide else []
    rows = [_cells(record, wide, narrow, now) for record in chosen]
    styles = [{1: _COLOURS[record.status]} for record in chosen] if colours else None
    return grid([*headings, "reason and next step"], rows, {"files", "size"}, width, styles)


def _cells(record: Record, wide: bool, narrow: bool, now: float) -> list[str]:
    run = record.run
    row = [run.key, record.status.value, zoned(record.since)]
    counted = bool(run.files or run.bytes)
    files, size = (str(run.files), human_size(run.bytes)) if counted else ("-", "-")
    evidence = record.evidence.label if record.evidence is not None else "-"
    verified = zoned(run.verified_at) if run.verified_at is not None else "-"
    why, then = record.why, record.next
    told = [progress(record)] if record.live is not None else []
    told += [why] if why else []
    told += [f"next: {then}"] if then and then not in why else []
    scan = scanned(record, now)
    told += [f"source {scan}"] if scan else []
    if narrow:
        told[:0] = [] if why.startswith(str(run.state)) else [str(run.state)]
        told += [f"{files} files, {size}"] if counted else []
    else:
        row[2:2] = [str(run.state)]
        row += [files, size]
    if wide:
        row += [evidence, verified]
    elif record.evidence is not None:
        told.append(f"{evidence}, verified {verified}")
    return [*row, "; ".join(told)]


# For programs


def document(settings: Settings, found: Records, chosen: Sequence[Record], now: float) -> dict[str, Any]:
    """docs/status.md describes it; a field is never renamed or dropped within one ``schema``."""
    counts = Counter(record.status for record in chosen)
    return {
        "schema": SCHEMA,
        "at": iso(now),
        "flow": {
            "main_folder": str(settings.source.main_folder),
            "endpoint": settings.destination.blob_endpoint,
            "container": settings.destination.container_name,
            "destination": settings.destination.destination,
        },
        "pass": _pass(found.at_work),
        "not_uploaded": {
            "of_no_family": found.of_no_family,
            "files": found.left[0],
            "links": found.left[1],
        },
        "counts": {status.code: counts[status] for status in RunStatus},
        "runs": [_run(record, now) for record in chosen],
        "remote_only_problems": [{"run": each.run, "audit": _audit(each)} for each in found.elsewhere],
        "undelivered_events": [
            {
                "consumer": each.consumer,
                "events": each.count,
                "oldest": _iso(each.oldest),
                "problem": each.problem,
            }
            for each in found.undelivered
        ],
        "pending_overrides": [{"run": override.key, **_override(override)} for override in found.expected],
    }


def _dumped(document: Mapping[str, Any]) -> str:
    """A run a line: what Python indents by itself takes it three times as long, which ten thousand runs would show."""
    runs = ",\n".join(f"    {json.dumps(run)}" for run in document["runs"])
    whole = json.dumps({**document, "runs": []}, indent=2)
    return whole.replace('"runs": []', f'"runs": [\n{runs}\n  ]', 1) if runs else whole


def _pass(at_work: PassActivity) -> dict[str, Any]:
    return {"running": at_work.running, "last_activity": _iso(at_work.heartbeat)}


def _run(record: Record, now: float) -> dict[str, Any]:
    next_scan = record.next_scan(now)
    run, live, reason = record.run, record.live, record.run.reason
    return {
        "run": run.key,
        "status": record.status.code,
        "state": str(run.state),
        "since": iso(record.since),
        "reason": (
            None
            if reason is None
            else {
                "code": reason.code,
                "parameters": dict(reason.parameters),
                "text": reason.text,
                "advice": reason.advice,
            }
        ),
        "next": record.next or None,
        "instrument": (
            None
            if run.outcome is None
            else {
                "profile": run.profile,
                "recognised_by": run.recognised_by,
                "outcome": run.outcome,
                "outcome_detail": run.outcome_detail,
                "complete": None if run.complete is None else bool(run.complete),
                "completeness": run.completeness,
            }
        ),
        "files": run.files,
        "bytes": run.bytes,
        "progress": (
            None
            if live is None
            else {
                "step": live.step,
                "files_done": live.files_done,
                "files_total": live.files_total or None,
                "bytes_done": live.bytes_done,
                "bytes_total": live.bytes_total or None,
                "at": iso(live.updated),
            }
        ),
        "generation": run.generation,
        "evidence": record.evidence.label if record.evidence is not None else None,
        "verified": _iso(run.verified_at),
        "scanned": _iso(run.scanned_at),
        "next_scan": None if next_scan is None else iso(max(next_scan, now)),
        "first_seen": iso(run.first_seen),
        "first_published": _iso(run.first_published),
        "published": _iso(run.published_at),
        "audit": None if record.audited is None else _audit(record.audited),
        "override": _override(record.override) if record.override is not None else None,
    }


def _audit(audited: Audited) -> dict[str, Any]:
    wrong = audited.is_wrong
    return {
        "outcome": audited.outcome,
        "listed": _iso(audited.listed_at),
        "read_back": _iso(audited.read_at),
        "wrong_since": _iso(audited.wrong_since),
        "found": audited.counts,
        "text": brief(audited) if wrong else None,
        "advice": advice(audited.run, audited.counts) if wrong else None,
    }


def _override(override: Override) -> dict[str, Any]:
    return {"action": override.action, "by": override.by, "at": iso(override.at), "reason": override.reason}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
