"""Run folders of the families of which no public run is at hand, from documented layouts: names, flags and the small
files that tell of the run are real in form; base calls and reads are a few bytes each.

Each function gives the files by their path below the run; the source of its layout stands with it. MiSeq, NextSeq 550
and Thermo are in ``embedded.runs``.
"""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping, Sequence

Files = dict[str, bytes]
Tags = Mapping[str, "str | Tags"]
"""Elements of XML by their names, in order."""
_XML = '<?xml version="1.0" encoding="utf-8"?>\n'
READS = ((3, False), (2, True), (2, True), (3, False))
"""Cycles of each read, and whether it is an index: ten cycles in all."""


def write_layout(main_folder: pathlib.Path, name: str, files: Mapping[str, bytes]) -> pathlib.Path:
    """The run folder."""
    for path, content in files.items():
        target = main_folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return main_folder / name


def novaseq_x(name: str = "20230418_LH00130_0003_B223YTFLT3") -> Files:
    """support-docs.illumina.com, NovaSeq X, Output Folder Structure and Sequencing Output Files; the XML files as in
    this run of miso-lims/runscanner, with two lanes instead of eight, two tiles a surface, ten cycles."""
    parameters: Tags = {
        "Side": "B",
        "Application": "control-software",
        "SystemSuiteVersion": "1.0.1.7385",
        "InstrumentType": "NovaSeqXPlus",
        "InstrumentSerialNumber": "LH00130",
        "RunId": name,
        "RunCounter": "3",
        "ExperimentName": "training",
        "FlowCellType": "NovaSeqXSeriesB3",
    }
    return {
        **described(run_info(name, tiles=tile_names(lanes=2)), parameters),
        **cbcl(lanes=2),
        "SampleSheet.csv": sheet_v2(),
        "InterOp/TileMetricsOut.bin": b"\3",
        "RTAComplete.txt": b"",
        "RunCompletionStatus.xml": run_status("RunCompleted"),
        "CopyComplete.txt": b"",
    }


def novaseq_6000(name: str = "220923_A01934_0008_BHLL3GDRX2") -> Files:
    """NovaSeq 6000 System Guide (1000000019358), Sequencing Output Files; flags as in bcftbx/platforms.py."""
    parameters: Tags = {
        "Side": "B",
        "Application": "NovaSeq Control Software",
        "ApplicationVersion": "1.7.5",
        "RtaVersion": "v3.4.4",
        "InstrumentName": "A01934",
        "RunId": name,
        "RfidsInfo": {"FlowCellMode": "SP"},
    }
    return {
        **described(run_info(name, tiles=tile_names(lanes=2, surfaces=(1,))), parameters),
        **cbcl(lanes=2, surfaces=(1,)),
        "RTAComplete.txt": b"",
        "SequenceComplete.txt": b"",
        "CopyComplete.txt": b"",
    }


def nextseq_2000(name: str = "230105_VH00123_17_AAC2KYHM5") -> Files:
    """knowledge.illumina.com, article 2443 (File paths on the NextSeq 1000/2000); support-docs.illumina.com, NextSeq
    1000/2000, Sequencing Output Files."""
    parameters: Tags = {
        "InstrumentType": "NextSeq2000",
        "InstrumentSerialNumber": "VH00123",
        "ApplicationName": "NextSeq 1000/2000 Control Software",
        "ApplicationVersion": "1.5.0.42699",
    }
    return {
        **described(run_info(name, tiles=tile_names(lanes=1)), parameters),
        **cbcl(lanes=1),
        "RTAComplete.txt": b"",
        "RunCompletionStatus.xml": run_status("RunCompleted"),
        "CopyComplete.txt": b"",
    }


def iseq(name: str = "20210301_FS10000123_4_BPC29604-1234") -> Files:
    """support-docs.illumina.com, iSeq 100, Output Files."""
    parameters: Tags = {
        "RunID": name,
        "ApplicationName": "iSeq Control Software",
        "ApplicationVersion": "1.4.1.1700",
        "InstrumentId": "FS10000123",
    }
    return {
        **described(run_info(name, layout=(1, 1, 1, 16)), parameters),
        **bgzf(),
        "RunCompletionStatus.xml": completion_status("CompletedAsPlanned"),
        "RTAComplete.txt": b"",
    }


def miniseq(name: str = "180607_MN00218_0012_A000H2FKYL") -> Files:
    """MiniSeq System Guide, Appendix C, Output Files."""
    parameters: Tags = {
        "RunID": name,
        "ApplicationName": "MiniSeq Control Software",
        "ApplicationVersion": "2.1.0.15",
        "InstrumentID": "MN00218",
    }
    return {
        **described(run_info(name, layout=(1, 2, 3, 8)), parameters),
        **bgzf(),
        "RTAComplete.txt": b"",
        "RunCompletionStatus.xml": completion_status("CompletedAsPlanned"),
        "CopyComplete.txt": b"",
    }


