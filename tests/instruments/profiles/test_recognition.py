"""By what a run is recognised, and when it is not; families without a flag; what their files say of trouble."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time

import pytest

from embedded import layouts, other_layouts
from embedded.runs import write_proteomics
from sync_to_azure.instruments import profiles
from sync_to_azure.files.folder import place_of
from sync_to_azure.files import folder_view
from sync_to_azure.files.folder_view import look_at, take_view
from sync_to_azure.instruments.profiles.profile import Profile
from sync_to_azure.instruments.profiles.view import Small, View, matches
from sync_to_azure.instruments.run_facts import safe_xml
from sync_to_azure.instruments.run_facts.outcome import End


def of_name(name: str) -> str | None:
    profile = profiles.recognise(View(name)).profile
    return profile.name if profile else None


def recognised(folder: pathlib.Path) -> tuple[View, Profile]:
    view = take_view(place_of(os.fsencode(folder)), profiles.WANTED)
    profile = profiles.recognise(view).profile
    assert profile is not None
    return view, profile


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        # Names of public runs (miso-lims/runscanner, and the list in the test of a parser of run names on GitHub).
        ("130417_M00146_0021_000000000-A2WDF", "miseq"),
        ("170609_NB551051_0017_AHLFFJBGX2", "nextseq-500"),
        ("150202_NS500318_0047_AH3KLMBGXX", "nextseq-500"),
        ("130919_SN792_0281_BD2CHRACXX", "hiseq"),
        ("150203_D00535_0052_AC66RWANXX", "hiseq"),
        ("150210_K00111_0013_AH2372BBXX", "hiseq"),
        ("141121_ST-E00107_0356_AH00C3CCXX", "hiseq"),
        ("151005_ST-00295_0022_BHH5VTCCXX", "hiseq"),
        ("220923_A01934_0008_BHLL3GDRX2", "novaseq-6000"),
        ("20230418_LH00130_0003_B223YTFLT3", "novaseq-x"),
        ("180607_MN00218_0012_A000H2FKYL", "miniseq"),
        ("230105_VH00123_17_AAC2KYHM5", "nextseq-2000"),
        ("20210301_FS10000123_4_BPC29604-1234", "iseq"),
        ("20250603_1201_3E_PAA12345_e05460c6", "nanopore"),
        ("20220414_1039_MN19654_AJF976_ed35bf91", "nanopore"),
        ("r84028_20230214_022129", "pacbio"),
        ("r64001e_20190126_092450", "pacbio"),
        ("r54329U_20190607_173618", "pacbio"),
        ("20260205_SH01038_0007_ASC2139476-SC3", "miseq-i100"),
        ("100902_HWUSI-EAS100R_0007_61FDCAAXX", "gaiix"),
        ("090529_HWI-EAS300_0003_42KNRAAXX", "gaiix"),
        ("101202_ILLUMINA-73D9FA_00002_FC", "gaiix"),
        ("20250127_AV244103_NT1850075L", "element"),
        ("424090-20250822_0117", "ultima"),
        ("220622_G4X1234_0057_2_FC000007A", "singular"),
        ("20250131__173305__run", "xenium"),
        ("output-XETG00123__0012345__one__20250131__173350", "xenium"),
        # Not in the form that an instrument writes.
        ("M00146", None),
        ("backup_M00146_0021_000000000-A2WDF", None),
        ("130417_X00146_0021_000000000-A2WDF", None),
        ("2023_LH00130_0003_B223YTFLT3", None),
        ("Prot01", None),
        ("", None),
    ],
)
def test_by_the_folders_name_alone(name: str, profile: str | None) -> None:
    assert of_name(name) == profile


def test_what_the_software_says_outweighs_a_name(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "130417_M00146_0021_000000000-A2WDF", layouts.novaseq_x())
    view, profile = recognised(folder)
    assert profile.name == "novaseq-x"
    assert profiles.recognise(view).reason == "RunParameters.xml says NovaSeqXPlus"


def test_without_parameters_run_info_says_it(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "renamed by somebody", layouts.novaseq_6000())
    (folder / "RunParameters.xml").unlink()
    view = take_view(place_of(os.fsencode(folder)), profiles.WANTED)
    found = profiles.recognise(view)
    assert found.profile is not None and found.profile.name == "novaseq-6000"
    assert found.reason == "RunInfo.xml names instrument A01934"


def test_names_of_files_differ_in_case(tmp_path: pathlib.Path) -> None:
    files = {path.replace(".xml", ".XML"): content for path, content in layouts.novaseq_x().items()}
    files["copycomplete.TXT"] = files.pop("CopyComplete.txt")
    folder = layouts.write_layout(tmp_path, "20230418_LH00130_0003_B223YTFLT3", files)
    view, profile = recognised(folder)
    assert profile.name == "novaseq-x" and profile.waits_for(view) == ()
    assert profile.outcome(view).end is End.COMPLETED


def test_two_families_that_fit_as_well_as_each_other_are_none() -> None:
    thermo = Small(18, b"\x01\xa1" + "Finnigan".encode("utf-16-le"))
    view = View("project", ("a.raw",), ("b.d",), {"a.raw": thermo, "b.d/analysis.baf": Small(9, b"")})
    found = profiles.recognise(view)
    assert found.profile is None
    assert found.reason == "it could be of more than one family: Thermo .raw, Bruker .d"


def test_what_a_person_chose_is_not_asked() -> None:
    assert profiles.recognise(View("anything"), "generic").profile is profiles.BY_NAME["generic"]
    assert profiles.recognise(View("anything")).profile is None


def test_newer_software_of_a_miseq_copies_last(tmp_path: pathlib.Path) -> None:
    """aozan#17: a MiSeq with control software 4.0 writes CopyComplete.txt, article 1678 says by which service."""
    parameters = (
        b"<RunParameters><Setup><ApplicationVersion>4.0.0.1769</ApplicationVersion>"
        b"<ApplicationName>MiSeq Control Software</ApplicationName></Setup></RunParameters>"
    )
    files = {"RunParameters.xml": parameters, "RTAComplete.txt": b""}
    view, profile = recognised(layouts.write_layout(tmp_path, "230224_M02439_0043_000000000-KT42M", files))
    assert profile.name == "miseq" and profile.waits_for(view) == ("CopyComplete.txt",)


