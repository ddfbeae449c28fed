"""What the instrument itself tells of a run: its family, whether it is finished, how it ended, what it lacks.

Looked at once in a pass, decided by the pure rooms ``profiles`` and ``run_facts``, kept in the ledger for what comes
later: status, receipt, and whether the source may be removed. Nothing of it ever holds up carrying, but for a run
that a person wants held (``failed-runs``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from sync_to_azure.instruments import completion, profiles
from sync_to_azure.files.folder import Place
from sync_to_azure.files.folder_view import levels_down, look_at
from sync_to_azure.transfer.ledger.ledger import storable
from sync_to_azure.core.model import Entry, Kind
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.steps import words
from sync_to_azure.transfer.steps.accept import FAILED, UNFINISHED
from sync_to_azure.transfer.steps.looks import Known
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

NO_FAMILY = "unknown"
RECOGNISED_AFTER = 3600.0
"""Seconds for which a new folder may be of no known family before it is told: an instrument, or a person, makes the
folder first, and what it is recognised by comes later."""
UNJUDGED_AFTER = 24 * 3600.0
"""Seconds after which a folder of which nobody can say what it is needs a person: waiting will not end by itself."""
_UNJUDGED = {"no-profile": "unjudged", "runs-below": "no-run-itself"}
_LOOKS = 8
"""Looks at an unfinished run within ``stale-after``: each is a walk on the instrument's own computer."""


def known(rooms: Rooms, work: Work) -> Known:
    """One look in a pass."""
    if work.known is None:
        view, found = look_at(work.root, rooms.settings.completion.profile)
        profile = found.profile
        work.known = Known(view, profile, found.reason, profiles.outcome(view, found))
        name = profile.name if profile else NO_FAMILY
        reason = _storable(rooms, found.reason)
        # What it was recognised by may go from its source after it was published.
        stands = ended.stands(work.run) or (work.run.is_published and profile is None)
        if (work.run.profile, work.run.recognised_by) != (name, reason) and not stands:
            rooms.ledger.set(work.run, profile=name, recognised_by=reason)
            if profile is not None:
                rooms.ledger.untell(f"no-profile:{work.key}")
    return work.known


def flags(rooms: Rooms, work: Work) -> tuple[str, ...]:
    """The completion flags that a person named for this run; its family is asked only where that matters."""
    settings = rooms.settings
    profile = known(rooms, work).profile if settings.completion.family_flags else None
    family = profile.name if profile is not None else None
    return completion.named_flags(
        family, settings.completion.completion_flag, settings.completion.family_flags
    )


def unfinished(rooms: Rooms, work: Work) -> Reason | None:
    """What its family waits for; for a folder of no family, that nobody can say when it is finished (told once)."""
    here, now = known(rooms, work), rooms.clock.now()
    if here.profile is None:
        if not here.view.files and not here.view.folders:
            return Reason("no-profile", {"problem": "it is empty"})
        reason = nobodys(work.root, here.reason)
        age = now - work.run.first_seen
        if RECOGNISED_AFTER <= age < UNJUDGED_AFTER and rooms.ledger.tell_once(f"no-profile:{work.key}", now):
            text = f"{work.key}: {reason.text} ({reason.advice})"
            rooms.trouble(f"{work.key}:no-profile", text, once=True)
        return reason
    missing = here.profile.waits_for(here.view)
    if not missing:
        return None
    about: dict[str, object] = {"flags": list(missing)}
    if here.outcome.is_bad:
        # Many a run that broke off never gets its last flag.
        about["said"] = ended.said(str(here.outcome.end), here.outcome.words)
    return Reason("flag-missing", about)


def unjudged(rooms: Rooms, work: Work, waits: Reason) -> Reason | None:
    """Has it been there for so long without that anybody can say what it is? An empty folder says nothing."""
    here, age = known(rooms, work).view, rooms.clock.now() - work.run.first_seen
    if waits.code not in _UNJUDGED or age < UNJUDGED_AFTER or not (here.files or here.folders):
        return None
    return Reason(_UNJUDGED[waits.code], waits.parameters)


def nobodys(place: Place, problem: str) -> Reason:
    """Why nobody can say of a folder when it is finished. MinKNOW writes GROUP/SAMPLE/RUN, and people keep runs by
    year: names on the way are left out, as they are often samples'."""
    below = levels_down(place, profiles.title_by_name)
    if below is None:
        return Reason("no-profile", {"problem": problem})
    levels = "one level" if below[0] == 1 else "two levels"
    return Reason("runs-below", {"family": below[1], "levels": levels})


def goes_on(rooms: Rooms, work: Work) -> str:
    """Why a published run may still be written, in words: its family waits for something again, as for another SMRT
    cell. Empty where a flag that a person named says that it is finished."""
    profile = None if flags(rooms, work) else known(rooms, work).profile
    missing = profile.waits_for(known(rooms, work).view) if profile is not None else ()
    return (
        f"its instrument may go on with it: {', '.join(missing)} is missing at the source" if missing else ""
    )


