"""Freeing the source, only with ``remove-source``: is it wanted, is it proved; then the run is moved aside, and
``moved_aside`` goes on from there.
"""

from __future__ import annotations

import logging
import os

from sync_to_azure.transfer.ledger.removal_queries import still_there, uncarried_but
from sync_to_azure.core.model import Kind, State
from sync_to_azure.core.names import ASIDE_PREFIX
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import (
    adopt,
    azcopy_record,
    cache_wait,
    finished,
    instruments,
    moved_aside,
    read_back,
    removal_preview,
    removal_proof,
    override_checks,
)
from sync_to_azure.transfer.decisions import ended, removal_clocks, removal_gate
from sync_to_azure.transfer.steps.moved_aside import tell
from sync_to_azure.transfer.decisions.removal_gate import DAY, PublishedRun
from sync_to_azure.transfer.steps.looks import Differences, Sheet
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.files.unlinking import is_there, rename

_log = logging.getLogger(__name__)

_BY_TIME = frozenset({removal_gate.REMOVAL_DUE, removal_gate.CREDENTIALS})
_AT_REST = _BY_TIME | {"removal-later", removal_gate.CLOCKS, read_back.LIMITED, read_back.ARCHIVED}
_LOOKED_AGAIN = 24 * 3600.0
"""Seconds after which archived blobs are listed again: to rehydrate them takes hours."""


def wanted(rooms: Rooms, work: Work) -> bool:
    """Cheap: is there anything to try? What stands in the way is told once, without asking the storage. In a dry run
    nothing is wanted, but all is told."""
    run, reason = work.run, work.run.reason
    if work.folder is None or run.state is not State.PUBLISHED:
        return False
    if not rooms.settings.removal.remove_source:
        if reason is not None and reason.code in _AT_REST:
            rooms.set_state(work, State.PUBLISHED, None)
        return False
    nothing_to_carry = reason is not None and reason.code == "dry-run" and not reason.parameters.get("files")
    if reason is not None and reason.code not in _AT_REST and not nothing_to_carry:
        # Not at rest: files that came later are not carried yet.
        return False
    if rooms.settings.mode.dry_run:
        problem = _unwritable(rooms)[1] or finished.goes_on(rooms, work)
        if not problem and adopt.lacks_documents(rooms, work):
            problem = (
                "what its manifest, receipt or checksums were is written anew first; a later pass removes it"
            )
        removal_preview.show(rooms, work, problem=problem)
        return False
    return _is_time(rooms, work)


def preview_after_carrying(
    rooms: Rooms,
    work: Work,
    sheet: Sheet | None,
    sheet_problem: Reason | None,
    changed: Differences,
) -> None:
    """Of a dry run: what this very pass would remove of a run that it carries first."""
    if rooms.settings.removal.remove_source and work.folder is not None:
        problem = removal_preview.not_published(rooms, work, sheet, sheet_problem, changed)
        problem = problem or _unwritable(rooms)[1] or finished.goes_on(rooms, work)
        removal_preview.show_after_carrying(rooms, work, problem)


def _is_time(rooms: Rooms, work: Work) -> bool:
    run = work.run
    key, text = _unwritable(rooms)
    if text:
        tell(rooms, key, text)
        return False
    if ended.never_removed(work.run):
        instruments.tell_end(rooms, work)
        return False
    text = finished.goes_on(rooms, work) or _uncarried(rooms, work)
    if text:
        tell(rooms, f"not-removed:{work.key}", f"{work.key} is published but not removed: {text}")
        return False
    if run.published_at is not None and _waits_till_due(rooms, work, None):
        return False
    if rooms.clock_problem:
        rooms.set_state(work, State.PUBLISHED, Reason(removal_gate.CLOCKS, {"problem": rooms.clock_problem}))
        return False
    if run.reason is not None and run.reason.code in _BY_TIME:
        rooms.set_state(work, State.PUBLISHED, None)
    return True


def _unwritable(rooms: Rooms) -> tuple[str, str]:
    """Why nothing can be removed from the main folder: under which key it is told, and the words; or nothing."""
    main_folder = rooms.settings.source.main_folder
    if os.statvfs(main_folder).f_flag & os.ST_RDONLY:
        return "read-only-source", f"{main_folder} is mounted read-only: remove-source cannot work there"
    if not os.access(main_folder, os.W_OK | os.X_OK):
        return "unwritable-source", f"{main_folder} may not be written by us: remove-source cannot work there"
    problem = cache_wait.problem(rooms)
    return ("long-cache", f"nothing is removed: {problem}") if problem else ("", "")


def _uncarried(rooms: Rooms, work: Work) -> str:
    """What was not carried and is there still, in words; empty if nothing of it stands in the way."""
    goes = [Kind.EMPTY_FOLDER]
    if rooms.settings.removal.remove_excluded:
        goes += [Kind.EXCLUDED, Kind.JUNK]
    count, paths = uncarried_but(rooms.ledger.connection, work.run, goes)
    first = still_there(work.root, paths) if count else ""
    hint = (
        ""
        if rooms.settings.removal.remove_excluded
        else "; remove-excluded lets go what exclude names, and junk"
    )
    return f"{count} entries in it are not carried, such as {first} (see its receipt{hint})" if first else ""


