"""A run of every family is recognised, finished when its files say so, and its outcome and completeness are read.

Expected values are written by hand. From real runs: MiSeq, NextSeq 550, HiSeq X, Thermo (``shared_runs``). From
documented layouts (embedded/layouts.py and other_layouts.py, where each cites its source): all others.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import pathlib
import re

import pytest

from embedded import layouts, other_layouts
from embedded.runs import write_miseq, write_nextseq, write_proteomics
from sync_to_azure.instruments import profiles
from sync_to_azure.files.folder import place_of
from sync_to_azure.files.folder_view import take_view
from sync_to_azure.instruments.profiles.completeness import Completeness
from sync_to_azure.instruments.profiles.profile import Profile
from sync_to_azure.instruments.profiles.view import View
from sync_to_azure.instruments.run_facts.outcome import End


@dataclasses.dataclass
class Case:
    """``flags``: the files without which the run is not finished. ``calls``: how many files are promised, None if
    nobody can say; ``lose``: one of them."""

    name: str
    files: dict[str, bytes]
    profile: str
    flags: tuple[str, ...] = ()
    end: End = End.UNKNOWN
    calls: int | None = None
    lose: str = ""


CALLS = "Data/Intensities/BaseCalls"
CASES = {
    # 2 lanes x 2 surfaces x 10 cycles.
    "novaseq-x": Case(
        "20230418_LH00130_0003_B223YTFLT3",
        layouts.novaseq_x(),
        "novaseq-x",
        ("CopyComplete.txt",),
        End.COMPLETED,
        40,
        f"{CALLS}/L002/C10.1/L002_2.cbcl",
    ),
    # An SP flowcell has one surface: 2 lanes x 1 surface x 10 cycles.
    "novaseq-6000": Case(
        "220923_A01934_0008_BHLL3GDRX2",
        layouts.novaseq_6000(),
        "novaseq-6000",
        ("CopyComplete.txt",),
        End.UNKNOWN,
        20,
        f"{CALLS}/L001/C1.1/L001_1.cbcl",
    ),
    "nextseq-2000": Case(
        "230105_VH00123_17_AAC2KYHM5",
        layouts.nextseq_2000(),
        "nextseq-2000",
        ("CopyComplete.txt",),
        End.COMPLETED,
        20,
        f"{CALLS}/L001/C5.1/L001_1.cbcl",
    ),
    "iseq": Case(
        "20210301_FS10000123_4_BPC29604-1234",
        layouts.iseq(),
        "iseq",
        ("RTAComplete.txt",),
        End.COMPLETED,
        10,
        f"{CALLS}/L001/0010.bcl.bgzf",
    ),
    "miniseq": Case(
        "180607_MN00218_0012_A000H2FKYL",
        layouts.miniseq(),
        "miniseq",
        ("CopyComplete.txt",),
        End.COMPLETED,
        10,
        f"{CALLS}/L001/0001.bcl.bgzf",
    ),
    # 2 lanes x 4 tiles x 10 cycles.
    "hiseq-2500": Case(
        "140923_SN7001179_0208_BC59Y4ACXX",
        layouts.hiseq_2500(),
        "hiseq",
        ("RTAComplete.txt",),
        End.UNKNOWN,
        80,
        f"{CALLS}/L002/C7.1/s_2_2102.bcl.gz",
    ),
    "nanopore": Case(
        "20250603_1201_3E_PAA12345_e05460c6",
        layouts.nanopore(),
        "nanopore",
        ("final_summary_PAA12345_e05460c6_d8d88dd0.txt",),
        End.COMPLETED,
        5,
        "pod5/PAA12345_e05460c6_d8d88dd0_2.pod5",
    ),
    "nanopore without hashes": Case(
        "20250603_1201_3E_PAA12345_e05460c6",
        layouts.nanopore(hashes=False),
        "nanopore",
        ("final_summary_PAA12345_e05460c6_d8d88dd0.txt",),
        End.COMPLETED,
        5,
        "fastq_pass/barcode01/PAA12345_e05460c6_d8d88dd0_1.fastq.gz",
    ),
    # Four files a SMRT cell.
    "pacbio": Case(
        "r84028_20230214_022129",
        layouts.pacbio(),
        "pacbio",
        ("1_B01/metadata/m84028_230214_023002_s2.transferdone",),
        End.COMPLETED,
        8,
        "1_A01/hifi_reads/m84028_230214_023001_s1.hifi_reads.bam",
    ),
    "bruker": Case(
        "Project 7",
        layouts.bruker(),
        "bruker",
        (),
        End.UNKNOWN,
        4,
        "20250114_sample 02_S1-A2_1_0002.d/analysis.tdf_bin",
    ),
    "miseq-i100": Case(
        "20260205_SH01038_0007_ASC2139476-SC3",
        other_layouts.miseq_i100(),
        "miseq-i100",
        ("CopyComplete.txt",),
    ),
    "gaiix": Case(
        "100902_HWUSI-EAS100R_0007_61FDCAAXX",
        other_layouts.gaiix(),
        "gaiix",
        ("Basecalling_Netcopy_complete_READ2.txt",),
    ),
    "other-illumina": Case(
        "20290101_QX00001_0001_AXYZ", other_layouts.next_illumina(), "other-illumina", ("CopyComplete.txt",)
    ),
    # Three cycles of read 1, two of read 2, one of index 1.
    "element": Case(
        "20250127_AV244103_NT1850075L",
        other_layouts.element(),
        "element",
        ("RunUploaded.json",),
        End.COMPLETED,
        6,
        "BaseCalls/R1_C003.zip",
    ),
    "ultima": Case("424090-20250822_0117", other_layouts.ultima(), "ultima", ("UploadCompleted.json",)),
    "singular": Case(
        "220622_G4X1234_0057_2_FC000007A", other_layouts.singular(), "singular", ("transfer_complete.txt",)
    ),
    "mgi": Case("V300012345", other_layouts.mgi(), "mgi", ("V300012345_L01_Success.txt",)),
    "nanopore-2018": Case("20180122_1224_sample 1", other_layouts.nanopore_2018(), "nanopore-2018"),
    "pacbio-rs": Case("Run 17", other_layouts.pacbio_rs(), "pacbio-rs"),
    "xenium": Case(
        "20250131__173305__run",
        other_layouts.xenium(),
        "xenium",
        ("output-XETG00123__0012345__two__20250131__173350/experiment.xenium",),
    ),
    "waters": Case("Project 8", other_layouts.waters(), "waters"),
    "sciex": Case("Project 9", other_layouts.sciex(), "sciex"),
    "shimadzu": Case("Project 10", {"s1.lcd": b"\xd0\xcf\x11\xe0"}, "shimadzu"),
    "agilent": Case("Project 11", other_layouts.agilent(), "agilent"),
    "bruker, FT-ICR": Case("Project 12", other_layouts.ft_icr(), "bruker"),
    "bruker, ion trap": Case("Project 13", other_layouts.ion_trap(), "bruker"),
}
WITHOUT_FLAGS = {
    *("thermo", "bruker", "agilent", "waters", "sciex", "shimadzu", "mgi"),
    *("nanopore-2018", "pacbio-rs", "xenium"),
}
"""Nothing that is known to be the last file: they must stand still for a day."""


ELSEWHERE = {
    # Real runs and embedded/runs.py, below.
    *("miseq", "nextseq-500", "thermo"),
    # No layout of their own, or tried by whole passes.
    *("generic", "proteomics", "metabolomics"),
}


def test_no_family_is_left_out() -> None:
    assert {profile.name for profile in profiles.PROFILES} <= {
        case.profile for case in CASES.values()
    } | ELSEWHERE


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_said_of_its_flags_is_what_it_waits_for(case: Case) -> None:
    words = profiles.BY_NAME[case.profile].words.finished
    said = [pattern.rpartition("/")[2] for pattern in re.findall(r"`([^`]+)`", words)]
    for flag in case.flags:
        assert any(fnmatch.fnmatchcase(flag.rpartition("/")[2], pattern) for pattern in said), words


def test_what_is_said_of_its_sheet_is_where_it_is_looked_for() -> None:
    for profile in profiles.PROFILES:
        assert (profile.sheet or "none") == profile.words.sheet.strip("`").lower()


def look(folder: pathlib.Path) -> tuple[View, profiles.Recognised]:
    view = take_view(place_of(os.fsencode(folder)), profiles.WANTED)
    return view, profiles.recognise(view)


def profile_of(folder: pathlib.Path) -> tuple[View, Profile]:
    view, recognised = look(folder)
    assert recognised.profile is not None, recognised.reason
    return view, recognised.profile


def completeness(folder: pathlib.Path) -> Completeness | None:
    view, profile = profile_of(folder)
    expectation = profile.expect(view)
    if expectation is None:
        return None
    for path in folder.rglob("*"):
        if path.is_file():
            expectation.see(path.relative_to(folder).as_posix(), path.stat().st_size)
    return expectation.result()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_finished_run_is_recognised_and_its_outcome_read(case: Case, tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, case.name, case.files)
    view, recognised = look(folder)
    assert recognised.profile is not None and recognised.profile.name == case.profile
    assert recognised.reason
    assert recognised.profile.waits_for(view) == ()
    assert recognised.profile.outcome(view).end is case.end


def test_a_family_without_a_last_file_must_stand_still_for_a_day() -> None:
    assert {profile.name for profile in profiles.PROFILES if profile.quiet} == WITHOUT_FLAGS
    assert {profile.quiet for profile in profiles.PROFILES if profile.quiet} == {24 * 3600.0}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_without_one_of_its_flags_it_waits(case: Case, tmp_path: pathlib.Path) -> None:
    for flag in case.flags:
        folder = layouts.write_layout(tmp_path, case.name, case.files)
        (folder / flag).unlink()
        view, profile = profile_of(folder)
        assert profile.name == case.profile
        assert len(profile.waits_for(view)) == 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_its_files_are_counted_by_its_own_facts(case: Case, tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, case.name, case.files)
    whole = completeness(folder)
    if case.calls is None:
        assert whole is None
        return
    assert whole is not None
    assert (whole.complete, whole.expected, whole.found) == (True, case.calls, case.calls)
    (folder / case.lose).unlink()
    lacking = completeness(folder)
    assert lacking is not None
    assert (lacking.complete, lacking.expected, lacking.found) == (False, case.calls, case.calls - 1)
    assert len(lacking.missing) == 1


def test_the_writers_of_miseq_nextseq_and_thermo(tmp_path: pathlib.Path) -> None:
    """embedded/runs.py; their numbers of base calls are their argument ``files``."""
    miseq = write_miseq(tmp_path, files=60)
    nextseq = write_nextseq(tmp_path, files=40)
    thermo = write_proteomics(tmp_path)
    for run, name, count in ((miseq, "miseq", 60), (nextseq, "nextseq-500", 40)):
        view, profile = profile_of(run.folder)
        whole = completeness(run.folder)
        assert profile.name == name and profile.waits_for(view) == ()
        assert whole is not None and (whole.complete, whole.expected) == (True, count)
    view, profile = profile_of(thermo.folder)
    assert profile.name == "thermo" and profile.waits_for(view) == () and profile.quiet == 24 * 3600
    assert completeness(thermo.folder) is None


def test_a_run_that_is_still_written_is_recognised_and_waits(tmp_path: pathlib.Path) -> None:
    run = write_miseq(tmp_path, complete=False)
    view, profile = profile_of(run.folder)
    assert profile.name == "miseq" and profile.waits_for(view) == ("RTAComplete.txt",)


def test_every_real_run_is_recognised(shared_runs: pathlib.Path) -> None:
    found = {
        folder.name: look(folder)[1].profile
        for kind in ("runs", "proteomics")
        for folder in sorted((shared_runs / kind).iterdir())
    }
    assert found and [name for name, profile in found.items() if profile is None] == []


def test_the_real_miseq_waits_for_its_flag(shared_runs: pathlib.Path) -> None:
    view, recognised = look(shared_runs / "runs" / "130417_M00146_0021_000000000-A2WDF")
    assert recognised.profile is not None and recognised.profile.name == "miseq"
    assert recognised.reason == "RunParameters.xml says MiSeq Control Software"
    assert recognised.profile.waits_for(view) == ("RTAComplete.txt",)
    facts = recognised.profile.facts(view)
    assert (facts["flowcell"], facts["instrument"], facts["number"]) == ("000000000-A2WDF", "M00146", 20)
    assert facts["reads"] == [{"cycles": 121, "index": False}] * 2
    # RunInfo.xml: 1 lane, 2 surfaces, 1 swath, 14 tiles.
    assert (facts["lanes"], facts["tiles"]) == (1, 28)


def test_the_real_nextseq_completed(shared_runs: pathlib.Path) -> None:
    folder = shared_runs / "runs" / "170609_NB551051_0017_AHLFFJBGX2"
    view, profile = profile_of(folder)
    assert profile.name == "nextseq-500" and profile.waits_for(view) == ()
    outcome = profile.outcome(view)
    assert (outcome.end, outcome.words) == (End.COMPLETED, "RunCompletionStatus.xml: CompletedAsPlanned")
    # 4 lanes, 75 + 8 + 75 cycles; the public run has no base calls.
    lacking = completeness(folder)
    assert lacking is not None and (lacking.expected, lacking.found) == (4 * 158, 0)


def test_the_real_hiseq_x_lacks_the_tiles_that_were_trimmed(shared_runs: pathlib.Path) -> None:
    folder = shared_runs / "runs" / "151005_ST-00295_0022_BHH5VTCCXX"
    view, profile = profile_of(folder)
    assert profile.name == "hiseq" and profile.waits_for(view) == ()
    # 8 lanes x 2 surfaces x 2 swaths x 24 tiles x 302 cycles; one tile of one lane was kept.
    lacking = completeness(folder)
    assert lacking is not None
    assert (lacking.complete, lacking.expected, lacking.found) == (False, 8 * 96 * 302, 302)
    assert profile.outcome(view).end is End.UNKNOWN


def test_the_real_thermo_project(shared_runs: pathlib.Path) -> None:
    view, recognised = look(shared_runs / "proteomics" / "Prot01")
    assert recognised.profile is not None and recognised.profile.name == "thermo"
    assert recognised.profile.outcome(view).end is End.UNKNOWN
