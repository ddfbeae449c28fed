"""The stores that the contract is held against: each test runs once for each of them."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest

from tests.contract.stores.bench import Bench, LocalBench


@pytest.fixture(params=["local"])
def bench(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> collections.abc.Iterator[Bench]:
    """An empty store."""
    folder = tmp_path / "store"
    folder.mkdir()
    yield LocalBench(folder)


@pytest.fixture
def local(tmp_path: pathlib.Path) -> LocalBench:
    """For what only a store in a folder can meet."""
    folder = tmp_path / "store"
    folder.mkdir()
    return LocalBench(folder)
