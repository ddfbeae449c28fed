"""The table of faults by class, in the order of docs/reliability.md."""

from __future__ import annotations

import collections.abc

from tests.faults import (
    clocks,
    forged,
    late,
    late_files,
    links,
    locks,
    looks,
    machine,
    network,
    rivals,
    sheets,
    source,
    writers,
)
from tests.faults.fault import Fault

CLASSES: collections.abc.Mapping[str, tuple[Fault, ...]] = {
    "network": network.FAULTS,
    "machine": machine.FAULTS,
    "source": source.FAULTS,
    "other-writer": writers.FAULTS + forged.FAULTS + rivals.FAULTS,
    "late-request": late.FAULTS,
    "link": links.FAULTS,
    "lock": locks.FAULTS,
    "look": looks.FAULTS,
    "clock": clocks.FAULTS,
    "late-file": late_files.FAULTS,
    "sheet": sheets.FAULTS,
}
SECOND_ROUND = tuple(name for name in CLASSES if name not in ("network", "machine", "source"))
"""Another writer, a link, a late request: what spoilt requests and files alone do not show. Has a table of its own."""

TABLE: tuple[Fault, ...] = tuple(fault for faults in CLASSES.values() for fault in faults)
BY_NAME = {fault.name: fault for fault in TABLE}


def of(classes: collections.abc.Iterable[str]) -> tuple[Fault, ...]:
    """The faults of these classes; of all where none is named."""
    return tuple(fault for name in classes for fault in CLASSES[name]) or TABLE
