"""Whatever stands in an instrument's file: a value or a clear Problem, never another error, and quickly."""

from __future__ import annotations

import collections.abc
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded import layouts
from sync_to_azure.instruments.run_facts import (
    completion_status,
    final_summary,
    run_info,
    run_parameters,
    safe_xml,
    sample_sheet,
)
from sync_to_azure.instruments.run_facts.outcome import End
from sync_to_azure.instruments.run_facts.text import MalformedFile, decode
from sync_to_azure.instruments.run_facts.transferdone import read_transferdone

STATUS = layouts.completion_status("UserEndedEarly", "Thread was aborted").decode()
BOMB = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10)).replace("&lol0;", "&lol;")
    + "]>"
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b"\0" * 4096, "is empty"),
        (b"<RunCompletionStatus><RunStatus>RunComp", "is no well-formed XML"),
        (b"<a></b>", "is no well-formed XML"),
        (b"Read 1 complete", "is no well-formed XML"),
        (b"<a>" * 100 + b"</a>" * 100, "nests more than 50"),
        (b"<a>" + b" " * safe_xml.MOST_BYTES + b"</a>", "is larger than 4 MiB"),
        ((BOMB + "<lolz>&lol9;</lolz>").encode(), "declares a document type"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "declares a document type"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>', "declares a document type"),
        (b"<a>&undefined;</a>", "is no well-formed XML"),
    ],
)
def test_xml_that_is_none_or_means_harm_is_a_problem(content: bytes, words: str) -> None:
    began = time.thread_time()
    with pytest.raises(MalformedFile, match=words):
        safe_xml.parse(content)
    assert time.thread_time() - began < 10
    assert completion_status.read_status(content, "RunCompletionStatus.xml").end is End.UNKNOWN


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("declared", ["", "utf-8", "utf-16", "windows-1252", "klingon"])
def test_a_status_is_read_in_every_encoding_whatever_is_declared(encoding: str, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = STATUS[STATUS.index("<RunCompletionStatus") :].replace("Thread", "Übergröße: Thread")
    outcome = completion_status.read_status((head + text).encode(encoding), "RunCompletionStatus.xml")
    assert outcome.end is End.ENDED_EARLY
    assert outcome.words == "RunCompletionStatus.xml: UserEndedEarly: Übergröße: Thread was aborted"


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (layouts.completion_status("CompletedAsPlanned"), End.COMPLETED),
        (layouts.completion_status("UserEndedEarly", "Thread was aborted"), End.ENDED_EARLY),
        (layouts.completion_status("ExceptionEndedEarly", "pump"), End.FAILED),
        (layouts.run_status("RunCompleted"), End.COMPLETED),
        (
            layouts.run_status("RunErrored", "RecipeExecutionFailed", "I/O data integrity check failed"),
            End.FAILED,
        ),
        (layouts.run_status("RunAborted"), End.ENDED_EARLY),
        (layouts.run_status("RunTerminated"), End.ENDED_EARLY),
        (layouts.run_status("Not completed"), End.ENDED_EARLY),
        (layouts.run_status("CompletedWithErrors"), End.FAILED),
        (layouts.run_status("SomethingNew"), End.UNKNOWN),
        (b"<RunCompletionStatus/>", End.UNKNOWN),
        (b"<OtherCompletionStatus><RunStatus>RunCompleted</RunStatus></OtherCompletionStatus>", End.UNKNOWN),
        (
            b'<RunCompletionStatus xmlns="urn:x"><RunStatus>RunCompleted</RunStatus></RunCompletionStatus>',
            End.COMPLETED,
        ),
    ],
)
def test_how_a_run_ended(status: bytes, end: End) -> None:
    assert completion_status.read_status(status, "RunCompletionStatus.xml").end is end


def test_the_instruments_own_words_are_kept_on_one_line_and_short() -> None:
    error = layouts.run_status(
        "RunErrored", "Illumina.RecipeExecutionFailed", "I/O data\r\n\tintegrity " + "x" * 9000
    )
    words = completion_status.read_status(error, "RunCompletionStatus.xml").words
    assert words.startswith(
        "RunCompletionStatus.xml: RunErrored: Illumina.RecipeExecutionFailed: I/O data integrity xx"
    )
    assert len(words) < 400 and words.isprintable()


@pytest.mark.parametrize(
    ("job", "end"),
    [
        (b"<AnalysisJobInfo></AnalysisJobInfo>", End.COMPLETED),
        (b"<AnalysisJobInfo><Error>Sequencing failed</Error></AnalysisJobInfo>", End.FAILED),
        (b"<AnalysisJobInfo><Warning>Stuff went wrong</Warning></AnalysisJobInfo>", End.COMPLETED),
        (b"<Other/>", End.UNKNOWN),
    ],
)
def test_a_miseqs_analysis_job(job: bytes, end: End) -> None:
    assert completion_status.read_job(job, "CompletedJobInfo.xml").end is end


