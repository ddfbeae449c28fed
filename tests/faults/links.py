"""Who writes to the share puts a symbolic link (or a pipe) where the run had a folder or a file; it leads to a canary
outside of the run, whose files have the names, sizes and times of those that they stand for.

The canary's bytes come into no blob. AzCopy opens paths by itself: with it they are gone again when all is right.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import shutil

from tests.faults.fault import Fault, Some, acting, is_data
from tests.faults.points import Action
from tests.faults.world import ASIDE, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
Arm = collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]
CANARY = b"CANARY: of a file that no run holds. "
WORDS = (
    "symlink|regular file|changed while|cannot be|could not be|vanished|is not there|is empty|link|not removed|put back"
    "|not uploaded|failed"
)
_SUB, _FILE = "Data/L001", "Data/L002/1.bcl"


class Canary:
    """``folder`` has a copy of the run's tree in which each file is the canary's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.folder = world.folder / "outside"
        self._kept: dict[pathlib.Path, bytes] = {}
        self._clean: set[tuple[str, str]] = set()
        world.checks.append(self.damage)
        # AzCopy is led away until its blobs are compared.
        (world.final_checks if world.plan.uploader == "azcopy" else world.checks).append(self.leaks)

    def stand_for(self, run: pathlib.Path, name: str) -> pathlib.Path:
        """What a link in place of ``run/name`` leads to."""
        shutil.copytree(run, self.folder / "R", dirs_exist_ok=True, symlinks=True)
        for path in [each for each in (self.folder / "R").rglob("*") if each.is_file()]:
            self.write(path, path.stat())
        return self.folder / "R" / name

    def write(self, path: pathlib.Path, like: os.stat_result) -> None:
        content = (CANARY * (like.st_size // len(CANARY) + 1))[: like.st_size]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))
        self._kept[path] = content

    def leaks(self) -> list[str]:
        found = []
        for name, etag in self._world.watch.etags().items():
            if (name, etag) in self._clean:
                continue
            if CANARY[:20] in (self._world.watch.get(name) or b""):
                found.append(f"blob {name} holds a file from outside of the run")
            else:
                self._clean.add((name, etag))
        return found

    def damage(self) -> list[str]:
        """Nothing outside of the run is removed or written."""
        return [
            f"{path} outside of the run is gone or another"
            for path, content in self._kept.items()
            if not path.is_file() or path.read_bytes() != content
        ]


class _Swap:
    """Of the run itself (an empty ``name``), a folder or a file in it; what it was lies in ``world.away``, until it is
    put back."""

    def __init__(self, world: World, fault: Fault, name: str) -> None:
        self._world, self._fault, self._name = world, fault, name
        self._canary = Canary(world)
        self._run: pathlib.Path | None = None

    def do(self) -> None:
        """Once. Where the run stands aside, there."""
        aside = self._world.disk / f"{ASIDE}R"
        run = aside if aside.is_dir() and not aside.is_symlink() else self._world.disk / "R"
        path = run / self._name
        if self._run is not None or path.is_symlink() or not path.exists():
            return
        self._run = run
        target = self._canary.stand_for(run, self._name)
        away = self._world.away / "R" / self._name
        away.parent.mkdir(parents=True, exist_ok=True)
        path.rename(away)
        path.symlink_to(target)
        self._world.truth.note(f"{path} became a link to {target}")
        self._world.strike(self._fault.name)

    def put_back(self) -> None:
        if self._run is None:
            return
        away = self._world.away / "R" / self._name
        # A link that was the run may have been moved aside, or back, in place of it.
        for run in (self._world.disk / "R", self._world.disk / f"{ASIDE}R"):
            path = run / self._name
            if path.is_symlink():
                path.unlink()
                away.rename(path)
                return
        assert self._name == "" or self._run.exists(), "the link is gone, and its folder with it"
        path = self._run / self._name
        away.rename(path)


def swapped(name: str, moment: collections.abc.Callable[[World, str], "_Moment"]) -> Arm:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        swap = _Swap(world, fault, name)
        with moment(world, name)(swap.do):
            yield
        swap.put_back()
        if world.watch.get("R.sync") is not None:
            # Deep in a published run: folders look as they did.
            world.found_by_thorough = True

    return arm


_Moment = collections.abc.Callable[
    [collections.abc.Callable[[], None]], contextlib.AbstractContextManager[None]
]


def at_the_scan(world: World, name: str) -> _Moment:
    """The run was seen in the main folder, and is about to be walked; or the first of its folders was."""
    return _point(world, "os.scandir", "/main/R", world.chance.randint(1, 3))


def while_hashed(world: World, name: str) -> _Moment:
    """A file is about to be opened."""
    return _point(world, "open", "/R/Data/", world.chance.randint(1, 3))


def while_sent(world: World, name: str) -> _Moment:
    def moment(do: collections.abc.Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        some = Some(
            world,
            lambda request: is_data(request) and request.blob.startswith("R/"),
            world.chance.randint(1, 3),
        )

        def act(request: Request) -> None:
            if some(request):
                do()

        return acting(world, act)

    return moment


def before_removal(world: World, name: str) -> _Moment:
    """Just before the run is moved aside, when it was, or before the first of its files is unlinked. The run itself:
    before."""
    points = [("os.rename", f"{ASIDE}R", 1)]
    if name:
        points += [("os.scandir", f"/{ASIDE}R", world.chance.randint(1, 3)), ("os.remove", "0.bcl", 1)]
    return _point(world, *world.chance.choice(points))


def _point(world: World, event: str, fragment: str, number: int) -> _Moment:
    def moment(do: collections.abc.Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        action: Action = lambda process: do()
        return world.points.at(event, fragment, action, number)

    return moment


def sheet(becomes: collections.abc.Callable[[pathlib.Path, pathlib.Path], object]) -> Arm:
    """The run's sample sheet, when its name was seen and it is about to be opened."""

    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        path, canary = world.folder / "sheets" / "R.csv", Canary(world)
        content = path.read_bytes()
        secret = canary.folder / "sheet.csv"
        canary.write(secret, path.stat())

        def do() -> None:
            if path.is_file() and not path.is_symlink():
                path.unlink()
                becomes(path, secret)
                world.strike(fault.name)

        action: Action = lambda process: do()
        with world.points.at("open", "/sheets/R.csv", action):
            yield
        if path.is_symlink() or not path.is_file():
            path.unlink()
            path.write_bytes(content)

    return arm


def _faults() -> collections.abc.Iterator[Fault]:
    things = (("the run's folder", ""), ("a folder", _SUB), ("a file", _FILE))
    moments = (
        ("at the scan", at_the_scan, None),
        ("while files are hashed", while_hashed, None),
        ("while files are sent", while_sent, None),
        ("before removal", before_removal, True),
    )
    for what, name in things:
        for when, moment, remove in moments:
            yield Fault(
                f"{what} becomes a link out of the run {when}",
                swapped(name, moment),
                {0, 1, 3} if not name else {0, 1},
                WORDS,
                remove=remove,
                expires=bool(remove),
            )


FAULTS = (
    *_faults(),
    Fault(
        "a sample sheet becomes a link",
        sheet(lambda path, secret: path.symlink_to(secret)),
        {1},
        "symlink",
        told=True,
        shapes=("sheet",),
    ),
    Fault(
        "a sample sheet becomes a pipe",
        sheet(lambda path, secret: os.mkfifo(path)),
        {1},
        "not a regular file",
        told=True,
        shapes=("sheet",),
    ),
)
