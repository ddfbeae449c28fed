"""Somebody else with write access to the container, who writes at the worst instants."""

from __future__ import annotations

import collections.abc
import contextlib

from tests.faults.fault import Fault, Some, acting, at_end, is_commit
from tests.faults.storage import digest_of, forge, put, stage_over
from tests.faults.world import Outcome, World
from tests.line import CUT, Request

Armed = collections.abc.Iterator[None]
WORDS = "changed by somebody|overtaken|written by somebody|not verified after"
_HELD_BYTES = "other bytes than|not verified after|changed by somebody"


@contextlib.contextmanager
def before_our_commit(world: World, fault: Fault) -> Armed:
    """Our listing showed nothing of this name (or another blob): when our commit arrives, somebody's blob is there."""
    blobs: set[str] = set()
    first = Some(world, is_commit, world.chance.randint(1, 6))
    left = world.chance.randint(1, 4)

    def act(request: Request) -> None:
        nonlocal left
        if first(request):
            blobs.add(request.blob)
        if left and is_commit(request) and request.blob in blobs:
            left -= 1
            put(world.container, request.blob, world.chance.randbytes(world.chance.randint(1, 400)))
            world.truth.note(f"blob {request.blob} written by somebody else before our {request.kind}")
            world.strike(fault.name)

    with acting(world, act):
        yield


@contextlib.contextmanager
def after_our_commit(world: World, fault: Fault) -> Armed:
    """Between our commit and the listing that follows it, which shows the right size and MD5 all the same."""
    # Of what holds no byte, nothing can be forged.
    some = Some(
        world, lambda request: is_commit(request) and "empty" not in request.blob, _any_of_them(world)
    )

    def answered(request: Request, status: int) -> None:
        if status == 201 and some(request):
            blob = world.container.get_blob_client(request.blob)
            size = blob.get_blob_properties().size
            forge(
                world.container,
                request.blob,
                world.chance.randbytes(size),
                digest_of(world.container, request.blob),
            )
            world.truth.note(f"blob {request.blob} written by somebody else after our {request.kind}")
            world.strike(fault.name)

    world.answered.append(answered)
    yield
    world.answered.remove(answered)


def _any_of_them(world: World) -> int:
    return world.chance.randint(1, 5)


@contextlib.contextmanager
def over_our_blocks(world: World, fault: Fault) -> Armed:
    """A pass is killed before it makes a blob of its blocks; somebody puts zeros under their IDs."""
    staged: list[Request] = []
    state = ["staging"]

    def act(request: Request) -> str | None:
        if state[0] == "staging":
            if request.kind == "PUT block":
                staged.append(request)
            elif request.kind == "PUT blocklist":
                state[0] = "killed"
                world.kill()
                return CUT
        elif state[0] == "zeros" and is_commit(request) and request.blob == staged[0].blob:
            world.strike(fault.name)
        return None

    def ended(outcome: Outcome) -> None:
        if state[0] != "killed":
            return
        chosen = [each for each in staged if world.chance.random() < 0.7] or staged[:1]
        for each in chosen:
            stage_over(world.container, each, bytes(len(each.body)))
        world.truth.note(f"zeros under the IDs of {len(chosen)} of {len(staged)} blocks of ours")
        state[0] = "zeros"

    with acting(world, act), at_end(world, ended):
        yield


FAULTS = (
    Fault("a blob of somebody else, between our listing and our commit", before_our_commit, {0, 1}, WORDS),
    Fault(
        "a blob of somebody else, between our commit and the listing", after_our_commit, {0, 1}, _HELD_BYTES
    ),
)
