"""One run as a page tells it: the words of ``status``, without names of files unless they are asked for. Pure."""

from __future__ import annotations

import dataclasses

from sync_to_azure.transfer.views.records import Record
from sync_to_azure.transfer.views.sentences import progress, zoned
from sync_to_azure.transfer.ledger.reader import LedgerEvent
from sync_to_azure.core.reasons import EVENTS, Reason, RunStatus
from sync_to_azure.transfer.report import privacy
from sync_to_azure.notify.output import quoted
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import human_size


@dataclasses.dataclass(frozen=True, slots=True)
class ReportLine:
    """``page``: the name of its page without folder and ending, "" where it has none; ``quoted``: its name for a shell;
    ``told``: why and what comes next in one."""

    name: str
    quoted: str
    page: str
    status: str
    since: str
    size: str
    evidence: str
    why: str
    advice: str
    next: str
    told: str


def line(record: Record, page: str, names: bool) -> ReportLine:
    run = record.run
    shown = _without_names(record, names)
    why = plain(shown.why)
    coming = plain(shown.next)
    told = [plain(progress(record))] if record.live is not None else []
    told += [why] if why else []
    told += [f"next: {coming}"] if coming and coming not in why else []
    return ReportLine(
        name=plain(run.key),
        quoted=f"{'-- ' if run.key.startswith('-') else ''}{quoted(run.key)}",
        page=page,
        status=str(record.status),
        since=zoned(record.since),
        size=human_size(run.bytes) if run.bytes else "",
        evidence=record.evidence.label if record.evidence is not None else "",
        why=why,
        advice=plain(shown.advice),
        next=coming,
        told="; ".join(told),
    )


def _without_names(record: Record, names: bool) -> Record:
    if names:
        return record
    run, override = record.run, record.override
    if run.completeness is not None:
        run = dataclasses.replace(run, completeness=privacy.completeness(run.completeness))
    if run.reason is not None:
        run = dataclasses.replace(run, reason=privacy.reason(run.reason, names))
    if override is not None and override.reason:
        override = dataclasses.replace(override, reason=privacy.REASON)
    return dataclasses.replace(record, run=run, override=override)


def happened(event: LedgerEvent, names: bool) -> str:
    """One event of a run's history, as ``explain`` shows it."""
    state, _, code = event.code.partition(":")
    if state == "word":
        said = str(event.parameters.get("reason") or "")
        told = f"operator override: {code} by {event.parameters.get('by')}"
        return plain(f"{told}: {said if names else privacy.REASON}" if said else told)
    text = privacy.reason(Reason(code, event.parameters), names).text if code else ""
    if text.startswith(state):
        return plain(text)
    state = EVENTS.get(state, state)
    return plain(f"{state}: {text}" if text else state)


ASKING = (RunStatus.NEEDS_ATTENTION, RunStatus.RETRYING)
"""Those that a person should look at first."""
