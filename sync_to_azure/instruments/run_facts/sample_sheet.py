"""Illumina's sample sheet, as far as it decides whether the run can be demultiplexed: counts and findings, no names.

Version 1 has ``[Header] … [Data]``, version 2 ``FileFormatVersion,2`` and ``[BCLConvert_Data]``
(support-docs.illumina.com, BCL Convert, Sample Sheet); the sheets of CASAVA 1.x, here version 0, are one table that
begins with FCID. What breaks:
- two samples of a lane with one index, or several with none, cannot be told apart: BCL Convert and bcl2fastq end with
  an error (support.illumina.com, BCL Convert, FASTQ Files Directory);
- two whose both indexes differ in no more than twice the mismatches that are allowed (1 unless the sheet says
  otherwise: BarcodeMismatchesIndex1 and -2) can come from one read: "barcode collision" of bcl2fastq and BCL Convert
  (knowledge.illumina.com, article 2326); all indexes of a lane have one length;
- an index longer than its read, or of other letters than A, C, G, T and N, fits nothing that was sequenced;
- Sample_ID and Sample_Project become names of files and folders: letters, digits, - and _ are safe with every version
  of bcl2fastq and BCL Convert; a sheet is ASCII (help.connected.illumina.com, Sample Sheet);
- a sheet that names another flowcell, or a lane that the flowcell has not, is another run's.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence, Set

from sync_to_azure.instruments.run_facts.run_info import RunInfo
from sync_to_azure.instruments.run_facts.text import MalformedFile, lines_of

MOST_BYTES = 4 * 2**20
_MOST_LINES = 50_000
_RUN = re.compile(r"\d{6}(?:\d\d)?_[A-Za-z0-9-]+_\d{1,6}_(?P<flowcell>[A-Za-z0-9-]+)", re.ASCII)
_LANE = re.compile(r"0?[1-9]|1[0-6]", re.ASCII)
_TOLD = 10
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_INDEX = re.compile(r"[ACGTN]*", re.ASCII)
_FLOWCELL_KEYS = ("flowcell", "flowcellid", "flowcellserial", "fcid")
_DATA = ("bclconvert_data", "data")
_SETTINGS = ("bclconvert_settings", "settings")
_MOST_COMPARED = 2000
"""Different indexes of a lane that are compared with each other, in less than a second; plates have 384, sets 1,536."""
_MISMATCHES = 1
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}

FINDINGS = {
    "no-samples": "it lists no samples",
    "duplicate-index": "samples with an index that another sample of their lane has",
    "close-index": "samples with an index too similar to another of their lane for the mismatches that are allowed",
    "mixed-length": "samples whose index length differs from the others of their lane",
    "missing-index": "samples without an index, in a lane with others",
    "bad-index": "samples whose index contains letters other than A, C, G, T and N",
    "index-too-long": "samples whose index is longer than its read",
    "bad-characters": "samples whose id or project contains characters other than letters, digits, - and _",
    "missing-id": "samples without an id",
    "wrong-flowcell": "it names another flowcell than RunInfo.xml, or than the run folder's name",
    "wrong-lane": "samples in a lane that the flowcell has not",
    "not-ascii": "lines with characters outside of ASCII",
}
"""Codes, as they stand in the receipt, and their words."""


@dataclasses.dataclass(frozen=True, slots=True)
class SheetFinding:
    """``lines``: numbers of lines of the sheet, the first ten of ``count``; empty where the sheet as a whole is
    meant."""

    code: str
    count: int
    lines: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        words = FINDINGS[self.code]
        if not self.lines:
            return words
        more = " …" if self.count > len(self.lines) else ""
        return f"{self.count} {words} (line {', '.join(map(str, self.lines))}{more})"


@dataclasses.dataclass(frozen=True, slots=True)
class SheetFacts:
    """``samples``: how many different ids; ``names``: those ids, which may be personal data: told on request only."""

    version: int
    samples: int
    lanes: tuple[int, ...]
    findings: tuple[SheetFinding, ...]
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """``lane``: None where it names none; 0 for what is no lane of any flowcell."""

    line: int
    lane: int | None
    name: str
    project: str
    indexes: tuple[str, str]


def read_sheet(content: bytes, run_info: RunInfo | None = None, run: str = "") -> SheetFacts:
    """Raises Problem for what is no sample sheet. Without ``run_info`` lanes and lengths are not judged, and the
    flowcell by the name of the run folder, ``run``, if that ends as Illumina's do."""
    if len(content) > MOST_BYTES:
        raise MalformedFile(f"is larger than {MOST_BYTES // 2**20} MiB")
    lines = lines_of(content, _MOST_LINES)
    sections = _sections(lines)
    settings = {
        "".join(row[0].lower().split()): row[1].strip()
        for _, row in sections.get("header", [])
        if len(row) > 1 and row[0].strip()
    }
    version = 0 if "casava" in sections else 2 if settings.get("fileformatversion") == "2" else 1
    if not sections.keys() & {"header", "data", "bclconvert_data", "casava"}:
        raise MalformedFile("has none of the sections of a sample sheet")
    table = next((sections[name] for name in ("casava", *_DATA) if name in sections), [])
    rows, flowcells = _rows(table)
    flowcells |= {settings[key] for key in _FLOWCELL_KEYS if settings.get(key)}
    here = run_info.flowcell if run_info is not None and run_info.flowcell else _flowcell_of_name(run)
    findings = [*_about_rows(rows, run_info, _mismatches(sections)), *_about_sheet(lines, flowcells, here)]
    names = tuple(dict.fromkeys(row.name for row in rows if row.name))
    lanes = sorted({row.lane for row in rows if row.lane})
    if not rows:
        findings.append(SheetFinding("no-samples", 1))
    return SheetFacts(version, len(names), tuple(lanes), tuple(findings), names)


