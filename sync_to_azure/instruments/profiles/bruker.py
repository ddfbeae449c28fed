"""Bruker .d: a project folder with one folder NAME.d an acquisition, or a single such folder (timsTOF, maXis,
impact).

- In it lie analysis.tdf and analysis.tdf_bin (timsTOF with ion mobility), analysis.tsf and analysis.tsf_bin
  (without), or analysis.baf (otofControl); the first of each pair is an SQLite database (gtluu.github.io/timsconvert,
  About).
- There is no flag. SQLite's -journal and -wal lie beside a database only while it is being written
  (sqlite.org/tempfiles.html): as long as one is there, the acquisition goes on. Otherwise standing still must do.
- A .d without its main file is an acquisition that failed (MannLabs/alphakraken, acquisition_monitor.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation, Paths
from sync_to_azure.instruments.profiles.profile import NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, Outcome

_PATTERNS = ("*.d/analysis.*", "analysis.*")
_MAIN = ("analysis.tdf", "analysis.tsf", "analysis.baf")
_OPEN = ("-journal", "-wal")


def _acquisitions(view: View) -> dict[str, set[str]]:
    """The names of its analysis files, by the path of each .d with a slash; "" where the run itself is one."""
    found: dict[str, set[str]] = {
        f"{folder}/": set() for folder in view.folders if folder.lower().endswith(".d")
    }
    if view.name.lower().endswith(".d"):
        found[""] = set()
    for pattern in _PATTERNS:
        for path, _ in view.matching(pattern):
            folder, slash, name = path.rpartition("/")
            if folder + slash in found:
                found[folder + slash].add(name.lower())
    return found


def _recognise(view: View) -> Sign:
    if any(names.intersection(_MAIN) for names in _acquisitions(view).values()):
        return Sign(Strength.FILES, "it holds a .d with analysis files as Bruker's software writes them")
    return NO_SIGN


def _waits_for(view: View) -> tuple[str, ...]:
    still_open = sum(any(name.endswith(_OPEN) for name in names) for names in _acquisitions(view).values())
    return (f"the end of {still_open} acquisitions (their databases are open)",) if still_open else ()


def _outcome(view: View) -> Outcome:
    if not view.whole:
        return Outcome(End.UNKNOWN, "it has more .d folders than are looked into")
    acquisitions = _acquisitions(view)
    without = sum(not names.intersection(_MAIN) for names in acquisitions.values())
    if without:
        return Outcome(
            End.FAILED, f"{without} of {len(acquisitions)} .d folders have no analysis.tdf, .tsf or .baf"
        )
    return Outcome(End.UNKNOWN, "Bruker's software writes nothing about how an acquisition ended")


def _expect(view: View) -> Expectation | None:
    if not view.whole:
        return None
    expected = []
    for folder, names in _acquisitions(view).items():
        for kind in ("tdf", "tsf"):
            if f"analysis.{kind}" in names or f"analysis.{kind}_bin" in names:
                expected += [f"{folder}analysis.{kind}", f"{folder}analysis.{kind}_bin"]
    return Paths("both analysis files of each timsTOF .d", expected) if expected else None


def _facts(view: View) -> Mapping[str, Any]:
    return {"acquisitions": len(_acquisitions(view))}


PROFILE = Profile(
    name="bruker",
    title="Bruker .d",
    words=Words(
        recognised="`analysis.tdf`, `.tsf` or `.baf` in a folder `*.d`",
        finished="nothing moved for 24 h, and no database is open",
        outcome="a `.d` without its main file means failed; otherwise unknown",
        completeness="`analysis.tdf` with `analysis.tdf_bin`, `.tsf` with `.tsf_bin`",
        sheet="none",
        source="timsconvert, alphakraken, sqlite.org",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    expect=_expect,
    facts=_facts,
    wanted=tuple(Wanted(pattern, 0, head=True) for pattern in _PATTERNS),
    quiet=24 * 3600.0,
)
