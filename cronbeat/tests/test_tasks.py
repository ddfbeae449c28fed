"""The tasks file: what it may say, and how plainly it is told what is wrong with it."""

from __future__ import annotations

import json

import pytest
from cronbeat import tasks, units
from cronbeat.errors import ConfigurationError


def parse(content: object) -> tasks.TasksFile:
    return tasks.parse(content if isinstance(content, str) else json.dumps(content), "/etc/tasks.json")


def test_the_predecessors_file_is_understood() -> None:
    file = parse(
        {
            "nextseq": {"commands": [["sync", "-c", "a.cfg"], ["true"]], "pid": "lock"},
            "b": {"commands": [["x"]]},
        }
    )
    assert file.tasks["nextseq"] == tasks.Task("nextseq", (("sync", "-c", "a.cfg"), ("true",)), lock="lock")
    assert file.tasks["b"].timeout is None and not file.problems


def test_broken_json_is_told_with_line_and_column() -> None:
    with pytest.raises(ConfigurationError, match=r"/etc/tasks.json: line 2, column 8: is not JSON"):
        parse('{\n  "a": }')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is not an object of tasks"),
        ('{"a": {"commands": [["x"]]}, "a": {"commands": [["y"]]}}', "the name 'a' stands there twice"),
        ("9" * 5000, "a number that is too long"),
        ("[" * 100_000, "nested too deeply|is not JSON"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({}, "has no 'commands'"),
        ({"commands": []}, "not a list with at least one command"),
        ({"commands": [[]]}, "command 1 is not a list of words"),
        ({"commands": [["x"], "ls -l"]}, 'command 2 is text.*"sh", "-c"'),
        ({"commands": [["sleep", 5]]}, "every word must be text in quotes, 5 is not"),
        ({"commands": [["a\0b"]]}, "no program can be given"),
        ({"commands": [["\ud800"]]}, "no program can be given"),
        ({"commands": [[""]]}, "the program's name is empty"),
        (
            {"commands": [["x"]], "expected_evry": "1h"},
            "unknown key 'expected_evry'; did you mean 'expected_every'",
        ),
        ({"commands": [["x"]], "timeout": "soon"}, "'timeout' is not a duration"),
        ({"commands": [["x"]], "timeout": True}, "'timeout' is not a duration"),
        ({"commands": [["x"]], "timeout": 0}, "'timeout' must be above 0"),
        ({"commands": [["x"]], "pid": 7}, "'pid' is not the name of a lock"),
        ({"commands": [["x"]], "ping": "ftp://x"}, "'ping' is not an http"),
        (["x"], "is not an object"),
    ],
)
def test_a_faulty_task_spoils_only_itself(definition: object, said: str) -> None:
    file = parse({"good": {"commands": [["true"]]}, "bad": definition})
    assert file.task("good").commands == (("true",),)
    with pytest.raises(ConfigurationError, match=said):
        file.task("bad")


def test_an_unknown_task_suggests_a_near_one() -> None:
    file = parse({"nextseq": {"commands": [["x"]]}, "miseq": {"commands": [["x"]]}})
    with pytest.raises(ConfigurationError, match="no task 'nextsek'; did you mean 'nextseq'"):
        file.task("nextsek")
    with pytest.raises(ConfigurationError, match="its tasks: nextseq, miseq"):
        file.task("qqq")


def test_notes_are_allowed() -> None:
    assert parse({"a": {"commands": [["x"]], "comment": "why", "_by": "me"}}).tasks


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", 90), ("1.5h", 5400), ("15m", 900), ("2 d", 172800)]
)
def test_durations(text: object, seconds: float) -> None:
    assert units.duration(text) == seconds


def test_spoken_durations() -> None:
    spoken = [units.spoken(each) for each in (0.04, 7, 59, 200, 7500, 360000)]
    assert spoken == ["0 s", "7 s", "59 s", "3 min 20 s", "2 h 5 min", "4 d 4 h"]