def _sections(lines: Sequence[str]) -> dict[str, list[tuple[int, list[str]]]]:
    """Rows with the number of their line, by the section's name in lower case."""
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    here: list[tuple[int, list[str]]] | None = None
    reader = csv.reader(lines)
    try:
        for row in reader:
            first = row[0].strip() if row else ""
            if first.startswith("[") and first.endswith("]"):
                here = sections.setdefault(first[1:-1].strip().lower(), [])
            elif not any(cell.strip() for cell in row):
                continue
            elif here is None:
                if first.startswith("["):
                    _must_have_commas(first)
                if first.lower() != "fcid":
                    _must_have_commas(first)
                    raise MalformedFile("begins with no section")
                here = sections.setdefault("casava", [])
                here.append((reader.line_num, row))
            else:
                here.append((reader.line_num, row))
    except csv.Error as error:
        raise MalformedFile(f"is no CSV: {error}") from error
    return sections


def _rows(table: Sequence[tuple[int, list[str]]]) -> tuple[list[_Row], set[str]]:
    """The samples, and the flowcells that a column names."""
    if not table:
        return [], set()
    if len(table[0][1]) == 1:
        _must_have_commas(table[0][1][0])
    header = ["".join(name.lower().split()).replace("_", "") for name in table[0][1]]
    rows, flowcells = [], set()
    for line, cells in table[1:]:
        values = dict(zip(header, (cell.strip() for cell in cells)))
        # CASAVA writes both indexes into one column.
        first, _, second = values.get("index", "").partition("-")
        rows.append(
            _Row(
                line,
                _lane(values.get("lane", "")),
                values.get("sampleid", ""),
                values.get("sampleproject", values.get("project", "")),
                (first.upper(), (values.get("index2", "") or second).upper()),
            )
        )
        if values.get("fcid"):
            flowcells.add(values["fcid"])
    return rows, flowcells


def _must_have_commas(line: str) -> None:
    """As Excel writes CSV where a comma is the decimal mark. A whole line in one cell has another separator."""
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in line:
            raise MalformedFile(f"separates its cells by {name} instead of commas")


def _mismatches(sections: Mapping[str, list[tuple[int, list[str]]]]) -> tuple[int, int]:
    """How many letters of each index may differ from what was sequenced, as the sheet says."""
    found = {
        "".join(row[0].lower().split()): row[1].strip()
        for name in _SETTINGS
        for _, row in sections.get(name, [])
        if len(row) > 1
    }
    told = (found.get(f"barcodemismatchesindex{number}", "") for number in (1, 2))
    first, second = (int(text) if text in ("0", "1", "2") else _MISMATCHES for text in told)
    return first, second


def _lane(text: str) -> int | None:
    return None if not text else int(text) if _LANE.fullmatch(text) else 0