def test_newer_software_of_a_nextseq_copies_last(tmp_path: pathlib.Path) -> None:
    """miso-lims#2254."""
    parameters = (
        b"<RunParameters><Setup><ApplicationVersion>4.0.2.7</ApplicationVersion>"
        b"<ApplicationName>NextSeq Control Software</ApplicationName></Setup></RunParameters>"
    )
    files = {"RunParameters.xml": parameters, "RTAComplete.txt": b"", "RunCompletionStatus.xml": b""}
    view, profile = recognised(layouts.write_layout(tmp_path, "170609_NB551051_0017_AHLFFJBGX2", files))
    assert profile.name == "nextseq-500" and profile.waits_for(view) == ("CopyComplete.txt",)


def test_the_flag_that_a_nextseqs_guide_names_counts_as_well(tmp_path: pathlib.Path) -> None:
    files = {"RTAComplete.xml": b"", "RunCompletionStatus.xml": b""}
    view, profile = recognised(layouts.write_layout(tmp_path, "170609_NB551051_0017_AHLFFJBGX2", files))
    assert profile.waits_for(view) == ()


def test_a_hiseq_with_rta_2_is_finished_later_than_its_base_calls(shared_runs: pathlib.Path) -> None:
    view = take_view(
        place_of(os.fsencode(shared_runs / "runs" / "151005_ST-00295_0022_BHH5VTCCXX")), profiles.WANTED
    )
    earlier = dataclasses.replace(view, files=tuple(n for n in view.files if n != "SequencingComplete.txt"))
    profile = profiles.recognise(earlier).profile
    assert profile is not None and profile.waits_for(earlier) == ("SequencingComplete.txt",)


def test_broken_files_make_an_outcome_unknown_and_promise_nothing(tmp_path: pathlib.Path) -> None:
    files = layouts.novaseq_x() | {
        "RunInfo.xml": b"",
        "RunParameters.xml": b"<",
        "RunCompletionStatus.xml": b"<Run",
    }
    view, profile = recognised(layouts.write_layout(tmp_path, "20230418_LH00130_0003_B223YTFLT3", files))
    assert profile.name == "novaseq-x" and profile.waits_for(view) == ()
    assert profile.outcome(view).end is End.UNKNOWN
    assert "RunCompletionStatus.xml is no well-formed XML" in profile.outcome(view).words
    assert profile.expect(view) is None and profile.facts(view) == {}


