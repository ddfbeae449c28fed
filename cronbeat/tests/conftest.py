"""Fixtures of the real things in harness.py."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest
from harness import Beat, Receiver, end_all_in


@pytest.fixture
def receiver() -> collections.abc.Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def beat(tmp_path: pathlib.Path) -> collections.abc.Iterator[Beat]:
    command = Beat(tmp_path / "home")
    yield command
    for process in command.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    end_all_in(command.home)
