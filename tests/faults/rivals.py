"""Another flow with the same destination has a run of the same name, with other files; it comes in the middle of a
pass. One of the two uploads; the other writes nothing, removes nothing, and says so. Then a person renames its run.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json

from tests.faults.fault import Fault, Some, acting, is_commit, is_document
from tests.faults.truth import digest
from tests.faults.world import FLAG, HUNG_AFTER, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
LEDGER = "rival.sqlite"
WORDS = "another flow|another main folder|claim|took it over"
_COMMIT, _DOCUMENT, _ANY = "at a file", "at a document", "at a request"


class Rival:
    def __init__(self, world: World) -> None:
        self._world = world
        self.main = world.folder / "rival"
        self._files = {f"Data/L001/{cycle}.bcl": world.noise(300) for cycle in range(6)} | {
            "RunInfo.xml": world.noise(500),
            FLAG: b"done\n",
            "own.txt": world.noise(90),
        }
        for name, content in self._files.items():
            path = self.main / "R" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # What it removes must not leave a main folder that looks like a lost share.
        (self.main / "STILL WRITTEN").mkdir()

    def run(self) -> int:
        own: dict[str, object] = {
            "main_folder": self.main,
            "azcopy_logs": self._world.folder / "rival-jobs",
            "log_file": self._world.folder / "log" / "rival.log",
        }
        process = self._world.start(state=LEDGER, **own)
        output, _ = process.communicate(timeout=HUNG_AFTER)
        self._world.truth.note(f"the rival's pass ended with {process.returncode}:\n{output}")
        return process.returncode

    def lost(self) -> list[str]:
        """Each of its files is at its source or, identical, at the destination."""
        found = []
        for name, content in self._files.items():
            path = self.main / "R" / name
            here = path.is_file() and path.read_bytes() == content
            if not here and self._world.watch.get(f"R/{name}") != content:
                found.append(f"lost: {name} of the rival's R")
        return found

    def mixed(self) -> list[str]:
        """What is published is one run, whole: the one or the other."""
        standing = self._world.watch.status("R")
        if standing.marker is None or standing.lines is None:
            return []
        theirs = {name: digest(content) for name, content in self._files.items()}
        if self.has_won:
            there = {name.removeprefix("R/") for name in self._world.watch.etags() if name.startswith("R/")}
            if standing.lines != theirs or there != set(theirs):
                return [f"the rival's R is published, and {sorted(there - set(theirs))} of ours lie in it"]
            return []
        both = {name for name, md5 in standing.lines.items() if theirs.get(name) == md5 and name != FLAG}
        return [f"our R is published with the rival's {sorted(both)}"] if both else []

    @property
    def has_won(self) -> bool:
        """The receipt is the rival's, or where there is none yet, the claim."""
        newest = self._world.watch.get("R.json") or self._world.watch.get(".sync_to_azure-claims/R/1")
        if newest is None:
            return False
        return bool(json.loads(newest)["source"]["main_folder"] == str(self.main))

    def settle(self) -> None:
        """Whose run is not published gives it another name; the rival's passes go on until it is done."""
        world = self._world
        if self.has_won:
            for _ in range(3):
                if self.run() == 0 and world.watch.get("R.sync") is not None:
                    break
            world.rename("R", "R-2")
            world.truth.now["R"] = {name: digest(content) for name, content in self._files.items()}


@contextlib.contextmanager
def rival(world: World, fault: Fault) -> Armed:
    other = Rival(world)
    fits, most = {
        _COMMIT: (is_commit, 6),
        _DOCUMENT: (is_document, 4),
        _ANY: (lambda request: True, 20),
    }[world.instant(*fault.instants)]
    some = Some(world, fits, 1 if world.plan.instant else world.chance.randint(1, most))

    def act(request: Request) -> None:
        if some(request):
            other.run()
            world.strike(fault.name)

    world.checks += [other.lost, other.mixed]
    with acting(world, act):
        yield
    other.settle()


FAULTS = (
    Fault(
        "another flow with a run of the same name",
        rival,
        {0, 1},
        WORDS,
        shapes=("small", "blocks", "growth"),
        alone=True,
        instants=(_COMMIT, _DOCUMENT, _ANY),
    ),
)
