"""Bruker .d: a project folder with one folder NAME.d an acquisition, or a single such folder (timsTOF, maXis,
impact, solariX, ion traps).

- In it lie analysis.tdf and analysis.tdf_bin (timsTOF with ion mobility), analysis.tsf and analysis.tsf_bin
  (without), or analysis.baf (otofControl); the first of each pair is an SQLite database (gtluu.github.io/timsconvert,
  About). Ion traps write Analysis.yep, FT-ICR instruments ser or fid (ProteoWizard, Reader_Bruker_Detail.cpp;
  EMSL-Computing/CoreMS).
- There is no flag. SQLite's -journal and -wal lie beside a database only while it is being written
  (sqlite.org/tempfiles.html): as long as one is there, the acquisition goes on. Otherwise standing still must do.
- A .d without its main file is an acquisition that failed (MannLabs/alphakraken, acquisition_monitor.py), if it is one
  of Bruker's: others write folders .d, too (Agilent: AcqData), and of one that holds nothing that is known nothing is
  claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation, Paths
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome

_FILES = ("analysis.*", "sampleinfo.xml", "ser", "fid")
_PATTERNS = tuple(f"*.d/{name}" for name in _FILES) + _FILES
ACQ_DATA = ("*.d/acqdata/ms*.bin", "acqdata/ms*.bin")
_MAIN = ("analysis.tdf", "analysis.tsf", "analysis.baf", "analysis.yep", "ser", "fid")
_OPEN = ("-journal", "-wal")


def _acquisitions(view: View) -> dict[str, set[str]]:
    """The names of its files of Bruker's, by the path of each .d with a slash; "" where the run itself is one."""
    found: dict[str, set[str]] = {
        f"{folder}/": set() for folder in view.folders if folder.lower().endswith(".d")
    }
    if view.name.lower().endswith(".d"):
        found[""] = set()
    for path in view.small:
        folder, slash, name = path.rpartition("/")
        if folder + slash in found and (name.lower() in _FILES or name.lower().startswith("analysis.")):
            found[folder + slash].add(name.lower())
    return found


def of_agilent(view: View) -> set[str]:
    """The paths of the folders .d that are Agilent's; "" is the run itself."""
    is_one = view.name.lower().endswith(".d")
    found = {path.partition("/")[0] for path, _ in view.matching(ACQ_DATA[0])}
    return found | {"" for _ in view.matching(ACQ_DATA[1]) if is_one}


def has_brukers(view: View) -> bool:
    return any(names.intersection(_MAIN) for names in _acquisitions(view).values())


def _recognise(view: View) -> Sign:
    if has_brukers(view):
        return Sign(Strength.FILES, "it holds a .d with analysis files as Bruker's software writes them")
    return NO_SIGN


def _waits_for(view: View) -> tuple[str, ...]:
    still_open = sum(any(name.endswith(_OPEN) for name in names) for names in _acquisitions(view).values())
    return (f"the end of {still_open} acquisitions (their databases are open)",) if still_open else ()


def _outcome(view: View) -> RunOutcome:
    if not view.whole:
        return RunOutcome(End.UNKNOWN, "it has more .d folders than are looked into")
    acquisitions = _acquisitions(view)
    # One of another maker, or of an instrument that nobody knows, holds none of these names.
    without = sum(bool(names) and not names.intersection(_MAIN) for names in acquisitions.values())
    if without:
        return RunOutcome(
            End.FAILED,
            f"{without} of {len(acquisitions)} .d folders of Bruker's have none of analysis.tdf, .tsf, .baf and .yep,"
            " ser and fid",
        )
    return RunOutcome(End.UNKNOWN, "Bruker's software writes nothing about how an acquisition ended")


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
        recognised="`analysis.tdf`, `.tsf`, `.baf` or `.yep`, `ser` or `fid` in a folder `*.d`",
        finished="nothing moved for 24 h, and no database is open",
        outcome="a `.d` of Bruker's without its main file means failed; otherwise unknown",
        completeness="`analysis.tdf` with `analysis.tdf_bin`, `.tsf` with `.tsf_bin`",
        sheet="none",
        source="timsconvert, alphakraken, ProteoWizard, sqlite.org",
        tried=DOCUMENTED,
        know="of a `.d` that holds nothing that is known nothing is claimed",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    expect=_expect,
    facts=_facts,
    wanted=tuple(Wanted(pattern, 0, head=True) for pattern in _PATTERNS),
    quiet=24 * 3600.0,
)
