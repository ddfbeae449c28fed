"""Which faults are tried in which world: everything follows from the seed and the number of the trial."""

from __future__ import annotations

import collections.abc
import random

from tests.faults.fault import Fault
from tests.faults.faults import BY_NAME, CLASSES, TABLE, of
from tests.faults.world import SHAPES, Plan

_AZCOPY = 0.22
"""Share of AzCopy once each fault was tried with both: a pass takes it three times as long."""

_PAIRS = 0.6


def plan(
    seed: int, number: int, only: str = "", uploader: str = "", classes: collections.abc.Sequence[str] = ()
) -> Plan:
    """The ``number``-th trial: first each fault alone with each uploader, then alone and in pairs as it falls.
    ``classes``: each trial has a fault of one of these; the other one of a pair may be any."""
    chance = random.Random(f"{seed}/{number}")
    table = of(classes)
    if only:
        faults: tuple[Fault, ...] = tuple(BY_NAME[name] for name in only.split(" + "))
    else:
        alone = [(fault, each) for each in ("native", "azcopy") for fault in table if each in fault.uploaders]
        if number < len(alone):
            fault, uploader = alone[number]
            faults = (fault,)
        else:
            faults = _some(chance, table)
    return plan_for(f"{seed}/{number}", faults, chance, uploader)


def _some(chance: random.Random, table: collections.abc.Sequence[Fault]) -> tuple[Fault, ...]:
    first = chance.choice(table)
    if first.alone or chance.random() >= _PAIRS:
        return (first,)
    return (first, chance.choice([each for each in TABLE if fit(first, each)]))


def fit(one: Fault, other: Fault) -> bool:
    """May both stand in one world?"""
    ledgers = one.name.startswith("ledger") and other.name.startswith("ledger")
    # Each would lead to the other's canary.
    links = one in CLASSES["link"] and other in CLASSES["link"]
    removes = {each.remove for each in (one, other)} - {None}
    mounts = {each.mount for each in (one, other)} - {""}
    disks = {each.disk for each in (one, other)} - {""}
    kept = bool(one.disk == "state" or other.disk == "state") and "reboot" in one.name + other.name
    return (
        one is not other
        and not (one.alone or other.alone or ledgers or kept or links)
        and max(len(removes), len(mounts), len(disks)) <= 1
        and bool(set(one.shapes) & set(other.shapes))
        and bool(set(one.uploaders) & set(other.uploaders))
    )


def plan_for(
    seed: str,
    faults: collections.abc.Sequence[Fault],
    chance: random.Random,
    uploader: str = "",
    instant: str = "",
) -> Plan:
    uploaders = [each for each in ("native", "azcopy") if all(each in fault.uploaders for fault in faults)]
    if uploader not in uploaders:
        uploader = "azcopy" if uploaders == ["azcopy"] or chance.random() < _AZCOPY else "native"
        uploader = uploader if uploader in uploaders else uploaders[0]
    shapes = [each for each in SHAPES if all(each in fault.shapes for fault in faults)]
    removes = {fault.remove for fault in faults} - {None}
    remove = chance.random() < 0.5 if not removes else bool(removes.pop())
    mount = next((fault.mount for fault in faults if fault.mount), "plain")
    disk = next((fault.disk for fault in faults if fault.disk), "")
    shape = chance.choice(shapes)
    return Plan(seed, tuple(fault.name for fault in faults), uploader, shape, remove, mount, disk, instant)
