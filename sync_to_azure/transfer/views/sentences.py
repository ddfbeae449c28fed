"""The status of runs and passes, as sentences."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

from sync_to_azure.core.reasons import RunStatus
from sync_to_azure.notify.output import quoted
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import how_many, human_size, human_time
from sync_to_azure.transfer.ledger.backlogs import Undelivered
from sync_to_azure.transfer.views.audit_text import brief
from sync_to_azure.transfer.views.records import Record, Records


def sentence(all_runs: Sequence[Record], chosen: Sequence[Record], filtered: bool) -> str:
    """The headline: how many runs have which status, and which of them ask for something."""
    if not all_runs:
        return "No run is on record yet: no pass has scanned this main folder for this destination."
    if not chosen:
        return "No run matches."
    if len(chosen) == 1:
        return _of_one(chosen[0])
    by_status = {status: [each for each in chosen if each.status is status] for status in RunStatus}
    if len(by_status[RunStatus.SAFE]) == len(chosen) and not filtered:
        return f"All {len(chosen)} runs are safe."
    headline = ", ".join(_counted(status, found) for status, found in by_status.items() if found) + "."
    if by_status[RunStatus.NEEDS_ATTENTION]:
        headline += f" See: {_explain(by_status[RunStatus.NEEDS_ATTENTION][0].run.key)}"
    return headline


_NAMED = 3
"""Runs of one status that the headline names."""


def _counted(status: RunStatus, found: Sequence[Record]) -> str:
    """``2 need attention (A, B)``: the names stand directly behind the status that they have."""
    text = f"{len(found)} {status}"
    if status is RunStatus.NEEDS_ATTENTION and len(found) > 1:
        text = f"{len(found)} need attention"
    if status not in (RunStatus.NEEDS_ATTENTION, RunStatus.RETRYING):
        return text
    names = ", ".join(plain(record.run.key) for record in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{text} ({names}{more})"


def _explain(run: str) -> str:
    """The command; a name that begins with ``-`` would be taken for an option."""
    return f"sync_to_azure explain {'-- ' if run.startswith('-') else ''}{quoted(plain(run))}"


_ONE = {
    RunStatus.SAFE: "is safe",
    RunStatus.WAITING: "is waiting",
    RunStatus.RETRYING: "failed and will be retried",
    RunStatus.NEEDS_ATTENTION: "needs attention",
    RunStatus.HELD: "is held",
    RunStatus.IGNORED: "is ignored",
    RunStatus.EMPTY: "is empty",
}


def _of_one(record: Record) -> str:
    run = record.run
    if record.audited is not None and record.damaged and record.status is RunStatus.NEEDS_ATTENTION:
        return f"{plain(run.key)} is {brief(record.audited)}."
    if record.status is RunStatus.SAFE and run.published_at is not None:
        proved = f", weakest evidence {record.evidence.label}" if record.evidence else ""
        looked = record.audited.listed_at if record.audited is not None else None
        audited = f", audited {zoned(looked)}" if looked is not None else ""
        scan = scanned(record, time.time())
        source = f"; source {scan}" if scan else ""
        return f"{plain(run.key)} is safe: published {zoned(run.published_at)}{proved}{audited}{source}."
    return f"{plain(run.key)} {_ONE[record.status]}."


def scanned(record: Record, now: float) -> str:
    """When its source was last scanned for late files, and when it is next; empty where it is not scanned."""
    due = record.next_scan(now)
    if due is None:
        return ""
    last = (
        "not scanned yet" if record.run.scanned_at is None else f"last scanned {zoned(record.run.scanned_at)}"
    )
    return f"{last}, next {zoned(due) if due > now else 'in the next pass'}"


def at_work(found: Records, now: float) -> str | None:
    at_work = found.at_work
    if at_work.heartbeat is None:
        return None
    if at_work.running:
        busy = next((record for record in found.runs if record.live is not None), None)
        with_run = f" on {plain(busy.run.key)} ({progress(busy)})" if busy is not None else ""
        return f"A pass is running{with_run}; last activity {ago(now - at_work.heartbeat)}."
    return f"Last activity of a pass: {ago(now - at_work.heartbeat)}, {zoned(at_work.heartbeat)}."


def not_uploaded(found: Records) -> list[str]:
    """What will not be uploaded as things are, and what to do; in counts alone."""
    lines = []
    if found.of_no_family:
        what = how_many(found.of_no_family, "folder")
        lines.append(f"{what} not uploaded: no known instrument family, and completion-flag is not set.")
    files, links = found.left
    parts = [how_many(count, word) for count, word in ((files, "file"), (links, "link")) if count]
    if parts:
        verb = "is" if files + links == 1 else "are"
        lines.append(
            f"{' and '.join(parts)} in the main folder itself {verb} not uploaded: only folders are."
        )
    return lines


def undelivered(left: Undelivered, now: float) -> str:
    """Events that a consumer has not had yet."""
    age = f", the oldest {human_time(now - left.oldest)} old" if left.oldest is not None else ""
    problem = f": {left.problem}" if left.problem else ""
    return f"{left.consumer}: {how_many(left.count, 'event')} not delivered yet{age}{problem}"


def progress(record: Record) -> str:
    live = record.live
    assert live is not None
    parts = [plain(live.step)]
    if live.files_total:
        parts.append(f"{live.files_done} of {live.files_total} files")
    elif live.files_done:
        parts.append(f"{live.files_done} files")
    if live.bytes_total:
        parts.append(f"{human_size(live.bytes_done)} of {human_size(live.bytes_total)}")
    elif live.bytes_done:
        parts.append(human_size(live.bytes_done))
    return ", ".join(parts)


def ago(seconds: float) -> str:
    return f"{human_time(max(seconds, 0))} ago"


def zoned(seconds: float) -> str:
    """Local time with its zone, the date always: two columns of times can be compared."""
    try:
        return _zoned(seconds // 60)
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"


@functools.lru_cache(1024)
def _zoned(minutes: float) -> str:
    """Many runs share a minute, and most are told several times of one."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(minutes * 60))
