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
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.files.unlinking import is_there, rename

_log = logging.getLogger(__name__)

_BY_TIME = frozenset({removal_gate.REMOVAL_DUE, removal_gate.CREDENTIALS})
_AT_REST = _BY_TIME | {"removal-later", removal_gate.CLOCKS, read_back.LIMITED, read_back.ARCHIVED}
_LOOKED_AGAIN = 24 * 3600.0
"""Seconds after which archived blobs are listed again: to rehydrate them takes hours."""


def wanted(context: PassContext, current: RunContext) -> bool:
    """Cheap: is there anything to try? What stands in the way is told once, without asking the storage. In a dry run
    nothing is wanted, but all is told."""
    run, reason = current.run, current.run.reason
    if current.folder is None or run.state is not State.PUBLISHED:
        return False
    if not context.settings.removal.remove_source:
        if reason is not None and reason.code in _AT_REST:
            context.set_state(current, State.PUBLISHED, None)
        return False
    nothing_to_carry = reason is not None and reason.code == "dry-run" and not reason.parameters.get("files")
    if reason is not None and reason.code not in _AT_REST and not nothing_to_carry:
        # Not at rest: files that came later are not carried yet.
        return False
    if context.settings.mode.dry_run:
        problem = _unwritable(context)[1] or finished.goes_on(context, current)
        if not problem and adopt.lacks_documents(context, current):
            problem = "its manifest, receipt or checksums are written again first; a later pass removes it"
        removal_preview.show(context, current, problem=problem)
        return False
    return _is_time(context, current)


def preview_after_carrying(
    context: PassContext,
    current: RunContext,
    sheet: Sheet | None,
    sheet_problem: Reason | None,
    changed: Differences,
) -> None:
    """Of a dry run: what this very pass would remove of a run that it carries first."""
    if context.settings.removal.remove_source and current.folder is not None:
        problem = removal_preview.not_published(context, current, sheet, sheet_problem, changed)
        problem = problem or _unwritable(context)[1] or finished.goes_on(context, current)
        removal_preview.show_after_carrying(context, current, problem)


def _is_time(context: PassContext, current: RunContext) -> bool:
    run = current.run
    key, text = _unwritable(context)
    if text:
        tell(context, key, text)
        return False
    if ended.never_removed(current.run):
        instruments.tell_end(context, current)
        return False
    text = finished.goes_on(context, current) or _uncarried(context, current)
    if text:
        tell(context, f"not-removed:{current.key}", f"{current.key} is published but not removed: {text}")
        return False
    if run.published_at is not None and _waits_till_due(context, current, None):
        return False
    if context.clock_problem:
        context.set_state(
            current, State.PUBLISHED, Reason(removal_gate.CLOCKS, {"problem": context.clock_problem})
        )
        return False
    if run.reason is not None and run.reason.code in _BY_TIME:
        context.set_state(current, State.PUBLISHED, None)
    return True


def _unwritable(context: PassContext) -> tuple[str, str]:
    """Why nothing can be removed from the main folder: under which key it is told, and the words; or nothing."""
    main_folder = context.settings.source.main_folder
    if os.statvfs(main_folder).f_flag & os.ST_RDONLY:
        return "read-only-source", f"{main_folder} is mounted read-only: remove-source cannot work there"
    if not os.access(main_folder, os.W_OK | os.X_OK):
        return "unwritable-source", f"{main_folder} cannot be written by us: remove-source cannot work there"
    problem = cache_wait.problem(context)
    return ("long-cache", f"nothing is removed: {problem}") if problem else ("", "")


def _uncarried(context: PassContext, current: RunContext) -> str:
    """What was not carried and is there still, in words; empty if nothing of it stands in the way."""
    goes = [Kind.EMPTY_FOLDER]
    if context.settings.removal.remove_excluded:
        goes += [Kind.EXCLUDED, Kind.JUNK]
    count, paths = uncarried_but(context.ledger.connection, current.run, goes)
    first = still_there(current.root, paths) if count else ""
    hint = (
        ""
        if context.settings.removal.remove_excluded
        else "; remove-excluded also removes what exclude matches, and junk"
    )
    return f"{count} entries in it are not uploaded, such as {first} (see its receipt{hint})" if first else ""


