"""The config file's grammar: what is a key, a value, a comment; and files that are no config file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_to_azure.settings import configfile
from sync_to_azure.core.errors import ConfigurationError


def parse(text: str) -> configfile.Section:
    """The section that is meant where no header stands."""
    return configfile.parse(text, "test.cfg").section("sync_to_azure")


def values(text: str) -> dict[str, tuple[str, ...]]:
    found = parse(text)
    assert found.problems == ()
    return {key: entry.values for key, entry in found.entries.items()}


def test_without_and_with_a_section_header() -> None:
    assert values("main-folder = /data\n") == values("[sync_to_azure]\nmain-folder = /data\n")
    assert values("[ Sync-To-Azure ]\na=b") == {"a": ("b",)}


def test_passwords_are_taken_as_they_are() -> None:
    text = "smtp-password = a%b%(c)s # not a comment ; nor this = \"'\nother: x=y\n"
    assert values(text) == {
        "smtp-password": ("a%b%(c)s # not a comment ; nor this = \"'",),
        "other": ("x=y",),
    }


def test_whole_line_comments_also_between_values() -> None:
    text = "# one\n; two\nexclude = a\n  # three\n\n  b\n\t c\n#d = e\n"
    assert values(text) == {"exclude": ("a", "b", "c")}


def test_values_can_begin_on_the_next_line_and_look_like_keys_or_sections() -> None:
    assert values("exclude =\n  a = b\n  [c]\nlast=") == {"exclude": ("a = b", "[c]"), "last": ()}


def test_an_evenly_indented_file_is_a_file() -> None:
    assert values("  a = 1\n  b = 2\n    3\n") == {"a": ("1",), "b": ("2", "3")}


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "windows.cfg"
    path.write_bytes("\ufeffmain-folder = /d\u00e4ta\r\nexclude = a\r\n  b\r\n".encode())
    entries = configfile.read(path, "windows.cfg").section("sync_to_azure").entries
    assert entries["main-folder"].values == ("/d\u00e4ta",)
    assert entries["exclude"].values == ("a", "b")
    assert entries["exclude"].origin == "windows.cfg line 2"


def test_files_put_together_have_a_byte_order_mark_each() -> None:
    found = configfile.parse("a = 1\n[catalogue]\nb = 2\n\ufeff[sync_to_azure]\n\ufeffc = 3\n", "x")
    assert found.problems == () and list(found.section("sync_to_azure").entries) == ["a", "c"]


@pytest.mark.parametrize("header", ["[sync_to_azure] # back", "[sync_to_azure", "[sync_to_azure] = x"])
def test_a_header_that_is_none_is_a_problem_of_the_whole_file(header: str) -> None:
    """In another component's section it would be that one's matter, and so would all our keys below it."""
    found = configfile.parse(f"[catalogue]\nb = 2\n{header}\nremove-source = no\n", "x")
    [(line, text)] = found.problems
    assert line == 3 and text == "x line 3: is no section: it must be [NAME] and nothing else"


def test_a_value_in_the_place_of_a_key_is_not_repeated_twice_either() -> None:
    found = parse("c2VjcmV0IHNlY3JldA==\nc2VjcmV0IHNlY3JldA==\n" + "x" * 50 + "=\n" + "x" * 50 + "=\n")
    assert "xxxx" not in str(found.problems) and len(found.problems) == 2


def test_only_line_feeds_end_a_line() -> None:
    assert values("a = x\u2028y\x0bz") == {"a": ("x\u2028y\x0bz",)}


def test_keys_in_capitals() -> None:
    assert values("Main-Folder = X") == {"main-folder": ("X",)}


def test_a_second_key_is_a_problem_and_the_first_counts() -> None:
    found = parse("a = 1\nb = 2\nA = 3\n  4\n")
    assert found.problems == ((3, "test.cfg line 3: key 'a' is on line 1 already; remove one of them"),)
    assert found.entries["a"].values == ("1",)


def test_all_problems_of_a_section_are_found_over_all_its_pieces() -> None:
    found = parse("hunter2\n= 3\n[other]\nx = 1\ny\n[sync_to_azure]\nz = 1\nz = 2\n")
    assert [line for line, _ in found.problems] == [1, 2, 8]
    assert all(text.startswith(f"test.cfg line {line}: ") for line, text in found.problems)
    assert list(found.entries) == ["z"]
    assert "hunter2" not in str(found.problems)


def test_sections_by_name_with_the_line_of_their_first_header() -> None:
    found = configfile.parse(
        "a = 1\n[Catalogue]\nb = 2\n[ family  NextSeq-2000 ]\n[catalogue]\nc = 3\nd\n", "x"
    )
    assert [(name, section.line) for name, section in found.sections.items()] == [
        ("sync_to_azure", 0),
        ("catalogue", 2),
        ("family nextseq_2000", 4),
    ]
    assert list(found.section("catalogue").entries) == ["b", "c"]
    assert [line for line, _ in found.section("catalogue").problems] == [7]
    assert found.section("catalogue").shown == "[Catalogue]"
    assert found.section("stream") == configfile.Section()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"main-folder = \xff\xfe", "line 1 is not UTF-8"),
        (b"a = 1\nb = caf\xe9\n", "line 2 is not UTF-8"),
        ("a = 1".encode("utf-16"), "is UTF-16"),
        (b"\x7fELF\0\0\0", "is binary"),
        (b"#" * (configfile.LARGEST + 1), "is larger than 1 MiB"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.cfg"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"config file bad.cfg: {words}"):
        configfile.read(path, "bad.cfg")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, words in [
        (tmp_path, "is a folder"),
        (tmp_path / "none", "there is no such file"),
        (tmp_path / "loop", "cannot be read"),
        (Path("/dev/zero"), "is binary"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            configfile.read(path, "x")


def test_an_empty_file_is_a_file() -> None:
    assert configfile.read(Path("/dev/null"), "null") == configfile.ConfigFile()
