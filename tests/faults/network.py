"""Faults of the line and of the storage behind it."""

from __future__ import annotations

import collections.abc
import contextlib
import threading
import time

from tests.faults.fault import ALWAYS, Fault, Some, acting, at_end, is_data, is_document, is_write
from tests.faults.world import HUNG_AFTER, Outcome, World
from tests.line import CUT, HALF, HALF_BODY, LOSE, RESET, TWICE, Answer, Request, forward

UNREACHED = "cannot be reached|answers|not verified after|nothing moved|no progress|not sent|was issued"
REFUSED = "refuse|policy|lease|not verified after"
Armed = collections.abc.Iterator[None]


@contextlib.contextmanager
def refused(world: World, fault: Fault) -> Armed:
    """From one request on: it is cut, and no connection is taken any more."""
    some = Some(world, first=world.chance.randint(1, 15))

    def act(request: Request) -> str | None:
        if some(request):
            world.line.refuse()
            world.strike(fault.name)
            return CUT
        return None

    with acting(world, act):
        yield
    world.line.accept()


@contextlib.contextmanager
def reset(world: World, fault: Fault) -> Armed:
    some = Some(world, is_write, most=world.chance.randint(1, 6), share=0.5)

    def head(request: Request) -> str | None:
        if some(request):
            world.strike(fault.name)
            return RESET
        return None

    world.heads.append(head)
    yield
    world.heads.remove(head)


@contextlib.contextmanager
def stalled(world: World, fault: Fault) -> Armed:
    """Some requests are never answered."""
    lifted = threading.Event()
    patient = world.config["timeout"]
    world.config["timeout"] = 3 if world.plan.uploader == "native" else 8
    some = Some(world, first=world.chance.randint(1, 12), most=world.chance.randint(1, 4))

    def act(request: Request) -> str | None:
        if some(request):
            world.strike(fault.name)
            lifted.wait(HUNG_AFTER)
            return CUT
        return None

    with acting(world, act):
        yield
    lifted.set()
    world.config["timeout"] = patient


@contextlib.contextmanager
def slow(world: World, fault: Fault) -> Armed:
    wait = world.chance.uniform(0.02, 0.1)

    def act(request: Request) -> None:
        world.strike(fault.name)
        time.sleep(wait)

    world.line.bytes_a_second = 4e6
    with acting(world, act):
        yield
    world.line.bytes_a_second = None


@contextlib.contextmanager
def cut(world: World, fault: Fault) -> Armed:
    """The request is done; of the answer nothing, half a head, or half a body arrives."""
    some = Some(world, most=world.chance.randint(1, 6), share=0.3)

    def act(request: Request) -> str | None:
        if some(request):
            world.strike(fault.name)
            return world.chance.choice((LOSE, HALF, HALF_BODY))
        return None

    with acting(world, act):
        yield


