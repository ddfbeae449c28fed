"""RunInfo.xml: what an Illumina run was planned to be, written when it begins. Versions 2 (MiSeq) to 6 (NovaSeq X)
seen."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from sync_to_azure.instruments.run_facts import safe_xml
from sync_to_azure.instruments.run_facts.text import MalformedFile, cached, short

_MOST_READS = 32
_MOST_CYCLES = 9999
"""Of a run: names of base call files have four digits for them."""
_MOST_LANES = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    number: int
    cycles: int
    indexed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """Tiles of one lane that are imaged, over all its surfaces; ``surfaces`` by their number in a tile's name."""

    tiles: int
    surfaces: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class RunInfo:
    """``date`` as written (six digits, ISO, or American). ``lanes`` is empty where the file does not tell the
    tiles."""

    run: str
    number: int | None
    instrument: str
    flowcell: str
    date: str
    reads: tuple[Read, ...]
    lanes: Mapping[int, Lane]

    @property
    def cycles(self) -> int:
        return sum(read.cycles for read in self.reads)

    @property
    def index_cycles(self) -> tuple[int, ...]:
        return tuple(read.cycles for read in self.reads if read.indexed)


@cached
def read_run_info(content: bytes) -> RunInfo:
    """Raises Problem."""
    root = safe_xml.parse(content)
    if safe_xml.local_name(root) != "runinfo":
        raise MalformedFile(f"is no RunInfo but {short(root.tag, 60)}")
    run = next((each for each in root.iter() if safe_xml.local_name(each) == "run"), None)
    if run is None:
        raise MalformedFile("names no run")
    found = safe_xml.texts(run)
    return RunInfo(
        run=short(run.get("Id", ""), 200),
        number=_whole(run.get("Number")),
        instrument=short(found.get("instrument", ""), 100),
        flowcell=short(found.get("flowcell", ""), 100),
        date=short(found.get("date", ""), 60),
        reads=tuple(_reads(run)),
        lanes=_lanes(run),
    )


def _reads(run: Element) -> list[Read]:
    """GAIIx and the oldest HiSeq give FirstCycle and LastCycle instead of NumCycles: taken for what they say."""
    reads: list[Read] = []
    for element in run.iter():
        if safe_xml.local_name(element) != "read":
            continue
        cycles = _whole(element.get("NumCycles"))
        first, last = _whole(element.get("FirstCycle")), _whole(element.get("LastCycle"))
        if cycles is None and first is not None and last is not None:
            cycles = last - first + 1
        if cycles is None or cycles < 0:
            raise MalformedFile("has a read without its number of cycles")
        indexed = element.get("IsIndexedRead", "N").upper() == "Y"
        reads.append(Read(_whole(element.get("Number")) or len(reads) + 1, cycles, indexed))
        if len(reads) > _MOST_READS or sum(read.cycles for read in reads) > _MOST_CYCLES:
            raise MalformedFile("has more reads or cycles than any run")
    return reads


def _lanes(run: Element) -> dict[int, Lane]:
    """From the list of tiles (LANE_TILE, the first digit of the tile its surface), else from the layout's counts."""
    tiles: dict[int, int] = collections.Counter()
    surfaces: dict[int, set[int]] = collections.defaultdict(set)
    for element in run.iter():
        if safe_xml.local_name(element) == "tile":
            parts = re.fullmatch(r"(\d{1,2})_([12])\d{3,4}", (element.text or "").strip(), re.ASCII)
            if parts is None:
                # Another naming of tiles: nothing is certain then.
                return {}
            tiles[int(parts[1])] += 1
            surfaces[int(parts[1])].add(int(parts[2]))
    if len(tiles) > _MOST_LANES:
        return {}
    if tiles:
        return {lane: Lane(count, tuple(sorted(surfaces[lane]))) for lane, count in sorted(tiles.items())}
    layout = next((each for each in run.iter() if safe_xml.local_name(each) == "flowcelllayout"), None)
    if layout is None:
        return {}
    counts = [_whole(layout.get(name)) for name in ("LaneCount", "SurfaceCount", "SwathCount", "TileCount")]
    lanes, surface, swaths, each = (count if count and 0 < count < 10000 else 0 for count in counts)
    if not lanes * surface * swaths * each or lanes > _MOST_LANES:
        return {}
    lane = Lane(surface * swaths * each, tuple(range(1, surface + 1)))
    return {number: lane for number in range(1, lanes + 1)}


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) else None
