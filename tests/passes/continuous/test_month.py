"""A proteomics project lived through a month: an instrument that writes day and night, people who replace results, a
pass each evening. The passes are real but for their clock; what must hold is looked at after each of them."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import os
import pathlib
import random
import typing

import pytest

from embedded.spectra import thermo_raw
from sync_to_azure.transfer import one_pass
from sync_to_azure.core.clock import Clock
from sync_to_azure.settings import load
from tests.passes.continuous.projects import DAY, HOUR, Projects

START = 1_793_000_000.0
"""2026-10-26, a Monday, in seconds since 1970."""
NIGHT_AGE = 24 * HOUR


class Calendar(Clock):
    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time


@dataclasses.dataclass
class Laboratory:
    """What is at the source, and what of it became what, by file name: (content, when it was written)."""

    folder: pathlib.Path
    calendar: Calendar
    chance: random.Random
    files: dict[str, tuple[bytes, float]] = dataclasses.field(default_factory=dict)
    acquiring: str = ""
    number: int = 0

    def write(self, name: str, content: bytes, at: float) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        os.utime(self.folder / name, (at, at))
        self.files[name] = content, at

    def spectrum(self, acquiring: bool) -> bytes:
        return thermo_raw(3000 + self.number, acquiring=acquiring, seed=self.number)

    def a_day(self, day: int) -> None:
        """Acquisitions of two hours each, one of them under way when the pass comes; on some days results, metadata."""
        now = self.calendar.now()
        if self.acquiring:
            self.write(self.acquiring, self.spectrum(False), now - 10 * HOUR)
        for slot in range(self.chance.randint(1, 3)):
            self.number += 1
            kind = "Blank" if self.chance.random() < 0.25 else "QE_Prot07"
            self.write(f"{kind}_{day:02}_{slot}.raw", self.spectrum(False), now - (8 - 2 * slot) * HOUR)
        self.number += 1
        self.acquiring = f"QE_Prot07_{day:02}_late.raw"
        self.write(self.acquiring, self.spectrum(True), now - HOUR)
        self.write("Sequence.sld", f"sequence until day {day}".encode(), now - 3 * HOUR)
        if day in (5, 12, 13, 24):
            self.write("Prot07_Results.xlsx", f"results of day {day}".encode(), now - 4 * HOUR)
        if day in (3, 20):
            self.write("metadata.xlsx", f"metadata of day {day}".encode(), now - 4 * HOUR)
        if day == 9:
            self.write("notes.docx", b"not for the lake", now - 50 * HOUR)


def place(name: str) -> str | None:
    """By hand, for the names above."""
    if name.endswith(".raw"):
        return f"blanks/{name}" if name.startswith("Blank") else f"samples/{name}"
    return {
        "Sequence.sld": "other/Sequence.sld",
        "Prot07_Results.xlsx": "results/prot07_results.xlsx",
        "metadata.xlsx": "metadata.xlsx",
    }.get(name)


@pytest.fixture
def a_pass(proteomics: Projects) -> collections.abc.Callable[[Calendar], int]:
    config = proteomics.scene.folder / "azsync.cfg"
    # Two looks must agree, an hour apart: each file is seen on the evening of its day, and carried on the next but one.
    proteomics.scene.config["completion-delay"] = 3600
    config.touch(mode=0o600)
    config.write_text("".join(f"{key} = {value}\n" for key, value in proteomics.scene.config.items()))

    def start(calendar: Calendar) -> int:
        settings = load(
            {"config-file": str(config)}, {"HOME": str(proteomics.scene.folder)}, proteomics.scene.folder
        )
        return one_pass.run(settings, calendar)

    return start


def manifest_and_lake(projects: Projects) -> tuple[dict[str, dict[str, typing.Any]], dict[str, bytes]]:
    etags = projects.scene.etags()
    assert not [name for name in etags if name.endswith(".sync")]
    rows = projects.manifest("PROT07") if "PROT07.json" in etags else {}
    return rows, projects.lake("PROT07")


@pytest.mark.parametrize("lost", [False, True], ids=["", "the ledger is lost each week"])
def test_a_month(lost: bool, proteomics: Projects, a_pass: collections.abc.Callable[[Calendar], int]) -> None:
    scene, calendar = proteomics.scene, Calendar()
    lab = Laboratory(scene.main / "Prot07", calendar, random.Random(7))
    frozen: dict[str, bytes] = {}
    ready: list[str] = []
    generations = [0]
    for day in range(1, 31):
        calendar.time = START + day * DAY
        lab.a_day(day)
        if lost and day % 7 == 0:
            scene.lose_ledger()
        before = scene.etags()
        assert a_pass(calendar) == 0, day
        rows, lake = manifest_and_lake(proteomics)
        sign = lake.pop("results.ready", b"").decode()

        # Nothing is claimed that is not there, byte for byte; nothing is there that is not claimed.
        assert set(rows) == set(lake)
        for name, content in lake.items():
            assert rows[name]["size"] == len(content)
            assert rows[name]["evidence"] == "validated"
        # Spectra stay what they were, and never leave.
        assert all(lake[name] == content for name, content in frozen.items())
        frozen |= {n: c for n, c in lake.items() if n.startswith(("samples/", "blanks/"))}
        # What is young or being acquired is not there; what is old enough, and was seen the evening before, is.
        for name, (content, written) in lab.files.items():
            where, age = place(name), calendar.now() - written
            if where is None:
                assert not [each for each in lake if each.endswith(name)]
            elif age >= NIGHT_AGE + HOUR and not (lost and day % 7 == 0):
                assert lake[where] == content, (day, name)
            elif age < NIGHT_AGE:
                assert lake.get(where) != content, (day, name)
        assert f"samples/{lab.acquiring}" not in lake
        # The pipelines are started when results and metadata are there and one of them is new, and at no other time.
        changed = {"results/prot07_results.xlsx", "metadata.xlsx"} & {
            name.removeprefix("PROT07/") for name, etag in scene.etags().items() if before.get(name) != etag
        }
        both = {"results/prot07_results.xlsx", "metadata.xlsx"} <= set(lake)
        if sign and (not ready or sign != ready[-1]):
            assert both and changed, day
            ready.append(sign)
        else:
            assert not (both and changed), day
        generation = proteomics.receipt("PROT07")["generation"] if rows else 0
        assert generation in (generations[-1], generations[-1] + 1)
        generations.append(generation)
    # Days 5 and 3, 12 and 13 (the first is replaced before it is old enough), 20, 24.
    assert len(ready) == 4, ready
    assert len(frozen) > 60 and generations[-1] > 20
    scene.check_sums("PROT07")
    assert json.loads(scene.get("PROT07.json"))["outcome"] == "continuous"

    # A quiet week: everything arrives, and then nothing is written any more.
    for day in (31, 32, 33):
        calendar.time = START + day * DAY
        if day == 31:
            lab.write(lab.acquiring, lab.spectrum(False), calendar.now() - 10 * HOUR)
        assert a_pass(calendar) == 0
    assert set(proteomics.manifest("PROT07")) == {place(name) for name in lab.files} - {None}
    at_rest = scene.etags()
    calendar.time += DAY
    assert a_pass(calendar) == 0 and scene.etags() == at_rest
    # An intruder encrypts it all: the lake keeps what it has, and says so.
    for name in list(lab.files):
        lab.write(name, b"encrypted", calendar.now() - 3 * DAY)
    calendar.time += DAY
    assert a_pass(calendar) == 1
    lake = proteomics.lake("PROT07")
    assert all(lake[name] == content for name, content in frozen.items())
    assert b"encrypted" not in lake.values()