def hiseq_2500(name: str = "140923_SN7001179_0208_BC59Y4ACXX") -> Files:
    """HiSeq 2500: the HiSeq X System Guide's layout (15050091, Sequencing Output Files) with RTA 1's flags."""
    parameters: Tags = {
        "Setup": {
            "RunID": name,
            "ScannerID": "SN7001179",
            "FCPosition": "B",
            "ApplicationName": "HiSeq Control Software",
            "ApplicationVersion": "2.2.58",
            "RTAVersion": "1.18.64",
        }
    }
    calls = {
        f"Data/Intensities/BaseCalls/L{lane:03}/C{cycle}.1/s_{lane}_{tile}.bcl.gz": b"call"
        for lane in (1, 2)
        for cycle in range(1, 11)
        for tile in (1101, 1102, 2101, 2102)
    }
    return {
        **described(run_info(name, layout=(2, 2, 1, 2)), parameters, "runParameters.xml"),
        **calls,
        "Basecalling_Netcopy_complete.txt": b"",
        "ImageAnalysis_Netcopy_complete.txt": b"",
        "RTAComplete.txt": b"9/25/2014,14:03:52.361,Illumina RTA 1.18.64\r\n",
    }


def nanopore(flow_cell: str = "PAA12345", hashes: bool = True) -> Files:
    """nanoporetech.github.io/ont-output-specifications, MinKNOW, Output Structure and Output Hash File; final_summary
    as of a PromethION in 2024. Without ``hashes`` as before MinKNOW wrote any."""
    ids = f"{flow_cell}_e05460c6_d8d88dd0"
    reads = {f"pod5/{ids}_{number}.pod5": b"POD5" for number in range(3)}
    reads |= {f"fastq_pass/barcode01/{ids}_{number}.fastq.gz": b"\x1f\x8b" for number in range(2)}
    summary = (
        f"instrument=PCA100290\nposition=3E\nflow_cell_id={flow_cell}\nsample_id=no_sample\nprotocol_group_id=raw\n"
        "protocol=sequencing/sequencing_PRO114_DNA_e8_2_400K:FLO-PRO114M:SQK-LSK114:400\n"
        "protocol_run_id=e05460c6-53f1-4581-a7ed-7d92f919eaca\n"
        "acquisition_run_id=d8d88dd0acb32297b9b746146b97ace46552892d\nstarted=2025-06-03T12:01:44.188174+01:00\n"
        "acquisition_stopped=2025-06-06T07:36:44.417267+01:00\nprocessing_stopped=2025-06-06T07:47:07.094144+01:00\n"
        "basecalling_enabled=1\nfast5_files_in_final_dest=0\nfast5_files_in_fallback=0\npod5_files_in_final_dest=3\n"
        "pod5_files_in_fallback=0\nfastq_files_in_final_dest=2\nfastq_files_in_fallback=0\n"
    )
    files = {
        **reads,
        f"sequencing_summary_{ids}.txt": b"read_id\n",
        f"final_summary_{ids}.txt": summary.encode(),
    }
    files[f"sample_sheet_{flow_cell}_20250603_1201_e05460c6.csv"] = (
        "protocol_run_id,position_id,flow_cell_id,sample_id,experiment_id,kit,barcode\n"
        f"e05460c6-53f1-4581-a7ed-7d92f919eaca,3E,{flow_cell},no_sample,raw,SQK-LSK114,barcode01\n"
    ).encode()
    if hashes:
        rows = [
            f"e05460c6,{flow_cell},{hashlib.sha256(reads[path]).hexdigest()},{path}" for path in sorted(reads)
        ]
        text = "\n".join(["runid,flow_cell_id,file_hash,file_path", *rows]) + "\n"
        files[f"output_hash_{flow_cell}_20250603_1201_e05460c6.csv"] = text.encode()
    return files


def pacbio(cells: Sequence[str] = ("1_A01", "1_B01")) -> Files:
    """A Revio: pacbiofileformats.readthedocs.io, Revio & Vega file structure; transferdone as in the public run
    r84028_20230214_022129 (miso-lims/runscanner)."""
    files: Files = {}
    for number, cell in enumerate(cells, start=1):
        movie = f"m84028_230214_02300{number}_s{number}"
        names = [f"hifi_reads/{movie}.hifi_reads.bam", f"hifi_reads/{movie}.hifi_reads.bam.pbi"]
        names += [f"metadata/{movie}.metadata.xml", f"statistics/{movie}.ccs_report.txt"]
        files |= {f"{cell}/{path}": b"-" for path in names}
        files[f"{cell}/Transfer_Test_230214_022139.txt"] = b""
        lines = [f"Transfer Manifest nfiles: {len(names)}", f"AcqId 39 transfer list size : {len(names)}"]
        lines += [f"/data/icc/{movie}/{path}" for path in names]
        files[f"{cell}/metadata/{movie}.transferdone"] = ("\n".join(lines) + "\n").encode()
    return files


def bruker(acquisitions: int = 2) -> Files:
    """A timsTOF: gtluu.github.io/timsconvert, About timsconvert."""
    files: Files = {}
    for number in range(1, acquisitions + 1):
        folder = f"20250114_sample {number:02}_S1-A{number}_1_{number:04}.d"
        files[f"{folder}/analysis.tdf"] = b"SQLite format 3\0"
        files[f"{folder}/analysis.tdf_bin"] = bytes(64)
        files[f"{folder}/SampleInfo.xml"] = b"<SampleInfo />"
    return files


