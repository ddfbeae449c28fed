"""What of a sample sheet would break demultiplexing is found, with the numbers of its lines and without its names."""

from __future__ import annotations

import pathlib
import random
import time
import tracemalloc

import pytest

from embedded import layouts
from sync_to_azure.instruments.run_facts.run_info import read_run_info
from sync_to_azure.instruments.run_facts.sample_sheet import FINDINGS, SheetFinding, SheetFacts, read_sheet
from sync_to_azure.instruments.run_facts.text import MalformedFile

# Two lanes; index reads of two cycles each; flowcell 223YTFLT3.
RUN = read_run_info(layouts.run_info("20230418_LH00130_0003_B223YTFLT3", tiles=layouts.tile_names(lanes=2)))


def v1(
    *rows: str,
    columns: str = "Lane,Sample_ID,Sample_Project,index,index2",
    head: str = "",
    mismatches: object = 0,
) -> bytes:
    lines = [
        "[Header]",
        "IEMFileVersion,4",
        *([head] if head else []),
        "[Reads]",
        "3",
        "3",
        "[Settings]",
        f"BarcodeMismatchesIndex1,{mismatches}",
        f"BarcodeMismatchesIndex2,{mismatches}",
    ]
    return ("\r\n".join([*lines, "", "[Data]", columns, *rows]) + "\r\n").encode()


def codes(sheet: SheetFacts) -> dict[str, int]:
    return {finding.code: finding.count for finding in sheet.findings}


def test_a_good_sheet_of_version_1() -> None:
    sheet = read_sheet(v1("1,S1,P,AT,GC", "1,S2,P,AC,GC", "2,S1,P,AT,GC"), RUN)
    assert (sheet.version, sheet.samples, sheet.lanes, sheet.findings) == (1, 2, (1, 2), ())


def test_a_good_sheet_of_version_2() -> None:
    sheet = read_sheet(layouts.sheet_v2(), RUN)
    assert (sheet.version, sheet.samples, sheet.lanes, sheet.findings) == (2, 2, (1,), ())


def test_a_sheet_of_casava() -> None:
    columns = "FCID,Lane,SampleID,SampleRef,Index,Description,Control,Recipe,Operator,SampleProject"
    rows = ["223YTFLT3,1,S1,hg19,AT-GC,,N,,me,P", "223YTFLT3,1,S2,hg19,AT-GC,,N,,me,P"]
    sheet = read_sheet("\r\n".join([columns, *rows]).encode(), RUN)
    assert (sheet.version, sheet.samples, codes(sheet)) == (0, 2, {"duplicate-index": 2})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("1,S1,P,AT,GC", "1,S2,P,AT,GC"), {"duplicate-index": 2}),
        (("1,S1,P,AT,GC", "2,S2,P,AT,GC"), {}),
        (("1,S1,P,AT,GC", "1,S2,P,at,gc"), {"duplicate-index": 2}),
        # A sample without a lane is in every lane.
        ((",S1,P,AT,GC", "2,S2,P,AT,GC"), {"duplicate-index": 2}),
        (("1,S1,P,,",), {}),
        (("1,S1,P,,", "1,S2,P,AT,GC"), {"missing-index": 1}),
        (("1,S1,P,,", "1,S2,P,,"), {"missing-index": 2}),
        (("1,S1,P,AX,GC",), {"bad-index": 1}),
        (("1,S1,P,ATA,GC",), {"index-too-long": 1}),
        (("1,S 1,P,AT,GC", "1,S2,P/Q,AC,GC"), {"bad-characters": 2}),
        (("1,Müller,P,AT,GC",), {"bad-characters": 1, "not-ascii": 1}),
        (("1,,P,AT,GC",), {"missing-id": 1}),
        (("3,S1,P,AT,GC",), {"wrong-lane": 1}),
        (("01,S1,P,AT,GC", "1,S2,P,AT,GC"), {"duplicate-index": 2}),
        (("all,S1,P,AT,GC", "all,S2,P,AT,GC"), {"wrong-lane": 2}),
        ((f"{'9' * 5000},S1,P,AT,GC",), {"wrong-lane": 1}),
        ((), {"no-samples": 1}),
    ],
)
def test_what_breaks_demultiplexing(rows: tuple[str, ...], expected: dict[str, int]) -> None:
    assert codes(read_sheet(v1(*rows), RUN)) == expected