def storm(
    status: int, code: str, headers: dict[str, str], most: int
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """Up to ``most`` answers of this kind, from some request on."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        chance = world.chance
        some = Some(
            world, first=chance.randint(1, 12), most=chance.randint(1, most), share=chance.choice((0.5, 1))
        )

        def act(request: Request) -> Answer | None:
            if some(request):
                world.strike(fault.name)
                return Answer(status, code, headers)
            return None

        with acting(world, act):
            yield

    return arm


@contextlib.contextmanager
def expired(world: World, fault: Fault) -> Armed:
    """The token runs out: from some request on, all are refused."""
    some = Some(world, first=world.chance.randint(1, 15), most=ALWAYS)

    def act(request: Request) -> Answer | None:
        if some(request):
            world.strike(fault.name)
            return Answer(403, "AuthenticationFailed")
        return None

    with acting(world, act):
        yield


def _flipped(world: World, content: bytes) -> bytes:
    at = world.chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << world.chance.randrange(8)]) + content[at + 1 :]


@contextlib.contextmanager
def flipped_request(world: World, fault: Fault) -> Armed:
    some = Some(
        world, lambda request: is_write(request) and bool(request.body), world.chance.randint(1, 12), most=2
    )

    def act(request: Request) -> None:
        if some(request):
            world.strike(fault.name)
            world.truth.note(f"a bit of {request.kind} {request.blob} flipped")
            request.body = _flipped(world, request.body)

    with acting(world, act):
        yield


@contextlib.contextmanager
def flipped_answer(world: World, fault: Fault) -> Armed:
    some = Some(world, lambda request: request.method == "GET", world.chance.randint(1, 8), most=2)

    def change(request: Request, content: bytes) -> bytes:
        if content and some(request):
            world.strike(fault.name)
            world.truth.note(f"a bit of the answer to {request.kind} {request.path[-60:]} flipped")
            return _flipped(world, content)
        return content

    world.changes.append(change)
    yield
    world.changes.remove(change)


@contextlib.contextmanager
def twice(world: World, fault: Fault) -> Armed:
    some = Some(world, is_write, most=ALWAYS, share=0.4)

    def act(request: Request) -> str | None:
        if some(request):
            world.strike(fault.name)
            return TWICE
        return None

    with acting(world, act):
        yield


@contextlib.contextmanager
def late(world: World, fault: Fault) -> Armed:
    """A request's line breaks; it is sent again, and arrives; then the first one arrives, too."""
    some = Some(world, is_write, world.chance.randint(1, 12), most=2)
    waiting: dict[tuple[str, str], Request] = {}

    def arrive(request: Request, after: float) -> None:
        time.sleep(after)
        with contextlib.suppress(OSError):
            forward(world.azurite.port, request)
            world.strike(fault.name)

    def act(request: Request) -> str | None:
        first = waiting.pop((request.kind, request.raw), None)
        if first is not None:
            threading.Thread(
                target=arrive, args=(first, world.chance.uniform(0.005, 0.1)), daemon=True
            ).start()
        elif some(request):
            waiting[request.kind, request.raw] = request
            return CUT
        return None

    with acting(world, act):
        yield


@contextlib.contextmanager
def restarted(world: World, fault: Fault) -> Armed:
    """The storage stops in the middle of a pass, and comes back some seconds later."""
    some = Some(world, first=world.chance.randint(1, 15))
    back_at: list[float] = []

    def stop() -> None:
        world.azurite.stop()
        world.strike(fault.name)
        back_at.append(time.monotonic() + world.chance.uniform(0, 4))
        world.tasks.put(again)

    def again() -> None:
        if time.monotonic() < back_at[0]:
            time.sleep(0.05)
            world.tasks.put(again)
        elif world.azurite.process_id is None:
            world.azurite.start()

    def act(request: Request) -> str | None:
        if some(request):
            world.tasks.put(stop)
            time.sleep(0.3)
            return CUT
        return None

    def bring_back(outcome: Outcome) -> None:
        if world.azurite.process_id is None:
            world.azurite.start()

    with acting(world, act), at_end(world, bring_back):
        yield


def held(
    status: int, code: str
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """One blob may not be written, as a lease or an immutability policy makes it. Azurite would answer 500."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        some = Some(world, is_write, world.chance.randint(1, 12))
        blobs: set[str] = set()

        def act(request: Request) -> Answer | None:
            if some(request):
                blobs.add(request.blob)
            if is_write(request) and request.blob in blobs:
                world.strike(fault.name)
                return Answer(status, code)
            return None

        with acting(world, act):
            yield

    return arm


def somebody_else(
    overwrites: bool,
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """A verified blob becomes another or goes, while the documents of its run are written."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        suffix = world.chance.choice((".md5", ".files.jsonl", ".json", ".sync"))
        some = Some(world, lambda request: is_document(request) and request.blob == f"R{suffix}")

        def act(request: Request) -> None:
            if some(request):
                # Of a published file that was changed at the source the blob is the only copy.
                lines = world.watch.status("R").lines or {}
                twice = [
                    each
                    for each, now in world.truth.now["R"].items()
                    if "Sheet" not in each and lines.get(each, now) == now
                ]
                path = world.chance.choice(twice)
                world.spoil(f"R/{path}", world.chance.randbytes(50) if overwrites else None)
                world.strike(fault.name)

        with acting(world, act):
            yield

    return arm


@contextlib.contextmanager
def deleted_when_removed(world: World, fault: Fault) -> Armed:
    """The only copy that is left goes; a person brings it back (soft delete)."""
    kept: dict[str, bytes] = {}

    def delete(outcome: Outcome) -> None:
        if not kept and not (world.disk / "R").exists() and world.watch.get("R.sync") is not None:
            path = world.chance.choice([each for each in world.truth.now["R"] if "Sheet" not in each])
            kept[path] = world.watch.get(f"R/{path}") or b""
            world.truth.lost_for_good.add(f"R/{path}")
            world.spoil(f"R/{path}", None)
            world.strike(fault.name)

    with at_end(world, delete):
        yield
    for path, content in kept.items():
        from tests.faults.storage import put

        put(world.container, f"R/{path}", content)
        del world.truth.spoilt[f"R/{path}"]
        world.truth.lost_for_good.clear()


FAULTS = (
    Fault("connection refused", refused, {0, 1, 3}, UNREACHED),
    Fault("connection reset in the middle of a body", reset, {0, 1, 3}, UNREACHED),
    Fault("requests that are never answered", stalled, {0, 1, 3}, UNREACHED),
    Fault("slow line", slow, {0}),
    Fault("answers cut short", cut, {0, 1, 3}, UNREACHED),
    Fault("storm of 500", storm(500, "InternalError", {}, 12), {0, 1, 3}, UNREACHED),
    Fault("storm of 503", storm(503, "ServerBusy", {}, 12), {0, 1, 3}, UNREACHED),
    Fault("503 with Retry-After", storm(503, "ServerBusy", {"Retry-After": "1"}, 4), {0, 1, 3}, UNREACHED),
    Fault("403 in the middle (token expired)", expired, {3}, "refuse"),
    Fault("a bit flipped in a request", flipped_request, {0, 1}, "not verified after|answers 400|damaged"),
    Fault(
        "a bit flipped in an answer",
        flipped_answer,
        {0, 1, 3},
        "cannot be read|answers|cannot be reached|wrong",
    ),
    Fault("requests that arrive twice", twice, {0}),
    Fault("a first try that arrives after the second", late, {0, 1, 3}, UNREACHED),
    Fault("storage stopped and started again", restarted, {0, 1, 3}, UNREACHED),
    Fault("lease on a blob (412)", held(412, "LeaseIdMissing"), {1}, REFUSED),
    Fault("immutability policy on a blob (409)", held(409, "BlobImmutableDueToPolicy"), {1}, REFUSED),
    Fault(
        "a verified blob overwritten by another else",
        somebody_else(True),
        {0, 1},
        "missing or wrong",
        thorough=True,
    ),
    Fault(
        "a verified blob deleted by somebody else",
        somebody_else(False),
        {0, 1},
        "missing or wrong",
        thorough=True,
    ),
    Fault(
        "a blob deleted when its source was removed",
        deleted_when_removed,
        {0, 1},
        "missing or wrong",
        remove=True,
        thorough=True,
        again=("--thorough",),
        told=True,
        alone=True,
    ),
)

__all__ = ["FAULTS", "is_data"]
