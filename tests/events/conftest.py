"""An outbox in a database of its own, and events to put into it."""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib
import sqlite3

import pytest

from sync_to_azure.events.outbox import SCHEMA_1, Outbox
from sync_to_azure.events.run_events import Destination, Document, RunPublished, RunRemoved

SOURCE = "/sync_to_azure/flow/0123456789abcdef"
DESTINATION = Destination("https://account.blob.core.windows.net", "container", "dest")


def published(run: str = "R", generation: int = 1) -> RunPublished:
    return RunPublished(
        run=run,
        generation=generation,
        destination=DESTINATION,
        manifest=Document(f"dest/{run}.files.jsonl", "a" * 64),
        receipt=Document(f"dest/{run}.json", "b" * 64),
        files=3,
        bytes=42,
        weakest_evidence="validated",
        outcome="finished",
        profile="generic",
        is_adopted=False,
    )


def removed(run: str = "R") -> RunRemoved:
    return RunRemoved(run=run, generation=1, destination=DESTINATION, receipt=None, files=3, bytes=42)


class Base:
    """A database with the outbox's schema; ``outbox()`` opens it once more, as another process would."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.connection = self.connect()
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(SCHEMA_1)
        self.outbox = Outbox(self.connection, SOURCE)

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, timeout=60.0)

    @contextlib.contextmanager
    def transaction(self) -> collections.abc.Iterator[sqlite3.Connection]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise

    def rows(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM outbox_event").fetchone()[0])


@pytest.fixture
def base(tmp_path: pathlib.Path) -> collections.abc.Iterator[Base]:
    made = Base(tmp_path / "base.sqlite")
    yield made
    made.connection.close()
