"""What a fault is, and what the faults share: a place in the line, a count of requests."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import threading
import typing

from sync_to_azure.core.names import CLAIMS_FOLDER
from tests.faults.world import SHAPES, Outcome, World
from tests.line import Answer, Request

Armed = typing.ContextManager[None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """``arm`` makes it stand until its context is left, and calls ``world.strike(name)`` when it struck.

    ``codes``: the exit codes with which a pass may end while it stands; ``words``: regular expression of which one must
    be said where the code is not 0 (``told``: whatever the code). ``remove`` and ``shapes``: in which worlds it can
    strike. ``thorough``: it is found by --thorough only. ``again``: another pass of this kind while it still stands.
    ``alone``: nothing else would come to strike beside it. ``expires``: it strikes when AzCopy's credentials have
    expired, as a removal waits for that. ``instants``: named ones at which it can strike; the short form of the matrix
    takes the first, otherwise chance chooses (``world.instant``).
    """

    name: str
    arm: collections.abc.Callable[[World, "Fault"], Armed]
    codes: collections.abc.Set[int]
    words: str = ""
    told: bool = False
    uploaders: tuple[str, ...] = ("native", "azcopy")
    shapes: tuple[str, ...] = SHAPES
    remove: bool | None = None
    mount: str = ""
    disk: str = ""
    thorough: bool = False
    again: tuple[str, ...] | None = None
    alone: bool = False
    expires: bool = False
    instants: tuple[str, ...] = ()


class Some:
    """True for some of the requests that ``fits`` lets through: from the ``first`` on, at most ``most`` times, and of
    those a ``share``."""

    def __init__(
        self,
        world: World,
        fits: collections.abc.Callable[[Request], bool] = lambda request: True,
        first: int = 1,
        most: int = 1,
        share: float = 1.0,
    ) -> None:
        self._chance, self._fits = world.chance, fits
        self._first, self._left, self._share = first, most, share
        self._seen = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> bool:
        with self._lock:
            if self._left <= 0 or not self._fits(request):
                return False
            self._seen += 1
            if self._seen < self._first or self._chance.random() >= self._share:
                return False
            self._left -= 1
            return True


ALWAYS = 10**9


@contextlib.contextmanager
def acting(
    world: World, act: collections.abc.Callable[[Request], "Answer | str | None"]
) -> collections.abc.Iterator[None]:
    world.acts.append(act)
    try:
        yield
    finally:
        world.acts.remove(act)


@contextlib.contextmanager
def at_end(world: World, what: collections.abc.Callable[[Outcome], None]) -> collections.abc.Iterator[None]:
    """After each pass that ends while the fault stands."""
    world.on_end.append(what)
    try:
        yield
    finally:
        world.on_end.remove(what)


def is_write(request: Request) -> bool:
    return request.method == "PUT" and bool(request.blob)


def is_data(request: Request) -> bool:
    """Bytes of a run's file."""
    return request.kind in ("PUT blob", "PUT block") and "/" in request.blob and not is_claim(request)


def is_claim(request: Request) -> bool:
    return request.blob.startswith(f"{CLAIMS_FOLDER}/")


def is_by_azcopy(request: Request) -> bool:
    agents = [value for name, value in request.headers.items() if name.lower() == "user-agent"]
    return any("azcopy" in each.lower() for each in agents)


def is_commit(request: Request, below: str = "R/Data/") -> bool:
    """A file of the run is written by this request: one Put Blob, or the list of its blocks."""
    return request.writes and request.blob.startswith(below)


def is_document(request: Request) -> bool:
    return request.kind == "PUT blob" and bool(request.blob) and "/" not in request.blob