def test_another_flowcell_is_told_wherever_the_sheet_names_it() -> None:
    assert codes(read_sheet(v1("1,S1,P,AT,GC", head="Flowcell,HXXXXXXX"), RUN)) == {"wrong-flowcell": 1}
    columns = "FCID,Lane,Sample_ID,index"
    assert codes(read_sheet(v1("HXXXXXXX,1,S1,AT", columns=columns), RUN)) == {"wrong-flowcell": 1}
    assert codes(read_sheet(v1("223ytflt3,1,S1,AT", columns=columns), RUN)) == {}


@pytest.mark.parametrize(
    ("rows", "mismatches", "expected"),
    [
        # Of 2 N letters that differ, N may be misread on either side.
        (("1,S1,P,ACGTACGT,AAAAAAAA", "1,S2,P,ACGTACCC,AAAAAAAA"), 1, {"close-index": 2}),
        (("1,S1,P,ACGTACGT,AAAAAAAA", "1,S2,P,ACGTACCC,AAAAAAAA"), 0, {}),
        (("1,S1,P,ACGTACGT,AAAAAAAA", "1,S2,P,ACGTCCCC,AAAAAAAA"), 1, {}),
        (("1,S1,P,ACGTACGT,AAAAAAAA", "1,S2,P,ACGTCCCC,AAAAAAAA"), 2, {"close-index": 2}),
        # Nothing said, or nonsense: one is allowed, as with bcl2fastq and BCL Convert.
        (("1,S1,P,ACGTACGT,", "1,S2,P,ACGTACGG,"), "", {"close-index": 2}),
        (("1,S1,P,ACGTACGT,", "1,S2,P,ACGTACGG,"), "many", {"close-index": 2}),
        # Either index tells them apart; other lanes do not meet.
        (("1,S1,P,ACGTACGT,AAAAAAAA", "1,S2,P,ACGTACGT,AAAAACCC"), 1, {}),
        (("1,S1,P,ACGTACGT,AAAAAAAA", "2,S2,P,ACGTACGG,AAAAAAAA"), 1, {}),
        # N fits every letter.
        (("1,S1,P,ACGTACGT,", "1,S2,P,ACGTANNN,"), 0, {"close-index": 2}),
        (("1,S1,P,ACGTACGT,", "1,S2,P,TGCATG,"), 1, {"mixed-length": 1}),
        (("1,S1,P,ACGTACGT,A", "1,S2,P,TGCATGCA,"), 1, {}),
    ],
)
def test_indexes_that_one_read_fits(
    rows: tuple[str, ...], mismatches: object, expected: dict[str, int]
) -> None:
    assert codes(read_sheet(v1(*rows, mismatches=mismatches))) == expected


def test_a_plate_of_indexes_is_compared_quickly_and_more_are_not() -> None:
    chance = random.Random(1)
    letters = ["".join(chance.choices("ACGT", k=10)) for _ in range(3000)]
    for count, most in ((1536, 20.0), (3000, 5.0)):
        began = time.thread_time()
        found = codes(
            read_sheet(v1(*(f"1,S{n},P,{letters[n]},{letters[-n]}" for n in range(count)), mismatches=1))
        )
        assert time.thread_time() - began < most and found.keys() <= {"close-index", "duplicate-index"}


def test_the_run_folders_name_tells_the_flowcell_where_there_is_no_run_info() -> None:
    sheet = v1("1,S1,P,AT,GC", head="Flowcell,HH5VTCCXX")
    assert codes(read_sheet(sheet, run="151005_ST-00295_0022_AHH5VTCCXX")) == {}
    assert codes(read_sheet(sheet, run="151005_ST-00295_0023_BHH7VTCCXX")) == {"wrong-flowcell": 1}
    assert codes(read_sheet(sheet, run="a folder of another name")) == {}
    miseq = v1("1,S1,P,AT,GC", head="Flowcell,A2WDF")
    assert codes(read_sheet(miseq, run="130417_M00146_0021_000000000-A2WDF")) == {}


