"""Demo data: a month of two sequencers and a mass spectrometer on record, and some of their folders still there."""

from __future__ import annotations

import pathlib
import random
import shutil
import typing

from embedded.runs import write_miseq, write_nextseq
from sync_to_azure.transfer.ledger import Flow, Ledger, overrides
from sync_to_azure.core.model import Evidence, Progress, State
from sync_to_azure.core.reasons import Reason

HOUR, DAY = 3600.0, 86400.0
GB = 10**9


def config(folder: pathlib.Path) -> dict[str, object]:
    (folder / "sequencers").mkdir(exist_ok=True)
    return {
        "main-folder": folder / "sequencers",
        "storage-account": "ourdatalake",
        "container-name": "runs",
        "destination": "sequencing",
        "auth": "default",
        "state-file": folder / "ledger.sqlite",
    }


def open_ledger(given: typing.Mapping[str, object]) -> Ledger:
    flow = Flow(str(given["main-folder"]), "https://ourdatalake.blob.core.windows.net", "runs", "sequencing")
    return Ledger.open(pathlib.Path(str(given["state-file"])), flow)


def run_name(number: int, at: float) -> str:
    import datetime

    date = datetime.datetime.fromtimestamp(at).strftime("%y%m%d")
    chance = random.Random(number)
    letters = "".join(chance.choice("BCDFGHJKLMNPRSTVWXYZ3456789") for _ in range(5))
    if number % 3:
        return f"{date}_M00146_{number + 400:04}_000000000-{letters}"
    return f"{date}_NB551051_{number + 80:04}_AH{letters[:4]}BGX2"


def fill(ledger: Ledger, now: float, days: int = 60) -> list[str]:
    """Two runs a day and three, in the past; names from old to new."""
    chance = random.Random(5)
    names = []
    at = now - days * DAY
    number = 0
    while at < now - 1.5 * DAY:
        number += 1
        at += chance.uniform(6, 22) * HOUR
        names.append(published(ledger, number, at, chance, removed=now - at > 14 * DAY))
    flagged(ledger, now)
    return names


def published(ledger: Ledger, number: int, at: float, chance: random.Random, removed: bool) -> str:
    """Seen, complete, quiet for an hour, carried, published, and removed two weeks later."""
    name = run_name(number, at)
    size = int((9 if number % 3 else 48) * GB * chance.uniform(0.6, 1.2))
    run = ledger.add_run(name, State.SEEN, at - 20 * HOUR)
    ledger.set_state(
        run, State.WAITING, Reason("flag-missing", {"flags": ["RTAComplete.txt"]}), at - 20 * HOUR
    )
    begun = at + HOUR * chance.uniform(1.0, 1.3)
    ledger.set_state(run, State.WAITING, Reason("not-quiet-yet", {"since": at, "from": at + HOUR}), at)
    ledger.set_state(run, State.UPLOADING, None, begun)
    ended = begun + size / (85e6 * chance.uniform(0.5, 1.2)) * (6 if number % 11 == 0 else 1)
    ledger.set_state(run, State.VERIFIED, None, ended - 20)
    ledger.set_state(
        run,
        State.PUBLISHED,
        None,
        ended,
        event="published",
        generation=1,
        files=int(size / 400_000),
        bytes=size,
        published_at=ended,
        first_published=ended,
        weakest=int(Evidence.VALIDATED),
        verified_at=ended,
    )
    if removed:
        ledger.set_state(run, State.REMOVED, None, at + 14 * DAY + 2 * HOUR)
    return name


def flagged(ledger: Ledger, now: float) -> None:
    """What is not well: one that changed, one that fails, one that waits, one that is carried now, one that is held."""
    changed = next(reversed(ledger.runs().values()))
    reason = Reason(
        "changed-after-verification", {"count": 2, "names": ["Data/Smith_Anna.fastq.gz", "SampleSheet.csv"]}
    )
    ledger.set_state(changed, State.FLAGGED, reason, now - 5 * HOUR)
    waits = ledger.add_run(run_name(901, now - 9 * HOUR), State.SEEN, now - 9 * HOUR)
    ledger.set_state(
        waits, State.WAITING, Reason("flag-missing", {"flags": ["RTAComplete.txt"]}), now - 9 * HOUR
    )
    fails = ledger.add_run(run_name(904, now - 30 * HOUR), State.SEEN, now - 30 * HOUR)
    problem = "not verified after 5 tries: Data/Smith_Anna.fastq.gz: the service answers 503"
    ledger.set_state(fails, State.FAILING, Reason("failed", {"problem": problem}), now - 3 * HOUR)
    carried = ledger.add_run(run_name(903, now - 26 * HOUR), State.SEEN, now - 26 * HOUR)
    ledger.set_state(carried, State.UPLOADING, None, now - 0.2 * HOUR)
    held = ledger.add_run(run_name(902, now - 40 * HOUR), State.SEEN, now - 40 * HOUR)
    ledger.set_state(held, State.WAITING, Reason("held"), now - 39 * HOUR)
    overrides.set_override(
        ledger, held.key, "hold", "anna@lab7", now - 39 * HOUR, "flow cell of Smith_Anna was swapped", {}
    )
    ledger.beat(now - 60, carried, Progress(carried.key, "uploading", 61_204, 110_872, 26 * GB, 47 * GB))


def folders(main_folder: pathlib.Path, names: typing.Sequence[str], real: pathlib.Path | None = None) -> None:
    """The newest runs still stand there; the newest of the MiSeq with the InterOp of a real one, if it is given."""
    for number, name in enumerate(names[-6:]):
        write = write_miseq if "_M0" in name else write_nextseq
        write(main_folder, name, seed=number + 1, files=16, size=40_000)
    newest = next(name for name in reversed(names) if "_M0" in name)
    if real is not None:
        shutil.rmtree(main_folder / newest / "InterOp")
        shutil.copytree(real / "InterOp", main_folder / newest / "InterOp", copy_function=shutil.copyfile)
        text = (real / "RunInfo.xml").read_text("utf-8").replace(real.name, newest)
        (main_folder / newest / "RunInfo.xml").write_text(text, "utf-8")
