"""A project folder of Thermo .raw files (Orbitrap, Q Exactive, Astral).

- A .raw file begins with 0x01A1 and "Finnigan" in UTF-16 (ThermoRawFileParser's test data, small.raw).
- There is no flag: nothing but standing still tells that it is finished; 24 h, as the tool of old. A .raw of size 0
  is opened by the acquisition software and not written yet, and may stay so for long after trouble with the
  chromatography (MannLabs/alphakraken, airflow_src/plugins/sensors/acquisition_monitor.py).
- ``*_CORRUPTED.raw`` is a failed acquisition (alphakraken).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.profile import NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, Outcome

_RAW = "*.raw"
_SIGNATURE = b"\x01\xa1" + "Finnigan".encode("utf-16-le")


def _recognise(view: View) -> Sign:
    if any(small.content == _SIGNATURE for _, small in view.matching(_RAW)):
        return Sign(Strength.FILES, "a .raw file in it begins as Thermo's do")
    return NO_SIGN


def _waits_for(view: View) -> tuple[str, ...]:
    empty = sum(small.size == 0 for _, small in view.matching(_RAW))
    return (f"the data of {empty} empty .raw files (still open?)",) if empty else ()


def _outcome(view: View) -> Outcome:
    corrupted = sum(1 for _ in view.matching("*_corrupted.raw"))
    if corrupted:
        return Outcome(End.FAILED, f"{corrupted} files are named *_CORRUPTED.raw")
    return Outcome(End.UNKNOWN, "Thermo's software writes nothing about how an acquisition ended")


def _facts(view: View) -> Mapping[str, Any]:
    return {"acquisitions": sum(1 for _ in view.matching(_RAW))}


PROFILE = Profile(
    name="thermo",
    title="Thermo .raw",
    words=Words(
        recognised="a `.raw` file at its top level with Thermo's signature",
        finished="nothing moved for 24 h, and no `.raw` is empty",
        outcome="`*_CORRUPTED.raw` means failed; otherwise unknown",
        completeness="not known",
        sheet="none",
        source="ThermoRawFileParser, alphakraken",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    facts=_facts,
    wanted=(Wanted(_RAW, len(_SIGNATURE), head=True, most_files=3),),
    quiet=24 * 3600.0,
)
