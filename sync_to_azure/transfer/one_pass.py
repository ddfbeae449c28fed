"""The story of a pass: look at the main folder, bring each run as far as it goes, tell what is news."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import (
    AccessRefused,
    ConfigurationError,
    LockLost,
    PassHung,
    Redirected,
    FilesChanged,
    RunError,
    SourceUnavailable,
    StateUnavailable,
    UnavailableError,
)
from sync_to_azure.transfer.ledger import Ledger, Run
from sync_to_azure.transfer.ledger.audits import Audits
from sync_to_azure.transfer.ledger.overrides import HOLD
from sync_to_azure.core.model import RunLine, State, Summary
from sync_to_azure.core.reasons import Reason
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.steps import (
    incremental,
    finished,
    flagging,
    late_files,
    scan,
    one_run,
    outcomes,
    resume,
    reverify,
    sheet_changes,
    override_checks,
)
from sync_to_azure.transfer.decisions.next_step import Readiness
from sync_to_azure.transfer.decisions.removal_gate import CREDENTIALS, REMOVAL_DUE
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.steps.sheet_writing import SheetChanged
from sync_to_azure.transfer.session import PassSession
from sync_to_azure.files.walk import SHARE_GONE
from sync_to_azure.transfer.source import RunFolder

_log = logging.getLogger(__name__)

HUNG_AFTER = 24 * 3600.0
"""Seconds without a sign of life after which the pass that holds the lock counts as hung."""


def run(settings: Settings, clock: Clock | None = None) -> int:
    """One pass; the exit code. Everything that happens is told here, nothing is raised but Interrupted."""
    with PassSession(settings, clock or Clock()) as session:
        summary = Summary()
        try:
            if session.another_pass_runs():
                _not_hung(session.ledger(), session.clock)
                _log.warning("another pass over %s is running; nothing done", settings.source.main_folder)
                return 0
            session.ping_start()
            session.with_ledger(lambda context: over_all_runs(context, summary), summary)
        except (UnavailableError, ConfigurationError) as error:
            session.report_unavailable(error, summary)
        except Exception as error:
            session.report_internal_error(error, summary)
        return session.tell(summary)


def over_all_runs(context: PassContext, summary: Summary) -> None:
    """The main folder, run by run; one run's trouble never stops the others, the storage's trouble stops trying."""
    context.must_hold_lock()
    context.ledger.beat(context.clock.now())
    found = scan.at_main_folder(context)
    storage_problem: UnavailableError | None = None
    if found.aside:
        try:
            resume.removals(context, found)
        except LockLost:
            raise
        except UnavailableError as error:
            storage_problem = error
        # Some may have been put back, and are runs again.
        found = scan.at_main_folder(context)
    context.due = _due(context)
    late_files.look(context, found)
    going_on, changed = [], []
    for current in scan.works(context, found):
        storage_problem = _guarded(context, current, storage_problem)
        if current.found.goes_on and incremental.wanted(context, current):
            going_on.append(current)
        elif current.sheet_counted is not None:
            changed.append(current)
        else:
            _add_up(context, current, summary)
    # What is finished never waits for what is not.
    for current in going_on:
        if storage_problem is None:
            storage_problem = _guarded(context, current, storage_problem, one_run.carry_ahead)
        _add_up(context, current, summary)
    # How many there are is known now.
    may_be_published = bool(changed) and storage_problem is None and sheet_changes.decide(context, changed)
    for current in changed:
        if may_be_published and storage_problem is None:
            current = scan.again(context, current)
            storage_problem = _guarded(context, current, storage_problem)
        _add_up(context, current, summary)
    if storage_problem is not None:
        raise storage_problem


def _due(context: PassContext) -> frozenset[str]:
    days, now = context.settings.mode.reverify_after, context.clock.now()
    if not days:
        return frozenset()
    # What an audit found wrong still wants its look.
    audited = {
        key: each.listed_at or 0.0 for key, each in Audits(context.ledger).all().items() if not each.is_wrong
    }
    keys = reverify.due(
        list(context.ledger.runs().values()), audited, now, days, context.settings.source.only_run
    )
    for key in sorted(keys):
        _log.info("%s: not checked for %g days; it is checked again", key, days)
    return keys


def _guarded(
    context: PassContext,
    current: RunContext,
    storage_problem: UnavailableError | None,
    step: Callable[[PassContext, RunContext], None] = one_run.step,
) -> UnavailableError | None:
    """One run, its errors turned into its state. Returns what is wrong with the surroundings, if anything is."""
    try:
        if storage_problem is None:
            step(context, current)
        else:
            _without_storage(context, current, storage_problem)
    except FilesChanged as error:
        outcomes.changed_meanwhile(context, current, error)
        # Did one run change, or did the share go and take all runs with it?
        scan.at_main_folder(context)
    except SheetChanged as error:
        outcomes.sheet_waits(context, current, error.waits)
    except RunError as error:
        _run_failed(context, current, error)
    except LockLost:
        # Another pass may be running: not even a state is written.
        raise
    except UnavailableError as error:
        return _surroundings_of_all(context, current, error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StateUnavailable(
                f"no space left: {error}", "free some space for the state file and its folder"
            )
        if error.errno in SHARE_GONE:
            return _surroundings_of_all(context, current, SourceUnavailable(str(error)))
        _run_failed(context, current, RunError(f"{current.key}: {error}"))
    except (sqlite3.Error, ConfigurationError):
        raise
    except Exception as error:
        # A fault of ours in one run must not keep the others from being carried; it is told in full.
        _log.error("%s: internal error, please report it", current.key, exc_info=error)
        _run_failed(
            context, current, RunError(f"{current.key}: internal error: {type(error).__name__}: {error}")
        )
    return storage_problem


def _run_failed(context: PassContext, current: RunContext, error: RunError) -> None:
    reason = getattr(error, "reason", None)
    if reason is not None:
        flagging.flag(context, current, reason)
        return
    context.set_state(
        current, _failing(current.folder, current.run), Reason("failed", {"problem": str(error)})
    )
    context.report_problem(f"{current.key}:failed", str(error))


def _failing(folder: RunFolder | None, run: Run) -> State:
    """A run whose folder is not there stays what it is: an empty main folder must not look like a lost share."""
    if folder is not None:
        return State.FAILING
    without_folder = (State.EXPECTED, State.REMOVED, State.GONE)
    return run.state if run.state in without_folder else State.GONE


def _surroundings_of_all(
    context: PassContext, current: RunContext, error: UnavailableError
) -> UnavailableError | None:
    """Is it this run's trouble (a link that broke for a moment) or everybody's? The storage is asked once more."""
    if isinstance(error, StateUnavailable):
        return error
    _log.warning("%s: %s", current.key, error)
    reason = Reason("storage", {"problem": error.message})
    if current.run.state is State.FLAGGED:
        # What a person should look at stays what it is; the storage is everybody's trouble, and reported as that.
        context.set_state(current, State.FLAGGED, current.run.reason, folder_mtime_ns=None)
    elif current.run.is_published:
        # Not at rest: the next pass must look again, whatever the folder's mtime says.
        context.set_state(current, current.run.state, reason, folder_mtime_ns=None)
    else:
        context.set_state(current, _failing(current.folder, current.run), reason)
    scan.at_main_folder(context)
    if isinstance(error, Redirected):
        # Whatever the same line answers to the next question: nothing on it is to be believed now.
        return error
    try:
        context.storage_answers()
        context.uploader()
    except UnavailableError as still:
        return still
    # A refusal that the listing does not meet: rights to write are missing, for one folder (ACLs) or for all.
    refused = isinstance(error, AccessRefused)
    if refused and any(problem.key.endswith(":refused") for problem in context.problems):
        return error
    code = "refused" if refused else "failed"
    context.report_problem(
        f"{current.key}:{code}", f"{current.key}: {error}", error.exit_code if refused else 1
    )
    return None


def _without_storage(context: PassContext, current: RunContext, problem: UnavailableError) -> None:
    """The storage is out of reach: only what needs none is looked at, so that waiting runs are still told."""
    if override_checks.stops(context, current):
        override_checks.stand_still(context, current)
        return
    if current.folder is None or current.run.is_published or scan.nothing_new(context, current):
        return
    judged = finished.unfinished(context, current)
    if judged is not None and judged.readiness is Readiness.STALLED:
        assert judged.reason is not None
        flagging.flag(
            context, current, incremental.told(context.files, context.ledger, current.run, judged.reason)
        )
    elif judged is not None:
        outcomes.wait(context, current, judged.waits)
    elif current.run.state is not State.FLAGGED:
        context.set_state(current, current.run.state, Reason("storage", {"problem": problem.message}))


def _add_up(context: PassContext, current: RunContext, summary: Summary) -> None:
    run, override = current.run, current.override
    seconds = context.clock.monotonic() - current.started
    text = run.reason.text if run.reason else ""
    if override is not None and override.stops:
        # Ignored: told to nobody. Held: it waits for the person who said so.
        summary.waiting += override.action == HOLD
        summary.idle += override.action != HOLD
        return
    idle = (
        run.state in (State.PUBLISHED, State.REMOVED, State.GONE, State.EXPECTED) and not current.sent_files
    )
    not_at_rest = run.reason is not None and run.reason.code not in (REMOVAL_DUE, CREDENTIALS)
    if run.reason is not None and run.reason.code == "continuous":
        _add_up_continuous(context, current, run.reason, summary, seconds)
        return
    if run.state in (State.WAITING, State.VERIFIED) or (run.state is State.PUBLISHED and not_at_rest):
        _log.info("%s: %s", run.key, text)
        summary.waiting += 1
    elif idle and not _is_news(context, current):
        summary.idle += 1
        return
    if run.state in (State.PUBLISHED, State.REMOVED):
        summary.published += _is_published_now(context, current)
    summary.runs.append(
        RunLine(
            run.key, run.state, text, run.files, run.bytes, seconds, current.sent_files, current.sent_bytes
        )
    )


def _add_up_continuous(
    context: PassContext, current: RunContext, reason: Reason, summary: Summary, seconds: float
) -> None:
    """A folder that is never done: news is what came to it."""
    run = current.run
    if reason.parameters.get("waiting"):
        _log.info("%s: %s", run.key, reason.text)
        summary.waiting += 1
    elif not current.sent_files:
        summary.idle += 1
        return
    summary.published += _is_published_now(context, current)
    summary.runs.append(
        RunLine(
            run.key,
            run.state,
            reason.text,
            run.files,
            run.bytes,
            seconds,
            current.sent_files,
            current.sent_bytes,
        )
    )


def _is_news(context: PassContext, current: RunContext) -> bool:
    return current.run.since >= context.pass_started or _is_published_now(context, current)


def _is_published_now(context: PassContext, current: RunContext) -> bool:
    """Not one that was published before, and was only removed, put back or read from the lake now."""
    return (current.run.published_at or 0) >= context.pass_started


def _not_hung(ledger: Ledger | None, clock: Clock) -> None:
    beat = ledger.heartbeat() if ledger is not None else None
    if beat is not None and clock.now() - beat > HUNG_AFTER:
        hours = (clock.now() - beat) / 3600
        raise PassHung(
            f"another pass holds the lock and has made no progress for {hours:.0f} h",
            "check whether its share hangs (ps, dmesg), kill it, and start a pass by hand",
        )
