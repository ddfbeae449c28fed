"""Element AVITI, AVITI24, AVITI LT.

- Finished: RunUploaded.json, "the last file transferred and marks run completion" (docs.elembio.io, Run Output Files).
- How it ended: its ``outcome``, OutcomeCompleted (wtsi-npg/npg_tracking, test data; SciLifeLab/TACA takes anything else
  for a failure). Other words of it are judged by their stem (OutcomeFailed, OutcomeStopped), or are unknown.
- RunParameters.json has RunName, InstrumentName, RunFolderName and Cycles, a number for each of R1, R2, I1 and I2 (the
  same test data). A folder is named 20240506_INSTRUMENT_RUNNAME, where the laboratory names the instrument.
- Completeness: BaseCalls/{read}_C{cycle:000}.zip, one for each read and cycle (docs.elembio.io, the same page). A
  cytoprofiling run has batches instead of these cycles: nothing is claimed of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation, Paths
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts import json_text
from sync_to_azure.instruments.run_facts.completion_status import end_of
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.text import MalformedFile, short

_UPLOADED, _PARAMETERS = "RunUploaded.json", "runparameters.json"
_NAME = re.compile(r"\d{8}_AV\d{6}_.+", re.ASCII)
_READS = ("R1", "R2", "I1", "I2")
_MOST_CYCLES = 9999
_KEPT = (
    ("run_id", "RunID"),
    ("experiment", "RunName"),
    ("instrument", "InstrumentName"),
    ("flowcell", "FlowcellID"),
    ("side", "Side"),
    ("date", "Date"),
)


def _parameters(view: View) -> Mapping[str, Any] | None:
    """None where there are none that can be read."""
    try:
        found = view.read(_PARAMETERS)
        return json_text.read_object(found[1]) if found else None
    except MalformedFile:
        return None


def _recognise(view: View) -> Sign:
    parameters = _parameters(view)
    if parameters is not None and {"RunName", "InstrumentName", "RunFolderName"} <= parameters.keys():
        return Sign(
            Strength.STATED,
            f"RunParameters.json names instrument {short(str(parameters['InstrumentName']), 60)}",
        )
    if view.has(_UPLOADED):
        return Sign(Strength.FILES, f"it has {_UPLOADED}")
    if _NAME.fullmatch(view.name):
        return Sign(Strength.NAME, "it is named as a run of an AVITI")
    return NO_SIGN


def outcome(view: View) -> RunOutcome:
    try:
        found = view.read(_UPLOADED.lower())
        if found is None:
            return RunOutcome(End.UNKNOWN, f"there is no {_UPLOADED}")
        said = json_text.read_object(found[1]).get("outcome")
    except MalformedFile as problem:
        return RunOutcome(End.UNKNOWN, f"{_UPLOADED} {problem}")
    if not isinstance(said, str) or not said:
        return RunOutcome(End.UNKNOWN, f"{_UPLOADED} holds no outcome")
    end = End.COMPLETED if said.lower() == "outcomecompleted" else end_of(said)
    return RunOutcome(end, f"{_UPLOADED}: {short(said)}")


def _cycles(view: View) -> dict[str, int]:
    """Of each read; empty where nobody can say."""
    cycles = (_parameters(view) or {}).get("Cycles")
    if not isinstance(cycles, dict):
        return {}
    found = {read: cycles.get(read, 0) for read in _READS}
    sound = all(type(count) is int and 0 <= count <= _MOST_CYCLES for count in found.values())
    return found if sound and not cycles.keys() - set(_READS) else {}


def _expect(view: View) -> Expectation | None:
    expected = [
        f"BaseCalls/{read}_C{cycle:03}.zip"
        for read, count in _cycles(view).items()
        for cycle in range(1, count + 1)
    ]
    return Paths("one .zip a read and cycle", expected) if expected else None


def _facts(view: View) -> Mapping[str, Any]:
    parameters = _parameters(view) or {}
    found: dict[str, Any] = {
        ours: short(value, 200)
        for ours, theirs in _KEPT
        if isinstance(value := parameters.get(theirs), str) and value
    }
    reads = [
        {"cycles": count, "index": read.startswith("I")} for read, count in _cycles(view).items() if count
    ]
    return found | ({"reads": reads} if reads else {})


PROFILE = Profile(
    name="element",
    title="Element AVITI",
    words=Words(
        recognised="`RunParameters.json` with RunName and InstrumentName, `RunUploaded.json`, or a name such as"
        " `20250127_AV244103_NT1850075L`",
        finished="`RunUploaded.json`",
        outcome="`RunUploaded.json`",
        completeness="one `.zip` a read and cycle in `BaseCalls`",
        sheet="none",
        source="docs.elembio.io, Run Output Files; wtsi-npg/npg_tracking",
        tried=DOCUMENTED,
        know="its run manifest is uploaded, but not read as a sample sheet; a cytoprofiling run is not counted",
    ),
    recognise=_recognise,
    waits_for=lambda view: () if view.has(_UPLOADED) else (_UPLOADED,),
    outcome=outcome,
    expect=_expect,
    facts=_facts,
    wanted=tuple(Wanted(name.lower(), json_text.MOST_BYTES) for name in (_UPLOADED, _PARAMETERS)),
)
