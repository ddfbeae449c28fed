"""Somebody else with write access to the container, who writes at the worst instants."""

from __future__ import annotations

import collections.abc
import contextlib

from tests.faults.fault import Fault, Some, acting, at_end, is_commit
from tests.faults.storage import digest_of, forge, put, stage_over
from tests.faults.world import Outcome, World
from tests.line import CUT, Request

Armed = collections.abc.Iterator[None]
WORDS = "changed by another|overtaken|written by another|not verified after"
_HELD_BYTES = "other bytes than|not verified after|changed by another"


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
            world.truth.note(f"blob {request.blob} written by another else before our {request.kind}")
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
            world.truth.note(f"blob {request.blob} written by another else after our {request.kind}")
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


@contextlib.contextmanager
def foreign_blocks(world: World, fault: Fault) -> Armed:
    """Another tool has left blocks, under IDs of another length, which the service takes no others beside; when we
    clear them, somebody has made a blob there, which must stay."""
    chosen = [
        name
        for name in ("R/Data/large.raw", "R/RunInfo.xml", "R/Data/L001/1.bcl")
        if world.chance.random() < 0.7
    ] or ["R/Data/large.raw"]
    for name in chosen:
        world.container.get_blob_client(name).stage_block(world.chance.choice(("x", "others")), b"foreign")
    meanwhile = world.chance.random() < 0.3
    problems: list[str] = []
    theirs: dict[str, str] = {}

    def act(request: Request) -> None:
        if request.writes and request.blob in chosen:
            world.strike(fault.name)
        if _clears(request) and meanwhile and request.blob not in theirs:
            theirs[request.blob] = put(world.container, request.blob, b"of somebody else")

    def answered(request: Request, status: int) -> None:
        if _clears(request) and status == 201 and request.blob in theirs:
            problems.append(f"{request.blob}, which somebody else made, was emptied")

    world.answered.append(answered)
    world.checks.append(lambda: problems)
    with acting(world, act):
        yield
    world.answered.remove(answered)


def _clears(request: Request) -> bool:
    """A list of no blocks drops all that are not committed."""
    return request.kind == "PUT blocklist" and b"<Latest>" not in request.body


FAULTS = (
    Fault(
        "zeros under the IDs of our blocks",
        over_our_blocks,
        {-9, 0, 1},
        _HELD_BYTES,
        uploaders=("native",),
        shapes=("blocks",),
        alone=True,
    ),
    Fault(
        "blocks of another tool",
        foreign_blocks,
        {0, 1},
        f"{WORDS}|not sent|answers 400",
        uploaders=("native",),
        shapes=("blocks",),
    ),
    Fault("a blob of somebody else, between our listing and our commit", before_our_commit, {0, 1}, WORDS),
    Fault(
        "a blob of somebody else, between our commit and the listing", after_our_commit, {0, 1}, _HELD_BYTES
    ),
)
