"""A ledger of a month, its report, and the browser that looks at it; one of each for all tests of a worker."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import subprocess
import sys
import time

import pytest

from embedded.tools import PROJECT
from sync_to_azure.transfer.ledger import Ledger
from tests.conftest import LONG
from tests.transfer.report import lively
from tests.transfer.report.browser import Browser, browser


@dataclasses.dataclass
class Lab:
    """``ledger`` may be written to; ``report`` writes the pages anew into ``output``."""

    folder: pathlib.Path
    config: dict[str, object]
    ledger: Ledger
    names: list[str]

    @property
    def output(self) -> pathlib.Path:
        return self.folder / "report"

    @property
    def main_folder(self) -> pathlib.Path:
        return pathlib.Path(str(self.config["main-folder"]))

    def report(self, *arguments: object, expect: int = 0) -> "subprocess.CompletedProcess[str]":
        path = self.folder / "sequencers.cfg"
        path.write_text("".join(f"{key} = {value}\n" for key, value in self.config.items()), "utf-8")
        command = [sys.executable, "-m", "sync_to_azure", "--config-file", path, "report"]
        if "--output" not in arguments:
            command += ["--output", self.output]
        done = subprocess.run(
            [*map(str, command), *map(str, arguments)],
            cwd=PROJECT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def overview(self) -> str:
        return (self.output / "index.html").read_text("utf-8")

    def page(self, run: str) -> str:
        [path] = [path for path in (self.output / "runs").iterdir() if path.name[:-14] == run]
        return path.read_text("utf-8")


def new_lab(folder: pathlib.Path, days: int = 60) -> Lab:
    config = lively.config(folder)
    ledger = lively.open_ledger(config)
    return Lab(folder, config, ledger, lively.fill(ledger, time.time(), days))


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> collections.abc.Iterator[Lab]:
    made = new_lab(tmp_path, days=4)
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def month(
    tmp_path_factory: pytest.TempPathFactory, shared_runs: pathlib.Path
) -> collections.abc.Iterator[Lab]:
    """Sixty days, written once; nobody changes it."""
    made = new_lab(tmp_path_factory.mktemp("month"))
    [real] = (shared_runs / "runs").glob("*_M00146_*")
    lively.folders(made.main_folder, made.names, real)
    made.report()
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found
