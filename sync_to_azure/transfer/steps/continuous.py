"""A continuous folder in one pass, up to where it is carried as any other run: what is new, what became another,
what waits.

It is never done, so no marker is ever written. Its files are published as they come, a generation each time:
manifest and
receipt stand for what is there. What may never change (spectra) is frozen and flagged as in every run; what may
(results, methods) is published anew.
"""

from __future__ import annotations

import logging

from sync_to_azure.transfer.ledger.waits import Waits
from sync_to_azure.core.model import Kind, State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import accept, adopt, frozen, placing
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)


def prepare(rooms: Rooms, work: Work) -> frozen.Differences | None:
    """Walk it and write down what is to be carried; what of the published became another, or None if it waits."""
    run, files, continuous = work.run, rooms.files, work.continuous
    assert work.folder is not None and work.folder.unit is not None and continuous is not None
    if rooms.settings.completion.profile != run.profile:
        rooms.ledger.set(
            run,
            profile=rooms.settings.completion.profile,
            recognised_by=f"chosen: profile = {rooms.settings.completion.profile}",
        )
    accept.take_back(rooms, work)
    if work.folder.unit.lacks and not run.is_published:
        _lacks(rooms, work, work.folder.unit.lacks)
        return None
    files.clear_try()
    if not run.lake_known or not run.is_published or not run.rows_kept:
        # Before the walk: what is published and frozen is compared at any age.
        adopt.publication(rooms, work)
        work.is_doubted = run.is_published
        if work.is_doubted:
            # Until it was compared.
            rooms.ledger.doubt_remote(run)
    placing.into_ledger(rooms, work)
    changed = frozen.Differences()
    if run.is_published:
        changed = frozen.changed_at_source(rooms, work, continuous.is_frozen)
        renewed = changed.renewed
        changed = accept.changed_files(rooms, work, changed, quiet=True)
        # Who encrypts spectra encrypts results, too: as long as a person has to look, nothing is replaced.
        if renewed and not changed.count:
            # Should we be cut off now, the lake is asked what stood there.
            rooms.ledger.doubt_remote(run)
            Waits(rooms.ledger, run, continuous.is_frozen).renew(renewed)
            _log.info("%s: %d files that may change did, and are carried anew", work.key, len(renewed))
    files.merge_walk(run)
    return changed


def _lacks(rooms: Rooms, work: Work, lacks: str) -> None:
    reason = Reason("half-a-data-set", {"lacks": lacks})
    rooms.set_state(work, State.WAITING, reason)
    if rooms.ledger.tell_once(f"half-a-data-set:{work.key}", rooms.clock.now()):
        rooms.trouble(f"{work.key}:half-a-data-set", f"{work.key}: {reason.text}", exit_code=0, once=True)


def at_rest(rooms: Rooms, work: Work) -> Reason:
    """How it stands at the end of a pass."""
    waiting = rooms.files.uncarried_counts(work.run).get(Kind.WAITS.value, 0)
    return Reason(
        "continuous", {"files": work.run.files, "waiting": waiting, "acquiring": len(work.acquiring)}
    )


def left(rooms: Rooms, work: Work) -> Reason | None:
    """Its folder is gone: were there files that waited to be carried?"""
    waiting = rooms.files.uncarried_counts(work.run).get(Kind.WAITS.value, 0)
    return Reason("vanished-waiting", {"count": waiting}) if waiting else None


def never_ended(rooms: Rooms, work: Work) -> Reason | None:
    """Files that say that they are being acquired, though nothing has moved for ``stale-after``: the acquisition broke
    off, and they would wait for ever."""
    names = [blob for blob, since in work.acquiring if placing.has_broken_off(rooms, since)]
    return Reason("never-ended", {"count": len(names), "names": names[:20]}) if names else None
