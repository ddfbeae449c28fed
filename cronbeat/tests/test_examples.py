"""The examples and the README say what is true."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
from cronbeat import settings, tasks
from cronbeat.cli import group
from harness import Beat

ROOM = pathlib.Path(__file__).resolve().parent.parent
README = (ROOM / "README.md").read_text(encoding="utf-8")


def test_the_example_tasks_can_be_run() -> None:
    file = tasks.load(str(ROOM / "examples" / "tasks.json"))
    assert not file.problems
    assert file.task("nextseq").commands[0][0] == "sync_to_azure"
    assert all(task.timeout and task.expected_every for task in file.tasks.values())


def test_the_example_ini_is_understood(beat: Beat) -> None:
    text = (ROOM / "examples" / "cronbeat.ini").read_text(encoding="utf-8")
    (beat.home / ".cronbeat.ini").write_text(text, encoding="utf-8")
    ended = beat("list")
    assert ended.code == 0
    assert "/etc/cronbeat/tasks.json: there is no such file" in ended.stderr
    assert "unknown" not in ended.stderr


def test_the_example_crontab_names_tasks_and_commands_that_exist() -> None:
    known = tasks.load(str(ROOM / "examples" / "tasks.json")).tasks
    for line in (ROOM / "examples" / "crontab").read_text(encoding="utf-8").splitlines():
        if "cronbeat" in line and not line.startswith(("#", "PATH")):
            program, command, *rest = line.split()[5:]
            assert program == "cronbeat" and command in group.commands
            assert command != "run" or rest[-1] in known


def test_the_command_and_a_link_with_the_predecessors_name(beat: Beat) -> None:
    beat.write({"a": {"commands": [["true"]]}})
    command = pathlib.Path(sys.executable).parent / "cronbeat"
    link = beat.home / "cronbeat.py"
    link.symlink_to(command)
    for each in (command, link):
        environment = {"HOME": str(beat.home), "PATH": "/usr/bin:/bin"}
        subprocess.run([each, "run", beat.tasks, "a"], env=environment, cwd=beat.home, check=True)
    assert beat.runs() == [("a", "ok", 0)] * 2


def test_the_readmes_tasks_file_is_understood() -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    file = tasks.parse(text, "README.md")
    assert file.tasks and not file.problems


@pytest.mark.parametrize("key", [*tasks.KEYS, *settings.READERS])
def test_every_key_is_in_the_readme(key: str) -> None:
    assert f"`{key}`" in README


@pytest.mark.parametrize("name", list(group.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"cronbeat {name}" in README
