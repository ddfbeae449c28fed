"""A store in a folder and an empty catalogue."""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib

import pytest

from sync_to_azure.catalogue.db.opening import open_catalogue
from sync_to_azure.catalogue.db.port import Catalogue


@pytest.fixture
def catalogue(tmp_path: pathlib.Path) -> collections.abc.Iterator[Catalogue]:
    with contextlib.closing(open_catalogue(str(tmp_path / "catalogue.sqlite"), create=True)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "store"
    made.mkdir()
    return made
