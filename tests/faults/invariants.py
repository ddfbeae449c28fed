"""What must hold: (i) no file is lost, (ii) nothing is claimed that is not there, (iii) the end is right and full."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3

from tests.faults.watch import INSTRUMENT_SHEET, SHEET
from tests.faults.world import ASIDE, World
from tests.faults.truth import digest

SETTLED = ("published", "removed", "gone")


def nothing_lost(world: World) -> list[str]:
    """(i) Every byte that was ever in a complete run is at the source or, identical, at the destination."""
    etags = world.watch.etags()
    problems = []
    for (run, path), owed in sorted(world.truth.owed.items()):
        there = at_source(world, run, path)
        names = (path, INSTRUMENT_SHEET) if path == SHEET else (path,)
        for name in (f"{run}/{each}" for each in names):
            if name in etags:
                there.add(world.watch.digest_of(name, etags[name]))
        if f"{run}/{path}" in world.truth.lost_for_good:
            continue
        problems += [f"lost: {run}/{path} with MD5 {each}" for each in owed - there]
    return problems


def at_source(world: World, run: str, path: str) -> set[str]:
    """Digests of what has this name at the source, or where somebody moved it."""
    found = set()
    for folder in (world.disk / run, world.disk / f"{ASIDE}{run}", world.away / run):
        with contextlib.suppress(OSError):
            found.add(digest(_read(folder / path)))
    return found


def _read(path: os.PathLike[str]) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(handle, "rb") as file:
        return file.read()


def nothing_claimed(world: World, when: str) -> list[str]:
    """(ii) What passed so far, and what stands now."""
    world.watch.look(world.runs, when)
    found, world.watch.violations[:] = list(world.watch.violations), []
    return found


def not_right_yet(world: World) -> list[str]:
    """(iii) What is missing from the full, right state; empty when all is well."""
    return [problem for run in world.runs for problem in _of_run(world, run)] + _leftovers(world)


def _of_run(world: World, run: str) -> list[str]:
    standing = world.watch.status(run)
    if standing.lines is None or standing.sums is None or standing.receipt is None or standing.marker is None:
        return [f"{run} is not published"]
    problems = []
    if standing.lines != standing.sums:
        problems.append(f"{run}: its two manifests differ")
    for name, wanted in dict(standing.receipt["sha256"]).items():
        if hashlib.sha256(world.watch.get(name) or b"").hexdigest() != wanted:
            problems.append(f"{run}: the receipt's checksum of {name} is wrong")
    for path, wanted in expected(world, run).items():
        if standing.lines.get(path) != wanted:
            problems.append(f"{run}: the manifest has {path} as {standing.lines.get(path)}, not {wanted}")
    etags = world.watch.etags()
    for path, wanted in standing.lines.items():
        etag = etags.get(f"{run}/{path}")
        if etag is None or world.watch.digest_of(f"{run}/{path}", etag) != wanted:
            problems.append(f"{run}: blob {path} is not as the manifest says")
    if run in world.not_ours:
        return problems
    here = (world.disk / run).exists()
    state = state_of(world, run)
    # A ledger that was set back, or lost, after the source was removed never hears of the run again.
    if state not in SETTLED and (here or state != "nothing"):
        problems.append(f"{run}: the ledger says {state}")
    if world.plan.remove == here:
        problems.append(f"{run}: its folder is {'still there' if here else 'gone'}")
    return problems


def expected(world: World, run: str) -> dict[str, str]:
    """Path below RUN/ and MD5, as the source was left last."""
    files = dict(world.truth.now[run])
    sheet = files.pop(f"{SHEET}:sheet", None)
    if sheet is not None:
        own = files.pop(SHEET, None)
        files[SHEET] = sheet
        if own is not None and own != sheet:
            files[INSTRUMENT_SHEET] = own
    return files


def state_of(world: World, run: str) -> str:
    ledger = world.folder / "state" / "ledger.sqlite"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT state FROM run WHERE key = ?", (run,)).fetchone()
    except sqlite3.Error as error:
        return f"nothing ({error})"
    return str(row[0]) if row else "nothing"


def _leftovers(world: World) -> list[str]:
    found = [f"AzCopy {number} lives on" for number in world.azcopies()]
    found += [f"{path.name} is left in the main folder" for path in world.disk.glob(f"{ASIDE}*")]
    jobs = world.folder / "plans" / "jobs"
    if _sent_since_a_kill(world):
        found += [f"plans of {path.parent.name} are left" for path in jobs.glob("*/plans")]
    state = world.folder / "state"
    found += [f"{path.name} is left" for path in state.glob("*.work*")]
    return found


def _sent_since_a_kill(world: World) -> bool:
    """What a killed AzCopy left goes when the next one is started; nothing of it is needed before."""
    killed = max((number for number, each in enumerate(world.passes) if each.code < 0), default=-1)
    return any(": sending " in each.output for each in world.passes[killed + 1 :])


def told(world: World) -> str:
    """Everything that a person needs to see what happened."""
    parts = [
        f"--- pass {number}: exit code {each.code}, {each.seconds:.1f} s\n{each.output}"
        for number, each in enumerate(world.passes, 1)
    ]
    return "\n".join([json.dumps(world.truth.events, indent=1), *parts])
