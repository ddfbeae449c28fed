"""The stores that the contract is held against: each test runs once for each of them."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.contract.stores.bench import AzureBench, Bench, LocalBench


@pytest.fixture(params=["local", "azure"])
def bench(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> collections.abc.Iterator[Bench]:
    """An empty store."""
    if request.param == "local":
        folder = tmp_path / "store"
        folder.mkdir()
        yield LocalBench(folder)
    else:
        yield AzureBench(request.getfixturevalue("azurite"), request.getfixturevalue("container"))


@pytest.fixture
def local(tmp_path: pathlib.Path) -> LocalBench:
    """For what only a store in a folder can meet."""
    folder = tmp_path / "store"
    folder.mkdir()
    return LocalBench(folder)


@pytest.fixture
def azure(azurite: Azurite, container: ContainerClient) -> AzureBench:
    """For what only a service can do."""
    return AzureBench(azurite, container)