def quiet_for(rooms: Rooms, work: Work) -> float:
    """Seconds for which the run must have stood still. A flag that a person named is the last word on "finished";
    without one, a family that has no flags asks for more than ``completion-delay``."""
    delay = rooms.settings.completion.completion_delay
    if flags(rooms, work) or words.accepts(work, UNFINISHED):
        return delay
    profile = known(rooms, work).profile
    return delay if profile is None else max(delay, profile.quiet)


def held(rooms: Rooms, work: Work) -> Reason | None:
    """``failed-runs = hold``: a run that did not end as planned is not carried until a person says so. Who accepted it
    as it is, without its flags, has said so."""
    if (
        rooms.settings.completion.failed_runs != "hold"
        or words.accepts(work, FAILED)
        or words.accepts(work, UNFINISHED)
    ):
        return None
    outcome = known(rooms, work).outcome
    if not outcome.is_bad:
        return None
    return Reason("failed-held", {"problem": ended.said(str(outcome.end), outcome.words)})


def tells_otherwise(work: Work) -> bool:
    """Asked at the second look: does its instrument say of its end what it said before the first? What came between
    that and the walk is in the fingerprint, and not in what was told."""
    here = work.known
    if here is None or work.folder is None:
        return False
    again, _ = look_at(work.root, here.profile.name if here.profile is not None else profiles.AUTO)
    return profiles.outcome(again, profiles.Recognised(here.profile, here.reason)) != here.outcome


def watched(rooms: Rooms, work: Work, entries: Iterator[Entry]) -> Iterator[Entry]:
    """The entries of a walk, held against what must be there. What is excluded is there, too."""
    here = known(rooms, work)
    here.expectation = here.profile.expect(here.view) if here.profile else None
    for entry in entries:
        if here.expectation is not None and entry.kind in (Kind.FILE, Kind.EXCLUDED):
            here.expectation.see(os.fsdecode(entry.path), entry.size)
        yield entry


def note(rooms: Rooms, work: Work) -> None:
    """After the walk of a finished run: how it ended and what it lacks, into the ledger. Of a published run what was
    told stays true: files may go from its source, by removal or by hand."""
    here, run = known(rooms, work), work.run
    here.completeness = here.expectation.result() if here.expectation else None
    whole = here.completeness
    columns: dict[str, object] = {}
    if not ended.stands(run):
        columns |= {"outcome": str(here.outcome.end), "outcome_words": _storable(rooms, here.outcome.words)}
    if whole is not None and not (run.is_published and run.complete):
        columns |= {"complete": int(whole.complete), "completeness": _storable(rooms, whole.words)}
    if any(getattr(run, name) != value for name, value in columns.items()):
        rooms.ledger.set(run, **columns)


def _storable(rooms: Rooms, text: str) -> str:
    """The ledger takes no secrets, and no names that are not UTF-8."""
    return storable(rooms.redact(text))


def tell_end(rooms: Rooms, work: Work) -> None:
    """What a person should know of a published run that will stay at the source, once. That it failed is news also of a
    run that was known to lack files."""
    run = work.run
    why, code = ended.never_removed(run), "ended-badly" if ended.badly(run) else "lacks-files"
    if why and rooms.ledger.tell_once(f"{code}:{work.key}", rooms.clock.now()):
        text = f"{work.key}: {why}; it is published like that, and its source is not removed by itself"
        # That it ended badly is news of the run; that something lacks need not be a fault of anybody.
        rooms.trouble(f"{work.key}:{code}", text, exit_code=int(ended.badly(run)), once=True)


def must_look(rooms: Rooms, work: Work) -> bool:
    """Is it time for another look at whether an unfinished run still moves? The last one comes when it would be too
    long: nothing is claimed of a time after the last look."""
    run, now, patience = work.run, rooms.clock.now(), rooms.settings.completion.stale_after * 3600
    if not patience or rooms.settings.mode.dry_run:
        return False
    looked, since = run.still_looked, run.still_since
    if looked is None or since is None or not 0 <= now - looked < patience / _LOOKS:
        return True
    return now - since >= patience > looked - since


def stalled(rooms: Rooms, work: Work, waits: Reason, digest: str | None) -> Reason | None:
    """Has an unfinished run stood still for ``stale-after``? ``digest`` of its tree, if it was walked just now."""
    run, now, patience = work.run, rooms.clock.now(), rooms.settings.completion.stale_after * 3600
    if digest is not None:
        before = None
        if run.still_digest is not None and run.still_since is not None:
            before = completion.Remembered(run.still_digest, run.still_since)
        remember = completion.decide(digest, before, now, patience).remember
        assert remember is not None
        rooms.ledger.set(run, still_digest=digest, still_since=remember.since, still_looked=now)
    if not patience or run.still_since is None or run.still_looked is None:
        return None
    if run.still_looked - run.still_since < patience:
        return None
    return Reason("stalled", {"flags": [], **waits.parameters, "since": run.still_since})
