"""The short form of the fault matrix: every kind of fault strikes once, at a named instant where it has one, and all
holds. The long form: make faults."""

from __future__ import annotations

import pathlib
import random

import pytest

from embedded.azurite import Azurite
from tests.faults import plans, trial
from tests.faults.faults import TABLE
from tests.faults.fault import Fault
from tests.warm_start import WarmServer

SEED = 20261122
TRIES = 5
"""A random instant may fall where nothing happens: then the next seed."""


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_one_fault(fault: Fault, azurite: Azurite, tmp_path: pathlib.Path, starts: WarmServer | None) -> None:
    for number in range(TRIES):
        seed = f"{SEED}/{fault.name}/{number}"
        print(f"seed {seed}")
        instant = fault.instants[0] if fault.instants else ""
        plan = plans.plan_for(seed, (fault,), random.Random(seed), "native", instant)
        # A short path: a socket's may hold 107 bytes.
        result = trial.run(plan, tmp_path / str(number), azurite, starts)
        assert not result.violations, "\n".join([str(plan), *result.violations, result.story])
        if result.counts:
            return
    pytest.fail(f"{fault.name} did not strike with {TRIES} seeds")
