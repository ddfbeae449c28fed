"""Somebody deletes or replaces the lock file under a pass; another pass begins and ends before that one goes on."""

from __future__ import annotations

import collections.abc
import contextlib

from tests.faults.fault import Fault, Some, acting, is_commit, is_document
from tests.faults.world import HUNG_AFTER, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
Arm = collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]
_COMMIT, _DOCUMENT, _ANY = "at a file", "at a document", "at a request"
WORDS = "lock file|vanished|changed|not there|overtaken|took it over"


def lock(is_replaced: bool) -> Arm:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        fits, most = {
            _COMMIT: (is_commit, 6),
            _DOCUMENT: (is_document, 8),
            _ANY: (lambda request: True, 30),
        }[world.instant(*fault.instants)]
        some = Some(world, fits, 1 if world.plan.instant else world.chance.randint(1, most))
        # What the other removes must not leave a main folder that looks like a lost share.
        (world.disk / "STILL WRITTEN").mkdir(exist_ok=True)

        def act(request: Request) -> None:
            if not some(request):
                return
            for path in (world.folder / "state").glob("*.lock"):
                path.unlink()
                if is_replaced:
                    path.touch(mode=0o600)
            other = world.start()
            output, _ = other.communicate(timeout=HUNG_AFTER)
            world.truth.note(
                f"the other pass, which took a new lock, ended with {other.returncode}:\n{output}"
            )
            if "another pass" not in output:
                world.strike(fault.name)

        with acting(world, act):
            yield

    return arm


FAULTS = tuple(
    Fault(
        f"the lock file {what} under a pass",
        lock(what == "replaced"),
        {0, 1, 3},
        WORDS,
        instants=(_COMMIT, _DOCUMENT, _ANY),
    )
    for what in ("deleted", "replaced")
)
