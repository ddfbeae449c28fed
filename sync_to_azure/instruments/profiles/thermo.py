"""A project folder of Thermo .raw files (Orbitrap, Q Exactive, Astral), at its top level or one folder down.

- A .raw file begins with 0x01A1 and "Finnigan" in UTF-16 (ThermoRawFileParser's test data, small.raw).
- There is no flag: nothing but standing still tells that it is finished; 24 h, as the tool of old. A .raw of size 0
  is opened by the acquisition software and not written yet, and may stay so for long after trouble with the
  chromatography (MannLabs/alphakraken, airflow_src/plugins/sensors/acquisition_monitor.py).
- ``*_CORRUPTED.raw`` is a failed acquisition (alphakraken).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sync_to_azure.instruments.profiles.profile import NO_SIGN, REAL, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import Small, View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome

_RAW, _INNER = "*.raw", "*/*.raw"
_SIGNATURE = b"\x01\xa1" + "Finnigan".encode("utf-16-le")


def _files(view: View) -> Iterator[tuple[str, Small]]:
    yield from view.matching(_RAW)
    yield from view.matching(_INNER)


def _recognise(view: View) -> Sign:
    path = next((path for path, small in _files(view) if small.content == _SIGNATURE), None)
    if path is None:
        return NO_SIGN
    where = " one folder down" if "/" in path else ""
    return Sign(Strength.FILES, f"a .raw file in it{where} begins as Thermo's do")


def _waits_for(view: View) -> tuple[str, ...]:
    empty = sum(small.size == 0 for _, small in _files(view))
    return (f"the data of {empty} empty .raw files (still open?)",) if empty else ()


def _outcome(view: View) -> RunOutcome:
    corrupted = sum(path.lower().endswith("_corrupted.raw") for path, _ in _files(view))
    if corrupted:
        return RunOutcome(End.FAILED, f"{corrupted} files are named *_CORRUPTED.raw")
    return RunOutcome(End.UNKNOWN, "Thermo's software writes nothing about how an acquisition ended")


def _facts(view: View) -> Mapping[str, Any]:
    return {"acquisitions": sum(1 for _ in _files(view))}


PROFILE = Profile(
    name="thermo",
    title="Thermo .raw",
    words=Words(
        recognised="a `.raw` file with Thermo's signature, at its top level or one folder down",
        finished="nothing moved for 24 h, and no `.raw` is empty",
        outcome="`*_CORRUPTED.raw` means failed; otherwise unknown",
        completeness="not known",
        sheet="none",
        source="ThermoRawFileParser, alphakraken",
        tried=REAL,
        know="files in the main folder itself are not uploaded: each project needs a folder",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    facts=_facts,
    wanted=(Wanted(_RAW, len(_SIGNATURE), head=True, most_files=3),),
    deeper=(Wanted(_INNER, len(_SIGNATURE), head=True, most_files=3),),
    quiet=24 * 3600.0,
)
