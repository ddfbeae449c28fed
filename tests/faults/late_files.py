"""Files that come late into sub-folders of a published run, of which its own folder shows nothing."""

from __future__ import annotations

import collections.abc
import contextlib

from tests.faults.fault import Fault, Some, acting, at_end, is_commit
from tests.faults.world import Outcome, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
WORDS = "changed|vanished|not uploaded"
_PUBLISHED, _MARKER, _SENT, _WALKED = (
    "when it is published",
    "at the marker",
    "while files are sent",
    "at the scan",
)


@contextlib.contextmanager
def late_file(world: World, fault: Fault) -> Armed:
    """By an hour a run is looked at again."""
    when = world.instant(*fault.instants)
    folder = world.chance.choice(("Data/L001", "Data/L002", "Data", "Data/L001/new/deep"))
    some = Some(world, is_commit, world.chance.randint(1, 6))

    def come() -> None:
        # Where another fault put a link, the late file would come outside of the run.
        path = world.path("R", folder)
        if fault.name not in world.struck and world.path("R", "Data").is_dir() and path.resolve() == path:
            world.write("R", {f"{folder}/late-{world.chance.randint(0, 9)}.bcl": world.noise(90)})
            world.truth.note(f"a late file in {folder}, {when}")
            world.strike(fault.name)

    def act(request: Request) -> None:
        if when == _SENT and some(request) or when == _MARKER and request.blob == "R.sync" and request.writes:
            come()

    def ended(outcome: Outcome) -> None:
        if when == _PUBLISHED and world.watch.get("R.sync") is not None:
            come()

    scan = world.points.at("os.scandir", "/main/R", lambda process: come(), world.chance.randint(1, 4))
    world.before_healing.append(world.an_hour_passes)
    with contextlib.ExitStack() as stack:
        stack.enter_context(acting(world, act))
        stack.enter_context(at_end(world, ended))
        if when == _WALKED:
            stack.enter_context(scan)
        yield


FAULTS = (
    Fault(
        "a late file in a sub-folder of a published run",
        late_file,
        {0, 1},
        WORDS,
        remove=False,
        instants=(_PUBLISHED, _MARKER, _SENT, _WALKED),
    ),
)
