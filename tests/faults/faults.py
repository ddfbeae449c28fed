"""The table of faults, in the order of docs/reliability.md."""

from __future__ import annotations

from tests.faults import machine, network, source
from tests.faults.fault import Fault

TABLE: tuple[Fault, ...] = (*network.FAULTS, *machine.FAULTS, *source.FAULTS)
BY_NAME = {fault.name: fault for fault in TABLE}