def _waits_till_due(context: PassContext, current: RunContext, asked: removal_proof.Asked | None) -> bool:
    """``asked``: None before the lake was; then our clock says it, and the lake's only what comes after."""
    facts = PublishedRun(
        asked.marker if asked is not None else None,
        current.run.published_at,
        asked.now if asked is not None else context.clock.now(),
        context.settings.removal.remove_after * DAY,
        credentials=azcopy_record.expiry(context, current),
        service_now=asked.at.service if asked is not None else None,
    )
    waits = removal_gate.waits(facts)
    if waits is None:
        return False
    code, moment = waits
    context.set_state(current, State.PUBLISHED, Reason(code, {"from": moment}))
    return True


def remove(context: PassContext, current: RunContext) -> None:
    """Prove, move aside, and go on there."""
    if _cannot_be_read_now(context, current):
        return
    asked = removal_proof.ask(context, current)
    if _clocks_differ(context, current, asked):
        return
    refused_before = current.run.reason is not None and current.run.reason.code == "removal-later"
    # A folder that could not be moved aside was proved then, and will be once it is aside: no listing for each try.
    if not refused_before:
        if asked.marker is not None and _waits_till_due(context, current, asked):
            return
        context.files.scratch.clear_try()
        proof = removal_proof.prove(context, current)
        if proof.waits is not None:
            _not_read(context, current, proof.waits)
            return
        if current.run.reason is not None and current.run.reason.code in (
            read_back.LIMITED,
            read_back.ARCHIVED,
        ):
            context.set_state(current, State.PUBLISHED, None)
        if not proof.problem and _waits_till_due(context, current, asked):
            # The listing showed a job of AzCopy's that was not on record.
            return
        reason = proof.problem
        reason = reason or removal_gate.objection(
            removal_proof.facts_of(context, current, asked, proof.wrong)
        )
        if reason:
            tell(context, f"not-removed:{current.key}:{reason}", f"{current.key} is not removed: {reason}")
            return
    # Somebody may have held it in that time, as restore does before it writes into this folder.
    override_checks.go_on(context, current)
    assert current.folder is not None
    aside = os.fsencode(ASIDE_PREFIX) + current.folder.name
    context.set_state(current, State.REMOVING, Reason("moved-aside", {}))
    try:
        rename(current.root.above, current.folder.name, aside)
    except FileNotFoundError as error:
        # Another machine was faster, or a person.
        context.set_state(current, State.GONE, Reason("not-there"))
        _log.warning("%s: it no longer exists: %s", current.key, error.strerror)
        return
    except OSError as error:
        problem = error.strerror or str(error)
        context.set_state(current, State.PUBLISHED, Reason("removal-later", {"problem": problem}))
        text = f"{current.key} cannot be moved aside for removal ({problem}); it is retried in every pass"
        tell(context, f"rename-refused:{current.key}:{error.errno}", text)
        return
    moved_aside.go_on(context, current, aside)


def _cannot_be_read_now(context: PassContext, current: RunContext) -> bool:
    """Is it known why its blobs cannot be read in this pass? Then nothing is asked."""
    reason = current.run.reason
    if reason is None or override_checks.thorough(context, current):
        return False
    if reason.code == read_back.LIMITED:
        return context.read_back_left <= 0
    looked = reason.parameters.get("looked")
    if reason.code != read_back.ARCHIVED or not isinstance(looked, float):
        return False
    return 0 <= context.clock.now() - looked < _LOOKED_AGAIN


def _not_read(context: PassContext, current: RunContext, waits: Reason) -> None:
    context.set_state(current, State.PUBLISHED, waits)
    if waits.code == read_back.ARCHIVED:
        tell(
            context,
            f"not-removed:{current.key}:{waits.code}",
            f"{current.key}: {waits.text} ({waits.advice})",
        )


def _clocks_differ(context: PassContext, current: RunContext, asked: removal_proof.Asked) -> bool:
    """Told once for all runs; nothing more is asked in this pass."""
    context.clock_problem = removal_clocks.problem(asked.now, asked.at.service)
    if not context.clock_problem:
        context.ledger.clear_reported(removal_gate.CLOCKS)
        if current.run.reason is not None and current.run.reason.code == removal_gate.CLOCKS:
            context.set_state(current, State.PUBLISHED, None)
        return False
    reason = Reason(removal_gate.CLOCKS, {"problem": context.clock_problem})
    context.set_state(current, State.PUBLISHED, reason)
    tell(context, removal_gate.CLOCKS, f"nothing is removed: {context.clock_problem} ({reason.advice})")
    return True


def settle_absent(context: PassContext, current: RunContext) -> None:
    """A run that is being removed and has no folder of its own: its folder stands aside still, or the last of it went
    just before we were cut off."""
    if not is_there(context.main(), os.fsencode(ASIDE_PREFIX) + current.key.encode()):
        moved_aside.removed(context, current)
