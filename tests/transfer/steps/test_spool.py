"""A manifest of somebody else must not fill the disk on which the ledger lies: that would stop every run."""

from __future__ import annotations

import pathlib
import shutil
import types
import typing

import pytest

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import DocumentTooLarge, RunError
from sync_to_azure.transfer.steps.spool import must_have_room


def test_there_is_room_for_it_four_times(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = types.SimpleNamespace(path=tmp_path / "ledger.sqlite")
    rooms: typing.Any = types.SimpleNamespace(ledger=ledger)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=4000))
    must_have_room(rooms, "R.files.jsonl", 1000)
    with pytest.raises(RunError, match="R.files.jsonl has .* must be free in"):
        must_have_room(rooms, "R.files.jsonl", 1001)
    with pytest.raises(DocumentTooLarge, match="has 1,073,741,825 bytes"):
        must_have_room(rooms, "R.files.jsonl", bounded.MOST_MANIFEST + 1)
