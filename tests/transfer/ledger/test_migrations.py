"""Ledgers of earlier versions: what they hold is found under the names of today."""

from __future__ import annotations

import collections.abc
import pathlib
import sqlite3

import pytest

from sync_to_azure.core.model import State
from sync_to_azure.transfer.ledger import Flow, Ledger, overrides
from sync_to_azure.transfer.ledger.migrations import MIGRATIONS
from sync_to_azure.transfer.ledger.reader import open_reading
from sync_to_azure.transfer.ledger.stability import Stability

FLOW = Flow("/main", "https://account.blob.core.windows.net", "container", "dest")


def write_ledger(path: pathlib.Path, before: str, rows: collections.abc.Sequence[str]) -> None:
    """A ledger as it was before the migration ``before``, with a flow, a run and ``rows``."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE migration (name TEXT PRIMARY KEY)")
    for name, script in MIGRATIONS.items():
        if name == before:
            break
        connection.executescript(script)
        connection.execute("INSERT INTO migration VALUES (?)", (name,))
    connection.execute(
        "INSERT INTO flow (id, key, main_folder, endpoint, container, destination) VALUES (1, ?, ?, ?, ?, ?)",
        (FLOW.key, FLOW.main_folder, FLOW.endpoint, FLOW.container, FLOW.destination),
    )
    connection.execute(
        "INSERT INTO run (id, flow_id, key, state, since, first_seen) VALUES (1, 1, 'R', 'published', 5.0, 4.0)"
    )
    for row in rows:
        connection.execute(row)
    connection.close()


def test_0019_plain_names(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger"
    write_ledger(
        path,
        "0019_plain_names",
        [
            "UPDATE run SET lake_known = 1, taken_over = 1, rows_kept = 0, outcome_words = 'RunInfo.xml: ok'",
            "UPDATE flow SET trouble_mailed = 1",
            "INSERT INTO told VALUES (1, 'stray:x', 6.0), (1, 'mail:unavailable:StorageUnavailable', 7.0)",
            "INSERT INTO still VALUES (1, 'a.raw', 2, 3, 4, 8.0)",
            "INSERT INTO word (flow_id, key, word, by, at, reason, about, ended)"
            " VALUES (1, 'R', 'retry', 'anna@lab', 9.0, 'again', '{}', 'used'),"
            " (1, 'R', 'hold', 'anna@lab', 10.0, 'swapped', '{}', NULL)",
        ],
    )
    ledger = Ledger.open(path, FLOW)
    try:
        run = ledger.runs()["R"]
        assert (run.state, run.remote_state_current, run.foreign_blobs, run.manifest_cached) == (
            State.PUBLISHED,
            True,
            True,
            False,
        )
        assert run.outcome_detail == "RunInfo.xml: ok"
        assert ledger.problem_is_open()
        assert not ledger.report_once("stray:x", 11.0) and ledger.report_once("stray:y", 11.0)
        assert ledger.mailed() == {"unavailable:StorageUnavailable": 7.0}
        assert list(Stability(ledger).since(run)) == [("a.raw", 8.0)]
        current = overrides.current(ledger, "R")
        assert current is not None and (current.action, current.by, current.reason) == (
            "hold",
            "anna@lab",
            "swapped",
        )
        history = overrides.override_history(ledger.connection, ledger.flow_id, "R")
        assert [(each.action, each.ended) for each in history] == [("retry", "used"), ("hold", None)]
        with pytest.raises(sqlite3.IntegrityError):
            ledger.connection.execute(
                "INSERT INTO override (flow_id, key, action, by, at, reason, about)"
                " VALUES (1, 'R', 'ignore', 'b', 1.0, '', '{}')"
            )
    finally:
        ledger.close()


def test_0020_waiting_entries(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger"
    write_ledger(
        path,
        "0020_waiting_entries",
        ["INSERT INTO uncarried VALUES (1, x'61', 'waits', 1, 'too young'), (1, x'62', 'left', 1, '')"],
    )
    Ledger.open(path, FLOW).close()
    reader = open_reading(path, FLOW)
    assert reader is not None
    with reader:
        run = reader.run("R")
        assert run is not None
        assert [entry[:2] for entry in reader.uncarried(run)] == [("a", "waiting"), ("b", "left")]
