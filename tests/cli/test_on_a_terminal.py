"""`settings` and `check` on real terminals, narrow and wide, and through a pipe."""

from __future__ import annotations

import re
import subprocess
import sys
import typing

import pytest

from sync_to_azure.notify.terminal import columns
from tests.transfer.commands.test_status import on_a_terminal

LONG = "no identity gave a token: " + "a reason in many words, " * 6
ADVICE = "give tenant-id, application-id and credentials, run 'az login', or assign a managed identity"
SHOW_RESULT = f"""
from sync_to_azure.transfer.commands.check_output import show_result
show_result("ok", "state file", "made by the first pass", "")
show_result("WRONG", "login", {LONG!r}, {ADVICE!r})
"""
SETTINGS = ("--main-folder", "/data/runs", "--container-name", "runs", "--storage-account", "lake")


def command(name: str) -> list[str]:
    if name == "check":
        return [sys.executable, "-c", SHOW_RESULT]
    return [sys.executable, "-m", "sync_to_azure", *SETTINGS, "settings"]


def words(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).split()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["check", "settings"])
def test_it_fits_and_says_the_same_as_through_a_pipe(
    start_command: typing.Any, name: str, width: int
) -> None:
    environment = start_command.clean_environment() | {"TERM": "xterm"}
    piped = subprocess.run(command(name), capture_output=True, text=True, env=environment, check=True).stdout
    coloured = on_a_terminal(command(name), environment, width)
    plain = on_a_terminal(command(name), environment | {"NO_COLOR": "1"}, width)
    assert "\x1b" in coloured and "\x1b" not in plain and "\x1b" not in piped
    assert max(map(columns, plain.splitlines())) <= width
    assert words(coloured) == words(plain)
    headings = ["setting", "value", "from"] if name == "settings" else []
    assert words(plain) == headings + words(piped)


def test_through_a_pipe_a_result_and_its_advice_are_a_line_each(start_command: typing.Any) -> None:
    environment = start_command.clean_environment()
    piped = subprocess.run(command("check"), capture_output=True, text=True, env=environment, check=True)
    assert piped.stdout.splitlines() == [
        "ok     state file     made by the first pass",
        f"WRONG  login          {LONG}",
        f"{'':22}→ {ADVICE}",
    ]
