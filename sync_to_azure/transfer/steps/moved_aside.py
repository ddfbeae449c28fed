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
from sync_to_azure.transfer.steps import cache_wait, look, removal_proof, override_checks
from sync_to_azure.transfer.decisions import removal_clocks, removal_gate
from sync_to_azure.transfer.decisions.removal_gate import RemovalDecision, Fate, RemovalRules
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.files.unlinking import Below, rename
from sync_to_azure.notify.terminal import how_many
from sync_to_azure.transfer.ledger import Ledger, Run

_log = logging.getLogger(__name__)

PROOF_LASTS = 300.0
"""Seconds after a listing in which files are unlinked on its word; then the lake is asked again."""
_MOST_TRIES = 3
"""Proofs that were too old before the first unlink: the machine, or the line, is too slow for now."""


def go_on(rooms: Rooms, work: Work, aside: bytes) -> None:
    """From the folder moved aside to the end; also after a crash. What can only wait is told once, and waits."""
    try:
        _to_the_end(rooms, work, aside)
    except SourceUnavailable as error:
        # The share, or only this folder? Raises if it is the share.
        look.at_main_folder(rooms)
        _stopped(rooms, work, str(error))
    except (FilesChanged, FileNotFoundError) as error:
        # Another machine was faster, or a person; the next pass finds it under its own name, or not at all.
        _log.warning("%s: it stands aside no longer: %s", work.key, error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        look.at_main_folder(rooms)
        _stopped(rooms, work, str(error.strerror or error))


def _to_the_end(rooms: Rooms, work: Work, aside: bytes) -> None:
    place = Place(rooms.main(), aside)
    work.folder = RunFolder(work.key.encode(), place, 0)
    rules = RemovalRules(rooms.rules, rooms.settings.removal.remove_excluded)
    problem = cache_wait.problem(rooms)
    if problem:
        if has_begun(work.run):
            _stopped(rooms, work, problem)
        else:
            put_back(rooms, work, place, problem)
        return
    removal_proof.begin(rooms, work)
    looked_twice, too_old = False, 0
    while True:
        rooms.files.scratch.clear_try()
        removal_proof.look_again(rooms, work)
        read, differ = removal_proof.hashed_again(rooms, work)
        if differ:
            _put_back_for_good(rooms, work, place, differ)
            return
        if read:
            removal_proof.look_again(rooms, work)
            moved = removal_proof.still_changed(rooms.ledger, work.run)
            if moved:
                _moves(rooms, work, place, moved)
                return
        cache_wait.wait_out(rooms, work)
        proof = removal_proof.prove(rooms, work)
        proved = removal_proof.instant(rooms)
        problem = proof.waits.text if proof.waits is not None else proof.problem
        if problem:
            put_back(rooms, work, place, problem)
            return
        facts = removal_proof.facts_of(rooms, work, removal_proof.ask(rooms, work), proof.wrong)
        decision = removal_gate.decide(facts, removal_proof.seen_again(rooms.ledger, work.run), rules)
        if not decision.may_begin:
            _not_now(rooms, work, place, decision)
            return
        if override_checks.stops(rooms, work):
            put_back(rooms, work, place, "a person holds it")
            return
        if not has_begun(work.run):
            rooms.set_state(work, State.REMOVING, Reason("unlinking", {}))
        asked = removal_proof.ask(rooms, work)

        def proof_lasts() -> bool:
            return removal_clocks.age(proved, asked.at, rooms.clock.boottime()) < PROOF_LASTS

        if asked.marker is None or not proof_lasts():
            too_old += 1
            if too_old == _MOST_TRIES:
                _stopped(rooms, work, "what the lake answered was too old each time before the first file")
                return
            continue
        with Below(place) as below:

            def fresh(number: int) -> bool:
                if number % 50 == 0:
                    rooms.must_hold_lock()
                if number % 500 == 0:
                    rooms.progress(work, Progress(work.key, "removing", number, decision.files))
                return proof_lasts()

            outcome = below.unlink(_going(rooms.ledger, work.run, rules), fresh)
            if not outcome.hopeless and not outcome.late:
                below.remove_folders(outcome)
            is_gone = below.is_gone()
        if is_gone:
            removed(rooms, work)
            return
        if outcome.hopeless:
            look.at_main_folder(rooms)
        # Where nothing was refused, the next look says what is left: it came, or became another, since the last one.
        if outcome.refused or not (outcome.unlinked or outcome.changed) or (outcome.changed and looked_twice):
            _stopped(rooms, work, outcome.problem or "folders that look empty cannot be removed yet")
            return
        looked_twice = outcome.changed > 0


def _going(ledger: Ledger, run: Run, rules: RemovalRules) -> Iterator[Entry]:
    for standing in removal_proof.seen_again(ledger, run):
        if removal_gate.fate(standing, rules)[0] is Fate.GOES:
            yield standing.entry


def _not_now(rooms: Rooms, work: Work, place: Place, decision: RemovalDecision) -> None:
    for each in decision.in_the_way[:5]:
        _log.warning("%s: %s", work.key, each)
    if decision.only_waits and has_begun(work.run):
        _stopped(rooms, work, decision.why)
        return
    put_back(rooms, work, place, decision.why)


def _moves(rooms: Rooms, work: Work, place: Place, count: int) -> None:
    """Somebody changes rights or owners at this moment; or the share moves ctime whenever a file is read."""
    problem = f"{how_many(count, 'file')} changed in some way (rights, owner, attributes) while being read once more"
    if has_begun(work.run):
        _stopped(rooms, work, problem)
    elif put_back(rooms, work, place, problem):
        tell(
            rooms,
            f"not-removed:{work.key}",
            f"{work.key} is not removed: {problem}; the next pass reads them again",
        )


def has_begun(run: Run) -> bool:
    """Was the first file unlinked (or about to be)?"""
    reason = run.reason
    return (
        run.state is State.REMOVING and reason is not None and reason.code in ("unlinking", "unlink-refused")
    )


def _stopped(rooms: Rooms, work: Work, problem: str) -> None:
    rooms.set_state(work, State.REMOVING, Reason("unlink-refused", {"problem": problem}))
    text = f"{work.key}: removal stopped: {problem}; it goes on in the next pass"
    tell(rooms, f"unlink-refused:{work.key}", text)


def removed(rooms: Rooms, work: Work) -> None:
    # The word that no rows are kept comes before they go: without it, none of them would look like all of them.
    rooms.set_state(work, State.REMOVED, None, manifest_cached=0)
    rooms.files.forget(work.run)
    Folders(rooms.ledger).forget(work.run)
    for code in ("unlink-refused", "not-removed", "left-behind", "rehash-differs"):
        rooms.ledger.clear_reported(f"{code}:{work.key}")
    _log.info("%s: removed from the source", work.key)


def put_back(rooms: Rooms, work: Work, place: Place, why: str) -> bool:
    """Under its own name the next pass treats it as any published run: new files are added, changed ones flagged."""
    home = Place(place.above, work.run.key.encode())
    try:
        rename(place.above, place.name, home.name)
    except OSError as error:
        names = os.fsdecode(place.name)
        rooms.set_state(work, State.FLAGGED, Reason("left-behind", {"folder": names, "names": why}))
        text = f"{work.key}: {why}, and {names} cannot be put back: {error.strerror}"
        tell(rooms, f"left-behind:{work.key}", text)
        return False
    work.folder = RunFolder(work.run.key.encode(), home, 0)
    state = State.PUBLISHED if work.run.is_published else State.SEEN
    rooms.set_state(work, state, None, event="put-back", folder_mtime_ns=None)
    _log.warning("%s: put back at the source: %s", work.key, why)
    return True


def _put_back_for_good(rooms: Rooms, work: Work, place: Place, differ: list[str]) -> None:
    """Its bytes are not those of the manifest, though size and time are. Reading all of it in every pass would find the
    same: it is tried again by ``--thorough``, or when its folder changes."""
    if not put_back(rooms, work, place, f"{len(differ)} files are not what was published"):
        return
    assert work.folder is not None
    names = {"count": len(differ), "names": differ[:20]}
    own_ns = work.root.above.stat(work.root.name).st_mtime_ns
    rooms.set_state(work, State.PUBLISHED, Reason("rehash-differs", names), folder_mtime_ns=own_ns)
    reason = Reason("rehash-differs", names)
    tell(rooms, f"rehash-differs:{work.key}", f"{work.key}: {reason.text} ({reason.advice})")


def tell(rooms: Rooms, key: str, text: str) -> None:
    if rooms.ledger.report_once(key, rooms.clock.now()):
        rooms.report_problem(key, text, exit_code=1, once=True)
