"""What MinKNOW writes about a run: final_summary_*.txt, output_hash_*.csv and sample_sheet_*.csv.

- final_summary: ``key=value`` lines, "once all files have been written for the sequencing run"
  (nanoporetech.github.io/ont-output-specifications, MinKNOW, support). Its counts ``pod5_files_in_final_dest``,
  ``fastq_files_in_final_dest``, ``bam_files_in_final_dest``, ``fast5_files_in_final_dest`` are of files below the run;
  those ``_in_fallback`` could not be written there and lie elsewhere on the instrument.
- output_hash: a row a file, ``file_path`` below the run, ``file_hash`` its SHA-256, empty where none is computed (the
  same specification, output hash file).
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Mapping

from sync_to_azure.instruments.run_facts.text import MalformedFile, decode, lines_of, short

_MOST_FILES = 400_000
_MOST_SAMPLES = 10_000
_COUNT = re.compile(r"([a-z0-9]+)_files_in_(final_dest|fallback)", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class FinalSummary:
    """``values`` as written; ``written`` and ``fallback``: files by their ending (pod5, fastq, bam, fast5)."""

    values: Mapping[str, str]
    written: Mapping[str, int]
    fallback: int


def read_final_summary(content: bytes) -> FinalSummary:
    """Raises Problem."""
    values: dict[str, str] = {}
    for line in decode(content).splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip():
            values[key.strip()] = short(value)
    if not values.keys() & {"acquisition_run_id", "protocol_run_id", "flow_cell_id"}:
        raise MalformedFile("contains no line of a final summary")
    written: dict[str, int] = {}
    fallback = 0
    for key, value in values.items():
        found = _COUNT.fullmatch(key)
        if found is None:
            continue
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
            raise MalformedFile(f"has no number for {key}")
        if found[2] == "fallback":
            fallback += int(value)
        else:
            written[found[1]] = int(value)
    return FinalSummary(values, written, fallback)


def read_output_hash(content: bytes) -> tuple[str, ...]:
    """The paths below the run that MinKNOW wrote. Raises Problem."""
    rows = csv.reader(lines_of(content, _MOST_FILES))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if "file_path" not in header:
            raise MalformedFile("has no column file_path")
        column = header.index("file_path")
        paths = [row[column].strip().replace("\\", "/") for row in rows if row]
    except IndexError as error:
        raise MalformedFile("has a row that ends before its file_path") from error
    except csv.Error as error:
        raise MalformedFile(f"is no CSV: {error}") from error
    if any(not path or any(part in ("", ".", "..") for part in path.split("/")) for path in paths):
        raise MalformedFile("lists a path that does not lie below the run")
    return tuple(paths)


def count_samples(content: bytes) -> int:
    """Rows of MinKNOW's sample_sheet_*.csv: one a sample, or a barcode of one. Raises Problem."""
    try:
        lines = lines_of(content, _MOST_SAMPLES)
        rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise MalformedFile(f"is no CSV: {error}") from error
    if not rows or "flow_cell_id" not in [name.strip().lower() for name in rows[0]]:
        raise MalformedFile("is no sample sheet of MinKNOW")
    return len(rows) - 1