def test_an_empty_raw_file_is_still_open(tmp_path: pathlib.Path) -> None:
    run = write_proteomics(tmp_path)
    (run.folder / "next.raw").touch()
    view, profile = recognised(run.folder)
    assert profile.waits_for(view) == ("the data of 1 empty .raw files (still open?)",)
    assert profile.outcome(view).end is End.UNKNOWN


def test_a_corrupted_raw_file_failed(tmp_path: pathlib.Path) -> None:
    run = write_proteomics(tmp_path)
    first = min(run.folder.glob("*.raw"))
    first.rename(first.with_name("sample_CORRUPTED.raw"))
    view, profile = recognised(run.folder)
    assert profile.outcome(view).end is End.FAILED


def test_raw_files_of_thermos_one_folder_down(tmp_path: pathlib.Path) -> None:
    """A folder a sample, or a week; what is empty there is still open, too."""
    run = write_proteomics(tmp_path)
    for week, path in enumerate(sorted(run.folder.glob("*.raw"))):
        (run.folder / f"week {week}").mkdir()
        path.rename(run.folder / f"week {week}" / path.name)
    view, found = look_at(place_of(os.fsencode(run.folder)), profiles.AUTO)
    assert found.profile is not None and found.profile.name == "thermo"
    assert found.reason == "a .raw file in it one folder down begins as Thermo's do"
    assert found.profile.waits_for(view) == () and found.profile.facts(view)["acquisitions"] > 0
    (run.folder / "week 0" / "next_corrupted.RAW").touch()
    view, found = look_at(place_of(os.fsencode(run.folder)), "thermo")
    assert found.profile is not None
    assert found.profile.waits_for(view) == ("the data of 1 empty .raw files (still open?)",)
    assert found.profile.outcome(view).end is End.FAILED


def test_a_known_run_is_not_looked_into_deeper(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each folder that is listed is a question to the instrument's computer."""
    folder = layouts.write_layout(tmp_path, "20230418_LH00130_0003_B223YTFLT3", layouts.novaseq_x())
    listed: list[str] = []
    one = folder_view._list
    monkeypatch.setattr(folder_view, "_list", lambda top, path: listed.append(path) or one(top, path))
    look_at(place_of(os.fsencode(folder)), profiles.AUTO)
    assert listed == [""]
    listed.clear()
    nobodys = layouts.write_layout(tmp_path, "nobody's", {f"{number}/a": b"" for number in range(60)})
    view, found = look_at(place_of(os.fsencode(nobodys)), profiles.AUTO)
    assert found.profile is None and not view.whole and len(listed) == 2 + 50


def test_a_raw_file_of_another_maker_is_none_of_thermos(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(
        tmp_path, "project", {"photo.raw": b"\xff\xd8" * 20, "short.raw": b"\x01\xa1"}
    )
    assert profiles.recognise(take_view(place_of(os.fsencode(folder)), profiles.WANTED)).profile is None


def test_an_open_database_of_bruker_waits(tmp_path: pathlib.Path) -> None:
    files = layouts.bruker() | {"20250114_sample 02_S1-A2_1_0002.d/analysis.tdf-journal": b""}
    view, profile = recognised(layouts.write_layout(tmp_path, "project", files))
    assert profile.waits_for(view) == ("the end of 1 acquisitions (their databases are open)",)


def test_a_bruker_acquisition_without_its_main_file_failed(tmp_path: pathlib.Path) -> None:
    files = layouts.bruker() | {"broken.d/SampleInfo.xml": b""}
    view, profile = recognised(layouts.write_layout(tmp_path, "project", files))
    assert profile.waits_for(view) == ()
    assert profile.outcome(view).end is End.FAILED
    assert profile.outcome(view).words == (
        "1 of 3 .d folders of Bruker's have none of analysis.tdf, .tsf, .baf and .yep, ser and fid"
    )


def test_a_single_d_folder_is_a_run_of_bruker(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "run.D", {"analysis.tdf": b"x", "analysis.tdf_bin": b"x"})
    assert recognised(folder)[1].name == "bruker"


def test_an_agilent_d_folder_is_none_of_brukers(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "project", {"run.d/AcqData/MSScan.bin": b"x"})
    assert recognised(folder)[1].name == "agilent"
    alone = layouts.write_layout(tmp_path, "run.D", {"AcqData/MSPeak.bin": b"x"})
    view, profile = recognised(alone)
    assert profile.name == "agilent" and profile.facts(view) == {"acquisitions": 1}


def test_a_d_folder_of_another_maker_beside_brukers_did_not_fail(tmp_path: pathlib.Path) -> None:
    others = {
        "agilent.d/AcqData/MSPeak.bin": b"x",
        "ft-icr.d/ser": b"x",
        "ion trap.d/Analysis.yep": b"x",
        "unknown.d/data.ms": b"x",
    }
    folder = layouts.write_layout(tmp_path, "project", layouts.bruker() | others)
    (folder / "empty.d").mkdir()
    view, profile = recognised(folder)
    assert profile.name == "bruker" and profile.outcome(view).end is End.UNKNOWN
    expectation = profile.expect(view)
    assert expectation is not None
    for path in layouts.bruker() | others:
        expectation.see(path, 1)
    assert expectation.result().complete is True


def test_a_waters_folder_alone_is_a_run(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "s1.RAW", {"_FUNC001.DAT": b"x", "_FUNC002.DAT": b"x"})
    view, profile = recognised(folder)
    assert profile.name == "waters" and profile.facts(view) == {"acquisitions": 1}


def test_content_is_believed_before_names_of_files(tmp_path: pathlib.Path) -> None:
    run = write_proteomics(tmp_path)
    (run.folder / "gradient.lcd").touch()
    (run.folder / "old.wiff").touch()
    assert recognised(run.folder)[1].name == "thermo"


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (b'{"outcome": "OutcomeCompleted"}', End.COMPLETED),
        (b'{"outcome": "OutcomeFailed"}', End.FAILED),
        (b'{"outcome": "OutcomeStopped"}', End.ENDED_EARLY),
        (b'{"outcome": "OutcomeOfTheFuture"}', End.UNKNOWN),
        (b'{"outcome": 7}', End.UNKNOWN),
        (b"[]", End.UNKNOWN),
        (b"{", End.UNKNOWN),
        (b"[" * 100_000, End.UNKNOWN),
    ],
)
def test_how_an_aviti_says_that_it_ended(tmp_path: pathlib.Path, said: bytes, end: End) -> None:
    files = other_layouts.element() | {"RunUploaded.json": said}
    view, profile = recognised(layouts.write_layout(tmp_path, "a run", files))
    assert profile.name == "element" and profile.waits_for(view) == ()
    assert profile.outcome(view).end is end
    nobodys = dataclasses.replace(view, small={"RunUploaded.json": view.small["RunUploaded.json"]})
    assert profiles.outcome(nobodys, profiles.Recognised(None, "-")).end is end