def test_findings_tell_lines_and_no_names() -> None:
    sheet = read_sheet(v1("1,Mustermann,P,AT,GC", "1,Musterfrau,P,AT,GC"), RUN)
    assert sheet.findings == (SheetFinding("duplicate-index", 2, (12, 13)),)
    assert (
        sheet.findings[0].words
        == "2 samples with an index that another sample of their lane has (line 12, 13)"
    )
    assert sheet.names == ("Mustermann", "Musterfrau")


def test_every_finding_has_its_words() -> None:
    assert all(SheetFinding(code, 12, (1, 2)).words and SheetFinding(code, 1).words for code in FINDINGS)


def test_other_encodings() -> None:
    text = v1("1,S1,P,AT,GC").decode()
    for encoding in ("utf-16", "utf-8-sig", "cp1252"):
        assert read_sheet(text.encode(encoding), RUN).samples == 1


def test_a_sheet_of_a_mac_or_with_a_mark() -> None:
    for change in (b"\r", b"\n"):
        sheet = read_sheet(
            b"\xef\xbb\xbf" + layouts.sheet_v2(["1,S1,AT,GC", "1,S2,AT,GC"]).replace(b"\r\n", change)
        )
        assert (sheet.version, sheet.samples, codes(sheet)) == (2, 2, {"duplicate-index": 2})
        assert sheet.findings[0].lines == (17, 18)


def test_semicolons_are_told() -> None:
    """As Excel writes CSV where a comma is the decimal mark; no demultiplexer reads it."""
    for sheet in (v1("1,S1,P,AT,GC", head="Flowcell,X"), layouts.sheet_v2()):
        text = sheet.replace(b",", b";").replace(b"[Header]\r", b"[Header];;\r")
        with pytest.raises(MalformedFile, match="semicolons instead of commas"):
            read_sheet(text, RUN)
        # Not padded to the width of the table.
        with pytest.raises(MalformedFile, match="semicolons instead of commas"):
            read_sheet(sheet.replace(b",", b";"), RUN)
        with pytest.raises(MalformedFile, match="tabs instead of commas"):
            read_sheet(sheet.replace(b",", b"\t"), RUN)


def test_lanes_without_end_cost_nothing() -> None:
    """A sample without a lane is in every lane: each lane that a sheet names holds them all."""
    rows = [*(",S1,P,AT,GC" for _ in range(20_000)), *(f"{lane},S2,P,AT,GC" for lane in range(20_000))]
    tracemalloc.start()
    try:
        sheet = read_sheet(v1(*rows), RUN)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert sheet.lanes == tuple(range(1, 17)) and codes(sheet)["wrong-lane"] == 20_000 - 2


def test_what_is_no_sheet() -> None:
    for content in (b"", b"a,b\n1,2\n", b"[Nonsense]\n1\n", b"x" * (5 * 2**20)):
        with pytest.raises(MalformedFile):
            read_sheet(content, RUN)


def test_the_real_sheets(shared_runs: pathlib.Path) -> None:
    miseq = shared_runs / "runs" / "130417_M00146_0021_000000000-A2WDF"
    info = read_run_info((miseq / "RunInfo.xml").read_bytes())
    sheet = read_sheet((miseq / "SampleSheet.csv").read_bytes(), info)
    assert (sheet.version, sheet.samples, sheet.findings) == (1, 1, ())
    hiseq = shared_runs / "runs" / "151005_ST-00295_0022_BHH5VTCCXX"
    info = read_run_info((hiseq / "RunInfo.xml").read_bytes())
    sheet = read_sheet((hiseq / "SampleSheet.csv").read_bytes(), info)
    # It gives indexes to four samples of a run that sequenced no index.
    assert (sheet.samples, codes(sheet)) == (5, {"index-too-long": 4})