def test_run_info_with_an_unknown_naming_of_tiles_promises_nothing() -> None:
    content = layouts.run_info("230105_VH00123_17_AAC2KYHM5", tiles=["1_1101", "1_s3_77"])
    assert run_info.read_run_info(content).lanes == {}


def test_run_info_with_a_layout_that_cannot_be_promises_nothing() -> None:
    for layout in ((0, 2, 1, 2), (99999999999, 2, 1, 2), (17, 1, 1, 1), (1, 99999, 9, 9)):
        assert (
            run_info.read_run_info(layouts.run_info("230105_VH00123_17_AAC2KYHM5", layout=layout)).lanes == {}
        )


def test_the_old_form_of_reads() -> None:
    content = (
        b'<RunInfo><Run Id="r" Number="1"><Reads><Read Number="1" FirstCycle="1" LastCycle="76" /><Read Number="2"'
        b' FirstCycle="77" LastCycle="152" /></Reads></Run></RunInfo>'
    )
    assert run_info.read_run_info(content).cycles == 152


def test_run_info_promises_no_more_than_a_run_can_have() -> None:
    """What is promised is held in memory, file by file: a number of nine digits must not be."""
    content = layouts.run_info("230105_VH00123_17_AAC2KYHM5")
    for hostile in (
        content.replace(b'NumCycles="3"', b'NumCycles="999999999"', 1),
        content.replace(b"<Reads>", b"<Reads>" + b'<Read NumCycles="1" />' * 40),
        content.replace(b"<Reads>", b"<Reads>" + b'<Read NumCycles="3000" />' * 4),
    ):
        with pytest.raises(MalformedFile, match="more reads or cycles than any run"):
            run_info.read_run_info(hostile)
    many = [f"{lane}_1101" for lane in range(1, 60)]
    assert run_info.read_run_info(layouts.run_info("230105_VH00123_17_AAC2KYHM5", tiles=many)).lanes == {}


@pytest.mark.parametrize(
    ("parser", "content"),
    [
        (sample_sheet.read_sheet, b"[Header]\n[Data]\nSample_ID\n" + b"a\n" * 2_000_000),
        (sample_sheet.read_sheet, b"[Header]\r[Data]\rSample_ID\r" + b"a\r" * 2_000_000),
        (final_summary.read_output_hash, b"file_path\n" + b"a/b\n" * 8_000_000),
        (final_summary.count_samples, b"flow_cell_id\n" + b"a\n" * 2_000_000),
        (
            lambda content: read_transferdone(content, "m1"),
            b"Transfer Manifest nfiles: 9\n" + b"\n" * 4_000_000,
        ),
    ],
)
def test_many_short_lines_cost_no_memory(
    parser: collections.abc.Callable[[bytes], object], content: bytes
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedFile, match="has more than .* lines"):
            parser(content)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(content)
    finally:
        tracemalloc.stop()


def transfer(content: bytes) -> object:
    return read_transferdone(content, "m1")


PARSERS: list[collections.abc.Callable[[bytes], object]] = [
    run_info.read_run_info,
    run_parameters.read_run_parameters,
    sample_sheet.read_sheet,
    final_summary.read_final_summary,
    final_summary.read_output_hash,
    final_summary.count_samples,
    transfer,
]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xff\xfe\x00",
        b"\xfe\xff\xd8\x00",
        b'"' * 200_000,
        b"," * 100_000,
        b'"' + b"x" * 300_000,
        b"<RunInfo/>",
        b"<RunParameters>",
        b"[Data]\r\n",
        b"[Header]\n\0\0\0,\n",
        b"file_path\n../../etc/passwd\n",
        b"file_hash,file_path\nonly-one-cell\n",
        b"pod5_files_in_final_dest=many\nflow_cell_id=x",
        b"Transfer Manifest nfiles: 2\n/data/icc/m1/../../etc/passwd\n",
        b"Transfer Manifest nfiles: 2\n/data/icc/m1/a.bam\n",
    ],
)
def test_a_parser_gives_a_value_or_a_problem(
    parser: collections.abc.Callable[[bytes], object], content: bytes
) -> None:
    try:
        parser(content)
    except MalformedFile as problem:
        assert str(problem)


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    for parser in PARSERS:
        for prefix in (
            b"",
            b"[Header]\n[Data]\nSample_ID,index\n",
            b"<RunInfo><Run>",
            b"Transfer Manifest nfiles: 1\n",
        ):
            try:
                parser(prefix + content)
            except MalformedFile:
                pass
    completion_status.read_status(content, "x")
    decode(content)


def test_a_list_of_transferred_files_that_was_cut_claims_nothing() -> None:
    head = b"Transfer Manifest nfiles: 2\nAcqId 1 transfer list size : 2\n"
    whole = head + b"/data/icc/m1/a/m1.bam\n/data/icc/m1/b/m1.xml\n"
    assert read_transferdone(whole, "m1").files == ("a/m1.bam", "b/m1.xml")
    for cut in (whole[:-24], whole.replace(b"nfiles: 2", b"nfiles: 3"), whole.replace(b"/m1/b", b"/m2/b")):
        with pytest.raises(MalformedFile):
            read_transferdone(cut, "m1")
