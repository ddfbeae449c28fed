"""What all Illumina families share: RunInfo.xml, RunParameters.xml, flags, RunCompletionStatus.xml, base calls, the
sheet.

How base calls lie differs: one file a tile and cycle (MiSeq, HiSeq), one a lane and cycle (RTA 2: MiniSeq, iSeq,
NextSeq 500/550), one a lane, surface and cycle (RTA 3 and 4: CBCL). Each family's file cites its source.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation, Groups
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts import completion_status, safe_xml, sample_sheet
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.run_info import RunInfo, read_run_info
from sync_to_azure.instruments.run_facts.run_parameters import RunParameters, read_run_parameters
from sync_to_azure.instruments.run_facts.text import MalformedFile

RUN_INFO, RUN_PARAMETERS = "runinfo.xml", "runparameters.xml"
STATUS, JOB, SHEET = "runcompletionstatus.xml", "completedjobinfo.xml", "samplesheet.csv"
WANTED = tuple(
    Wanted(pattern, safe_xml.MOST_BYTES) for pattern in (RUN_INFO, RUN_PARAMETERS, STATUS, JOB)
) + (
    Wanted(SHEET, sample_sheet.MOST_BYTES),
)

_FOLDER = re.compile(r"\d{6}(?:\d\d)?_(?P<instrument>[A-Za-z0-9-]+)_\d{1,6}_[A-Za-z0-9-]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Flags:
    """``of``: names of the flags that a finished run has; ``words`` for the documentation."""

    of: Callable[[View], tuple[str, ...]]
    words: str


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """How base calls lie. ``expect``: a rule in words, and what RunInfo.xml promises, to what must be there."""

    words: str
    expect: Callable[[str, RunInfo], Expectation | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """``instruments``: a pattern of the whole instrument id. ``software``: how its control software calls itself, or
    InstrumentType begins. ``source``, ``tried`` and ``know`` as in ``Words``."""

    name: str
    title: str
    instruments: str
    software: tuple[str, ...]
    flags: Flags
    calls: Calls
    source: str
    tried: str = DOCUMENTED
    know: str = "-"


def profile(family: Family) -> Profile:
    return Profile(
        name=family.name,
        title=family.title,
        words=Words(
            recognised="; ".join(
                filter(None, (", ".join(family.software), f"instrument `{family.instruments}`"))
            ),
            finished=family.flags.words,
            outcome="`RunCompletionStatus.xml`, else `CompletedJobInfo.xml`",
            completeness=family.calls.words,
            sheet="`SampleSheet.csv`",
            source=family.source,
            tried=family.tried,
            know=family.know,
        ),
        recognise=lambda view: recognise(family, view),
        waits_for=lambda view: tuple(flag for flag in family.flags.of(view) if not view.has(flag)),
        outcome=outcome,
        expect=lambda view: expect(family, view),
        facts=facts,
        wanted=WANTED,
        sheet=SHEET,
    )


def flags(*names: str) -> Flags:
    """The same flags for every run."""
    return Flags(lambda view: names, " and ".join(f"`{name}`" for name in names))


def recognise(family: Family, view: View) -> Sign:
    parameters, run_info = run_parameters_of(view), run_info_of(view)
    if parameters is not None:
        for stated in (parameters.software, parameters.kind):
            words = "".join(stated.lower().split())
            if words and any(words.startswith("".join(each.lower().split())) for each in family.software):
                return Sign(Strength.STATED, f"RunParameters.xml says {stated}")
    ids = [
        ("RunInfo.xml", run_info.instrument if run_info else ""),
        ("RunParameters.xml", parameters.instrument if parameters else ""),
    ]
    for file, instrument in ids:
        if re.fullmatch(family.instruments, instrument, re.ASCII):
            return Sign(Strength.FILES, f"{file} names instrument {instrument}")
    named = _FOLDER.fullmatch(view.name)
    if named is not None and re.fullmatch(family.instruments, named["instrument"], re.ASCII):
        return Sign(Strength.NAME, f"the folder's name has instrument {named['instrument']}")
    return NO_SIGN


def run_info_of(view: View) -> RunInfo | None:
    """None where there is none that can be read."""
    try:
        found = view.read(RUN_INFO)
        return read_run_info(found[1]) if found else None
    except MalformedFile:
        return None


def run_parameters_of(view: View) -> RunParameters | None:
    try:
        found = view.read(RUN_PARAMETERS)
        return read_run_parameters(found[1]) if found else None
    except MalformedFile:
        return None


def outcome(view: View) -> RunOutcome:
    """RunCompletionStatus.xml is of the run itself; without it a MiSeq's analysis job is asked. RTAComplete.txt says
    that base calling ended, not that the run ended as planned."""
    for pattern, read in ((STATUS, completion_status.read_status), (JOB, completion_status.read_job)):
        try:
            found = view.read(pattern)
        except MalformedFile as problem:
            return RunOutcome(End.UNKNOWN, str(problem))
        if found is not None:
            return read(found[1], found[0])
    return RunOutcome(End.UNKNOWN, "there is no RunCompletionStatus.xml")


def expect(family: Family, view: View) -> Expectation | None:
    """None where RunInfo.xml does not say how many there must be."""
    run_info = run_info_of(view)
    if run_info is None or not run_info.cycles or not run_info.lanes:
        return None
    return family.calls.expect(family.calls.words.replace("`", ""), run_info)


def _per_tile(rule: str, run_info: RunInfo) -> Expectation:
    """One s_LANE_TILE.bcl (or .bcl.gz) a tile and cycle, in Data/Intensities/BaseCalls/L001/C1.1."""
    return Groups(
        rule,
        r"Data/Intensities/BaseCalls/L(?P<lane>\d{3})/C(?P<cycle>\d{1,4})\.1/s_\d_(?P<member>\d{4,5})\.bcl(?:\.gz)?",
        {(lane, cycle): tiles.tiles for lane, tiles in run_info.lanes.items() for cycle in _cycles(run_info)},
    )


def _per_lane(rule: str, run_info: RunInfo) -> Expectation:
    """One CYCLE.bcl.bgzf a lane and cycle, four digits, in Data/Intensities/BaseCalls/L001."""
    return Groups(
        rule,
        r"Data/Intensities/BaseCalls/L(?P<lane>\d{3})/(?P<cycle>\d{4})\.bcl\.bgzf",
        {(lane, cycle): 1 for lane in run_info.lanes for cycle in _cycles(run_info)},
    )


def _per_surface(rule: str, run_info: RunInfo) -> Expectation:
    """One L001_1.cbcl a lane, surface and cycle, in Data/Intensities/BaseCalls/L001/C1.1."""
    return Groups(
        rule,
        r"Data/Intensities/BaseCalls/L(?P<lane>\d{3})/C(?P<cycle>\d{1,4})\.1/L\d{3}_(?P<member>\d)\.cbcl",
        {
            (lane, cycle): len(tiles.surfaces)
            for lane, tiles in run_info.lanes.items()
            for cycle in _cycles(run_info)
        },
    )


def _cycles(run_info: RunInfo) -> range:
    return range(1, run_info.cycles + 1)


PER_TILE = Calls("one `.bcl` a tile and cycle", _per_tile)
PER_LANE = Calls("one `.bcl.bgzf` a lane and cycle", _per_lane)
PER_SURFACE = Calls("one `.cbcl` a lane, surface and cycle", _per_surface)
NOT_KNOWN = Calls("not known", lambda rule, run_info: None)


def facts(view: View) -> Mapping[str, Any]:
    """Of RunInfo.xml and RunParameters.xml, without what they leave out."""
    run_info, parameters = run_info_of(view), run_parameters_of(view)
    found: dict[str, Any] = {}
    if run_info is not None:
        found |= {
            "run_id": run_info.run,
            "number": run_info.number,
            "instrument": run_info.instrument,
            "flowcell": run_info.flowcell,
            "date": run_info.date,
            "reads": [{"cycles": read.cycles, "index": read.indexed} for read in run_info.reads],
            "lanes": len(run_info.lanes) or None,
            "tiles": sum(lane.tiles for lane in run_info.lanes.values()) or None,
        }
    if parameters is not None:
        found.setdefault("run_id", parameters.run)
        found.setdefault("instrument", parameters.instrument)
        found |= {
            "instrument_type": parameters.kind,
            "software": parameters.software,
            "software_version": parameters.version,
            "analysis_version": parameters.analysis_version,
            "flowcell_type": parameters.flowcell_type,
            "chemistry": parameters.chemistry,
            "side": parameters.side,
            "experiment": parameters.experiment,
        }
    return {key: value for key, value in found.items() if value not in ("", None)}
