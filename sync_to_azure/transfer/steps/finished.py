"""Is a run finished? All of it is decided here: by the flags that an operator named, by its family of instruments, by
the time for which nothing moved; whether it stands still for so long, or is of no known kind for so long, that somebody
has to look; and whether a failed one is held. The pure part is ``instruments/completion``.
"""

from __future__ import annotations

from sync_to_azure.core.reasons import Reason
from sync_to_azure.instruments import completion
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.decisions.next_step import Readiness
from sync_to_azure.transfer.ledger import Ledger, Run
from sync_to_azure.transfer.source import top_level_files
from sync_to_azure.transfer.steps import instruments, scan, override_checks
from sync_to_azure.transfer.steps.accept import FAILED, UNFINISHED
from sync_to_azure.transfer.steps.looks import Judged
from sync_to_azure.transfer.steps.context import PassContext, RunContext

RECOGNISED_AFTER = 3600.0
"""Seconds for which a new folder may be of no known family before it is told: an instrument, or a person, makes the
folder first, and what it is recognised by comes later."""
UNJUDGED_AFTER = 24 * 3600.0
"""Seconds after which a folder of which nobody can say what it is needs a person: waiting will not end by itself."""
_UNJUDGED = {"no-profile": "unjudged", "runs-below": "no-run-itself"}
_LOOKS = 8
"""Looks at an unfinished run within ``stale-after``: each is a walk on the instrument's own computer."""


QUIET = completion.CompletionDecision(True, None, None)


def judge(context: PassContext, current: RunContext) -> Judged:
    """Of an unpublished run, by the top of its folder; of one that is not finished, now and then by a scan."""
    judged = unfinished(context, current)
    if judged is not None:
        return judged
    held = _held(context, current)
    return Judged(Readiness.HELD, held) if held is not None else Judged(Readiness.FINISHED)


def unfinished(context: PassContext, current: RunContext) -> Judged | None:
    """Does it still wait for something; for how long already?"""
    waits = _waits_for(context, current)
    if waits is None:
        return None
    _forget_quiet(context.ledger, current.run)
    stalled = (
        _stalled(context, current, waits)
        if waits.code == "flag-missing"
        else _unjudged(context, current, waits)
    )
    if stalled is not None:
        return Judged(Readiness.STALLED, stalled, waits)
    return Judged(Readiness.UNFINISHED, waits, waits)


def _waits_for(context: PassContext, current: RunContext) -> Reason | None:
    """Why nobody says that the run is finished. A flag that a person named is the last word; without one its family of
    instruments says it."""
    if (
        current.folder is None
        or current.continuous is not None
        or override_checks.accepts(current.override, "unfinished")
    ):
        return None
    wanted = _flags(context, current)
    if not wanted:
        return _family_waits_for(context, current)
    missing = completion.missing_flags(wanted, top_level_files(current.folder))
    return completion.without_flags(missing).reason if missing else None


def _family_waits_for(context: PassContext, current: RunContext) -> Reason | None:
    """What its family waits for; for a folder of no family, that nobody can say when it is finished (told once)."""
    here, now = instruments.known(context, current), context.clock.now()
    if here.profile is None:
        if not here.view.files and not here.view.folders:
            return Reason("no-profile", {"problem": "it is empty"})
        reason = instruments.unrecognised_reason(current.root, here.reason)
        age = now - current.run.first_seen
        if RECOGNISED_AFTER <= age < UNJUDGED_AFTER and context.ledger.report_once(
            f"no-profile:{current.key}", now
        ):
            text = f"{current.key}: {reason.text} ({reason.advice})"
            context.report_problem(f"{current.key}:no-profile", text, once=True)
        return reason
    missing = here.profile.waits_for(here.view)
    if not missing:
        return None
    about: dict[str, object] = {"flags": list(missing)}
    if here.outcome.is_bad:
        # Many a run that broke off never gets its last flag.
        about["said"] = ended.said(str(here.outcome.end), here.outcome.words)
    return Reason("flag-missing", about)


def _flags(context: PassContext, current: RunContext) -> tuple[str, ...]:
    """The completion flags that a person named for this run; its family is asked only where that matters."""
    settings = context.settings
    profile = instruments.known(context, current).profile if settings.completion.family_flags else None
    family = profile.name if profile is not None else None
    return completion.named_flags(
        family, settings.completion.completion_flag, settings.completion.family_flags
    )


