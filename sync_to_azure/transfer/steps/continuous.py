"""A continuous folder in one pass, where it goes another way than other runs: what became another, what waits.

It is never done, so no marker is ever written. Its files are published as they come, a generation each time:
manifest and
receipt stand for what is there. What may never change (spectra) is frozen and flagged as in every run; what may
(results, methods) is published anew.
"""

from __future__ import annotations

import logging

from sync_to_azure.transfer.ledger.deferrals import Deferrals
from sync_to_azure.core.model import Kind, State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import accept, frozen, placing
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.ledger import Files, Run

_log = logging.getLogger(__name__)


def note_profile(context: PassContext, current: RunContext) -> None:
    profile = context.settings.completion.profile
    if profile != current.run.profile:
        context.ledger.set(current.run, profile=profile, recognised_by=f"chosen: profile = {profile}")


def wait_for_half(context: PassContext, current: RunContext) -> None:
    assert current.folder is not None and current.folder.unit is not None
    reason = Reason("half-a-data-set", {"lacks": current.folder.unit.lacks})
    context.set_state(current, State.WAITING, reason)
    if context.ledger.report_once(f"half-a-data-set:{current.key}", context.clock.now()):
        context.report_problem(
            f"{current.key}:half-a-data-set", f"{current.key}: {reason.text}", exit_code=0, once=True
        )


def compare(context: PassContext, current: RunContext) -> Differences:
    """Of a published one that was scanned: which of its frozen files became others. What may change and did is made an
    unpublished part of the manifest."""
    run, continuous = current.run, current.continuous
    assert continuous is not None
    changed = frozen.changed_at_source(context, current, continuous.is_frozen)
    renewed = changed.renewed
    changed = accept.changed_files(context, current, changed, quiet=True)
    # Who encrypts spectra encrypts results, too: as long as a person has to look, nothing is replaced.
    if renewed and not changed.count:
        # Should we be cut off now, the lake is asked what stood there.
        context.ledger.doubt_remote(run)
        Deferrals(context.ledger, run, continuous.is_frozen).renew(renewed)
        _log.info("%s: %d files that may change did, and are uploaded again", current.key, len(renewed))
    return changed


def at_rest(context: PassContext, current: RunContext) -> Reason:
    """How it stands at the end of a pass."""
    waiting = context.files.plan.uncarried_counts(current.run).get(Kind.WAITING.value, 0)
    return Reason(
        "continuous", {"files": current.run.files, "waiting": waiting, "acquiring": len(current.acquiring)}
    )


def left(files: Files, run: Run) -> Reason | None:
    """Its folder is gone: were there files that waited to be carried?"""
    waiting = files.plan.uncarried_counts(run).get(Kind.WAITING.value, 0)
    return Reason("vanished-waiting", {"count": waiting}) if waiting else None


def never_ended(context: PassContext, current: RunContext) -> Reason | None:
    """Files that say that they are being acquired, though nothing has moved for ``stale-after``: the acquisition broke
    off, and they would wait for ever."""
    names = [blob for blob, since in current.acquiring if placing.has_broken_off(context, since)]
    return Reason("never-ended", {"count": len(names), "names": names[:20]}) if names else None
