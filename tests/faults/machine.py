"""Faults of the machine: processes that die, the ledger, full disks, the clock, two passes at once."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import time

from tests.faults.fault import Fault, Some, acting, at_end, is_data
from tests.faults.points import COUNTED
from tests.faults.world import HUNG_AFTER, Outcome, World
from tests.line import Request
from tests.warm_start import Process

Armed = collections.abc.Iterator[None]
LEDGER = "ledger.sqlite"


@contextlib.contextmanager
def _at_a_random_instant(world: World, do: collections.abc.Callable[[], object]) -> Armed:
    """Before one of the requests, before one of the operations on files and lines, or at any time."""
    chance = world.chance
    kind = chance.choice(("request", "operation", "time"))
    if kind == "request":
        some = Some(world, first=chance.randint(1, 30))

        def act(request: Request) -> None:
            if some(request):
                do()

        with acting(world, act):
            yield
    elif kind == "operation":
        with world.points.at(COUNTED.removeprefix("open "), "", lambda process: do(), chance.randint(1, 40)):
            yield
    else:
        wait = chance.uniform(0.1, 1.2 if world.plan.uploader == "native" else 3.5)

        def later(process: Process) -> None:
            time.sleep(wait)
            if process.poll() is None:
                # Else it would strike the pass after it.
                do()

        world.on_start.append(later)
        yield
        world.on_start.remove(later)


def killed(
    number: signal.Signals,
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        wanted = -9 if number == signal.SIGKILL else 143

        def see(outcome: Outcome) -> None:
            if outcome.code == wanted:
                world.strike(fault.name)

        with at_end(world, see), _at_a_random_instant(world, lambda: world.kill(number)):
            yield

    return arm


@contextlib.contextmanager
def azcopy_killed(world: World, fault: Fault) -> Armed:
    some = Some(world, is_data, world.chance.randint(1, 8))

    def act(request: Request) -> None:
        if some(request):
            for number in world.azcopies():
                os.kill(number, signal.SIGKILL)
                world.strike(fault.name)

    with acting(world, act):
        yield


@contextlib.contextmanager
def reboot(world: World, fault: Fault) -> Armed:
    """Everything dies at once, and the ledger is what had reached the disk before this pass."""
    state, saved = world.folder / "state", world.folder / "saved"
    shutil.copytree(state, saved)
    started: list[bool] = []

    def power_off() -> None:
        for number in world.azcopies():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if world.kill():
            started.append(True)

    def back(outcome: Outcome) -> None:
        if started and outcome.code == -9 and fault.name not in world.struck:
            for path in state.iterdir():
                path.unlink()
            for path in saved.iterdir():
                shutil.copy2(path, state / path.name)
            world.strike(fault.name)

    with at_end(world, back), _at_a_random_instant(world, power_off):
        yield


def full(folder: str) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """``folder`` lies on a disk that is full, or nearly so."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        assert world.small is not None
        small = world.small
        small.fill(world.chance.choice((0, 0, 8192, 40960, 122880)) if folder == "state" else 0)
        if folder == "log":
            # The last page of a log that is there already has room still.
            with (
                contextlib.suppress(OSError),
                open(world.folder / "log" / "pass.log", "ab", buffering=0) as log,
            ):
                while True:
                    log.write(b"\n")

        def look(*_: object) -> None:
            if small.is_full:
                world.strike(fault.name)

        world.on_start.append(look)
        with at_end(world, look), acting(world, look):
            yield
        world.on_start.remove(look)
        small.free()

    return arm


def _garbage(ledger: pathlib.Path, world: World) -> None:
    ledger.write_bytes(world.chance.randbytes(8000))


def _torn(ledger: pathlib.Path, world: World) -> None:
    """The head is whole; what follows is noise."""
    content = ledger.read_bytes()
    ledger.write_bytes(content[:100] + world.chance.randbytes(len(content) - 100))


