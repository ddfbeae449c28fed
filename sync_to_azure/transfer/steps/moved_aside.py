"""A run that stands aside, from there to the end: seen again, proved again, unlinked entry by entry. What differs puts
the folder back under its name; what can only wait is told once, and waits.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator

from sync_to_azure.core.errors import FilesChanged, SourceUnavailable
from sync_to_azure.files.folder import Place
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.core.model import Entry, Progress, State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import RunFolder
from sync_to_azure.transfer.steps import cache_wait, scan, removal_proof, override_checks
from sync_to_azure.transfer.decisions import removal_clocks, removal_gate
from sync_to_azure.transfer.decisions.removal_gate import RemovalDecision, Fate, RemovalRules
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.files.unlinking import Below, rename
from sync_to_azure.notify.terminal import how_many
from sync_to_azure.transfer.ledger import Ledger, Run

_log = logging.getLogger(__name__)

PROOF_LASTS = 300.0
"""Seconds after a listing in which files are unlinked on its word; then the lake is asked again."""
_MOST_TRIES = 3
"""Proofs that were too old before the first unlink: the machine, or the line, is too slow for now."""


def go_on(context: PassContext, current: RunContext, aside: bytes) -> None:
    """From the folder moved aside to the end; also after a crash. What can only wait is told once, and waits."""
    try:
        _to_the_end(context, current, aside)
    except SourceUnavailable as error:
        # The share, or only this folder? Raises if it is the share.
        scan.at_main_folder(context)
        _stopped(context, current, str(error))
    except (FilesChanged, FileNotFoundError) as error:
        # Another machine was faster, or a person; the next pass finds it under its own name, or not at all.
        _log.warning("%s: it is no longer where it was moved aside: %s", current.key, error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        scan.at_main_folder(context)
        _stopped(context, current, str(error.strerror or error))


def _to_the_end(context: PassContext, current: RunContext, aside: bytes) -> None:
    place = Place(context.main(), aside)
    current.folder = RunFolder(current.key.encode(), place, 0)
    rules = RemovalRules(context.rules, context.settings.removal.remove_excluded)
    problem = cache_wait.problem(context)
    if problem:
        if has_begun(current.run):
            _stopped(context, current, problem)
        else:
            put_back(context, current, place, problem)
        return
    removal_proof.begin(context, current)
    looked_twice, too_old = False, 0
    while True:
        context.files.scratch.clear_try()
        removal_proof.look_again(context, current)
        read, differ = removal_proof.hashed_again(context, current)
        if differ:
            _put_back_for_good(context, current, place, differ)
            return
        if read:
            removal_proof.look_again(context, current)
            moved = removal_proof.still_changed(context.ledger, current.run)
            if moved:
                _moves(context, current, place, moved)
                return
        cache_wait.wait_out(context, current)
        proof = removal_proof.prove(context, current)
        proved = removal_proof.instant(context)
        problem = proof.waits.text if proof.waits is not None else proof.problem
        if problem:
            put_back(context, current, place, problem)
            return
        facts = removal_proof.facts_of(context, current, removal_proof.ask(context, current), proof.wrong)
        decision = removal_gate.decide(facts, removal_proof.seen_again(context.ledger, current.run), rules)
        if not decision.may_begin:
            _not_now(context, current, place, decision)
            return
        if override_checks.stops(context, current):
            put_back(context, current, place, "it is held by the operator")
            return
        if not has_begun(current.run):
            context.set_state(current, State.REMOVING, Reason("unlinking", {}))
        asked = removal_proof.ask(context, current)

        def proof_lasts() -> bool:
            return removal_clocks.age(proved, asked.at, context.clock.boottime()) < PROOF_LASTS

        if asked.marker is None or not proof_lasts():
            too_old += 1
            if too_old == _MOST_TRIES:
                _stopped(
                    context,
                    current,
                    "each answer of the destination was too old before the first file could be deleted",
                )
                return
            continue
        with Below(place) as below:

            def fresh(number: int) -> bool:
                if number % 50 == 0:
                    context.must_hold_lock()
                if number % 500 == 0:
                    context.progress(current, Progress(current.key, "removing", number, decision.files))
                return proof_lasts()

            outcome = below.unlink(_going(context.ledger, current.run, rules), fresh)
            if not outcome.hopeless and not outcome.late:
                below.remove_folders(outcome)
            is_gone = below.is_gone()
        if is_gone:
            removed(context, current)
            return
        if outcome.hopeless:
            scan.at_main_folder(context)
        # Where nothing was refused, the next look says what is left: it came, or became another, since the last one.
        if outcome.refused or not (outcome.unlinked or outcome.changed) or (outcome.changed and looked_twice):
            _stopped(context, current, outcome.problem or "folders that appear empty cannot be removed yet")
            return
        looked_twice = outcome.changed > 0


def _going(ledger: Ledger, run: Run, rules: RemovalRules) -> Iterator[Entry]:
    for standing in removal_proof.seen_again(ledger, run):
        if removal_gate.fate(standing, rules)[0] is Fate.GOES:
            yield standing.entry


def _not_now(context: PassContext, current: RunContext, place: Place, decision: RemovalDecision) -> None:
    for each in decision.in_the_way[:5]:
        _log.warning("%s: %s", current.key, each)
    if decision.only_waits and has_begun(current.run):
        _stopped(context, current, decision.why)
        return
    put_back(context, current, place, decision.why)


def _moves(context: PassContext, current: RunContext, place: Place, count: int) -> None:
    """Somebody changes rights or owners at this moment; or the share moves ctime whenever a file is read."""
    problem = f"{how_many(count, 'file')} changed in some way (rights, owner, attributes) while being read once more"
    if has_begun(current.run):
        _stopped(context, current, problem)
    elif put_back(context, current, place, problem):
        tell(
            context,
            f"not-removed:{current.key}",
            f"{current.key} is not removed: {problem}; the next pass reads them again",
        )


def has_begun(run: Run) -> bool:
    """Was the first file unlinked (or about to be)?"""
    reason = run.reason
    return (
        run.state is State.REMOVING and reason is not None and reason.code in ("unlinking", "unlink-refused")
    )


def _stopped(context: PassContext, current: RunContext, problem: str) -> None:
    context.set_state(current, State.REMOVING, Reason("unlink-refused", {"problem": problem}))
    text = f"{current.key}: removal stopped: {problem}; it continues in the next pass"
    tell(context, f"unlink-refused:{current.key}", text)


def removed(context: PassContext, current: RunContext) -> None:
    # The word that no rows are kept comes before they go: without it, none of them would look like all of them.
    context.set_state(current, State.REMOVED, None, manifest_cached=0)
    context.files.forget(current.run)
    Folders(context.ledger).forget(current.run)
    for code in ("unlink-refused", "not-removed", "left-behind", "rehash-differs"):
        context.ledger.clear_reported(f"{code}:{current.key}")
    _log.info("%s: removed from the source", current.key)


def put_back(context: PassContext, current: RunContext, place: Place, why: str) -> bool:
    """Under its own name the next pass treats it as any published run: new files are added, changed ones flagged."""
    home = Place(place.above, current.run.key.encode())
    try:
        rename(place.above, place.name, home.name)
    except OSError as error:
        names = os.fsdecode(place.name)
        context.set_state(current, State.FLAGGED, Reason("left-behind", {"folder": names, "names": why}))
        text = f"{current.key}: {why}, and {names} cannot be put back: {error.strerror}"
        tell(context, f"left-behind:{current.key}", text)
        return False
    current.folder = RunFolder(current.run.key.encode(), home, 0)
    state = State.PUBLISHED if current.run.is_published else State.SEEN
    context.set_state(current, state, None, event="put-back", folder_mtime_ns=None)
    _log.warning("%s: put back at the source: %s", current.key, why)
    return True


def _put_back_for_good(context: PassContext, current: RunContext, place: Place, differ: list[str]) -> None:
    """Its bytes are not those of the manifest, though size and time are. Reading all of it in every pass would find the
    same: it is tried again by ``--thorough``, or when its folder changes."""
    if not put_back(context, current, place, f"{len(differ)} files are not what was published"):
        return
    assert current.folder is not None
    names = {"count": len(differ), "names": differ[:20]}
    own_ns = current.root.above.stat(current.root.name).st_mtime_ns
    context.set_state(current, State.PUBLISHED, Reason("rehash-differs", names), folder_mtime_ns=own_ns)
    reason = Reason("rehash-differs", names)
    tell(context, f"rehash-differs:{current.key}", f"{current.key}: {reason.text} ({reason.advice})")


def tell(context: PassContext, key: str, text: str) -> None:
    if context.ledger.report_once(key, context.clock.now()):
        context.report_problem(key, text, exit_code=1, once=True)
