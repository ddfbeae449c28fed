"""A pass unchanged looks at no file inside published runs, and at no container: its cost does not grow with
what is on record. benchmarks/idle_pass.py shows the same for 1,000 runs, with strace and a clock."""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import typing

import pytest
from azure.storage.blob import ContainerClient

from benchmarks.flow import PublishedFlow, write_flow
from embedded.azurite import Azurite
from embedded.tools import PROJECT
from tests.conftest import RunCommand

RUNS, FILES = 50, 3

# Python runs a module of this name at its start, in our own command as in any. open, scandir and connect are seen by
# an audit hook; stat has no audit event, so the functions themselves tell.
_WATCH = """
import atexit, json, os, sys
main = os.fsencode(os.environ["WATCH_MAIN_FOLDER"]) + b"/"
listed, inside, network = [], [], []

def path_of(path):
    if isinstance(path, (str, bytes, os.PathLike)):
        raw = os.fsencode(path)
        if raw.startswith(main):
            return os.fsdecode(raw[len(main):])

def hook(event, arguments):
    if event in ("os.scandir", "os.listdir", "open"):
        path = path_of(arguments[0])
        if path:
            listed.append(path)
    elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        network.append(event)

def watched(function):
    def call(path, *arguments, **options):
        below = path_of(path)
        if below and "/" in below:
            inside.append(below)
        return function(path, *arguments, **options)
    return call

def tell():
    with open(os.environ["WATCH_REPORT"], "w") as report:
        azure = [name for name in sys.modules if name.partition(".")[0] in ("azure", "msal")]
        json.dump({"listed": listed, "inside": inside, "network": network, "azure": azure}, report)

for name in ("stat", "lstat", "access", "readlink"):
    setattr(os, name, watched(getattr(os, name)))
sys.addaudithook(hook)
atexit.register(tell)
"""


class Watched(typing.NamedTuple):
    """Paths below the main folder: folders that were listed or opened, and what was asked for by name inside runs."""

    output: str
    listed: list[str]
    inside: list[str]
    network: list[str]
    azure: list[str]


Pass = collections.abc.Callable[..., Watched]


@pytest.fixture
def flow(azurite: Azurite, container: ContainerClient, tmp_path: pathlib.Path) -> PublishedFlow:
    folder = tmp_path / "flow"
    folder.mkdir()
    return write_flow(folder, azurite.endpoint, str(container.container_name), RUNS, FILES, container)


@pytest.fixture
def watched_pass(
    run_command: RunCommand, everyday: dict[str, object], flow: PublishedFlow, tmp_path: pathlib.Path
) -> Pass:
    site, report = tmp_path / "site", tmp_path / "report.json"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_WATCH, encoding="utf-8")
    everyday |= {"main-folder": flow.main_folder, "state-file": flow.state_file}
    del everyday["completion-flag"]

    def run(*arguments: str) -> Watched:
        environment = {
            "PYTHONPATH": f"{site}{os.pathsep}{PROJECT}",
            "WATCH_MAIN_FOLDER": str(flow.main_folder),
            "WATCH_REPORT": str(report),
        }
        outcome = run_command(*arguments, config=everyday, environment=environment)
        assert outcome.returncode == 0, outcome.output
        return Watched(outcome.output, **json.loads(report.read_text(encoding="utf-8")))

    return run


def test_an_idle_pass_looks_inside_no_run_and_calls_nobody(watched_pass: Pass) -> None:
    seen = watched_pass()
    assert f"{RUNS} unchanged" in seen.output
    assert (seen.listed, seen.inside, seen.network, seen.azure) == ([], [], [], [])


def test_a_run_whose_folder_was_touched_is_walked_alone(watched_pass: Pass, flow: PublishedFlow) -> None:
    touched = flow.runs[7]
    os.utime(flow.main_folder / touched, (1_700_000_000, 1_700_000_000))
    seen = watched_pass()
    assert {path.partition("/")[0] for path in seen.listed} == {touched}
    assert (seen.network, seen.azure) == ([], [])
    again = watched_pass()
    assert (again.listed, again.inside) == ([], [])


def test_a_thorough_pass_walks_and_lists_them_all(watched_pass: Pass, flow: PublishedFlow) -> None:
    seen = watched_pass("--thorough")
    assert {path.partition("/")[0] for path in seen.listed} == set(flow.runs)
    assert "socket.connect" in seen.network
    assert seen.output.count(f"{FILES} of {FILES} files verified") == RUNS
