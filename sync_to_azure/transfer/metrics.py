"""What a pass leaves for Prometheus: text for node_exporter's textfile collector, one file a flow, written atomically.

``prometheus_client`` writes the format. Its own writer of textfiles is not used: it would replace a file of somebody
else. Names follow https://prometheus.io/docs/practices/naming/: base units, plural; `_total` is for counters, of which
there are none. Times are timestamps and not ages: a file of a pass that no longer starts must not look fresh.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from sync_to_azure import __version__
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.audits import all_audited
from sync_to_azure.transfer.ledger.backlogs import Undelivered, undelivered
from sync_to_azure.transfer.ledger.overrides import all_current
from sync_to_azure.core.model import State, Summary
from sync_to_azure.core.reasons import RunStatus, run_status
from sync_to_azure.notify.redact import plain_lines

_MOST = 2**20
"""Bytes of an earlier file that are read; ours has about 4 kB."""
_PREFIX = "sync_to_azure_"
_BEGIN = f"# HELP {_PREFIX}".encode()
_SUCCESS = f"{_PREFIX}last_success_timestamp_seconds"


@dataclasses.dataclass(frozen=True, slots=True)
class Standings:
    """All runs of a flow. ``waiting_since``: the oldest of those that wait, in seconds since 1970."""

    states: Mapping[State, int]
    standings: Mapping[RunStatus, int]
    published_runs: int
    published_bytes: int
    waiting_since: float | None
    undelivered: tuple[Undelivered, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Pass:
    """How a pass ended; ``ended`` in seconds since 1970, ``seconds`` of wall time."""

    ended: float
    seconds: float
    exit_code: int
    problems: int
    sent_files: int
    sent_bytes: int


def standings_of(ledger: Ledger) -> Standings:
    """From the run table alone. sqlite3.Error goes to the caller."""
    overrides = {
        key: override.action for key, override in all_current(ledger.connection, ledger.flow_id).items()
    }
    audited = all_audited(ledger.connection, ledger.flow_id)
    damaged = {key for key, each in audited.items() if each.is_wrong}
    states: Counter[State] = Counter()
    stand: Counter[RunStatus] = Counter()
    published_runs = published_bytes = 0
    waiting_since: float | None = None
    for run in ledger.runs().values():
        if run.state is State.GONE and run.reason is None:
            continue  # its folder and its sheet both went before anything was carried: no run any more
        how = run_status(run.state, run.reason, run.is_published, overrides.get(run.key), run.key in damaged)
        states[run.state] += 1
        stand[how] += 1
        if run.is_published:
            published_runs += 1
            published_bytes += run.bytes
        if how is RunStatus.WAITING and run.state is not State.EXPECTED:
            waiting_since = min(waiting_since or run.since, run.since)
    waiting = tuple(undelivered(ledger.outbox))
    return Standings(states, stand, published_runs, published_bytes, waiting_since, waiting)


def pass_of(summary: Summary, ended: float, seconds: float, exit_code: int) -> Pass:
    return Pass(
        ended,
        seconds,
        exit_code,
        len(summary.problems),
        sum(line.sent_files for line in summary.runs),
        sum(line.sent_bytes for line in summary.runs),
    )


def text(flow: str, last: Pass, last_success: float | None, runs: Standings | None) -> bytes:
    """The whole file. ``runs`` is None where the ledger could not be asked: its series are left out."""
    # Imported here: it takes a tenth of a second, and only a pass with metrics-file needs it.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Families(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            for name, help_text, samples in _families(last, last_success, runs):
                labels = list(samples[0][0]) if samples else []
                family = GaugeMetricFamily(f"{_PREFIX}{name}", help_text, labels=["flow", *labels])
                for more, value in samples:
                    family.add_metric([plain_lines(flow), *map(plain_lines, more.values())], value)
                yield family

    registry = CollectorRegistry()
    registry.register(Families())
    return generate_latest(registry)


Sample = tuple[Mapping[str, str], float]
"""Labels beside the flow, value."""
Family = tuple[str, str, list[Sample]]
"""Name without prefix, help, samples."""


def _families(last: Pass, last_success: float | None, runs: Standings | None) -> Iterator[Family]:
    """All are gauges, of the last pass or of what is on record at its end: nothing is counted over passes."""
    yield "build_info", "Version of sync_to_azure that wrote this file.", [({"version": __version__}, 1)]
    yield "last_pass_timestamp_seconds", "When the last pass ended.", _one(last.ended)
    yield "last_success_timestamp_seconds", "When a pass last ended with exit code 0.", _one(last_success)
    yield "last_pass_duration_seconds", "How long the last pass took.", _one(last.seconds)
    yield "last_pass_exit_code", "Exit code of the last pass.", _one(last.exit_code)
    yield "last_pass_problems", "Problems of the last pass, also those reported before.", _one(last.problems)
    yield "last_pass_uploaded_files", "Files that the last pass uploaded.", _one(last.sent_files)
    yield "last_pass_uploaded_bytes", "Bytes that the last pass uploaded.", _one(last.sent_bytes)
    if runs is None:
        return
    by_state: list[Sample] = [({"state": state}, runs.states.get(state, 0)) for state in State]
    yield "runs", "Runs on record, by state.", by_state
    by_status: list[Sample] = [
        ({"status": str(each).replace(" ", "-")}, runs.standings.get(each, 0)) for each in RunStatus
    ]
    yield "runs_by_status", "Runs on record, by status: what they mean for an operator.", by_status
    yield "published_runs", "Runs that are published.", _one(runs.published_runs)
    yield "published_bytes", "Bytes of the runs that are published.", _one(runs.published_bytes)
    yield (
        "oldest_waiting_timestamp_seconds",
        "Since when the run that waits longest is in its state; no value if none waits.",
        _one(runs.waiting_since),
    )
    yield (
        "undelivered_events",
        "Events that a consumer had not received when the pass had done its work, before it delivered.",
        [({"consumer": each.consumer}, each.count) for each in runs.undelivered],
    )
    yield (
        "oldest_undelivered_event_timestamp_seconds",
        "When the oldest event happened that a consumer had not received; without a value if there is none.",
        [({"consumer": each.consumer}, each.oldest) for each in runs.undelivered if each.oldest is not None],
    )


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [({}, value)]


def write(path: Path, flow: str, last: Pass, runs: Standings | None) -> None:
    """The last success is kept from the file that is there. Raises OSError, also where that file is none of ours."""
    if problem := not_ours(path):
        raise FileExistsError(errno.EEXIST, problem)
    success = last.ended if last.exit_code == 0 else earlier_success(path)
    content = text(flow, last, success, runs)
    # Hidden, and not ending in .prom: the collector must not read half a file.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(handle, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def not_ours(path: Path) -> str:
    """Why what stands there may not be replaced, or an empty text. Raises OSError."""
    if not os.path.lexists(path):
        return ""
    content = _content(path)
    if content is None:
        return "it is not a regular file, and is not replaced"
    if content and not content.startswith(_BEGIN):
        return "it was not written by sync_to_azure, and is not replaced"
    return ""


def _content(path: Path) -> bytes | None:
    """None where no plain file stands (a FIFO would be waited for, a link leads elsewhere)."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read(_MOST) if stat.S_ISREG(os.fstat(handle).st_mode) else None


def earlier_success(path: Path) -> float | None:
    """What an earlier pass wrote; None where there is none, or nothing that can be read."""
    content = (_content(path) or b"").decode("utf-8", "replace")
    found = re.search(rf"^{_SUCCESS}(?:\{{.*\}})? ([0-9.e+]+)$", content, re.MULTILINE)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None
