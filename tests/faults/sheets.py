"""Sample sheets are as precious as runs: all of them are encrypted, one is still being written, one is corrected while
its run is uploaded. What was published stays to be had, and no marker vouches for what is no sheet.
"""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib

from tests.faults.fault import Fault, Some, acting, at_end, is_commit
from tests.faults.truth import digest
from tests.faults.watch import SHEET
from tests.faults.world import Outcome, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
Check = collections.abc.Callable[[], list[str]]
WORDS = "sheet"


class Sheets:
    def __init__(self, world: World) -> None:
        self._world = world
        self._published: dict[str, set[str]] = {}
        world.checks += [self.kept, self.true]

    def end(self) -> None:
        for check in (self.kept, self.true):
            self._world.checks.remove(check)

    def path(self, run: str) -> pathlib.Path:
        return self._world.folder / "sheets" / f"{run}.csv"

    def kept(self) -> list[str]:
        """Each sheet that was published is there still, as it was or as a snapshot."""
        found = []
        for run in self._world.runs:
            versions = self._versions(f"{run}/{SHEET}")
            published = self._published.setdefault(run, set())
            found += [f"lost: sheet {each} of {run}" for each in published - versions]
            if self._world.watch.get(f"{run}.sync") is not None:
                published.add(digest(self._world.watch.get(f"{run}/{SHEET}") or b""))
        return found

    def true(self) -> list[str]:
        """What stands below a marker was a whole sheet once."""
        found = []
        for run in self._world.runs:
            content = self._world.watch.get(f"{run}/{SHEET}")
            known = self._world.truth.sheets[run] | self._world.truth.owed.get((run, SHEET), set())
            if self._world.watch.get(f"{run}.sync") is not None and digest(content or b"") not in known:
                found.append(f"the marker of {run} stands, and its sheet is {(content or b'')[:60]!r}")
        return found

    def _versions(self, name: str) -> set[str]:
        container = self._world.container
        return {
            digest(container.get_blob_client(name, snapshot=blob.snapshot).download_blob().readall())
            for blob in container.list_blobs(name_starts_with=name, include=["snapshots"])
        }


@contextlib.contextmanager
def encrypted(world: World, fault: Fault) -> Armed:
    """All of the folder, when both runs are published; later a person brings the sheets back."""
    sheets = Sheets(world)
    kept: dict[pathlib.Path, bytes] = {}

    def ended(outcome: Outcome) -> None:
        if kept or any(world.watch.get(f"{run}.sync") is None for run in world.runs):
            return
        for run in world.runs:
            path = sheets.path(run)
            kept[path] = path.read_bytes()
            path.write_bytes(world.chance.randbytes(len(kept[path])))
        world.truth.note("all sheets are encrypted")
        world.on_start.append(lambda process: world.strike(fault.name))

    with at_end(world, ended):
        yield
    for path, content in kept.items():
        path.write_bytes(content)
    sheets.end()


@contextlib.contextmanager
def half_written(world: World, fault: Fault) -> Armed:
    """The first half stands there when a pass begins, and the other half comes after it."""
    sheets = Sheets(world)
    path = sheets.path("R")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    world.config["completion-delay"] = 1

    def ended(outcome: Outcome) -> None:
        if path.read_bytes() != whole:
            path.write_bytes(whole)
            world.strike(fault.name)

    with at_end(world, ended):
        yield
    sheets.end()


@contextlib.contextmanager
def corrected(world: World, fault: Fault) -> Armed:
    """While files of the run are sent; what is published with the marker is the corrected one."""
    sheets = Sheets(world)
    some = Some(world, lambda request: is_commit(request), world.chance.randint(1, 6))
    new = world.sample_sheet()
    old: list[bytes] = []

    def act(request: Request) -> None:
        if some(request):
            old.append(sheets.path("R").read_bytes())
            world.sheet("R", new)
            world.strike(fault.name)
        if request.blob == "R.sync" and request.writes and old:
            if world.watch.get(f"R/{SHEET}") == old[0]:
                world.watch.violations.append(
                    "the marker passes, and the sheet is the one before its correction"
                )

    with acting(world, act):
        yield
    sheets.end()


FAULTS = (
    Fault(
        "all sample sheets encrypted when their runs are published",
        encrypted,
        {0, 1},
        WORDS,
        shapes=("sheet",),
        alone=True,
        again=(),
    ),
    Fault("a sample sheet that is still being written", half_written, {0, 1}, WORDS, shapes=("sheet",)),
    Fault("a sample sheet corrected while its run is sent", corrected, {0, 1}, WORDS, shapes=("sheet",)),
)