@pytest.mark.parametrize("cycles", [b'{"R1": -1}', b'{"R1": 100000}', b'{"R1": true}', b'{"CP01": 2}', b"[]"])
def test_cycles_that_cannot_be_promise_nothing(tmp_path: pathlib.Path, cycles: bytes) -> None:
    parameters = b'{"RunName": "a", "InstrumentName": "b", "RunFolderName": "c", "Cycles": ' + cycles + b"}"
    files = other_layouts.element() | {"RunParameters.json": parameters}
    view, profile = recognised(layouts.write_layout(tmp_path, "a run", files))
    assert profile.name == "element" and profile.expect(view) is None


@pytest.mark.parametrize(
    ("reads", "there", "waits"),
    [
        (2, (), ("Basecalling_Netcopy_complete_READ2.txt",)),
        (2, ("Basecalling_Netcopy_complete_READ1.txt",), ("Basecalling_Netcopy_complete_READ2.txt",)),
        (2, ("Basecalling_Netcopy_complete_SINGLEREAD.txt",), ("Basecalling_Netcopy_complete_READ2.txt",)),
        (2, ("Basecalling_Netcopy_complete.txt",), ()),
        (3, ("Basecalling_Netcopy_complete_READ2.txt",), ("Basecalling_Netcopy_complete_READ3.txt",)),
        (1, (), ("Basecalling_Netcopy_complete_SINGLEREAD.txt",)),
        (1, ("Basecalling_Netcopy_complete_SINGLEREAD.txt",), ()),
        (0, ("Basecalling_Netcopy_complete_SINGLEREAD.txt",), ()),
        (0, ("Basecalling_Netcopy_complete_READ2.txt",), ()),
    ],
)
def test_a_genome_analyzer_waits_for_its_last_read(
    tmp_path: pathlib.Path, reads: int, there: tuple[str, ...], waits: tuple[str, ...]
) -> None:
    name = "100902_HWUSI-EAS100R_0007_61FDCAAXX"
    files = {"RTAComplete.txt": b"", **dict.fromkeys(there, b"")}
    if reads:
        files["RunInfo.xml"] = layouts.run_info(name, reads=((36, False),) * reads)
    view, profile = recognised(layouts.write_layout(tmp_path, name, files))
    assert profile.name == "gaiix" and profile.waits_for(view) == waits


