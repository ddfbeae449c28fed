"""The soak: python -m tests.faults.soak --passes 300 --seed 1

An instrument keeps writing runs while passes come and go, a third of them with a fault. What a pass uses and leaves is
measured: memory, open files, temporary files, the ledger. Ends with 1 if anything grew, was lost or was not verified.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import datetime
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time
import uuid

from embedded.azurite import Azurite
from tests.faults import invariants, report
from tests.faults.__main__ import DOCUMENT, versions
from tests.faults.fault import Fault
from tests.faults.faults import TABLE
from tests.faults.world import FLAG, HUNG, Plan, World
from tests.warm_start import Process

_FAULTY = 1 / 3
_AZCOPY_EVERY = 10
_SPECIAL = ("verified blob", "blob deleted", "AzCopy killed", "clock", "another", "two machines")
FAULTS = [
    fault
    for fault in TABLE
    if not (
        fault.mount or fault.disk or fault.name.startswith(("a file", "a new file", "a published", "ledger"))
    )
    if not any(word in fault.name for word in _SPECIAL)
]
"""Those that strike any run at any time."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One pass: VmHWM in KiB and open files (0 where it was over before it was looked at); what was there after it."""

    code: int
    seconds: float
    memory: int
    handles: int
    temporary: int
    ledger: int
    runs: int
    fault: str


class Instrument:
    """Has up to three runs open; each time it is asked, it writes some files, begins a run, or ends one."""

    def __init__(self, world: World) -> None:
        self._world, self._chance = world, world.chance
        self._open: dict[str, dict[str, bytes]] = {}
        self._number = 0

    def work(self) -> None:
        if len(self._open) < 3 and self._chance.random() < 0.6:
            self._number += 1
            self._open[f"261122_M00001_{self._number:04}"] = {}
        for run in list(self._open):
            for _ in range(self._chance.randint(0, 4)):
                self._write(
                    run,
                    f"Data/L00{self._chance.randint(1, 4)}/{uuid.UUID(int=self._chance.getrandbits(128))}.bcl",
                )
            if self._open[run] and self._chance.random() < 0.3:
                self.end(run)

    def _write(self, run: str, name: str) -> None:
        size = self._chance.choice((0, 100, 3000, 3000, 200_000, 200_000, 9_000_000))
        if size == 9_000_000 and self._chance.random() < 0.8:
            size = 50_000
        content = self._chance.randbytes(size)
        path = self._world.disk / run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._open[run][name] = content

    def end(self, run: str) -> None:
        files = self._open.pop(run)
        (self._world.disk / run / FLAG).write_bytes(b"done\n")
        for name, content in {**files, FLAG: b"done\n"}.items():
            self._world.truth.written(run, name, content)

    def end_all(self) -> None:
        for run in list(self._open):
            self._write(run, "RunInfo.xml")
            self.end(run)


