"""Looks that are not fresh and answers that never end: the share's client answers from its cache while another client
writes to the share; the storage answers byte by byte.
"""

from __future__ import annotations

import collections.abc
import contextlib
import time

from tests.faults.fault import Fault, Some, acting, is_data, is_document
from tests.faults.network import UNREACHED
from tests.faults.source import behind_the_last_walk, changed, grown, one_file, truncated
from tests.faults.world import CACHED, World
from tests.line import DRIP, Request

Armed = collections.abc.Iterator[None]
Arm = collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]
_ONCE, _OFTEN = "once", "often"
_TIMEOUT = 2
"""Seconds, while answers drip."""
_ENDS_WITHIN = 120.0
"""Seconds: far more than the tries of a pass take with that limit, far less than one answer that drips."""


@contextlib.contextmanager
def stale(world: World, fault: Fault) -> Armed:
    """What the client keeps is over before the faults are lifted."""
    change = world.chance.choice((changed, truncated, grown))
    with one_file(change, behind_the_last_walk, False)(world, fault):
        yield
    time.sleep(CACHED)


def dripping(what: str) -> Arm:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        fits = {
            "a listing": lambda request: request.kind == "GET list",
            "a document": lambda request: request.method in ("GET", "HEAD") and "." in request.blob[1:3],
            "an answer": lambda request: is_data(request) or is_document(request),
        }[what]
        often = world.instant(*fault.instants) == _OFTEN
        some = Some(world, fits, world.chance.randint(1, 2), most=world.chance.randint(2, 4) if often else 1)
        patient, world.config["timeout"] = world.config["timeout"], _TIMEOUT

        def act(request: Request) -> str | None:
            if some(request):
                world.strike(fault.name)
                return DRIP
            return None

        def in_time() -> list[str]:
            seconds = world.passes[-1].seconds
            return [f"the pass took {seconds:.0f} s"] if seconds > _ENDS_WITHIN else []

        world.checks.append(in_time)
        with acting(world, act):
            yield
        world.checks.remove(in_time)
        world.config["timeout"] = patient

    return arm


_WORDS = "changed|cannot be|not removed|put back|entries|not uploaded|failed"

FAULTS = (
    Fault(
        "a file changed behind the share's cache before removal",
        stale,
        {0, 1},
        _WORDS,
        remove=True,
        mount="cached",
        expires=True,
    ),
    *(
        Fault(
            f"{what} that drips",
            dripping(what),
            {0, 1, 3},
            UNREACHED,
            uploaders=("native",),
            instants=(_ONCE, _OFTEN),
        )
        for what in ("a listing", "a document", "an answer")
    ),
)
