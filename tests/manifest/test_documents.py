"""What stands beside a published run, written and read back; and what is not ours refused."""

from __future__ import annotations

import json
import os

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.core.model import Evidence
from sync_to_azure.manifest.documents import (
    file_line,
    file_rows,
    parse_file_line,
    parse_receipt,
    receipt_text,
    time_in,
    time_ns,
    time_text,
)

INT64 = strategies.integers(-(2**63), 2**63 - 1)
PART = strategies.text(
    strategies.characters(blacklist_characters="\0/", blacklist_categories=("Cs",)), min_size=1, max_size=12
).filter(lambda part: part not in (".", ".."))
PATH = strategies.lists(PART, min_size=1, max_size=4).map("/".join)
ROWS = strategies.builds(
    FileRow,
    blob=PATH,
    path=PATH.map(str.encode),
    origin=strategies.just("run"),
    size=strategies.integers(0, 2**48),
    mtime_ns=INT64,
    md5=strategies.binary(min_size=16, max_size=16),
    evidence=strategies.sampled_from(Evidence),
    etag=strategies.text(strategies.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    generation=strategies.integers(1, 9),
)


@hypothesis.given(ROWS)
def test_a_line_comes_back_as_it_was(row: FileRow) -> None:
    line = file_line(row)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert parse_file_line(line.rstrip(b"\n"), row.generation) == row


@hypothesis.given(ROWS)
def test_a_line_of_a_sheet_keeps_its_origin(row: FileRow) -> None:
    line = file_line(FileRow(row.blob, b"run.csv", "sheet", 1, 1, row.md5, row.evidence, row.etag))
    back = parse_file_line(line, 1)
    assert (back.origin, back.blob) == ("sheet", row.blob)


@hypothesis.given(strategies.integers(-(10**22), 10**22))
@hypothesis.example(-(2**31) * 10**9)
@hypothesis.example(-1)
@hypothesis.example(253402300799 * 10**9 + 999_999_999)
@hypothesis.example(253402300800 * 10**9)
@hypothesis.example(-62135596800 * 10**9)
@hypothesis.example(-62135596801 * 10**9 + 5)
@hypothesis.example(-60000000000 * 10**9)
def test_times_of_all_ages_come_back_to_the_nanosecond(mtime_ns: int) -> None:
    assert time_ns(time_text(mtime_ns)) == mtime_ns


def test_times_are_iso_8601() -> None:
    assert time_text(1_600_000_000_123_456_789) == "2020-09-13T12:26:40.123456789Z"
    assert time_text(-(2**31) * 10**9) == "1901-12-13T20:45:52.000000000Z"
    assert time_ns("2020-09-13T12:26:40") == 1_600_000_000 * 10**9


GOOD = {
    "path": "a/b",
    "size": 1,
    "md5": "00" * 16,
    "mtime": "2020-09-13T12:26:40.123456789Z",
    "evidence": "validated",
    "etag": "x",
}


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../other run/file"},
        {"path": "a/../../b"},
        {"path": "/etc/passwd"},
        {"path": "a//b"},
        {"path": "a/./b"},
        {"path": ""},
        {"path": "a\0b"},
        {"path": "\ud800"},
        {"path": 5},
        {"path": None},
        {"source_path": "../other run/file"},
        {"source_path": "/etc/passwd"},
        {"size": -1},
        {"size": 2**48 + 1},
        {"size": 10**400},
        {"size": True},
        {"size": 1.0},
        {"size": float("nan")},
        {"size": float("inf")},
        {"size": "x"},
        {"md5": ""},
        {"md5": "00" * 15},
        {"md5": "zz" * 16},
        {"md5": None},
        {"mtime": 5},
        {"mtime": "yesterday"},
        {"mtime": "@99999999999999.0"},
        {"mtime": "@" + "9" * 4000},
        {"mtime": "2020-01-01T00:00:00.-1"},
        {"mtime": "99999-01-01T00:00:00"},
        {"path": "x" * 4097},
        {"etag": "x" * 257},
        {"etag": 5},
        {"more": "x" * 65_536},
        {"more": [[[]] * 2] * 40_000},
        {"evidence": "sworn"},
        {"evidence": None},
    ],
)
def test_a_line_that_names_something_else_than_a_file_of_the_run_is_refused(
    change: dict[str, object],
) -> None:
    parse_file_line(json.dumps(GOOD).encode(), 1)
    with pytest.raises(ValueError, match="not a line of a manifest"):
        parse_file_line(json.dumps(GOOD | change).encode(), 1)


def test_a_manifest_of_more_bytes_than_any_run_has_is_refused() -> None:
    """Their sum would overflow in the ledger, and with it every other run's pass."""
    line = json.dumps(GOOD | {"size": 2**48}).encode()
    rows = list(file_rows([line] * 4, 1))
    assert sum(row.size for row in rows) == 2**50
    with pytest.raises(ValueError, match="line 5: the files would have more than"):
        list(file_rows([line] * 5, 1))
    with pytest.raises(ValueError, match="line 2 is no line of a manifest"):
        list(file_rows([line, b"{}"], 1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2020-09-13T12:26:40+00:00", 1.6e9),
        ("2020-09-13T12:26:40Z", 1.6e9),
        ("@" + "9" * 60, None),
        ("@253402300800.0", None),
        ("1969-12-31T23:59:59+00:00", None),
        ("x" * 10_000, None),
        ("", None),
        (5, None),
        (1e300, None),
        (None, None),
    ],
)
def test_times_of_a_receipt_that_no_calendar_holds_count_as_not_said(
    text: object, seconds: float | None
) -> None:
    assert time_in({"times": {"published": text}}, "published") == seconds


@pytest.mark.parametrize("line", [b"", b"[]", b'"x"', b"5", b"null", b"\xff", b"{", b"[" * 100_000, b"{}"])
def test_a_line_that_is_nothing_of_ours_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a line of a manifest"):
        parse_file_line(line, 1)


@hypothesis.given(strategies.binary(max_size=60))
def test_no_bytes_break_the_readers(content: bytes) -> None:
    try:
        parse_file_line(content, 1)
    except ValueError:
        pass
    parse_receipt(content)


def test_a_receipt_comes_back_also_with_a_folder_that_is_not_utf_8() -> None:
    folder = os.fsdecode(b"/m\xff\xc3\xa4")
    values = {"generation": 1, "files": 2, "source": {"main_folder": folder}}
    text = receipt_text(values)
    text.decode("utf-8")
    assert parse_receipt(text) == {"schema": 1, **values}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"schema": 2}',
        b'{"schema": "1"}',
        b'{"schema": true}',
        b'{"schema": 1, "generation": "x"}',
        b'{"schema": 1, "files": -1}',
        b'{"schema": 1, "bytes": 1e400}',
        b'{"schema": 1, "bytes": 1125899906842625}',
        b'{"schema": 1, "generation": 9223372036854775807}',
        b'{"schema": 1, "generation": 1' + b"0" * 400 + b"}",
        b'{"schema": 1, "files": NaN}',
        b'{"schema": 1, "overrides": ["' + b"x" * 70_000 + b'"]}',
        b'{"schema": 1, "words": ' + b"[" * 50 + b"]" * 50 + b"}",
        b'{"schema": 1, "source": []}',
        b'{"schema": 1, "sha256": "x"}',
        b'{"schema": 1, "times": 5}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_receipt_of_ours(text: bytes) -> None:
    assert parse_receipt(text) is None
