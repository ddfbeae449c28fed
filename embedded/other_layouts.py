"""Run folders of other makers, of long ago and of the newest instruments, from documented layouts as in ``layouts``."""

from __future__ import annotations

import json

from embedded.layouts import Files, described, cbcl, run_info, tile_names


def miseq_i100(name: str = "20260205_SH01038_0007_ASC2139476-SC3") -> Files:
    """RunParameters.xml as mll-lab/php-utils reads it; CBCL after support-docs.illumina.com, MiSeq i100 Plus."""
    parameters = {
        "Application": "MiSeqi100Series Control Software",
        "SystemSuiteVersion": "1.1.0.26158",
        "InstrumentType": "MiSeqi100Plus",
        "InstrumentSerialNumber": "SH01038",
        "RunId": name,
    }
    return {
        **described(run_info(name, tiles=tile_names(lanes=1)), parameters),
        **cbcl(lanes=1),
        "RTAComplete.txt": b"",
        "CopyComplete.txt": b"",
    }


def gaiix(name: str = "100902_HWUSI-EAS100R_0007_61FDCAAXX") -> Files:
    """Flags as chapmanb/bcbb and MISO's old notification server wait for them."""
    files = {f"Basecalling_Netcopy_complete_READ{read}.txt": b"" for read in (1, 2)}
    return {
        "RunInfo.xml": run_info(name, reads=((36, False), (36, False))),
        "RTAComplete.txt": b"",
        "Data/Intensities/BaseCalls/L001/C1.1/s_1_1.bcl": b"call",
        **files,
    }


def next_illumina(name: str = "20290101_QX00001_0001_AXYZ") -> Files:
    """An instrument that nobody knows yet."""
    return {
        "RunInfo.xml": run_info(name),
        "RunParameters.xml": b"<RunParameters><Application>Quill Control Software</Application></RunParameters>",
        "CopyComplete.txt": b"",
    }


def element(outcome: str = "OutcomeCompleted") -> Files:
    """docs.elembio.io, Run Output Files; RunParameters.json and RunUploaded.json as in the test data of
    wtsi-npg/npg_tracking."""
    cycles = {"R1": 3, "R2": 2, "I1": 1, "I2": 0}
    parameters = {
        "RunName": "NT1850075L",
        "RunType": "Sequencing",
        "Side": "SideA",
        "FlowcellID": "2427452508",
        "Date": "2025-01-27T15:41:06.714507363Z",
        "InstrumentName": "AV244103",
        "RunFolderName": "20250127_AV244103_NT1850075L",
        "Cycles": cycles,
    }
    calls = {
        f"BaseCalls/{read}_C{cycle:03}.zip": b"PK"
        for read, count in cycles.items()
        for cycle in range(1, count + 1)
    }
    return {
        **calls,
        "RunParameters.json": json.dumps(parameters).encode(),
        "RunManifest.csv": b"[SAMPLES]\n",
        "Location/L1R02C01S1.loc": b"-",
        "RunUploaded.json": json.dumps({"runType": "Sequencing", "outcome": outcome}).encode(),
    }


def ultima() -> Files:
    """Names as in wtsi-npg/npg_tracking."""
    return {
        "424090_LibraryInfo.xml": b'<SampleInfo RunId="424090" />',
        "424090-s1-Z0001-CAGCTCGAATGCGAT/424090-s1-Z0001-CAGCTCGAATGCGAT.cram": b"CRAM",
        "UploadCompleted.json": b"{}",
    }


def singular() -> Files:
    """knowledge.singulargenomics.com, Run Folder."""
    return {
        "run_config.json": b"{}",
        "run_summary.json": b"{}",
        "samplesheet.csv": b"",
        "demux_filtered_fastqs/a.fastq.gz": b"\x1f\x8b",
        "run_complete.txt": b"",
        "transfer_complete.txt": b"",
    }


def mgi() -> Files:
    """What sharpevo/seqbot waits for and reads."""
    return {
        "L01/BioInfo.csv": b"DNB ID,DNB1\n",
        "L01/V300012345_L01_read_1.fq.gz": b"\x1f\x8b",
        "V300012345_L01_Success.txt": b"",
    }


def nanopore_2018() -> Files:
    """20180122_1224_SAMPLE/fast5/pass/0, as in paths of public scripts of that time."""
    return {
        "fast5/pass/0/pc_20180122_FAH12345_MN17871_sequencing_run_x_1_read_2_ch_3_strand.fast5": b"\x89HDF",
        "fastq/pass/fastq_runid_1_0.fastq": b"@",
        "sequencing_summary_0.txt": b"read_id\n",
    }


def pacbio_rs() -> Files:
    """smrt-analysis.readthedocs.io, Data files you received from your service provider."""
    movie = "m140415_143853_42175_c100635972550000001823121909121417_s1_p0"
    return {
        f"A01_1/{movie}.metadata.xml": b"<Metadata />",
        f"A01_1/{movie}.mcd.h5": b"\x89HDF",
        f"A01_1/{movie}.1.xfer.xml": b"<xfer />",
        f"A01_1/Analysis_Results/{movie}.bas.h5": b"\x89HDF",
    }


def xenium() -> Files:
    """10xgenomics.com, Understanding Xenium Outputs."""
    files: Files = {}
    for region in ("one", "two"):
        folder = f"output-XETG00123__0012345__{region}__20250131__173350"
        files |= {f"{folder}/experiment.xenium": b"{}", f"{folder}/transcripts.parquet": b"PAR1"}
    return files


def waters() -> Files:
    """ProteoWizard, Reader_Waters."""
    return {f"s{number}.raw/{name}": b"-" for number in (1, 2) for name in ("_FUNC001.DAT", "_HEADER.TXT")}


def sciex() -> Files:
    """ProteoWizard, Reader_ABI."""
    return {"s1.wiff": b"\xd0\xcf\x11\xe0", "s1.wiff.scan": b"-"}


def agilent() -> Files:
    """ProteoWizard, Reader_Agilent."""
    return {f"s{number}.d/AcqData/{name}": b"-" for number in (1, 2) for name in ("MSPeak.bin", "MSScan.bin")}


def ft_icr() -> Files:
    """EMSL-Computing/CoreMS, brukerSolarix.py."""
    return {"s1.d/ser": b"-", "s1.d/method.m/apexAcquisition.method": b"<method />", "s2.d/fid": b"-"}


def ion_trap() -> Files:
    """ProteoWizard, Reader_Bruker_Detail."""
    return {"s1.d/Analysis.yep": b"-", "s1.d/SampleInfo.xml": b"<SampleInfo />"}
