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
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.transfer.ledger import Files, Run

_log = logging.getLogger(__name__)


def note_profile(rooms: Rooms, work: Work) -> None:
    profile = rooms.settings.completion.profile
    if profile != work.run.profile:
        rooms.ledger.set(work.run, profile=profile, recognised_by=f"chosen: profile = {profile}")


def wait_for_half(rooms: Rooms, work: Work) -> None:
    assert work.folder is not None and work.folder.unit is not None
    reason = Reason("half-a-data-set", {"lacks": work.folder.unit.lacks})
    rooms.set_state(work, State.WAITING, reason)
    if rooms.ledger.report_once(f"half-a-data-set:{work.key}", rooms.clock.now()):
        rooms.report_problem(
            f"{work.key}:half-a-data-set", f"{work.key}: {reason.text}", exit_code=0, once=True
        )


def compare(rooms: Rooms, work: Work) -> Differences:
    """Of a published one that was scanned: which of its frozen files became others. What may change and did is made an
    unpublished part of the manifest."""
    run, continuous = work.run, work.continuous
    assert continuous is not None
    changed = frozen.changed_at_source(rooms, work, continuous.is_frozen)
    renewed = changed.renewed
    changed = accept.changed_files(rooms, work, changed, quiet=True)
    # Who encrypts spectra encrypts results, too: as long as a person has to look, nothing is replaced.
    if renewed and not changed.count:
        # Should we be cut off now, the lake is asked what stood there.
        rooms.ledger.doubt_remote(run)
        Deferrals(rooms.ledger, run, continuous.is_frozen).renew(renewed)
        _log.info("%s: %d files that may change did, and are carried anew", work.key, len(renewed))
    return changed


def at_rest(rooms: Rooms, work: Work) -> Reason:
    """How it stands at the end of a pass."""
    waiting = rooms.files.plan.uncarried_counts(work.run).get(Kind.WAITS.value, 0)
    return Reason(
        "continuous", {"files": work.run.files, "waiting": waiting, "acquiring": len(work.acquiring)}
    )


def left(files: Files, run: Run) -> Reason | None:
    """Its folder is gone: were there files that waited to be carried?"""
    waiting = files.plan.uncarried_counts(run).get(Kind.WAITS.value, 0)
    return Reason("vanished-waiting", {"count": waiting}) if waiting else None


def never_ended(rooms: Rooms, work: Work) -> Reason | None:
    """Files that say that they are being acquired, though nothing has moved for ``stale-after``: the acquisition broke
    off, and they would wait for ever."""
    names = [blob for blob, since in work.acquiring if placing.has_broken_off(rooms, since)]
    return Reason("never-ended", {"count": len(names), "names": names[:20]}) if names else None
