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
    early,
    finished,
    flagging,
    late_files,
    look,
    one_run,
    rest,
    resume,
    reverify,
    sheet_changes,
    override_checks,
)
from sync_to_azure.transfer.decisions.next_step import Readiness
from sync_to_azure.transfer.decisions.removal_gate import CREDENTIALS, REMOVAL_DUE
from sync_to_azure.transfer.steps.rooms import Rooms, Work
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
            session.with_ledger(lambda rooms: over_all_runs(rooms, summary), summary)
        except (UnavailableError, ConfigurationError) as error:
            session.report_unavailable(error, summary)
        except Exception as error:
            session.report_internal_error(error, summary)
        return session.tell(summary)


def over_all_runs(rooms: Rooms, summary: Summary) -> None:
    """The main folder, run by run; one run's trouble never stops the others, the storage's trouble stops trying."""
    rooms.must_hold_lock()
    rooms.ledger.beat(rooms.clock.now())
    found = look.at_main_folder(rooms)
    storage_problem: UnavailableError | None = None
    if found.aside:
        try:
            resume.removals(rooms, found)
        except LockLost:
            raise
        except UnavailableError as error:
            storage_problem = error
        # Some may have been put back, and are runs again.
        found = look.at_main_folder(rooms)
    rooms.due = _due(rooms)
    late_files.look(rooms, found)
    going_on, changed = [], []
    for work in look.works(rooms, found):
        storage_problem = _guarded(rooms, work, storage_problem)
        if work.found.goes_on and early.wanted(rooms, work):
            going_on.append(work)
        elif work.sheet_counted is not None:
            changed.append(work)
        else:
            _add_up(rooms, work, summary)
    # What is finished never waits for what is not.
    for work in going_on:
        if storage_problem is None:
            storage_problem = _guarded(rooms, work, storage_problem, one_run.carry_ahead)
        _add_up(rooms, work, summary)
    # How many there are is known now.
    may_be_published = bool(changed) and storage_problem is None and sheet_changes.decide(rooms, changed)
    for work in changed:
        if may_be_published and storage_problem is None:
            work = look.again(rooms, work)
            storage_problem = _guarded(rooms, work, storage_problem)
        _add_up(rooms, work, summary)
    if storage_problem is not None:
        raise storage_problem


def _due(rooms: Rooms) -> frozenset[str]:
    days, now = rooms.settings.mode.reverify_after, rooms.clock.now()
    if not days:
        return frozenset()
    # What an audit found wrong still wants its look.
    audited = {
        key: each.listed_at or 0.0 for key, each in Audits(rooms.ledger).all().items() if not each.is_wrong
    }
    keys = reverify.due(
        list(rooms.ledger.runs().values()), audited, now, days, rooms.settings.source.only_run
    )
    for key in sorted(keys):
        _log.info("%s: nobody has looked at it for %g days; it is looked at again", key, days)
    return keys


