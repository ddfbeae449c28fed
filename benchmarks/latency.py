"""What a round trip costs: the native uploader with fixed numbers of requests, with `auto`, and AzCopy, at 0, 5, 20 ms.

    python -m benchmarks.latency [--pairs 5] [--minutes M] [--quick] [--again] [--folder FOLDER] [--round-trips 0,5,20]

Everything goes to the server that discards, through the delaying proxy (at 0 ms, too, so that its processor time is in
all). Contenders take turns, in an order that alternates; ratios are taken within a turn. Rows are kept in
build/latency.json as they come: what is there is not measured again (unless --again), so a run that was stopped, or
ended with its --minutes, goes on where it was. Ends with 1 if a target is missed, 3 if something is still to measure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.contenders import AZCOPY_OPEN, NATIVE, argv_of
from benchmarks.delaying import DelayingProxy
from benchmarks.discarding import Discarding
from benchmarks.first_pass import RUN, read_once, write_run
from benchmarks.measured import clean_environment, machine, measure, must_have_ended_well
from embedded.tools import PROJECT

FIXED = ("16", "32", "64", "128")
AUTO, AZCOPY = "auto", "azcopy"
TODAY = "16"
"""The default before `auto`."""
NEAR_BEST, NO_WORSE = 1.15, 1.03
"""Of `auto`: against the best fixed number, and against TODAY at 0 ms (where 3 % are this machine's noise)."""

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """``files`` of ``size`` bytes; ``seconds``: what a turn of all contenders takes at 0, 5 and 20 ms, roughly."""

    title: str
    files: int
    size: int
    seconds: dict[float, float]


CASES = {
    "small": Case("20,000 x 10 KB", 20_000, 10_000, {0: 50, 5: 65, 20: 125}),
    "large": Case("8 x 100 MB", 8, 100_000_000, {0: 20, 5: 20, 20: 25}),
}
QUICK = {
    "small": Case("4,000 x 10 KB", 4000, 10_000, {0: 15, 5: 20, 20: 35}),
    "large": Case("3 x 100 MB", 3, 100_000_000, {0: 15, 5: 15, 20: 15}),
}
START = Case("one file of 10 KB", 1, 10_000, {0: 5, 5: 5, 20: 5})


@dataclasses.dataclass(frozen=True)
class _Turn:
    case: str
    round_trip: float
    number: int


class _Through:
    """The server as it is reached through the proxy."""

    account = Discarding.account
    key = Discarding.key

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/{self.account}"


def _one(who: str, run: pathlib.Path, round_trip: float, folder: pathlib.Path) -> Row:
    """A whole process, its server and proxy fresh. ``round_trip``: milliseconds."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
    try:
        with Discarding() as server, DelayingProxy(server.port, round_trip / 1000) as proxy:
            argv = argv_of(AZCOPY_OPEN if who == AZCOPY else NATIVE, _Through(proxy.port), run, scratch)
            if who != AZCOPY:
                argv.append(f"--concurrency={who}")
            environment = clean_environment(scratch) | {
                "AZCOPY_JOB_PLAN_LOCATION": str(scratch / "plans"),
                "AZCOPY_LOG_LOCATION": str(scratch / "logs"),
            }
            measured = measure(argv, environment, scratch)
            must_have_ended_well(measured, who)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    peak = max(measured.peak, measured.peak_of_children)
    return {
        "who": who,
        "wall": round(measured.wall, 3),
        "cpu": round(measured.cpu, 3),
        "peak": peak,
        "proxy cpu": round(proxy.cpu, 3),
        "connections": proxy.connections,
        "load": round(os.getloadavg()[0], 1),
    }


def _turn(turn: _Turn, who: Sequence[str], run: pathlib.Path, folder: pathlib.Path) -> Iterator[Row]:
    for each in who if turn.number % 2 else reversed(who):
        read_once(run)
        row = {"case": turn.case, "round trip": turn.round_trip, "turn": turn.number}
        row |= _one(each, run, turn.round_trip, folder)
        print(
            f"  {turn.case} {turn.round_trip:g} ms, turn {turn.number}: {each} {row['wall']:.2f} s,"
            f" processor {row['cpu']:.2f} s, proxy {row['proxy cpu']:.2f} s, load {row['load']}",
            file=sys.stderr,
            flush=True,
        )
        yield row


def _of(rows: Sequence[Row], case: str, round_trip: float, who: str) -> dict[int, Row]:
    """By turn."""
    return {
        row["turn"]: row
        for row in rows
        if (row["case"], row["round trip"], row["who"]) == (case, round_trip, who)
    }


def _ratios(ours: dict[int, Row], its: dict[int, Row], of: str = "wall") -> list[float]:
    return [row[of] / its[turn][of] for turn, row in sorted(ours.items()) if turn in its]


def _median(found: dict[int, Row], of: str) -> float:
    return float(statistics.median(row[of] for row in found.values()))


def tables(
    rows: Sequence[Row], cases: dict[str, Case], round_trips: Sequence[float]
) -> tuple[list[str], list[str]]:
    """Lines to print, and the targets that were missed."""
    lines: list[str] = []
    missed: list[str] = []
    contenders = sorted({row["who"] for row in rows}, key=lambda who: (not who.isdigit(), len(who), who))
    for name, case in cases.items():
        for round_trip in round_trips:
            found = {who: _of(rows, name, round_trip, who) for who in contenders}
            found = {who: each for who, each in found.items() if each}
            if not found:
                continue
            lines.append(f"\n{case.title}, round trip {round_trip:g} ms")
            lines.append(
                f"{'':8} {'wall s':>8} {'min-max':>13} {'CPU s':>8} {'peak MB':>8} {'proxy CPU s':>12}"
            )
            for who, each in found.items():
                walls = [row["wall"] for row in each.values()]
                lines.append(
                    f"{who:8} {statistics.median(walls):8.2f} {f'{min(walls):.1f}-{max(walls):.1f}':>13}"
                    f" {_median(each, 'cpu'):8.2f} {_median(each, 'peak') / 1e6:8.0f}"
                    f" {_median(each, 'proxy cpu'):12.2f}"
                )
            new_lines, new_missed = _compared(found, f"{case.title}, {round_trip:g} ms", round_trip)
            lines += new_lines
            missed += new_missed
    for round_trip in round_trips:
        starts = {who: _of(rows, "start", round_trip, who) for who in (AUTO, AZCOPY)}
        if all(starts.values()):
            ours, its = (_median(starts[who], "wall") for who in (AUTO, AZCOPY))
            lines.append(
                f"\n{START.title}, round trip {round_trip:g} ms, which is mostly the start:"
                f" native {ours:.2f} s, azcopy {its:.2f} s (it ends on ticks of 2 s)"
            )
    return lines, missed


def _compared(found: dict[str, dict[int, Row]], where: str, round_trip: float) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    missed: list[str] = []
    fixed = [who for who in found if who.isdigit()]
    if AUTO in found and fixed:
        best = min(fixed, key=lambda who: _median(found[who], "wall"))
        aims = [(best, NEAR_BEST)]
        if round_trip == 0 and TODAY in found:
            aims.append((TODAY, NO_WORSE))
        for who, target in aims:
            for of, its_target in (("wall", target), ("cpu", 0.0)):
                ratios = _ratios(found[AUTO], found[who], of)
                if not ratios:
                    continue
                seen = statistics.median(ratios)
                verdict = ""
                if its_target:
                    verdict = f"; target {its_target:g}: {'kept' if seen <= its_target else 'MISSED'}"
                    if seen > its_target:
                        missed.append(f"{where}: auto / {who} is {seen:.2f}, target {its_target:g}")
                what = "best fixed, " if who == best else "the default before, "
                lines.append(f"auto / {who} ({what}{of}): {seen:.2f} ({_shown(ratios)}){verdict}")
    if AZCOPY in found:
        for who in (TODAY, AUTO):
            ratios = _ratios(found.get(who, {}), found[AZCOPY])
            if ratios:
                lines.append(f"{who} / azcopy (wall): {statistics.median(ratios):.2f} ({_shown(ratios)})")
    return lines, missed


def _shown(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="turns of all contenders")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no turn that ends later")
    parser.add_argument("--quick", action="store_true", help="fewer files, always from the beginning: a try")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--folder", type=pathlib.Path, help="where to work; wants 2 GB")
    parser.add_argument("--round-trips", default="0,5,20", help="milliseconds, separated by commas")
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="only this one")
    parser.add_argument("--who", default=",".join((*FIXED, AUTO, AZCOPY)), help="only these contenders")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    began = time.monotonic()
    cases = {
        name: case
        for name, case in (QUICK if arguments.quick else CASES).items()
        if arguments.case is None or name in arguments.case
    }
    round_trips = [float(each) for each in arguments.round_trips.split(",")]
    who = arguments.who.split(",")
    kept = PROJECT / "build" / ("latency-quick.json" if arguments.quick else "latency.json")
    kept.parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    if kept.exists() and not (arguments.quick or arguments.again):
        rows = json.loads(kept.read_text())["rows"]

    todo = [
        _Turn(name, round_trip, number)
        for number in range(1, arguments.pairs + 1)
        for name in ("start", *cases)
        for round_trip in round_trips
    ]
    every = {"start": START} | cases

    def missing(turn: _Turn) -> list[str]:
        wanted = [each for each in who if turn.case != "start" or each in (AUTO, AZCOPY)]
        return [each for each in wanted if turn.number not in _of(rows, turn.case, turn.round_trip, each)]

    def seconds(turn: _Turn) -> float:
        typical = every[turn.case].seconds
        nearest = min(typical, key=lambda each: abs(each - turn.round_trip))
        contenders = 2 if turn.case == "start" else len(FIXED) + 2
        return typical[nearest] * len(missing(turn)) / contenders

    todo = [turn for turn in todo if missing(turn)]
    print(
        f"{machine()}; {len(todo)} turns to measure, about {sum(map(seconds, todo)) / 60:.0f} minutes on two quiet"
        f" cores; rows: {kept}",
        flush=True,
    )
    left = 0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
        runs: dict[str, pathlib.Path] = {}
        for turn in todo:
            if (time.monotonic() - began + seconds(turn)) / 60 > arguments.minutes:
                left += 1
                continue
            if turn.case not in runs:
                case = every[turn.case]
                runs[turn.case] = pathlib.Path(folder) / f"main-{turn.case}" / RUN
                write_run(runs[turn.case], case.files, case.size)
                _one(FIXED[0], runs[turn.case], 0.0, pathlib.Path(folder))  # warms up, is not counted
            for row in _turn(turn, missing(turn), runs[turn.case], pathlib.Path(folder)):
                rows.append(row)
                kept.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    lines, missed = tables(rows, cases, round_trips)
    print("\n".join(lines))
    for each in missed:
        print(f"missed: {each}")
    if left:
        print(f"{left} turns are still to be measured: the same command goes on with them")
    return 1 if missed else 3 if left else 0


if __name__ == "__main__":
    sys.exit(main())
