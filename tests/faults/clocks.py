"""Clocks that are wrong, ours or the service's: while they differ nothing is removed, and no wait is over too early."""

from __future__ import annotations

import collections.abc
import contextlib
import datetime
import email.utils

from tests.faults.fault import Fault, at_end
from tests.faults.world import ASIDE, Outcome, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
Arm = collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]
HOUR = 3600
_AHEAD, _BEHIND = "ahead", "behind"


def stays(world: World) -> collections.abc.Callable[[], list[str]]:
    """What was there when the clocks went wrong is there."""
    runs = [run for run in world.runs if (world.disk / run).is_dir()]

    def check() -> list[str]:
        gone = [
            run for run in runs if not any((world.disk / name).is_dir() for name in (run, f"{ASIDE}{run}"))
        ]
        return [f"{run} was removed while clocks are wrong" for run in gone]

    return check


def services(world: World, fault: Fault) -> contextlib.AbstractContextManager[None]:
    """The service's dates are off by hours or days, by which the marker was written then."""
    hours = world.chance.choice((1, 24, 24 * 30)) * (1 if world.instant(*fault.instants) == _AHEAD else -1)

    def headers(request: Request, answer: dict[str, str]) -> None:
        for name in [name for name in answer if name.lower() in ("date", "last-modified")]:
            date = email.utils.parsedate_to_datetime(answer[name]) + datetime.timedelta(hours=hours)
            answer[name] = email.utils.format_datetime(date, usegmt=True)

    @contextlib.contextmanager
    def arm() -> Armed:
        check = stays(world)
        world.checks.append(check)
        world.headers.append(headers)

        def ended(outcome: Outcome) -> None:
            if world.watch.get("R.sync") is not None:
                world.strike(fault.name)

        with at_end(world, ended):
            yield
        world.headers.remove(headers)
        world.checks.remove(check)

    return arm()


def ours(world: World, fault: Fault) -> contextlib.AbstractContextManager[None]:
    """Ten days ahead of the service's, and a published run is to stay for seven."""

    @contextlib.contextmanager
    def arm() -> Armed:
        check = stays(world)
        world.checks.append(check)
        world.config["remove-after"] = 7
        world.points.clock = 240 * HOUR

        def ended(outcome: Outcome) -> None:
            if world.watch.get("R.sync") is not None:
                world.strike(fault.name)

        with at_end(world, ended):
            yield
        world.points.clock = 0.0
        del world.config["remove-after"]
        world.checks.remove(check)

    return arm()


FAULTS = (
    Fault(
        "the service's clock is wrong when a source is to be removed",
        services,
        {0, 1},
        "clock",
        remove=True,
        again=(),
        alone=True,
        instants=(_AHEAD, _BEHIND),
    ),
    Fault(
        "our clock is wrong while a source waits for its removal",
        ours,
        {0, 1},
        "clock",
        remove=True,
        again=(),
        alone=True,
    ),
)