def test_a_novaseq_x_must_have_what_its_manifest_lists(tmp_path: pathlib.Path) -> None:
    """Clinical-Genomics/cg 2403: flags were there before the files. Thumbnails may be left out of a transfer."""
    files = layouts.novaseq_x()
    listed = [path for path in files if path.startswith(("Data/", "InterOp/"))]
    rows = [f"{path}\t00000ThisIsNotARealChecksum00000" for path in [*listed, "Thumbnail_Images/L001/a.png"]]
    for manifest, lost, complete, expected in (
        (rows, "", True, 41),
        (rows, "InterOp/TileMetricsOut.bin", False, 41),
        (rows, listed[0], False, 40),
        # Cut, hostile or empty: the base calls alone are counted.
        ([*rows, "Data/Intens"], "InterOp/TileMetricsOut.bin", True, 40),
        (["Data/../../x\t0"], "", True, 40),
        ([], "", True, 40),
    ):
        here = files | {"Manifest.tsv": "\n".join(manifest).encode()}
        view, profile = recognised(layouts.write_layout(tmp_path, "20230418_LH00130_0003_B223YTFLT3", here))
        expectation = profile.expect(view)
        assert expectation is not None
        for path in here:
            if path != lost:
                expectation.see(path, 1)
        found = expectation.result()
        assert (found.complete, found.expected) == (complete, expected), found


def test_the_fallback_is_weaker_than_a_name(tmp_path: pathlib.Path) -> None:
    files = other_layouts.next_illumina()
    assert recognised(layouts.write_layout(tmp_path, "renamed", files))[1].name == "other-illumina"
    name = "130417_M00146_0021_000000000-A2WDF"
    assert recognised(layouts.write_layout(tmp_path, name, files))[1].name == "miseq"


def test_minknow_of_2018_is_not_minknow_of_today(tmp_path: pathlib.Path) -> None:
    old = layouts.write_layout(tmp_path, "20180122_1224_sample 1", other_layouts.nanopore_2018())
    assert recognised(old)[1].name == "nanopore-2018"
    today = layouts.write_layout(tmp_path, "20250603_1201_3E_PAA12345_e05460c6", {"fast5/a.fast5": b"x"})
    view, profile = recognised(today)
    assert profile.name == "nanopore" and profile.waits_for(view) == ("final_summary_*.txt",)
    summed = layouts.nanopore() | other_layouts.nanopore_2018()
    assert recognised(layouts.write_layout(tmp_path, "20180122_1224_late", summed))[1].name == "nanopore"


def test_a_single_region_of_a_xenium_is_a_run(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "region", {"experiment.xenium": b"{}"})
    view, profile = recognised(folder)
    assert profile.name == "xenium" and profile.waits_for(view) == ()
    begun = layouts.write_layout(tmp_path, "20250131__173305__run", {"notes.txt": b""})
    view, profile = recognised(begun)
    assert profile.name == "xenium" and profile.waits_for(view) == ("experiment.xenium",)


def test_files_in_minknows_fallback_folder_are_missing(tmp_path: pathlib.Path) -> None:
    for hashes in (True, False):
        files = layouts.nanopore(hashes=hashes)
        name = next(path for path in files if path.startswith("final_summary"))
        files[name] = files[name].replace(b"pod5_files_in_fallback=0", b"pod5_files_in_fallback=7")
        view, profile = recognised(layouts.write_layout(tmp_path / str(hashes), "n", files))
        expectation = profile.expect(view)
        assert expectation is not None
        for path in files:
            expectation.see(path, 1)
        assert expectation.result().complete is False
        assert expectation.result().missing == ("7 files in MinKNOW's fallback folder",)
        assert "7 files lie in MinKNOW's fallback folder" in profile.outcome(view).words


