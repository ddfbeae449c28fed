"""The pure functions of names, by thousands of examples each."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies

from sync_to_azure.core import names
from tests.passes.names import odd

MANY = hypothesis.settings(max_examples=3000, deadline=None)

PART = (
    strategies.lists(strategies.sampled_from(odd.PIECES), min_size=1, max_size=8).map(b"".join)
    | strategies.binary(min_size=1, max_size=60).map(lambda raw: raw.replace(b"\0", b"0").replace(b"/", b"_"))
    | strategies.integers(1, 1100).map(lambda length: b"x" * length)
    | strategies.integers(1, 600).map(lambda length: "😀".encode() * length)
).filter(lambda part: part not in (b".", b".."))
PATH = strategies.lists(PART, min_size=1, max_size=6).map(b"/".join) | strategies.integers(1, 300).map(
    lambda depth: b"/".join([b"d"] * depth)
)
PREFIX = strategies.sampled_from(["", "RUN/", "a/b/RUN/", "x" * 900 + "/RUN/", "😀/R/"])


@MANY
@hypothesis.given(PATH, PREFIX)
@hypothesis.example(b"a.", "")
@hypothesis.example(b"a./b", "")
@hypothesis.example(b"...", "R/")
@hypothesis.example(b".a", "R/")
@hypothesis.example("\ufeff".encode(), "")
@hypothesis.example(b"\xc0\xaf", "")  # a slash in UTF-8 that is longer than need be
@hypothesis.example(b"\xed\xa0\x80", "")  # half a surrogate pair
def test_a_path_becomes_the_blob_of_that_very_name_or_is_refused(path: bytes, prefix: str) -> None:
    name, reason = names.blob_name(path, prefix)
    assert (name is not None) == odd.may_be_a_blob(path, prefix)
    if name is None:
        assert reason and reason.isprintable()
    else:
        assert name.encode() == path and not reason


@MANY
@hypothesis.given(PATH, PREFIX, PREFIX)
def test_what_is_refused_in_one_place_is_not_saved_by_a_deeper_one(
    path: bytes, first: str, more: str
) -> None:
    if names.blob_name(path, first)[0] is None:
        assert names.blob_name(path, more + first)[0] is None


@MANY
@hypothesis.given(PART, PART)
@hypothesis.example(b"R", b"R.sync")
@hypothesis.example(b"R", b"R.files.jsonl")
def test_no_two_runs_fall_on_each_others_blobs(one: bytes, other: bytes) -> None:
    """Neither what stands beside a run (manifest, receipt, marker) nor what is below it can be another run's."""
    if one == other or names.run_name_problem(one) or names.run_name_problem(other):
        return
    beside = {one.decode() + suffix for suffix in names.PUBLISHED_SUFFIXES}
    others = {other.decode() + suffix for suffix in names.PUBLISHED_SUFFIXES} | {other.decode()}
    assert not beside & others
    assert not any(blob.startswith(other.decode() + "/") for blob in beside)


@MANY
@hypothesis.given(PART)
def test_a_run_that_can_be_carried_has_a_name_that_can_be_read_back(folder: bytes) -> None:
    problem = names.run_name_problem(folder)
    assert problem.isprintable()
    if not problem:
        assert names.blob_name(folder) == (folder.decode(), "")
        assert "\n" not in folder.decode() and "\r" not in folder.decode()


def read_line(line: str) -> tuple[str, str]:
    """A line of RUN.md5 as md5sum reads it: (sum, name)."""
    escaped = line.startswith("\\")
    md5, name = line.removeprefix("\\").removesuffix("\n").split("  ", 1)
    if not escaped:
        return md5, name
    plain, marks = "", {"\\": "\\", "n": "\n", "r": "\r"}
    letters = iter(name)
    for letter in letters:
        plain += marks[next(letters)] if letter == "\\" else letter
    return md5, plain


@MANY
@hypothesis.given(strategies.binary(min_size=16, max_size=16), strategies.text(min_size=1))
@hypothesis.example(bytes(16), "\\n\n\\\r")
def test_a_line_of_the_manifest_is_one_line_and_can_be_read_back(md5: bytes, name: str) -> None:
    line = names.md5_line(md5, name)
    assert line.count("\n") == 1 and line.endswith("\n") and "\r" not in line
    assert read_line(line) == (md5.hex(), name)


@MANY
@hypothesis.given(PATH)
def test_what_a_person_is_shown_names_each_byte(path: bytes) -> None:
    """What is not UTF-8 is shown as escapes; the rest as it is."""
    shown = names.shown(path)
    shown.encode("utf-8")
    try:
        assert shown == path.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in shown