def _short(ledger: pathlib.Path, world: World) -> None:
    os.truncate(ledger, ledger.stat().st_size * 2 // 3)


def _page(ledger: pathlib.Path, world: World) -> None:
    """The page with the runs is noise."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with open(ledger, "r+b") as handle:
        handle.seek((root - 1) * size)
        handle.write(b"\x77" * size)


@contextlib.contextmanager
def corrupt(world: World, fault: Fault) -> Armed:
    how = world.chance.choice((_garbage, _torn, _short, _page))
    world.truth.note(f"the ledger is damaged: {how.__name__}")
    how(world.folder / "state" / LEDGER, world)
    world.strike(fault.name)
    yield


@contextlib.contextmanager
def missing(world: World, fault: Fault) -> Armed:
    (world.folder / "state" / LEDGER).unlink()
    world.strike(fault.name)
    yield


@contextlib.contextmanager
def newer(world: World, fault: Fault) -> Armed:
    ledger = world.folder / "state" / LEDGER
    with contextlib.closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('9999_later')")
    world.strike(fault.name)
    yield
    with contextlib.closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM migration WHERE name = '9999_later'")


def clock(hours: float) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """time.time() is off in the pass; what the kernel and AzCopy read is not."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        world.config["completion-delay"] = 1

        def see(outcome: Outcome) -> None:
            if world.points.clock_was_read:
                world.strike(fault.name)

        world.points.clock = hours * 3600
        with at_end(world, see):
            yield
        world.points.clock = 0.0

    return arm


def second_pass(
    state: str,
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    """Another pass begins, and ends, in the middle of the first: on this machine, or with a ledger of its own."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        some = Some(world, first=world.chance.randint(1, 25))
        # What the other removes must not leave a main folder that looks like a lost share.
        (world.disk / "STILL WRITTEN").mkdir(exist_ok=True)
        world.watch.one_ledger = state == LEDGER

        def act(request: Request) -> None:
            if some(request):
                began = time.monotonic()
                other = world.start(state=state)
                output, _ = other.communicate(timeout=HUNG_AFTER)
                own = state == LEDGER
                if own and "another pass" in output and other.returncode == 0:
                    world.strike(fault.name)
                elif not own and other.returncode in (0, 1):
                    world.strike(fault.name)
                world.truth.note(
                    f"the other pass ended with {other.returncode} after {time.monotonic() - began:.1f} s:\n{output}"
                )

        with acting(world, act):
            yield

    return arm


_KEPT = ("growth",)
"""Shapes in which a ledger holds something already."""

FAULTS = (
    Fault("SIGKILL at a random instant", killed(signal.SIGKILL), {-9}),
    Fault(
        "SIGTERM at a random instant",
        killed(signal.SIGTERM),
        {143, -15},
        "the next pass continues|stopped by",
    ),
    Fault("AzCopy killed", azcopy_killed, {0, 1}, "AzCopy", uploaders=("azcopy",)),
    Fault("reboot, the ledger's last transactions lost", reboot, {-9}),
    Fault("disk full for the ledger", full("state"), {0, 3}, "space|full|free", disk="state"),
    Fault("disk full for the log", full("log"), {0}, "cannot be written", told=True, disk="log"),
    Fault(
        "disk full for AzCopy's plans",
        full("plans"),
        {3},
        "MiB free",
        disk="plans",
        uploaders=("azcopy",),
        alone=True,
    ),
    Fault("ledger damaged", corrupt, {0, 1}, "damaged", told=True, shapes=_KEPT),
    Fault("ledger missing", missing, {0}, shapes=_KEPT),
    Fault("ledger of a newer version", newer, {3}, "newer version", shapes=_KEPT, alone=True),
    Fault("clock an hour ahead", clock(1), {0, 1}, "nothing is removed"),
    Fault("clock an hour behind", clock(-1), {0, 1}, "nothing is removed"),
    Fault("two passes at once on one machine", second_pass(LEDGER), {0}),
    Fault(
        "two machines with one destination",
        second_pass("other.sqlite"),
        {0, 1},
        "another writer|changed|fail|vanished",
        thorough=True,
    ),
)
