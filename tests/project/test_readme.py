"""What README, CONTRIBUTING and the Makefile show a person holds."""

from __future__ import annotations

import configparser
import pathlib
import re
import subprocess
import typing

import pytest

from embedded.tools import PROJECT
from sync_to_azure.cli.program import EXIT_CODES

README = (PROJECT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_everyday_config_is_accepted(run_command: typing.Any, tmp_path: pathlib.Path) -> None:
    """As it stands, but for its absolute paths: they are given on the command line, which comes first."""
    (config,) = blocks(README, "ini")
    for name in ("main-folder", "samplesheet-folder"):
        (tmp_path / name).mkdir()
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("a secret that is never used: there is nothing to carry\n", encoding="utf-8")
    ended = run_command(
        *("--main-folder", tmp_path / "main-folder"),
        *("--samplesheet-folder", tmp_path / "samplesheet-folder"),
        *("--credentials", secret),
        *("--log-file", tmp_path / "log"),
        config=config,
    )
    assert ended.returncode == 0, ended.output


def test_every_key_of_the_everyday_config_is_an_option(run_command: typing.Any) -> None:
    (config,) = blocks(README, "ini")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("[everyday]\n" + config)
    shown = run_command("--help-all").stdout
    assert [key for key in parser["everyday"] if f"--{key}" not in shown] == []


def test_the_exit_codes_are_those_of_the_command() -> None:
    rows = re.findall(r"^\| (\d[\d, ]*) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [tuple(row) for row in EXIT_CODES]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_that_it_names_are_there(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    named = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert named
    assert [path for path in named if not (PROJECT / path).exists()] == []


def test_make_has_every_target_that_is_shown() -> None:
    commands = "\n".join(blocks(README, "sh") + blocks(CONTRIBUTING, "sh"))
    targets = set(re.findall(r"^make (\w+)", commands, re.MULTILINE))
    assert {"demo", "test", "format", "lint"} <= targets
    for target in sorted(targets):
        planned = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr


def test_make_help_prints_the_targets() -> None:
    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    for target in ("demo", "test", "format", "lint", "clean"):
        assert f"make {target}" in shown.stdout


def test_every_folder_of_the_product_is_a_package() -> None:
    """Otherwise the installed product lacks it, and only the tree that we test has it."""
    folders = {path.parent for path in (PROJECT / "sync_to_azure").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
