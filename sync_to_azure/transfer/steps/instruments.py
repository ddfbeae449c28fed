"""What the instrument itself tells of a run: its family, how it ended, what it lacks (``finished``: is it finished?).

Looked at once in a pass, decided by the pure rooms ``profiles`` and ``run_facts``, kept in the ledger for what comes
later: status, receipt, and whether the source may be removed. Nothing of it ever holds up carrying, but for a run
that a person wants held (``failed-runs``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from sync_to_azure.instruments import profiles
from sync_to_azure.files.folder import Place
from sync_to_azure.files.folder_view import levels_down, look_at
from sync_to_azure.transfer.ledger.ledger import storable
from sync_to_azure.core.model import Entry, Kind
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.decisions import ended
from sync_to_azure.transfer.steps.looks import Known
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

NO_FAMILY = "unknown"


def known(context: PassContext, current: RunContext) -> Known:
    """One look in a pass."""
    if current.known is None:
        view, found = look_at(current.root, context.settings.completion.profile)
        profile = found.profile
        current.known = Known(view, profile, found.reason, profiles.outcome(view, found))
        name = profile.name if profile else NO_FAMILY
        reason = _storable(context, found.reason)
        # What it was recognised by may go from its source after it was published.
        stands = ended.stands(current.run) or (current.run.is_published and profile is None)
        if (current.run.profile, current.run.recognised_by) != (name, reason) and not stands:
            context.ledger.set(current.run, profile=name, recognised_by=reason)
            if profile is not None:
                context.ledger.clear_reported(f"no-profile:{current.key}")
    return current.known


def unrecognised_reason(place: Place, problem: str) -> Reason:
    """Why nobody can say of a folder when it is finished. MinKNOW writes GROUP/SAMPLE/RUN, and people keep runs by
    year: names on the way are left out, as they are often samples'."""
    below = levels_down(place, profiles.title_by_name)
    if below is None:
        return Reason("no-profile", {"problem": problem})
    levels = "one level" if below[0] == 1 else "two levels"
    return Reason("runs-below", {"family": below[1], "levels": levels})


def outcome_changed(current: RunContext) -> bool:
    """Asked at the second look: does its instrument say of its end what it said before the first? What came between
    that and the walk is in the fingerprint, and not in what was told."""
    here = current.known
    if here is None or current.folder is None:
        return False
    again, _ = look_at(current.root, here.profile.name if here.profile is not None else profiles.AUTO)
    return profiles.outcome(again, profiles.Recognised(here.profile, here.reason)) != here.outcome


def watched(context: PassContext, current: RunContext, entries: Iterator[Entry]) -> Iterator[Entry]:
    """The entries of a walk, held against what must be there. What is excluded is there, too."""
    here = known(context, current)
    here.expectation = here.profile.expect(here.view) if here.profile else None
    for entry in entries:
        if here.expectation is not None and entry.kind in (Kind.FILE, Kind.EXCLUDED):
            here.expectation.see(os.fsdecode(entry.path), entry.size)
        yield entry


def note(context: PassContext, current: RunContext) -> None:
    """After the walk of a finished run: how it ended and what it lacks, into the ledger. Of a published run what was
    told stays true: files may go from its source, by removal or by hand."""
    here, run = known(context, current), current.run
    here.completeness = here.expectation.result() if here.expectation else None
    whole = here.completeness
    columns: dict[str, object] = {}
    if not ended.stands(run):
        columns |= {
            "outcome": str(here.outcome.end),
            "outcome_detail": _storable(context, here.outcome.words),
        }
    if whole is not None and not (run.is_published and run.complete):
        columns |= {"complete": int(whole.complete), "completeness": _storable(context, whole.words)}
    if any(getattr(run, name) != value for name, value in columns.items()):
        context.ledger.set(run, **columns)


def _storable(context: PassContext, text: str) -> str:
    """The ledger takes no secrets, and no names that are not UTF-8."""
    return storable(context.redact(text))


def tell_end(context: PassContext, current: RunContext) -> None:
    """What a person should know of a published run that will stay at the source, once. That it failed is news also of a
    run that was known to lack files."""
    run = current.run
    why, code = ended.never_removed(run), "ended-badly" if ended.badly(run) else "lacks-files"
    if why and context.ledger.report_once(f"{code}:{current.key}", context.clock.now()):
        text = f"{current.key}: {why}; it is published like that, and its source is not removed by itself"
        # That it ended badly is news of the run; that something lacks need not be a fault of anybody.
        context.report_problem(f"{current.key}:{code}", text, exit_code=int(ended.badly(run)), once=True)