def _waits_till_due(rooms: Rooms, work: Work, asked: removal_proof.Asked | None) -> bool:
    """``asked``: None before the lake was; then our clock says it, and the lake's only what comes after."""
    facts = PublishedRun(
        asked.marker if asked is not None else None,
        work.run.published_at,
        asked.now if asked is not None else rooms.clock.now(),
        rooms.settings.removal.remove_after * DAY,
        credentials=azcopy_record.expiry(rooms, work),
        service_now=asked.at.service if asked is not None else None,
    )
    waits = removal_gate.waits(facts)
    if waits is None:
        return False
    code, moment = waits
    rooms.set_state(work, State.PUBLISHED, Reason(code, {"from": moment}))
    return True


def remove(rooms: Rooms, work: Work) -> None:
    """Prove, move aside, and go on there."""
    if _cannot_be_read_now(rooms, work):
        return
    asked = removal_proof.ask(rooms, work)
    if _clocks_differ(rooms, work, asked):
        return
    refused_before = work.run.reason is not None and work.run.reason.code == "removal-later"
    # A folder that could not be moved aside was proved then, and will be once it is aside: no listing for each try.
    if not refused_before:
        if asked.marker is not None and _waits_till_due(rooms, work, asked):
            return
        rooms.files.scratch.clear_try()
        proof = removal_proof.prove(rooms, work)
        if proof.waits is not None:
            _not_read(rooms, work, proof.waits)
            return
        if work.run.reason is not None and work.run.reason.code in (read_back.LIMITED, read_back.ARCHIVED):
            rooms.set_state(work, State.PUBLISHED, None)
        if not proof.problem and _waits_till_due(rooms, work, asked):
            # The listing showed a job of AzCopy's that was not on record.
            return
        reason = proof.problem
        reason = reason or removal_gate.objection(removal_proof.facts_of(rooms, work, asked, proof.wrong))
        if reason:
            tell(rooms, f"not-removed:{work.key}:{reason}", f"{work.key} is not removed: {reason}")
            return
    # Somebody may have held it in that time, as restore does before it writes into this folder.
    override_checks.go_on(rooms, work)
    assert work.folder is not None
    aside = os.fsencode(ASIDE_PREFIX) + work.folder.name
    rooms.set_state(work, State.REMOVING, Reason("moved-aside", {}))
    try:
        rename(work.root.above, work.folder.name, aside)
    except FileNotFoundError as error:
        # Another machine was faster, or a person.
        rooms.set_state(work, State.GONE, Reason("not-there"))
        _log.warning("%s: it is not there any more: %s", work.key, error.strerror)
        return
    except OSError as error:
        problem = error.strerror or str(error)
        rooms.set_state(work, State.PUBLISHED, Reason("removal-later", {"problem": problem}))
        text = f"{work.key} cannot be moved aside for removal ({problem}); it is tried again in every pass"
        tell(rooms, f"rename-refused:{work.key}:{error.errno}", text)
        return
    moved_aside.go_on(rooms, work, aside)


def _cannot_be_read_now(rooms: Rooms, work: Work) -> bool:
    """Is it known why its blobs cannot be read in this pass? Then nothing is asked."""
    reason = work.run.reason
    if reason is None or override_checks.thorough(rooms, work):
        return False
    if reason.code == read_back.LIMITED:
        return rooms.read_back_left <= 0
    looked = reason.parameters.get("looked")
    if reason.code != read_back.ARCHIVED or not isinstance(looked, float):
        return False
    return 0 <= rooms.clock.now() - looked < _LOOKED_AGAIN


def _not_read(rooms: Rooms, work: Work, waits: Reason) -> None:
    rooms.set_state(work, State.PUBLISHED, waits)
    if waits.code == read_back.ARCHIVED:
        tell(rooms, f"not-removed:{work.key}:{waits.code}", f"{work.key}: {waits.text} ({waits.advice})")


def _clocks_differ(rooms: Rooms, work: Work, asked: removal_proof.Asked) -> bool:
    """Told once for all runs; nothing more is asked in this pass."""
    rooms.clock_problem = removal_clocks.problem(asked.now, asked.at.service)
    if not rooms.clock_problem:
        rooms.ledger.clear_reported(removal_gate.CLOCKS)
        if work.run.reason is not None and work.run.reason.code == removal_gate.CLOCKS:
            rooms.set_state(work, State.PUBLISHED, None)
        return False
    reason = Reason(removal_gate.CLOCKS, {"problem": rooms.clock_problem})
    rooms.set_state(work, State.PUBLISHED, reason)
    tell(rooms, removal_gate.CLOCKS, f"nothing is removed: {rooms.clock_problem} ({reason.advice})")
    return True


def settle_absent(rooms: Rooms, work: Work) -> None:
    """A run that is being removed and has no folder of its own: its folder stands aside still, or the last of it went
    just before we were cut off."""
    if not is_there(rooms.main(), os.fsencode(ASIDE_PREFIX) + work.key.encode()):
        moved_aside.removed(rooms, work)
