"""The fault matrix: python -m tests.faults --runs 500 --seed 1 --minutes 60 --lanes 4

Ends with 1 if an invariant was violated; what is needed to try it again is printed, and its folder kept.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import pathlib
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import typing

from embedded.azurite import Azurite
from embedded.tools import PROJECT, azcopy_path
from sync_to_azure import __version__
from tests.faults import faults, plans, report, trial

VIOLATED = 4
"""A lane's exit code; 1 is that of a lane that failed itself."""

DOCUMENT = PROJECT / "docs" / "reliability.md"


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    words.add_argument("--runs", type=int, default=500, help="trials that count, over all lanes")
    words.add_argument("--seed", type=int, default=None, help="otherwise from the clock; it is printed")
    words.add_argument("--minutes", type=float, default=60.0, help="no trial is begun after so long")
    words.add_argument("--lanes", type=int, default=3)
    words.add_argument("--only", default="", help="this fault, or two as 'ONE + OTHER'")
    words.add_argument(
        "--classes",
        default="",
        help=f"only faults of these, parted by commas: {', '.join(faults.CLASSES)}; second-round for all but the"
        " first three",
    )
    words.add_argument("--uploader", default="", choices=("", "native", "azcopy"), help="with --only")
    words.add_argument("--first", type=int, default=0, help="number of the first trial")
    words.add_argument("--trial", type=int, default=None, help="this one, as it was printed")
    words.add_argument("--write", action="store_true", help=f"the table into {DOCUMENT.name}")
    words.add_argument("--lane", type=int, default=None, help=argparse.SUPPRESS)
    words.add_argument("--folder", type=pathlib.Path, default=None, help="where worlds are made and kept")
    given = words.parse_args()
    # So that mounts are taken away, and lanes ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.classes = given.classes.replace("second-round", ",".join(faults.SECOND_ROUND))
    if unknown := set(_classes(given)) - set(faults.CLASSES):
        words.error(f"no such class: {', '.join(sorted(unknown))}")
    given.seed = int(time.time()) if given.seed is None else given.seed
    given.folder = given.folder or pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
    if given.lane is not None or given.trial is not None:
        return lane(given)
    return lanes(given)


def _classes(given: argparse.Namespace) -> tuple[str, ...]:
    return tuple(filter(None, given.classes.split(",")))


def lane(given: argparse.Namespace) -> int:
    """Every ``lanes``-th trial, one line of JSON each; with --trial that one alone."""
    ends = time.monotonic() + 60 * given.minutes
    number = given.trial if given.trial is not None else given.first + given.lane
    wanted = 1 if given.trial is not None else -(-given.runs // given.lanes)
    violated = counted = 0
    with Azurite(given.folder / f"azurite-{given.lane or 0}") as azurite:
        while counted < wanted and time.monotonic() < ends:
            plan = plans.plan(given.seed, number, given.only, given.uploader, _classes(given))
            result = trial.run(plan, given.folder / f"trial-{number}", azurite)
            counted += result.counts or given.trial is not None
            violated += bool(result.violations)
            print(json.dumps(_row(number, result)), flush=True)
            if given.trial is not None:
                print(result.story, *result.violations, sep="\n")
            number += given.lanes
    return VIOLATED if violated else 0


def _row(number: int, result: trial.Result) -> dict[str, typing.Any]:
    plan = dataclasses.asdict(result.plan)
    return {
        "number": number,
        **plan,
        "struck": result.struck,
        "counts": result.counts,
        "codes": result.codes,
        "healed_after": result.healed_after,
        "seconds": round(result.seconds, 1),
        "violations": result.violations,
    }


def lanes(given: argparse.Namespace) -> int:
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc)
    print(f"seed {given.seed}, folder {given.folder}", flush=True)
    given.folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, typing.Any]] = []
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_started(given, number)) for number in range(given.lanes)]
        while any(process.poll() is None for process in processes):
            time.sleep(0.5)
            rows = _rows(given, rows)
    rows = _rows(given, rows)
    counted, violated = sum(row["counts"] for row in rows), [row for row in rows if row["violations"]]
    minutes = (time.monotonic() - began) / 60
    native = sum(row["uploader"] == "native" for row in rows)
    pairs = sum(len(row["faults"]) > 1 and row["counts"] for row in rows)
    text = (
        f"{started:%Y-%m-%d}, seed {given.seed}: {len(rows)} trials, of which {counted} counted (each of their faults"
        f" was seen to strike), {pairs} of these with two faults at once; {native} with the native"
        f" uploader, {len(rows) - native} with AzCopy; {len(violated)} violations;"
        f" {minutes:.0f} minutes in {given.lanes} lanes. {versions()}"
    )
    print(text)
    if given.write and not given.only:
        classes = _classes(given)
        # The faults of the second round have a table of their own.
        place = "second round" if classes and set(classes) <= set(faults.SECOND_ROUND) else "faults"
        report.put(DOCUMENT, place, f"{text}\n\n{report.table(rows, faults.of(classes))}")
    broken = [process.returncode for process in processes if process.returncode not in (0, VIOLATED)]
    if broken:
        print(f"lanes ended with {broken}: see lane-*.err in {given.folder}")
    return int(bool(violated or broken))


@contextlib.contextmanager
def _started(given: argparse.Namespace, number: int) -> typing.Iterator["subprocess.Popen[bytes]"]:
    arguments = [
        f"--{name}={getattr(given, name)}"
        for name in ("runs", "seed", "minutes", "lanes", "first", "only", "uploader", "classes")
    ]
    with (
        open(given.folder / f"lane-{number}.jsonl", "wb") as out,
        open(given.folder / f"lane-{number}.err", "wb") as err,
    ):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults",
                f"--lane={number}",
                f"--folder={given.folder}",
                *arguments,
            ],
            cwd=PROJECT,
            stdout=out,
            stderr=err,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _rows(given: argparse.Namespace, known: list[dict[str, typing.Any]]) -> list[dict[str, typing.Any]]:
    """All that the lanes wrote; what is new is told."""
    rows = []
    folder: pathlib.Path = given.folder
    same = "".join(
        f" --{name} {shlex.quote(getattr(given, name))}"
        for name in ("only", "uploader", "classes")
        if getattr(given, name)
    )
    for path in sorted(folder.glob("lane-*.jsonl")):
        rows += [
            json.loads(line)
            for line in path.read_text("utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        ]
    for row in rows:
        if row["number"] not in {each["number"] for each in known}:
            end = "VIOLATED" if row["violations"] else "held" if row["counts"] else "did not strike"
            print(
                f"{len(rows):4} {end:14} {' + '.join(row['faults'])} ({row['uploader']}, {row['shape']},"
                f" {'removing' if row['remove'] else 'keeping'}) codes {row['codes']},"
                f" healed after {row['healed_after']}, {row['seconds']} s",
                flush=True,
            )
            if row["violations"]:
                seed = row["seed"].split("/")[0]
                print(f"     again: python -m tests.faults --seed {seed} --trial {row['number']}{same}")
                print(*(f"     {violation}" for violation in row["violations"]), sep="\n", flush=True)
    return rows


def versions() -> str:
    azcopy = subprocess.run(
        [azcopy_path(), "--version"], capture_output=True, text=True, check=False
    ).stdout.split()
    return f"sync_to_azure {__version__}, AzCopy {azcopy[-1] if azcopy else '?'}, Python {platform.python_version()}."


if __name__ == "__main__":
    sys.exit(main())
