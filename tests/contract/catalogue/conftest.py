"""The databases that the contract is held against: each test runs once for each of them."""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib
import uuid

import pytest

from embedded.postgresql import Postgresql, programs
from sync_to_azure.catalogue.db.opening import open_catalogue
from sync_to_azure.catalogue.db.port import Catalogue
from tests.contract.catalogue.shelf import Shelf

STORE = "https://lake.blob.core.windows.net/runs"


@pytest.fixture(scope="session")
def postgresql() -> collections.abc.Iterator[Postgresql]:
    """One server a worker of pytest-xdist; a database a test."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: embedded/bootstrap database")
    with Postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """Of a database that is not made yet."""
    if request.param == "sqlite":
        return str(tmp_path / f"catalogue-{uuid.uuid4().hex}.sqlite")
    return str(request.getfixturevalue("postgresql").create_database())


@pytest.fixture
def catalogue(address: str) -> collections.abc.Iterator[Catalogue]:
    """Empty."""
    with contextlib.closing(open_catalogue(address, create=True)) as opened:
        yield opened


@pytest.fixture
def shelf(catalogue: Catalogue) -> Shelf:
    return Shelf(catalogue, STORE)
