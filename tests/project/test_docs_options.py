"""Holds azsync.cfg.example, `--help` and docs/configuration.md together with the table of options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sync_to_azure.cli.program import EXIT_CODES, PROGRAM, group
from sync_to_azure.settings import configfile
from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import BY_KEY, EVERYDAY, GROUPS, OPTIONS
from sync_to_azure.settings import Settings, load
from sync_to_azure.settings.values import GROUP_TYPES

PROJECT = Path(__file__).parents[2]
EXAMPLE = (PROJECT / "azsync.cfg.example").read_text(encoding="utf-8")
DOCUMENT = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
DESIGN = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
KEYS_OF_FILE = [option for option in OPTIONS if option.in_file and not option.obsolete]


def one_line(text: str) -> str:
    return " ".join(text.split())


EVERYDAY_PART, *OTHER_PARTS = re.split(r"^## (?!Everyday)", EXAMPLE, flags=re.MULTILINE)


def example_blocks() -> dict[str, tuple[str, str]]:
    """key -> the line above it, and its value, of every `key = value` line of the example, commented out or not."""
    found: dict[str, tuple[str, str]] = {}
    for above, line in zip(EXAMPLE.splitlines(), EXAMPLE.splitlines()[1:]):
        if match := re.match(r"(?:# )?([a-z-]+) = (.*)", line):
            assert match[1] not in found
            found[match[1]] = above, match[2]
    return found


def uncommented() -> str:
    """The example as a person would have it who needs everything."""
    return re.sub(r"^# (?=[a-z-]+ = |    )", "", EXAMPLE, flags=re.MULTILINE)


def loaded(text: str, folder: Path) -> Settings:
    """Settings of an example that was copied to azsync.cfg, with a secret where it says that one is."""
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("x~Q.client", encoding="utf-8")
    config = folder / "azsync.cfg"
    config.touch(mode=0o600)
    config.write_text(text.replace("/etc/sync_to_azure/secret", str(secret)), encoding="utf-8")
    return load({}, {}, folder)


@pytest.mark.parametrize("option", KEYS_OF_FILE, ids=lambda option: option.key)
def test_the_example_explains_each_key_in_one_line(option: Option) -> None:
    text, value = example_blocks()[option.key]
    assert text.startswith(f"# {option.help}") and len(text) <= 120
    if not (option.choices and option.placeholder == "FAMILY"):  # 31 of them, in docs/instruments.md
        assert all(choice in text for choice in option.choices)
    if option.default is not None:
        assert text.endswith(f" Default: {option.default}.")
        assert value == option.default or option.key == "uploader"


def test_the_example_has_no_other_keys_and_each_once() -> None:
    found = configfile.parse(uncommented(), "example").section("sync_to_azure")
    assert found.problems == ()
    assert sorted(found.entries) == sorted(option.key for option in KEYS_OF_FILE)


def test_below_the_everyday_part_each_group_has_its_keys_commented_out() -> None:
    everyday = set(configfile.parse(EVERYDAY_PART, "example").section("sync_to_azure").entries)
    for part in OTHER_PARTS:
        heading, text = part.split("\n", 1)
        assert configfile.parse(text, "example") == configfile.ConfigFile()
        [group] = [name for name, its_heading in GROUPS.items() if its_heading == heading]
        keys = [option.key for option in KEYS_OF_FILE if option.group == group and option.key not in everyday]
        assert re.findall(r"^# ([a-z-]+) = ", text, re.MULTILINE) == keys


def test_the_example_as_it_is_holds_15_everyday_keys_and_works(tmp_path: Path) -> None:
    settings = loaded(EXAMPLE, tmp_path)
    assert settings.notices == ()
    given = [key for key, origin in settings.origin.items() if re.search(r"azsync\.cfg line \d+$", origin)]
    entries = configfile.parse(EXAMPLE, "example").section("sync_to_azure").entries
    assert sorted(given) == sorted(entries) and len(given) == 15
    assert settings.identity.auth == "service-principal" and settings.upload.uploader == "native"


def test_the_example_is_accepted_as_a_whole(tmp_path: Path) -> None:
    settings = loaded(uncommented(), tmp_path)
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
        row = f"| `{option.key}` | {value} | {default} | {option.explanation} |"
    assert row in DOCUMENT.splitlines()


def test_the_document_has_no_other_keys() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT, re.MULTILINE)
    logins = ["service-principal", "sas", "account-key", "default"]
    assert sorted(rows) == sorted([option.key for option in OPTIONS] + logins)


@pytest.mark.parametrize(("code", "meaning"), EXIT_CODES)
def test_exit_codes_are_the_same_everywhere(code: str, meaning: str) -> None:
    row = f"| {code} | {meaning} |"
    assert row in DOCUMENT and row in DESIGN


def sections(word: str) -> dict[str, str]:
    text = CliRunner().invoke(group, [word], prog_name=PROGRAM, terminal_width=100).output
    return dict(zip(*[iter(re.split(r"^([A-Z][a-z ]+):$", text, flags=re.MULTILINE)[1:])] * 2))


def test_help_all_shows_each_option_under_its_heading() -> None:
    found = sections("--help-all")
    for option in OPTIONS:
        if option.obsolete or not option.on_command_line:
            assert f"--{option.key}" not in "".join(found.values())
            continue
        section = one_line(found[GROUPS[option.group]])
        assert f"--{option.key} " in section
        assert one_line(option.explanation) in section.replace("- ", "-") or option.explanation in section
        if option.flag:
            assert f"--{option.key} / --no-{option.key}" in section
        elif option.default is not None:
            assert f"[default: {option.default}]" in section


@pytest.mark.parametrize("word", ["--help", "--help-all"])
def test_help_shows_the_exit_codes(word: str) -> None:
    for code, meaning in EXIT_CODES:
        assert f"{code} {meaning}" in one_line(sections(word)["Exit codes"])


def test_help_shows_everyday_options_with_their_defaults() -> None:
    section = one_line(sections("--help")["Everyday options"])
    for option in (BY_KEY[key] for key in EVERYDAY):
        assert f"--{option.key} " in section and option.help in section
        assert option.flag or option.default is None or f"[default: {option.default}]" in section


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_help_is_one_short_sentence(option: Option) -> None:
    assert option.obsolete or (len(option.help) <= 100 and option.help.endswith("."))


def test_every_option_is_a_field_of_its_group() -> None:
    others = {"notices", "notify_key_text", "origin", "foreign_secrets"}
    assert set(Settings.__dataclass_fields__) == GROUP_TYPES.keys() | others
    assert GROUP_TYPES.keys() == GROUPS.keys() - {"obsolete"}
    for group_name, kind in GROUP_TYPES.items():
        names = {option.name for option in OPTIONS if option.group == group_name}
        assert set(kind._fields) - {"family_flags"} == names