def test_a_cut_transferdone_leaves_outcome_and_completeness_unknown(tmp_path: pathlib.Path) -> None:
    files = layouts.pacbio()
    path = "1_A01/metadata/m84028_230214_023001_s1.transferdone"
    files[path] = files[path][:-20]
    view, profile = recognised(layouts.write_layout(tmp_path, "r84028_20230214_022129", files))
    assert profile.outcome(view).end is End.UNKNOWN and path in profile.outcome(view).words
    assert profile.expect(view) is None


def test_a_sequel_has_its_transferdone_hidden_in_the_cells_folder(tmp_path: pathlib.Path) -> None:
    movie = "m64001e_190126_092450"
    lines = f"Transfer Manifest nfiles: 1\nAcqId 1 transfer list size : 1\n/data/icc/{movie}/{movie}.subreads.bam\n"
    files = {f"1_A01/{movie}.subreads.bam": b"-", f"1_A01/.{movie}.transferdone": lines.encode()}
    view, profile = recognised(layouts.write_layout(tmp_path, "r64001e_20190126_092450", files))
    assert profile.name == "pacbio" and profile.waits_for(view) == ()
    expectation = profile.expect(view)
    assert expectation is not None
    expectation.see(f"1_A01/{movie}.subreads.bam", 1)
    assert expectation.result().complete is True
    assert profile.facts(view)["movies"] == [movie]


def test_a_tile_that_is_there_twice_does_not_stand_for_another(tmp_path: pathlib.Path) -> None:
    """Recompressed by somebody: .bcl and .bcl.gz of one tile, none of the next; and an empty file is none."""
    folder = layouts.write_layout(tmp_path, "140923_SN7001179_0208_BC59Y4ACXX", layouts.hiseq_2500())
    cycle = "Data/Intensities/BaseCalls/L001/C1.1"
    view, profile = recognised(folder)
    for change in ({f"{cycle}/s_1_1101.bcl": b"x"}, {}):
        expectation = profile.expect(view)
        assert expectation is not None
        for path, content in (layouts.hiseq_2500() | change).items():
            if path != f"{cycle}/s_1_1102.bcl.gz":
                expectation.see(path, len(content))
        assert (expectation.result().found, expectation.result().expected) == (79, 80)
        assert expectation.result().missing == ("lane 1 cycle 1 (3 of 4)",)
    expectation = profile.expect(view)
    assert expectation is not None
    for path, content in layouts.hiseq_2500().items():
        expectation.see(path, 0 if path == f"{cycle}/s_1_1102.bcl.gz" else len(content))
    assert expectation.result().found == 79


def test_the_largest_run_info_is_read_once_and_soon(tmp_path: pathlib.Path) -> None:
    """A NovaSeq X 25B: 8 lanes, 2 surfaces, 4 swaths of 98 tiles; 318 cycles. Recognition asks every family."""
    tiles = [
        f"{lane}_{surface}{swath}{tile:02}"
        for lane in range(1, 9)
        for surface in (1, 2)
        for swath in range(1, 5)
        for tile in range(1, 99)
    ]
    name = "20251210_LH00224_0271_B23FF7CLT4"
    reads = ((151, False), (8, True), (8, True), (151, False))
    files = layouts.novaseq_x(name) | {"RunInfo.xml": layouts.run_info(name, reads, tiles)}
    folder = layouts.write_layout(tmp_path, name, files)
    began = time.thread_time()
    view, profile = recognised(folder)
    expectation = profile.expect(view)
    assert expectation is not None
    # 8 lanes x 2 surfaces x 318 cycles.
    assert expectation.result().expected == 5088
    assert profile.facts(view)["tiles"] == 8 * 2 * 4 * 98
    assert time.thread_time() - began < 10


def test_a_broken_file_is_parsed_once_for_all_families(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    parse = safe_xml.parse
    monkeypatch.setattr(safe_xml, "parse", lambda content: parsed.append(content) or parse(content))
    files = {
        "RunInfo.xml": b"<RunInfo><Run> this file alone",
        "RunParameters.xml": b"<RunParameters> this one",
    }
    folder = layouts.write_layout(tmp_path, "20230418_LH00130_0003_B223YTFLT3", files)
    view, profile = recognised(folder)
    assert profile.expect(view) is None and profile.facts(view) == {}
    assert sorted(parsed) == sorted(files.values())


def test_patterns_do_not_reach_over_a_slash() -> None:
    assert matches("A.d/Analysis.TDF", "*.d/analysis.*")
    assert not matches("a.d/b/analysis.tdf", "*.d/analysis.*")
    assert not matches("x/final_summary_1.txt", "final_summary*.txt")
