"""Names: what Linux allows becomes a blob name and back, or is refused with a reason; md5sum reads what is written."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.core import names

# Every byte but the two that no Linux name holds.
PART = strategies.binary(min_size=1, max_size=40).map(
    lambda raw: raw.replace(b"\0", b"a").replace(b"/", b"b")
)
PATH = strategies.lists(PART, min_size=1, max_size=4).map(b"/".join)
TEXT_PART = strategies.text(
    strategies.characters(blacklist_characters="\0/", blacklist_categories=("Cs",)), min_size=1, max_size=30
)


@hypothesis.given(PATH)
@hypothesis.example(b"a\xff")
@hypothesis.example("\ufeffa\u2028\x85\x7f".encode())
@hypothesis.example(b"\xed\xa0\x80")
@hypothesis.example(b"a\\b")
def test_every_name_is_a_blob_name_and_back_or_is_refused_with_a_reason(path: bytes) -> None:
    name, reason = names.blob_name(path)
    if name is None:
        assert reason
    else:
        assert not reason
        assert name.encode() == path
        assert "\\" not in name


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (b"\xff", "UTF-8"),
        (b"a\\b", "backslash"),
        (b"a\x01b", "control"),
        (b"a\x1f", "control"),
        ("\ufffe".encode(), "control"),
        (b"x" * 1025, "longer"),
        (b"/".join([b"x"] * 255), "parts"),
    ],
)
def test_what_is_refused_says_why(path: bytes, word: str) -> None:
    name, reason = names.blob_name(path)
    assert name is None
    assert word in reason


def test_the_prefix_and_the_width_of_characters_count_for_the_limits() -> None:
    assert names.blob_name(b"x" * 1020, "run/")[0]
    assert names.blob_name(b"x" * 1021, "run/")[0] is None
    # An emoji is two of Azure's characters (UTF-16).
    assert names.blob_name("😀".encode() * 512)[0]
    assert names.blob_name("😀".encode() * 512 + b"x")[0] is None
    assert names.blob_name(b"/".join([b"x"] * 253), "run/")[0]
    assert names.blob_name(b"/".join([b"x"] * 254), "run/")[0] is None


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(strategies.lists(TEXT_PART, min_size=1, max_size=8, unique=True))
@hypothesis.example(
    ["a\rb", "end\r", "\r", "a\nb", "\n", "a\r\n", "\\n", "\\", " lead", "tail ", "*", "(x)", "-"]
)
def test_the_real_md5sum_checks_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("md5sum")
    run = folder / "R"
    run.mkdir()
    lines = []
    for part in parts:
        raw = part.encode()
        if raw in (b".", b"..") or len(raw) > 255:
            continue
        content = b"content of " + raw
        with open(os.path.join(os.fsencode(run), raw), "wb") as handle:
            handle.write(content)
        lines.append(names.md5_line(hashlib.md5(content).digest(), f"R/{part}"))
    hypothesis.assume(lines)
    sums = folder / "R.md5"
    sums.write_bytes("".join(lines).encode())
    check = ["md5sum", "--check", "--strict", "--quiet", "R.md5"]
    done = subprocess.run(check, cwd=folder, capture_output=True, env=os.environ | {"LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, b"")
    # It is able to fail.
    first = next(run.iterdir())
    first.write_bytes(b"other")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    "folder",
    [
        ".snapshot",
        "~SNAPSHOT",
        "$Recycle.Bin",
        "system volume information",
        "@eaDir",
        "lost+found",
        ".Trash-1000",
    ],
)
def test_folders_that_are_never_runs(folder: str) -> None:
    assert names.is_never_a_run(folder)


def test_our_own_aside_folder_is_no_run_and_others_are() -> None:
    assert names.is_never_a_run(names.ASIDE_PREFIX + "230101_M00001")
    assert not names.is_never_a_run("230101_M00001_0001_000000000-ABCDE")
    assert not names.is_never_a_run("snapshot")


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "THUMBS.DB", ".nfs0000001", ".NFS1", "~$Report.docx", ".ds_store"]
)
def test_junk(name: str) -> None:
    assert names.is_junk(name)


@pytest.mark.parametrize(
    "name", ["Thumbs.db.bak", "xThumbs.db", "nfs1", "~Report.docx", "a~$b", "DS_Store", "Thumbs.db\n"]
)
def test_what_only_looks_like_junk_is_data(name: str) -> None:
    assert not names.is_junk(name)


@pytest.mark.parametrize(
    ("folder", "word"),
    [
        (b"a\nb", "line break"),
        (b"a\rb", "line break"),
        (b"run.", "dot"),
        (b"run.sync", ".sync"),
        (b"run.files.jsonl", ".files.jsonl"),
        (b"run.md5", ".md5"),
        (b"run\xff", "UTF-8"),
        (b"run\x07", "control"),
        (b".sync_to_azure-check", ".sync_to_azure"),
        (b".sync_to_azure-claim-run", ".sync_to_azure"),
        (b".SYNC_to_azure-removing-run", ".sync_to_azure"),
        (b".sync_to_azure.part", ".sync_to_azure"),
    ],
)
def test_run_names_that_cannot_be_carried(folder: bytes, word: str) -> None:
    assert word in names.run_name_problem(folder)


def test_ordinary_run_names_are_fine() -> None:
    for name in ("230101_M00001_0001_000000000-ABCDE", "Plättchen 3 (neu)", "x.d", "a+b&c%20"):
        assert names.run_name_problem(name.encode()) == ""


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("*.tmp", "a/b/c.tmp", True),
        ("*.tmp", "c.TMP", False),
        ("Logs", "Data/Logs/one.log", True),
        ("Logs", "Data/Logs2/one.log", False),
        ("Logs/", "Data/Logs/one.log", True),
        ("/Logs", "Logs/one.log", True),
        ("/Logs", "Data/Logs/one.log", False),
        ("Data/*.bin", "Data/deep/er/x.bin", True),
        ("Data/*.bin", "Other/Data/x.bin", False),
        ("Data/Intensities", "Data/Intensities/L001/x", True),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("a?c", "a\nc", True),
        ("", "x", False),
    ],
)
def test_exclude_rules(pattern: str, path: str, excluded: bool) -> None:
    assert names.ExcludeRules([pattern]).rule_for(path) == (pattern if excluded else None)


def test_the_first_rule_that_matches_is_named() -> None:
    rules = names.ExcludeRules(["no", "*.log", "a/*"])
    assert rules.rule_for("a/x.log") == "*.log"
    assert rules.rule_for("a/x") == "a/*"
    assert names.ExcludeRules([]).rule_for("a") is None


@hypothesis.given(strategies.text(max_size=20), PATH)
def test_no_pattern_and_no_path_break_the_rules(pattern: str, path: bytes) -> None:
    rule = names.ExcludeRules([pattern]).rule_for(os.fsdecode(path))
    assert rule in (None, pattern)


@hypothesis.given(PATH)
def test_shown_is_always_text_that_can_be_written(path: bytes) -> None:
    assert names.shown(path).encode("utf-8")


def test_shown_names_the_bytes_that_are_no_text() -> None:
    assert names.shown(b"a\xffb") == "a\\xffb"
    assert names.shown("ä".encode()) == "ä"
    assert pathlib.PurePath(names.shown(b"x")) == pathlib.PurePath("x")