def _unjudged(context: PassContext, current: RunContext, waits: Reason) -> Reason | None:
    """Has it been there for so long without that anybody can say what it is? An empty folder says nothing."""
    here, age = instruments.known(context, current).view, context.clock.now() - current.run.first_seen
    if waits.code not in _UNJUDGED or age < UNJUDGED_AFTER or not (here.files or here.folders):
        return None
    return Reason(_UNJUDGED[waits.code], waits.parameters)


def _stalled(context: PassContext, current: RunContext, waits: Reason) -> Reason | None:
    """Has an unfinished run stood still for too long? A walk, but only now and then."""
    digest = scan.fingerprint_now(context, current) if _must_look(context, current) else None
    return _stood_still(context, current, waits, digest)


def _must_look(context: PassContext, current: RunContext) -> bool:
    """Is it time for another look at whether an unfinished run still moves? The last one comes when it would be too
    long: nothing is claimed of a time after the last look."""
    run, now, patience = current.run, context.clock.now(), context.settings.completion.stale_after * 3600
    if not patience or context.settings.mode.dry_run:
        return False
    looked, since = run.still_looked, run.still_since
    if looked is None or since is None or not 0 <= now - looked < patience / _LOOKS:
        return True
    return now - since >= patience > looked - since


def _stood_still(
    context: PassContext, current: RunContext, waits: Reason, digest: str | None
) -> Reason | None:
    """Has an unfinished run stood still for ``stale-after``? ``digest`` of its tree, if it was walked just now."""
    run, now, patience = current.run, context.clock.now(), context.settings.completion.stale_after * 3600
    if digest is not None:
        before = None
        if run.still_digest is not None and run.still_since is not None:
            before = completion.Remembered(run.still_digest, run.still_since)
        remember = completion.decide(digest, before, now, patience).remember
        assert remember is not None
        context.ledger.set(run, still_digest=digest, still_since=remember.since, still_looked=now)
    if not patience or run.still_since is None or run.still_looked is None:
        return None
    if run.still_looked - run.still_since < patience:
        return None
    return Reason("stalled", {"flags": [], **waits.parameters, "since": run.still_since})


def _held(context: PassContext, current: RunContext) -> Reason | None:
    """``failed-runs = hold``: a run that did not end as planned is not carried until a person says so. Who accepted it
    as it is, without its flags, has said so."""
    if (
        context.settings.completion.failed_runs != "hold"
        or override_checks.accepts(current.override, FAILED)
        or override_checks.accepts(current.override, UNFINISHED)
    ):
        return None
    outcome = instruments.known(context, current).outcome
    if not outcome.is_bad:
        return None
    return Reason("failed-held", {"problem": ended.said(str(outcome.end), outcome.words)})


def is_quiet(context: PassContext, current: RunContext) -> completion.CompletionDecision:
    """The quiet time by our own clock; the look is remembered in the ledger."""
    run = current.run
    remembered = _remembered(run)
    delay = _quiet_for(context, current)
    decision = completion.decide(current.fingerprint, remembered, context.clock.now(), delay)
    if decision.remember is not None and decision.remember != remembered:
        context.ledger.set(run, fingerprint=decision.remember.digest, quiet_since=decision.remember.since)
    return decision


def _remembered(run: Run) -> completion.Remembered | None:
    if run.fingerprint is None or run.quiet_since is None:
        return None
    return completion.Remembered(run.fingerprint, run.quiet_since)


def _quiet_for(context: PassContext, current: RunContext) -> float:
    """Seconds for which the run must have stood still. A flag that a person named is the last word on "finished";
    without one, a family that has no flags asks for more than ``completion-delay``."""
    delay = context.settings.completion.completion_delay
    if _flags(context, current) or override_checks.accepts(current.override, UNFINISHED):
        return delay
    profile = instruments.known(context, current).profile
    return delay if profile is None else max(delay, profile.quiet)


def _forget_quiet(ledger: Ledger, run: Run) -> None:
    """The quiet time begins when the run is finished."""
    if run.fingerprint is not None:
        ledger.set(run, fingerprint=None, quiet_since=None)


def goes_on(context: PassContext, current: RunContext) -> str:
    """Why a published run may still be written, in words: its family waits for something again, as for another SMRT
    cell. Empty where a flag that a person named says that it is finished."""
    profile = None if _flags(context, current) else instruments.known(context, current).profile
    missing = profile.waits_for(instruments.known(context, current).view) if profile is not None else ()
    return (
        f"its instrument may go on with it: {', '.join(missing)} is missing at the source" if missing else ""
    )