class Soak:
    def __init__(self, world: World, passes: int, minutes: float) -> None:
        self.world, self.passes = world, passes
        self._ends = time.monotonic() + 60 * minutes
        self.instrument = Instrument(world)
        self.measured: list[Measured] = []
        self.problems: list[str] = []
        self.settled: set[str] = set()
        self.temporary = world.folder / "tmp"
        self.temporary.mkdir()
        world.environment["TMPDIR"] = str(self.temporary)
        world.on_start.append(self._watch)
        self._memory = self._handles = 0

    def run(self) -> None:
        for number in range(self.passes):
            if time.monotonic() > self._ends:
                break
            self.instrument.work()
            azcopy = number % _AZCOPY_EVERY == _AZCOPY_EVERY - 1
            self.world.config |= (
                {"uploader": "azcopy", "timeout": 20} if azcopy else {"uploader": "native", "timeout": 100}
            )
            fault = self.world.chance.choice(FAULTS) if self.world.chance.random() < _FAULTY else None
            self._pass(number, fault)
            if number % 10 == 9:
                print(f"pass {number + 1}: {self.measured[-1]}", flush=True)
        self.instrument.end_all()
        for _ in range(6):
            self.world.expire_credentials()
            outcome = self.world.run()
            left = invariants.not_right_yet(self.world)
            if outcome.code == 0 and not left:
                break
        self.problems += left
        self.problems += invariants.nothing_claimed(self.world, "at the end")
        self.problems += invariants.nothing_lost(self.world)

    def _pass(self, number: int, fault: Fault | None) -> None:
        world = self.world
        self._memory = self._handles = 0
        world.struck.clear()
        world.expire_credentials()
        with fault.arm(world, fault) if fault is not None else contextlib.nullcontext():
            outcome = world.run()
        if world.azurite.process_id is None:
            world.azurite.start()
        with contextlib.suppress(FileNotFoundError):
            # What a reboot keeps of the ledger, of this pass only.
            for path in (world.folder / "saved").iterdir():
                path.unlink()
            (world.folder / "saved").rmdir()
        if outcome.code == HUNG or "Traceback" in outcome.output or "internal error" in outcome.output:
            self.problems.append(f"pass {number}: code {outcome.code}\n{outcome.output}")
        if fault is None and number and self.measured[-1].fault == "" and outcome.code != 0:
            self.problems.append(
                f"pass {number}, undisturbed like the one before: {outcome.code}\n{outcome.output}"
            )
        found = list(world.watch.violations)
        world.watch.violations.clear()
        self.problems += found
        state = world.folder / "state"
        killed = outcome.code < 0
        left = list(self.temporary.iterdir()) + [path for path in state.iterdir() if "work" in path.name]
        if left and not killed and not (self.measured and self.measured[-1].code < 0):
            self.problems.append(f"pass {number} left {left}")
        ledger = sum(path.stat().st_size for path in state.glob("ledger.sqlite*"))
        struck = fault.name if fault is not None and world.struck else ""
        self.measured.append(
            Measured(
                outcome.code,
                outcome.seconds,
                self._memory,
                self._handles,
                len(left),
                ledger,
                len(world.truth.now),
                struck or ("(did not strike)" if fault is not None else ""),
            )
        )

    def _watch(self, process: Process) -> None:
        folder = pathlib.Path("/proc") / str(process.pid)
        with contextlib.suppress(OSError, IndexError):
            while process.poll() is None:
                status = (folder / "status").read_text(encoding="utf-8")
                self._memory = max(self._memory, int(status.split("VmHWM:")[1].split()[0]))
                self._handles = max(self._handles, len(os.listdir(folder / "fd")))
                time.sleep(0.03)

    def judge(self) -> None:
        """Flat: the last passes use no more than the first ones did. The ledger may grow with what is on record."""
        third = len(self.measured) // 3
        first, last = self.measured[:third], self.measured[-third:]
        for what, slack in (("memory", 1.2), ("handles", 1.2)):
            before, after = (_median(part, what) for part in (first, last))
            if after > before * slack:
                self.problems.append(f"{what} grew: {before:g} in the first third, {after:g} in the last")
        a_run = (self.measured[-1].ledger - first[-1].ledger) / max(
            1, self.measured[-1].runs - first[-1].runs
        )
        if a_run > 8192:
            self.problems.append(f"the ledger grows by {a_run:.0f} bytes for each removed run")

    def text(self, seed: str, minutes: float) -> str:
        third = len(self.measured) // 3
        first, last = self.measured[:third], self.measured[-third:]
        codes = collections.Counter(each.code for each in self.measured)
        faults = collections.Counter(
            each.fault for each in self.measured if each.fault and "(" != each.fault[0]
        )
        told = ", ".join(f"{code} ({count})" for code, count in sorted(codes.items()))
        rows = [
            (
                "VmHWM of a pass, median (MB)",
                *(f"{_median(part, 'memory') / 1024:.0f}" for part in (first, last)),
            ),
            (
                "open files of a pass, most",
                *(str(max(each.handles for each in part)) for part in (first, last)),
            ),
            (
                "temporary files left by passes that were not killed",
                *(str(sum(each.temporary for each in part if each.code >= 0)) for part in (first, last)),
            ),
            ("ledger at the end (KB)", *(f"{part[-1].ledger / 1024:.0f}" for part in (first, last))),
            ("runs on record at the end", *(str(part[-1].runs) for part in (first, last))),
            (
                "wall time of a pass, median (s)",
                *(f"{_median(part, 'seconds'):.1f}" for part in (first, last)),
            ),
        ]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return (
            f"{datetime.date.today()}, seed {seed}: {len(self.measured)} passes (of {self.passes} wanted), every tenth"
            f" with AzCopy, over a main folder in which {len(self.world.truth.now)} runs were written, all removed"
            f" when published; {sum(faults.values())} passes with a fault that struck ({len(faults)} kinds); exit codes"
            f" {told}. {minutes:.0f} minutes. Problems: {len(self.problems)}. {versions()}\n\n"
            f"| | first third | last third |\n|---|---|---|\n{table}"
        )


def _median(part: list[Measured], what: str) -> float:
    # A pass that was killed early used little.
    return statistics.median(float(getattr(each, what)) for each in part if each.code == 0)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    words.add_argument("--passes", type=int, default=300)
    words.add_argument("--minutes", type=float, default=120.0, help="no pass is begun after so long")
    words.add_argument("--seed", default=str(int(time.time())))
    words.add_argument("--write", action="store_true", help=f"the figures into {DOCUMENT.name}")
    given = words.parse_args()
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {given.seed}")
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    plan = Plan(f"soak/{given.seed}", (), "native", "small", True)
    with Azurite(folder / "azurite") as azurite, azurite.create_container("soak") as container:
        with World(plan, folder / "w", azurite, container) as world:
            (world.disk / "NEVER ENDS").mkdir()
            soak = Soak(world, given.passes, given.minutes)
            soak.run()
            soak.judge()
            text = soak.text(given.seed, (time.monotonic() - began) / 60)
    print(text, *soak.problems, sep="\n")
    if given.write:
        report.put(DOCUMENT, "soak", text)
    return int(bool(soak.problems))


if __name__ == "__main__":
    sys.exit(main())
