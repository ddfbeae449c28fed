"""What is said to AzCopy and what it says back, as pure functions."""

from __future__ import annotations

import json
import typing

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.uploaders import azcopy_words


def argv(**changes: typing.Any) -> list[str | bytes]:
    values: dict[str, typing.Any] = {
        "executable": "azcopy",
        "source": b"/main/r\xffn",
        "endpoint": "https://a.blob.core.windows.net",
        "container": "c",
        "destination": "d e/run",
        "query": "",
        "list_file": "/l",
        "log_level": "INFO",
        "cap_mbps": None,
        "uses_token": True,
    }
    return azcopy_words.copy_argv(**(values | changes))


def end_of_job(**values: object) -> str:
    content = {"JobStatus": "Completed", "TransfersCompleted": "3", "TransfersFailed": "0"} | values
    return json.dumps(
        {"MessageType": "EndOfJob", "MessageContent": json.dumps(content)}, separators=(",", ":")
    )


def test_the_address_is_quoted_and_the_source_is_not() -> None:
    said = argv(destination="a b/100%/ü#?", query="sv=1&sig=x%3D")
    assert said[:4] == [
        "azcopy",
        "copy",
        b"/main/r\xffn",
        "https://a.blob.core.windows.net/c/a%20b/100%25/%C3%BC%23%3F?sv=1&sig=x%3D",
    ]
    assert {"--put-md5", "--put-blob-size-mb=256", "--overwrite=false", "--from-to=LocalBlob"} <= set(said)


def test_a_job_writes_its_nonce_into_the_metadata_of_its_blobs() -> None:
    assert "--metadata=sync_to_azure_job=abc" in argv(nonce="abc")


def test_a_token_goes_only_where_it_is_trusted() -> None:
    trusted = "--trusted-microsoft-suffixes="
    assert not [each for each in argv() if str(each).startswith(trusted)]
    assert trusted + "localhost:10000" in argv(endpoint="https://localhost:10000")
    assert trusted + "evilcore.windows.net" in argv(endpoint="https://evilcore.windows.net")
    assert not [
        each
        for each in argv(endpoint="https://localhost:1", uses_token=False)
        if str(each).startswith(trusted)
    ]


def test_a_cap_is_given_only_if_there_is_one() -> None:
    assert "--cap-mbps=12.5" in argv(cap_mbps=12.5)
    assert not [each for each in argv() if str(each).startswith("--cap")]


def test_the_environment_has_this_login_only_and_none_of_our_settings() -> None:
    ours = {
        "PATH": "/bin",
        "AZCOPY_CONCURRENCY_VALUE": "7",
        "AZCOPY_AUTO_LOGIN_TYPE": "MSI",
        "AZCOPY_SPA_CLIENT_SECRET": "old",
        "AZCOPY_TENANT_ID": "old",
        "SYNC_TO_AZURE_SMTP_PASSWORD": "secret",
    }
    made = azcopy_words.environment(ours, {"AZCOPY_AUTO_LOGIN_TYPE": "SPN"}, "/p", "/l", 3)
    assert made == {
        "PATH": "/bin",
        "AZCOPY_CONCURRENCY_VALUE": "7",
        "AZCOPY_CONCURRENT_FILES": "3",
        "AZCOPY_BUFFER_GB": "1",
        "AZCOPY_AUTO_LOGIN_TYPE": "SPN",
        "AZCOPY_JOB_PLAN_LOCATION": "/p",
        "AZCOPY_LOG_LOCATION": "/l",
        "AZCOPY_DISABLE_SYSLOG": "true",
    }


@pytest.mark.parametrize(
    ("buffers", "bound"),
    [
        (None, 256),
        ("", 256),
        ("1", 256),
        ("64", 256),
        ("0.25", 179),
        ("0.02", 14),
        ("0.001", 1),
        ("0", 1),
        ("-3", 1),
        ("lots", 256),
        ("nan", 256),
        ("inf", 256),
        ("1e400", 256),
    ],
)
def test_a_put_blob_fits_into_the_memory_that_an_administrator_gives(buffers: str | None, bound: int) -> None:
    ours = {} if buffers is None else {"AZCOPY_BUFFER_GB": buffers}
    assert azcopy_words.put_blob_mib(ours) == bound
    assert azcopy_words.environment(ours, {}, "/p", "/l", 3)["AZCOPY_BUFFER_GB"] == (buffers or "1")


