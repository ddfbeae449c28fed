"""Oxford Nanopore: one folder a sequencing run, as MinKNOW writes it (MinION, GridION, PromethION).

- Folder: {start_time}_{device_id}_{flow_cell_id}_{short_protocol_run_id}, as 20250603_1201_3E_PAA12345_e05460c6; in
  it pod5/, fastq_pass/, bam_pass/ and reports (nanoporetech.github.io/ont-output-specifications, MinKNOW, Output
  Structure). MinKNOW puts it below GROUP/SAMPLE/: the main folder has to be the one that holds the runs themselves.
- Finished: final_summary_*.txt, "once all files have been written for the sequencing run" (the same, Support; TACA
  waits for it, too: taca/nanopore/instrument_transfer.py).
- Completeness: output_hash_*.csv names every file; its SHA-256 are not computed anew. Before it there was one, the
  counts of final_summary_*.txt.
- A user may stop a run whenever there is enough: that is no early end, and MinKNOW writes nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Endings, Expectation, Paths
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts import final_summary
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.text import MalformedFile

_SUMMARY, _HASHES, _SHEET = "final_summary*.txt", "output_hash_*.csv", "sample_sheet_*.csv"
_FOLDER = re.compile(r"\d{8}_\d{4}_[A-Za-z0-9-]+_[A-Za-z0-9-]+_[0-9a-f]{8}", re.ASCII)
_FOLDER_2018 = re.compile(r"\d{8}_\d{4}_.+", re.ASCII)
_READS = {"pod5", "pod5_pass", "pod5_skip", "fastq_pass", "bam_pass", "fast5", "fast5_pass", "fast5_skip"}
_KEPT = (
    "instrument",
    "position",
    "flow_cell_id",
    "protocol",
    "protocol_run_id",
    "acquisition_run_id",
    "started",
    "acquisition_stopped",
    "processing_stopped",
)


def _recognise(view: View) -> Sign:
    summary = view.find(_SUMMARY)
    if summary is not None and _summaries(view):
        return Sign(Strength.STATED, f"{summary} is a final summary of MinKNOW")
    reads = sorted(folder for folder in view.folders if folder.lower() in _READS)
    named = _FOLDER.fullmatch(view.name) is not None
    if reads and (named or (view.find("sequencing_summary_*.txt") and not is_named_as_in_2018(view))):
        return Sign(Strength.FILES, f"it holds {reads[0]}/, as MinKNOW writes it")
    if named:
        return Sign(Strength.NAME, "the folder is named as MinKNOW names a run")
    return NO_SIGN


def is_named_as_in_2018(view: View) -> bool:
    """As MinKNOW named a run before the flow cell was in the name, and not as it does now."""
    return _FOLDER_2018.fullmatch(view.name) is not None and _FOLDER.fullmatch(view.name) is None


def _summaries(view: View) -> list[final_summary.FinalSummary]:
    """Several where a protocol acquired more than once; empty if one of them cannot be read."""
    try:
        return [final_summary.read_final_summary(content) for _, content in view.each(_SUMMARY)]
    except MalformedFile:
        return []


def _waits_for(view: View) -> tuple[str, ...]:
    return () if view.find(_SUMMARY) else ("final_summary_*.txt",)


def _outcome(view: View) -> RunOutcome:
    summaries = _summaries(view)
    if not summaries:
        return RunOutcome(End.UNKNOWN, "there is no final_summary_*.txt that can be read")
    stopped = summaries[-1].values.get("processing_stopped", "")
    words = f"final_summary: processing stopped {stopped}" if stopped else "final_summary is there"
    fallback = sum(summary.fallback for summary in summaries)
    if fallback:
        words += f"; {fallback} files lie in MinKNOW's fallback folder"
    return RunOutcome(End.COMPLETED, words)


def _expect(view: View) -> Expectation | None:
    summaries = _summaries(view)
    fallback = sum(summary.fallback for summary in summaries)
    elsewhere = [f"{fallback} files in MinKNOW's fallback folder"] if fallback else []
    try:
        hashes = view.read(_HASHES)
        if hashes is not None:
            return Paths(
                f"the files that {hashes[0]} names", final_summary.read_output_hash(hashes[1]), elsewhere
            )
    except MalformedFile:
        return None
    counts: dict[str, int] = {}
    for summary in summaries:
        for ending, count in summary.written.items():
            counts[ending] = counts.get(ending, 0) + count
    return Endings("the counts of final_summary", counts, elsewhere) if counts else None


def _facts(view: View) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for summary in _summaries(view)[-1:]:
        found |= {key: summary.values[key] for key in _KEPT if summary.values.get(key)}
    # The keys that all families share.
    for ours, theirs in (("flowcell", "flow_cell_id"), ("run_id", "protocol_run_id"), ("date", "started")):
        if theirs in found:
            found[ours] = found.pop(theirs)
    return found


PROFILE = Profile(
    name="nanopore",
    title="Oxford Nanopore",
    words=Words(
        recognised="`final_summary_*.txt`, MinKNOW's folders of reads, or a name such as"
        " `20250603_1201_3E_PAA12345_e05460c6`",
        finished="`final_summary_*.txt`",
        outcome="`final_summary_*.txt`",
        completeness="the files of `output_hash_*.csv`, else the counts of `final_summary_*.txt`",
        sheet="`sample_sheet_*.csv`",
        source="nanoporetech.github.io/ont-output-specifications; TACA",
        tried=DOCUMENTED,
        know="let the main folder be the one that holds the runs themselves, not `GROUP/SAMPLE`",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    expect=_expect,
    facts=_facts,
    wanted=(
        Wanted(_SUMMARY, 2**20),
        # 300 bytes a row: a hundred thousand files.
        Wanted(_HASHES, 32 * 2**20),
        Wanted(_SHEET, 4 * 2**20),
    ),
    sheet=_SHEET,
)
