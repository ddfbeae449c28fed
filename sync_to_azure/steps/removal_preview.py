"""``--dry-run`` for removal: exactly what would go, and what would stand in the way. The lake is asked, nothing changes
at either end; what the ledger learns goes with the copy of it that a dry run works on."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

from sync_to_azure.clock import local_time
from sync_to_azure.model import Evidence
from sync_to_azure.steps import carry, removal_gate, removal_proof
from sync_to_azure.steps.removal_gate import Fate, Rules, Standing
from sync_to_azure.steps.rooms import Rooms, Work
from sync_to_azure.tell.terminal import human_size

_log = logging.getLogger(__name__)

_SHOWN = 20


def show(rooms: Rooms, work: Work, again: bool = False, problem: str = "") -> None:
    """``again``: the folder stands aside already. ``problem``: why the main folder cannot be written at all."""
    rules = Rules(rooms.rules, rooms.settings.remove_excluded)
    rooms.files.clear_try()
    removal_proof.look_again(rooms, work)
    marker = rooms.lake().modified(work.base + ".sync")
    carry.take_listing(rooms, work)
    wrong = rooms.files.verdict(work.run).wrong_count
    facts = removal_proof.facts_of(rooms, work, marker, wrong)
    if marker is not None and removal_gate.due_at(facts) > facts.now:
        _log.info("%s: would be removed from %s on", work.key, local_time(removal_gate.due_at(facts)))
        facts = dataclasses.replace(facts, after=0.0)
    decision = removal_gate.decide(facts, _read_back(removal_proof.seen_again(rooms, work)), rules)
    decision.objection = problem or decision.objection
    what = f"{decision.files} files, {human_size(decision.bytes)}, in {decision.folders} folders"
    what += f"; {decision.uncarried} of them are not in the lake" if decision.uncarried else ""
    if not decision.may_begin:
        _log.info("%s: would not be removed%s: %s", work.key, " but put back" if again else "", decision.why)
        for each in decision.in_the_way:
            _log.info("%s: in the way: %s", work.key, each)
        return
    _log.info("%s: %s: %s", work.key, "its removal would go on" if again else "would be removed", what)
    count, size = rooms.files.weaker(work.run, Evidence.VALIDATED)
    if count:
        _log.info("%s: of its blobs %d, %s, would be read back first", work.key, count, human_size(size))
    if removal_proof.must_rehash(rooms, work):
        _log.info("%s: its files would be read once more first", work.key)
    _show_each(rooms, work, rules)


def _read_back(standings: Iterator[Standing]) -> Iterator[Standing]:
    """As if what is only listed had been read back and found right."""
    for standing in standings:
        row = standing.row
        if row is not None and row.evidence is Evidence.LISTED:
            standing = dataclasses.replace(
                standing, row=dataclasses.replace(row, evidence=Evidence.READ_BACK)
            )
        yield standing


def _show_each(rooms: Rooms, work: Work, rules: Rules) -> None:
    number = 0
    for standing in _read_back(removal_proof.seen_again(rooms, work)):
        if removal_gate.fate(standing, rules)[0] is Fate.GOES:
            number += 1
            level = logging.INFO if number <= _SHOWN else logging.DEBUG
            _log.log(
                level, "%s: would go: %s", work.key, standing.entry.path.decode("utf-8", "backslashreplace")
            )
    if number > _SHOWN:
        _log.info("%s: and %d files more; --log-level DEBUG names each", work.key, number - _SHOWN)
