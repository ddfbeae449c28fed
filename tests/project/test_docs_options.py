"""Holds azsync.cfg.example, `--help` and docs/configuration.md together with the table of options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sync_to_azure.cli.program import EXIT_CODES, PROGRAM, group
from sync_to_azure.settings import configfile
from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import GROUPS, OPTIONS
from sync_to_azure.settings import Settings, load
from sync_to_azure.settings.values import GROUP_TYPES

PROJECT = Path(__file__).parents[2]
EXAMPLE = (PROJECT / "azsync.cfg.example").read_text(encoding="utf-8")
DOCUMENT = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
DESIGN = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
KEYS_OF_FILE = [option for option in OPTIONS if option.in_file and not option.obsolete]


def one_line(text: str) -> str:
    return " ".join(text.split())


def example_blocks() -> dict[str, str]:
    """key -> the comment above it, of every `# key = value` line of the example."""
    blocks: dict[str, str] = {}
    comment: list[str] = []
    for line in EXAMPLE.splitlines():
        match = re.match(r"# ([a-z-]+) = ", line)
        if match:
            blocks[match[1]] = one_line(" ".join(comment))
        comment = [*comment, line.removeprefix("# ")] if line.startswith("# ") and not match else []
    return blocks


def uncommented() -> str:
    """The example as a person would have it who needs everything."""
    return re.sub(r"^# (?=[a-z-]+ = |    )", "", EXAMPLE, flags=re.MULTILINE)


@pytest.mark.parametrize("option", KEYS_OF_FILE, ids=lambda option: option.key)
def test_the_example_explains_each_key(option: Option) -> None:
    text = example_blocks()[option.key]
    assert option.help in text
    assert all(choice in text for choice in option.choices)
    if option.default is not None:
        assert f"Default: {option.default}." in text
        assert f"\n# {option.key} = {option.default}\n" in EXAMPLE


def test_the_example_has_no_other_keys_and_each_once() -> None:
    found = configfile.parse(uncommented(), "example").section("sync_to_azure")
    assert found.problems == ()
    assert list(found.entries) == [option.key for option in KEYS_OF_FILE]


def test_the_example_as_it_is_sets_nothing() -> None:
    assert configfile.parse(EXAMPLE, "example") == configfile.ConfigFile()


def test_the_example_is_accepted_as_a_whole(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("x~Q.client", encoding="utf-8")
    text = uncommented().replace("/etc/sync_to_azure/secret", str(secret))
    (tmp_path / "azsync.cfg").touch(mode=0o600)
    (tmp_path / "azsync.cfg").write_text(text, encoding="utf-8")
    settings = load({}, {}, tmp_path)
    # No file needs everything: these belong to another profile than the example's.
    assert {notice.key for notice in settings.notices} == {
        "only-of:project-glob",
        "only-of:blank-glob",
        "only-of:min-file-age",
    }
    assert settings.source.exclude == ("Thumbnail_Images", "*.tmp")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_the_document_has_each_key(option: Option) -> None:
    if option.obsolete:
        row = f"| `{option.key}` | {option.help} |"
    else:
        value = "yes or no" if option.flag else option.metavar.replace("|", " \\| ")
        default = f"`{option.default}`" if option.default is not None else ""
        row = f"| `{option.key}` | {value} | {default} | {option.help} |"
    assert row in DOCUMENT.splitlines()


def test_the_document_has_no_other_keys() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT, re.MULTILINE)
    logins = ["service-principal", "sas", "account-key", "default"]
    assert sorted(rows) == sorted([option.key for option in OPTIONS] + logins)


@pytest.mark.parametrize(("code", "meaning"), EXIT_CODES)
def test_exit_codes_are_the_same_everywhere(code: str, meaning: str) -> None:
    row = f"| {code} | {meaning} |"
    assert row in DOCUMENT and row in DESIGN


def test_help_shows_each_option_under_its_heading() -> None:
    text = CliRunner().invoke(group, ["--help"], prog_name=PROGRAM, terminal_width=100).output
    sections = dict(zip(*[iter(re.split(r"^([A-Z][a-z ]+):$", text, flags=re.MULTILINE)[1:])] * 2))
    for option in OPTIONS:
        if option.obsolete or not option.on_command_line:
            assert f"--{option.key}" not in text
            continue
        section = one_line(sections[GROUPS[option.group]])
        assert f"--{option.key} " in section
        assert option.help in section
        if option.flag:
            assert f"--{option.key} / --no-{option.key}" in section
        elif option.default is not None:
            assert f"[default: {option.default}]" in section
    for code, meaning in EXIT_CODES:
        assert f"{code} {meaning}" in one_line(sections["Exit codes"])


def test_every_option_is_a_field_of_its_group() -> None:
    others = {"notices", "notify_key_text", "origin", "secrets_around"}
    assert set(Settings.__dataclass_fields__) == GROUP_TYPES.keys() | others
    assert GROUP_TYPES.keys() == GROUPS.keys() - {"obsolete"}
    for group_name, kind in GROUP_TYPES.items():
        names = {option.name for option in OPTIONS if option.group == group_name}
        assert set(kind._fields) - {"family_flags"} == names