def run_info(
    name: str,
    reads: Sequence[tuple[int, bool]] = READS,
    tiles: Sequence[str] = (),
    layout: tuple[int, int, int, int] = (2, 2, 1, 2),
) -> bytes:
    """``layout``: lanes, surfaces, swaths and tiles a swath, where ``tiles`` are not listed."""
    date, instrument, number, flowcell = name.split("_", maxsplit=3)
    lines = [f'{_XML}<RunInfo Version="6"><Run Id="{name}" Number="{int(number)}">']
    lines += [
        f"<Flowcell>{flowcell[1:]}</Flowcell><Instrument>{instrument}</Instrument><Date>{date}</Date><Reads>"
    ]
    for place, (cycles, index) in enumerate(reads, start=1):
        lines += [f'<Read Number="{place}" NumCycles="{cycles}" IsIndexedRead="{"Y" if index else "N"}" />']
    lanes, surfaces, swaths, each = layout
    lines += [
        f'</Reads><FlowcellLayout LaneCount="{lanes}" SurfaceCount="{surfaces}" SwathCount="{swaths}"'
        f' TileCount="{each}">'
    ]
    if tiles:
        lines += [
            '<TileSet TileNamingConvention="FourDigit"><Tiles>',
            *(f"<Tile>{tile}</Tile>" for tile in tiles),
        ]
        lines += ["</Tiles></TileSet>"]
    return "\r\n".join([*lines, "</FlowcellLayout></Run></RunInfo>"]).encode()


def tile_names(lanes: int, surfaces: Sequence[int] = (1, 2)) -> list[str]:
    return [
        f"{lane}_{surface}10{tile}" for lane in range(1, lanes + 1) for surface in surfaces for tile in (1, 2)
    ]


def cbcl(lanes: int, surfaces: Sequence[int] = (1, 2)) -> Files:
    """Base calls of RTA 3 and 4, for ``READS``."""
    return {
        f"Data/Intensities/BaseCalls/L{lane:03}/C{cycle}.1/L{lane:03}_{surface}.cbcl": b"cbcl"
        for lane in range(1, lanes + 1)
        for cycle in range(1, 11)
        for surface in surfaces
    }


def bgzf() -> Files:
    """Base calls of RTA 2 with one lane, for ``READS``."""
    calls = "Data/Intensities/BaseCalls/L001"
    files = {f"{calls}/{cycle:04}.bcl.bgzf": b"bgzf" for cycle in range(1, 11)}
    return {**files, **{f"{path}.bci": b"bci" for path in files}}


def completion_status(status: str, error: str = "None") -> bytes:
    """As MiniSeq and NextSeq 500/550 write it (run 170609_NB551051_0017_AHLFFJBGX2)."""
    return (
        f"{_XML}<RunCompletionStatus><Version>1</Version><CompletionStatus>{status}</CompletionStatus>"
        f"<ErrorDescription>{error}</ErrorDescription></RunCompletionStatus>"
    ).encode()


def run_status(status: str, kind: str = "", message: str = "") -> bytes:
    """As NovaSeq X and NextSeq 2000 write it (run 20230418_LH00130_0003_B223YTFLT3; errors: gmc-norr/cleve)."""
    error = f"<RunError><Type>{kind}</Type><Message>{message}</Message></RunError>" if kind else ""
    return f"{_XML}<RunCompletionStatus><RunStatus>{status}</RunStatus>{error}</RunCompletionStatus>".encode()


def sheet_v2(rows: Sequence[str] = ("1,S1,AT,GC", "1,S2,CC,TA")) -> bytes:
    """help.connected.illumina.com, Sample Sheet Structure; indexes fit ``READS``."""
    lines = [
        "[Header],,,",
        "FileFormatVersion,2,,",
        "RunName,MyRun,,",
        "InstrumentPlatform,NovaSeqXSeries,,",
        ",,,",
    ]
    lines += [
        "[Reads],,,",
        "Read1Cycles,3,,",
        "Read2Cycles,3,,",
        "Index1Cycles,2,,",
        "Index2Cycles,2,,",
        ",,,",
    ]
    # Two letters are too few for indexes that differ in three.
    lines += ["[BCLConvert_Settings],,,", "BarcodeMismatchesIndex1,0,,", "BarcodeMismatchesIndex2,0,,"]
    lines += ["[BCLConvert_Data],,,"]
    return ("\r\n".join([*lines, "Lane,Sample_ID,index,index2", *rows]) + "\r\n").encode()


def described(info: bytes, parameters: Tags, name: str = "RunParameters.xml") -> Files:
    """The two files by which an Illumina run says what it is; ``name``: of the second."""
    text = f"{_XML}<RunParameters>{_elements(parameters)}</RunParameters>"
    return {"RunInfo.xml": info, name: text.encode()}


def _elements(tags: Tags) -> str:
    return "".join(
        f"<{name}>{inner if isinstance(inner, str) else _elements(inner)}</{name}>"
        for name, inner in tags.items()
    )
