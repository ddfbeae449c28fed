"""Each command takes the options that it honours, before and after its name, and refuses the others."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sync_to_azure.cli.click_options import CLICK_OPTIONS, EVERY, honoured
from sync_to_azure.cli.program import MODULES, PROGRAM, HonouringCommand, group
from sync_to_azure.settings.options import BY_KEY, EVERYDAY, OPTIONS

Run = Callable[..., Any]
NAMES = sorted(name for names in MODULES.values() for name in names)
OWN_WORDS: Mapping[str, tuple[str, ...]] = {
    "report": ("--output", "x"),
    **dict.fromkeys(("restore", "explain", "hold", "ignore", "retry", "release", "accept"), ("R",)),
}
CONFIG = "main-folder = {folder}/main\ncontainer-name = runs\nstorage-account = lake\nstate-file = {folder}/l.sqlite\n"


def words_of(name: str) -> list[str]:
    """The option as a person gives it."""
    option = BY_KEY[name.replace("_", "-")]
    if option.flag:
        return [f"--{option.key}"]
    return [f"--{option.key}", option.choices[0] if option.choices else "1"]


def command(name: str) -> HonouringCommand:
    found = group.get_command(click.Context(group), name)
    assert isinstance(found, HonouringCommand)
    return found


def parsed(name: str, before: list[str], after: list[str]) -> dict[str, object]:
    """What the command would hand to the settings; UsageError where it refuses."""
    with group.make_context(PROGRAM, [*before, name]) as parent:
        its = command(name)
        with its.make_context(name, [*OWN_WORDS.get(name, ()), *after], parent=parent) as ctx:
            return its.options_given(ctx)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_honours_is_taken_before_and_after_its_name(name: str) -> None:
    for option in command(name).honours:
        words = words_of(option)
        assert parsed(name, words, []).keys() == parsed(name, [], words).keys() == {option}


@pytest.mark.parametrize("name", NAMES)
def test_all_else_is_refused_before_and_after_its_name(name: str) -> None:
    for option in EVERY - command(name).honours:
        key = option.replace("_", "-")
        for before, after in ((words_of(option), []), ([], words_of(option))):
            with pytest.raises(click.UsageError) as caught:
                parsed(name, before, after)
            assert caught.value.exit_code == 2
            assert caught.value.message.startswith(f"'{name}' does not take --{key}, which is for a pass. ")
            assert len(caught.value.message.split(". ", 1)[1]) > 15, "what to do instead"


def test_off_switches_are_refused_too() -> None:
    with pytest.raises(click.UsageError, match="does not take --dry-run"):
        parsed("hold", [], ["--no-dry-run"])
    with pytest.raises(click.UsageError, match="does not take --dry-run, --timeout, which are for a pass"):
        parsed("hold", ["--no-dry-run", "--timeout", "5"], [])


def test_what_nobody_knows_is_not_called_an_option_of_a_pass() -> None:
    for word in ("--dry", "--dry-rum", "--main", "-n"):
        with pytest.raises(click.NoSuchOption):
            parsed("hold", [], [word])


def shown(*words: str) -> set[str]:
    """Names of the options of the table that a page of help shows."""
    outcome = CliRunner().invoke(group, list(words), prog_name=PROGRAM, terminal_width=100)
    assert outcome.exit_code == 0, outcome.output
    return {
        option.name for option in OPTIONS if re.search(rf"^  --{option.key}\b(?!-)", outcome.output, re.M)
    }


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_what_it_honours_and_nothing_else(name: str) -> None:
    obsolete = {option.name for option in OPTIONS if option.obsolete}
    assert shown(name, "--help-all") == command(name).honours - obsolete
    everyday = {BY_KEY[key].name for key in EVERYDAY}
    assert shown(name, "--help") == command(name).honours & everyday


def test_each_option_is_honoured_by_the_pass_and_by_settings() -> None:
    assert command("settings").honours == EVERY == {param.name for param in group.params} - {"version"}
    assert {option.name for option in OPTIONS if option.on_command_line} == EVERY == set(CLICK_OPTIONS)


def test_a_group_or_a_key_that_is_none_is_a_fault_at_once() -> None:
    with pytest.raises(KeyError):
        honoured(["main-foldr"])


def test_the_modules_define_the_commands_that_they_are_listed_for() -> None:
    for name in NAMES:
        command(name)
    assert sorted(group.commands) == NAMES


def test_commands_are_imported_only_when_called() -> None:
    code = (
        "import sys; from sync_to_azure import cli; cli.main(['--version']); cli.main(['settings']);"
        " print(*sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = process.stdout.split()
    assert "sync_to_azure.cli.show_settings" in loaded
    assert "sync_to_azure.cli.transfer" not in loaded
    assert not [name for name in loaded if name.startswith("sync_to_azure.transfer")]


@pytest.mark.parametrize(
    "words", [("--dry-run", "hold", "R"), ("hold", "R", "--dry-run"), ("hold", "--dry-run", "R")]
)
def test_hold_with_dry_run_holds_nothing(run_command: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "main" / "R").mkdir(parents=True)
    config = CONFIG.format(folder=tmp_path)
    outcome = run_command(*words, config=config)
    assert outcome.returncode == 2 and outcome.stdout == ""
    assert "'hold' does not take --dry-run" in outcome.stderr and "'release' undoes this" in outcome.stderr
    assert not (tmp_path / "l.sqlite").exists()


def test_the_file_and_the_environment_may_hold_what_another_command_honours(
    run_command: Run, tmp_path: Path
) -> None:
    (tmp_path / "main" / "R").mkdir(parents=True)
    config = CONFIG.format(folder=tmp_path) + "dry-run = true\nverify = listed\n"
    outcome = run_command(
        "hold", "R", "--reason", "x", config=config, environment={"SYNC_TO_AZURE_TIMEOUT": "9"}
    )
    assert outcome.returncode == 0, outcome.output
    assert "R is held" in outcome.stdout


def test_a_secret_that_is_refused_is_not_repeated(run_command: Run, tmp_path: Path) -> None:
    outcome = run_command("status", "--smtp-password", "hunter2", "--ping", "https://hc/hunter3")
    assert outcome.returncode == 2 and "hunter" not in outcome.output