def test_a_tier_is_given_only_if_there_is_one() -> None:
    assert "--block-blob-tier=Cool" in argv(tier="cool")
    assert not [each for each in argv() if str(each).startswith("--block-blob-tier")]


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("azcopy version 10.32.2\n", (10, 32, 2)),
        ("INFO: a newer one is there: 11.0.0\nazcopy version 10.9.0-preview", (10, 9, 0)),
        ("sh: azcopy: not found", None),
        ("", None),
    ],
)
def test_versions(output: str, version: "tuple[int, ...] | None") -> None:
    assert azcopy_words.version_of(output) == version


def test_a_report_with_numbers_as_text_or_as_numbers() -> None:
    said = azcopy_words.parse(
        end_of_job(TransfersFailed=2, TotalBytesTransferred="99", SkippedSymlinkCount=None)
    )
    assert said.report is not None
    assert (said.report.completed, said.report.failed, said.report.bytes_done) == (3, 2, 99)
    assert said.report.skipped_links == 0


def test_failed_files_are_named_and_only_a_few() -> None:
    failures = [{"Src": f"/f{number}", "ErrorCode": 403} for number in range(50)]
    said = azcopy_words.parse(end_of_job(FailedTransfers=failures))
    assert said.report is not None
    assert said.report.failures == tuple(f"/f{number} (error 403)" for number in range(5))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "panic: runtime error",
        "[" * 100_000,
        "null",
        '"x"',
        "{}",
        '{"MessageType":"EndOfJob"}',
        '{"MessageType":"EndOfJob","MessageContent":"not json"}',
        '{"MessageType":"Progress","MessageContent":"[]"}',
        '{"MessageType":"Progress","MessageContent":"{\\"TransfersCompleted\\":1e400}"}',
        '{"MessageType":"Progress","MessageContent":"{\\"FailedTransfers\\":[5]}"}',
        '{"MessageType":"Progress","MessageContent":"' + "[" * 100_000 + '"}',
    ],
)
def test_odd_lines_are_odd_and_no_error(line: str) -> None:
    said = azcopy_words.parse(line)
    assert (said.kind, said.report) == ("odd", None)


@hypothesis.given(strategies.text(max_size=80))
def test_no_line_breaks_the_reader(line: str) -> None:
    azcopy_words.parse(line)
    azcopy_words.parse(json.dumps({"MessageType": "EndOfJob", "MessageContent": line}))


def test_a_summary_that_was_too_long_to_keep_still_tells_its_numbers() -> None:
    whole = end_of_job(
        TransfersFailed="900000",
        FailedTransfers=[{"Src": f"/very/long/{number}"} for number in range(5000)],
        SkippedSpecialFileCount="4",
    )
    said = azcopy_words.parse(whole[:2000] + " ... " + whole[-2000:])
    assert said.report is not None and said.report.final
    assert (said.report.completed, said.report.failed, said.report.skipped_special) == (3, 900_000, 4)


def test_what_ends_well_has_no_findings() -> None:
    assert azcopy_words.findings(azcopy_words.parse(end_of_job()).report, 0, 3) == []


@pytest.mark.parametrize(
    ("values", "code", "word"),
    [
        ({"TransfersCompleted": "0"}, 0, "sent 0 of 3"),
        ({"TransfersCompleted": "2", "TransfersSkipped": "1"}, 0, "1 files were skipped"),
        ({"TransfersCompleted": "2", "SkippedSpecialFileCount": "1"}, 0, "1 files were skipped"),
        ({"JobStatus": "CompletedWithErrors", "TransfersFailed": "1"}, 1, "1 transfers failed"),
        ({"JobStatus": "Cancelled"}, 1, "Cancelled"),
        ({}, 1, "exit code 1"),
    ],
)
def test_findings(values: dict[str, object], code: int, word: str) -> None:
    assert word in "; ".join(azcopy_words.findings(azcopy_words.parse(end_of_job(**values)).report, code, 3))


def test_no_summary_is_a_finding_and_a_panic_is_named() -> None:
    assert "panic" in azcopy_words.findings(None, 2, 3)[0]
    assert azcopy_words.findings(None, 0, 3) == ["AzCopy ended with exit code 0 and no summary"]


def test_paths_that_a_line_of_a_list_cannot_hold() -> None:
    for path in (b"a\nb", b"a\rb", b"a\r", b"\xef\xbb\xbfa"):
        assert not azcopy_words.can_be_listed(path)
    for path in (b" a ", b"a b", b"%20", b"#", "ä".encode(), b"-x", b"{a}"):
        assert azcopy_words.can_be_listed(path)