def _guarded(
    rooms: Rooms,
    work: Work,
    storage_problem: UnavailableError | None,
    step: Callable[[Rooms, Work], None] = one_run.step,
) -> UnavailableError | None:
    """One run, its errors turned into its state. Returns what is wrong with the surroundings, if anything is."""
    try:
        if storage_problem is None:
            step(rooms, work)
        else:
            _without_storage(rooms, work, storage_problem)
    except FilesChanged as error:
        rest.changed_meanwhile(rooms, work, error)
        # Did one run change, or did the share go and take all runs with it?
        look.at_main_folder(rooms)
    except SheetChanged as error:
        rest.sheet_waits(rooms, work, error.waits)
    except RunError as error:
        _run_failed(rooms, work, error)
    except LockLost:
        # Another pass may be running: not even a state is written.
        raise
    except UnavailableError as error:
        return _surroundings_of_all(rooms, work, error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StateUnavailable(
                f"no space left: {error}", "free some space for the state file and its folder"
            )
        if error.errno in SHARE_GONE:
            return _surroundings_of_all(rooms, work, SourceUnavailable(str(error)))
        _run_failed(rooms, work, RunError(f"{work.key}: {error}"))
    except (sqlite3.Error, ConfigurationError):
        raise
    except Exception as error:
        # A fault of ours in one run must not keep the others from being carried; it is told in full.
        _log.error("%s: internal error, please report it", work.key, exc_info=error)
        _run_failed(rooms, work, RunError(f"{work.key}: internal error: {type(error).__name__}: {error}"))
    return storage_problem


def _run_failed(rooms: Rooms, work: Work, error: RunError) -> None:
    reason = getattr(error, "reason", None)
    if reason is not None:
        flagging.flag(rooms, work, reason)
        return
    rooms.set_state(work, _failing(work.folder, work.run), Reason("failed", {"problem": str(error)}))
    rooms.report_problem(f"{work.key}:failed", str(error))


def _failing(folder: RunFolder | None, run: Run) -> State:
    """A run whose folder is not there stays what it is: an empty main folder must not look like a lost share."""
    if folder is not None:
        return State.FAILING
    without_folder = (State.EXPECTED, State.REMOVED, State.GONE)
    return run.state if run.state in without_folder else State.GONE


def _surroundings_of_all(rooms: Rooms, work: Work, error: UnavailableError) -> UnavailableError | None:
    """Is it this run's trouble (a link that broke for a moment) or everybody's? The storage is asked once more."""
    if isinstance(error, StateUnavailable):
        return error
    _log.warning("%s: %s", work.key, error)
    reason = Reason("storage", {"problem": error.message})
    if work.run.state is State.FLAGGED:
        # What a person should look at stays what it is; the storage is everybody's trouble, and reported as that.
        rooms.set_state(work, State.FLAGGED, work.run.reason, folder_mtime_ns=None)
    elif work.run.is_published:
        # Not at rest: the next pass must look again, whatever the folder's mtime says.
        rooms.set_state(work, work.run.state, reason, folder_mtime_ns=None)
    else:
        rooms.set_state(work, _failing(work.folder, work.run), reason)
    look.at_main_folder(rooms)
    if isinstance(error, Redirected):
        # Whatever the same line answers to the next question: nothing on it is to be believed now.
        return error
    try:
        rooms.storage_answers()
        rooms.uploader()
    except UnavailableError as still:
        return still
    # A refusal that the listing does not meet: rights to write are missing, for one folder (ACLs) or for all.
    refused = isinstance(error, AccessRefused)
    if refused and any(problem.key.endswith(":refused") for problem in rooms.problems):
        return error
    code = "refused" if refused else "failed"
    rooms.report_problem(f"{work.key}:{code}", f"{work.key}: {error}", error.exit_code if refused else 1)
    return None


def _without_storage(rooms: Rooms, work: Work, problem: UnavailableError) -> None:
    """The storage is out of reach: only what needs none is looked at, so that waiting runs are still told."""
    if override_checks.stops(rooms, work):
        override_checks.stand_still(rooms, work)
        return
    if work.folder is None or work.run.is_published or look.nothing_new(rooms, work):
        return
    judged = finished.unfinished(rooms, work)
    if judged is not None and judged.readiness is Readiness.STALLED:
        assert judged.reason is not None
        flagging.flag(rooms, work, early.told(rooms.files, rooms.ledger, work.run, judged.reason))
    elif judged is not None:
        rest.wait(rooms, work, judged.waits)
    elif work.run.state is not State.FLAGGED:
        rooms.set_state(work, work.run.state, Reason("storage", {"problem": problem.message}))


def _add_up(rooms: Rooms, work: Work, summary: Summary) -> None:
    run, override = work.run, work.override
    seconds = rooms.clock.monotonic() - work.started
    text = run.reason.text if run.reason else ""
    if override is not None and override.stops:
        # Ignored: told to nobody. Held: it waits for the person who said so.
        summary.waiting += override.action == HOLD
        summary.idle += override.action != HOLD
        return
    idle = run.state in (State.PUBLISHED, State.REMOVED, State.GONE, State.EXPECTED) and not work.sent_files
    not_at_rest = run.reason is not None and run.reason.code not in (REMOVAL_DUE, CREDENTIALS)
    if run.reason is not None and run.reason.code == "continuous":
        _add_up_continuous(rooms, work, run.reason, summary, seconds)
        return
    if run.state in (State.WAITING, State.VERIFIED) or (run.state is State.PUBLISHED and not_at_rest):
        _log.info("%s: %s", run.key, text)
        summary.waiting += 1
    elif idle and not _is_news(rooms, work):
        summary.idle += 1
        return
    if run.state in (State.PUBLISHED, State.REMOVED):
        summary.published += _is_published_now(rooms, work)
    summary.runs.append(
        RunLine(run.key, run.state, text, run.files, run.bytes, seconds, work.sent_files, work.sent_bytes)
    )


def _add_up_continuous(rooms: Rooms, work: Work, reason: Reason, summary: Summary, seconds: float) -> None:
    """A folder that is never done: news is what came to it."""
    run = work.run
    if reason.parameters.get("waiting"):
        _log.info("%s: %s", run.key, reason.text)
        summary.waiting += 1
    elif not work.sent_files:
        summary.idle += 1
        return
    summary.published += _is_published_now(rooms, work)
    summary.runs.append(
        RunLine(
            run.key, run.state, reason.text, run.files, run.bytes, seconds, work.sent_files, work.sent_bytes
        )
    )


def _is_news(rooms: Rooms, work: Work) -> bool:
    return work.run.since >= rooms.pass_started or _is_published_now(rooms, work)


def _is_published_now(rooms: Rooms, work: Work) -> bool:
    """Not one that was published before, and was only removed, put back or read from the lake now."""
    return (work.run.published_at or 0) >= rooms.pass_started


def _not_hung(ledger: Ledger | None, clock: Clock) -> None:
    beat = ledger.heartbeat() if ledger is not None else None
    if beat is not None and clock.now() - beat > HUNG_AFTER:
        hours = (clock.now() - beat) / 3600
        raise PassHung(
            f"another pass holds the lock and has shown no sign of life for {hours:.0f} h",
            "look whether its share hangs (ps, dmesg), end it, and start a pass by hand",
        )