def _about_rows(
    rows: Sequence[_Row], run_info: RunInfo | None, mismatches: tuple[int, int]
) -> Iterator[SheetFinding]:
    lines: dict[str, list[int]] = collections.defaultdict(list)
    for together in _by_lane(rows).values():
        seen: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        for row in together:
            seen[row.indexes].append(row.line)
        if len(together) > 1:
            lines["missing-index"] += seen.pop(("", ""), [])
        for same in seen.values():
            lines["duplicate-index"] += same if len(same) > 1 else []
        for indexes in _close({each for each in seen if any(each)}, mismatches):
            lines["close-index"] += seen[indexes]
        lines["mixed-length"] += _of_another_length(seen)
    for row in rows:
        if not all(_INDEX.fullmatch(index) for index in row.indexes):
            lines["bad-index"].append(row.line)
        if not (_SAFE_NAME.fullmatch(row.name) and _SAFE_NAME.fullmatch(row.project)):
            lines["bad-characters"].append(row.line)
        if not row.name:
            lines["missing-id"].append(row.line)
        if run_info is not None and _too_long(row.indexes, run_info):
            lines["index-too-long"].append(row.line)
        if row.lane == 0 or (row.lane and run_info and run_info.lanes and row.lane not in run_info.lanes):
            lines["wrong-lane"].append(row.line)
    for code in FINDINGS:
        numbers = sorted(set(lines.get(code, [])))
        if numbers:
            yield SheetFinding(code, len(numbers), tuple(numbers[:_TOLD]))


def _close(indexes: Set[tuple[str, str]], mismatches: tuple[int, int]) -> set[tuple[str, str]]:
    """Those that another one is too similar to. Of more than can be compared nothing is said."""
    if len(indexes) > _MOST_COMPARED:
        return set()
    coded = [(each, _coded(each[0]), _coded(each[1])) for each in sorted(indexes)]
    close = set()
    # Two bits a differing letter, and twice the mismatches: a read may lie in the middle between two indexes.
    most_1, most_2 = (4 * each for each in mismatches)
    for number, (one, (x1, m1), (x2, m2)) in enumerate(coded):
        for other, (y1, n1), (y2, n2) in coded[number + 1 :]:
            if (
                ((x1 ^ y1) & m1 & n1).bit_count() <= most_1
                and ((x2 ^ y2) & m2 & n2).bit_count() <= most_2
                and (bool(m1 & n1) or bool(m2 & n2))
            ):
                close |= {one, other}
    return close


def _coded(index: str) -> tuple[int, int]:
    """One bit of four a letter, and a mask without the letters that fit all (N) and those that the index has not."""
    value = mask = 0
    for place, letter in enumerate(index):
        if letter in "ACGT":
            value |= 1 << (4 * place + "ACGT".index(letter))
            mask |= 0b1111 << (4 * place)
    return value, mask


def _of_another_length(seen: Mapping[tuple[str, str], list[int]]) -> list[int]:
    """Lines whose index has not the length that most of their lane have; an index that is not there has none."""
    found = []
    for place in (0, 1):
        lengths = collections.Counter(
            {length: 0 for length in sorted({len(indexes[place]) for indexes in seen})}
        )
        for indexes, lines in seen.items():
            lengths[len(indexes[place])] += len(lines)
        lengths.pop(0, None)
        if len(lengths) > 1:
            usual = lengths.most_common(1)[0][0]
            found += [
                line
                for indexes, lines in seen.items()
                for line in lines
                if len(indexes[place]) not in (0, usual)
            ]
    return found


def _by_lane(rows: Sequence[_Row]) -> Mapping[int, list[_Row]]:
    """A sample without a lane is in every lane; one in a lane that cannot be is in none."""
    everywhere = [row for row in rows if row.lane is None]
    lanes: dict[int, list[_Row]] = {row.lane: list(everywhere) for row in rows if row.lane}
    for row in rows:
        if row.lane:
            lanes[row.lane].append(row)
    return lanes or {0: everywhere}


def _too_long(indexes: tuple[str, str], run_info: RunInfo) -> bool:
    """False where the run info tells no reads at all."""
    if not run_info.reads:
        return False
    cycles = (*run_info.index_cycles, 0, 0)
    return any(len(index) > cycles[place] for place, index in enumerate(indexes))


def _about_sheet(lines: Sequence[str], flowcells: set[str], here: str) -> Iterator[SheetFinding]:
    """``here``: the flowcell of the run, empty if nobody knows it."""
    foreign = [number for number, line in enumerate(lines, start=1) if not line.isascii()]
    if foreign:
        yield SheetFinding("not-ascii", len(foreign), tuple(foreign[:_TOLD]))
    # A folder's name has the flowcell's position, A or B, before it on some instruments.
    fitting = {_flowcell(here), _flowcell(here[1:] if here[:1] in ("A", "B") else here)}
    if here and any(_flowcell(each) not in fitting for each in flowcells):
        yield SheetFinding("wrong-flowcell", 1)


def _flowcell(name: str) -> str:
    """MiSeq's are written with and without their leading zeros (000000000-A2WDF)."""
    return name.strip().upper().removeprefix("000000000-")


def _flowcell_of_name(run: str) -> str:
    """The last part of YYMMDD_INSTRUMENT_NUMBER_FLOWCELL, empty for a folder that is named otherwise."""
    named = _RUN.fullmatch(run)
    return named["flowcell"] if named is not None else ""
