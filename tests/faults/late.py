"""A request that arrives when nobody waits for it: a proxy holds it back, its pass is killed, the next one publishes;
then it arrives, and must change nothing that is published.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses

from tests.faults.fault import Fault, Some, acting, at_end, is_claim, is_commit, is_document
from tests.faults.source import changed
from tests.faults.world import Outcome, World
from tests.line import CUT, Request, forward

Armed = collections.abc.Iterator[None]
Arm = collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]
AFTER_MARKER, AFTER_PASS = "after the marker", "after the pass"
BEFORE_COMMIT, AFTER_COMMIT, BEFORE_RECEIPT = "before our commit", "after our commit", "before the receipt"
INSTANTS = (AFTER_PASS, AFTER_MARKER, AFTER_COMMIT, BEFORE_COMMIT, BEFORE_RECEIPT)
WORDS = "overtaken|changed by another|written by another|not verified after|another one wrote"


class _Late:
    """``wanted``: which request is held back; ``meanwhile``: what happens to the source when its pass was killed."""

    def __init__(
        self,
        world: World,
        fault: Fault,
        wanted: collections.abc.Callable[[Request], bool],
        meanwhile: collections.abc.Callable[[Request], None],
    ) -> None:
        self._world, self._fault, self._wanted, self._meanwhile = world, fault, wanted, meanwhile
        self._when = world.instant(*fault.instants)
        self._held: Request | None = None
        self._is_next = self._has_arrived = False

    def act(self, request: Request) -> str | None:
        if self._held is None:
            if not self._wanted(request):
                return None
            self._held = dataclasses.replace(request)
            self._world.kill()
            return CUT
        if not self._is_next:
            # Of a pass that is dead.
            return CUT
        same = request.writes and request.blob == self._held.blob
        if self._when == BEFORE_COMMIT and same or self._when == BEFORE_RECEIPT and request.blob == "R.json":
            self._arrive()
        return None

    def answered(self, request: Request, status: int) -> None:
        if self._held is None or not self._is_next or status != 201 or not request.writes:
            return
        if self._when == AFTER_COMMIT and request.blob == self._held.blob:
            self._arrive()
        if self._when == AFTER_MARKER and request.blob == "R.sync":
            self._arrive()

    def ended(self, outcome: Outcome) -> None:
        if self._held is None:
            return
        if not self._is_next:
            self._meanwhile(self._held)
            self._is_next = True
        elif self._when == AFTER_PASS:
            self._arrive()

    def _arrive(self) -> None:
        if self._has_arrived or self._held is None:
            return
        self._has_arrived = True
        status, _, _ = forward(self._world.azurite.port, self._held)
        self._world.watch.passed(self._held, status)
        self._world.truth.note(f"{self._held.kind} {self._held.blob} arrived late, answered with {status}")
        self._world.strike(self._fault.name)


def _armed(world: World, fault: Fault, late: _Late) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def arm() -> Armed:
        world.answered.append(late.answered)
        with acting(world, late.act), at_end(world, late.ended):
            yield
        world.answered.remove(late.answered)

    return arm()


def data(kind: str) -> Arm:
    """A commit of this kind; its file is written again before the next pass."""

    def arm(world: World, fault: Fault) -> contextlib.AbstractContextManager[None]:
        fits = (
            lambda request: request.kind == kind and is_commit(request) and _holds_something(request)
        )  # noqa: E731
        some = Some(world, fits, 1 if kind == "PUT blocklist" else world.chance.randint(1, 4))

        def write_again(held: Request) -> None:
            name = held.blob.removeprefix("R/")
            path = world.path("R", name)
            # Behind a link of another fault lies its canary.
            if path.is_file() and path.resolve() == path:
                world.alter("R", name, lambda path: changed(world, path))

        return _armed(world, fault, _Late(world, fault, some, write_again))

    return arm


def _holds_something(request: Request) -> bool:
    return bool(request.body)


def document(world: World, fault: Fault) -> contextlib.AbstractContextManager[None]:
    """A document of the run, or its claim; the run has one file more in the next pass."""
    suffix = world.chance.choice((".md5", ".files.jsonl", ".json", ".sync", "claim"))

    def fits(request: Request) -> bool:
        if suffix == "claim":
            return is_claim(request) and request.writes
        return is_document(request) and request.blob == f"R{suffix}"

    def write_more(held: Request) -> None:
        world.write("R", {"Data/L001/more.bcl": world.noise(200), "more.txt": world.noise(100)})

    return _armed(world, fault, _Late(world, fault, Some(world, fits), write_more))


FAULTS = (
    Fault(
        "a Put Blob that arrives when another pass has published",
        data("PUT blob"),
        {-9, 0, 1},
        WORDS,
        uploaders=("native",),
        instants=INSTANTS,
    ),
    Fault(
        "a Put Block List that arrives when another pass has published",
        data("PUT blocklist"),
        {-9, 0, 1},
        WORDS,
        uploaders=("native",),
        shapes=("blocks",),
        instants=INSTANTS,
    ),
    Fault(
        "a document that arrives when another pass has published",
        document,
        {-9, 0, 1},
        WORDS,
        instants=(AFTER_MARKER, AFTER_PASS, BEFORE_RECEIPT),
    ),
)
