"""The catalogue in a file of SQLite, in WAL mode: one writes, any number read meanwhile.

What is searched for is three characters or more, anywhere in a version's words: FTS5 keeps which versions have which
three characters in a row (``trigram``, ``detail=none``), and ``instr`` then looks whether they
stand one after the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sync_to_azure.catalogue.db import schema
from sync_to_azure.catalogue.db.applying import Applying
from sync_to_azure.catalogue.db.base import Row
from sync_to_azure.catalogue.db.inventories import Inventories
from sync_to_azure.catalogue.db.looking import Looking
from sync_to_azure.catalogue.db.rows import VERSION_COLUMNS
from sync_to_azure.core.errors import StateUnavailable

_INSERT = (
    f"INSERT INTO version ({', '.join(VERSION_COLUMNS)}) VALUES ({', '.join('?' * len(VERSION_COLUMNS))})"
)
_INDEX = "INSERT INTO search (rowid, words) VALUES (?, ?)"
_UNINDEX = "INSERT INTO search (search, rowid, words) VALUES ('delete', ?, ?)"
_WAL_TRIES = 200
"""Ten seconds."""
_WAIT = 60.0
"""Seconds for which another writer is waited for."""


class SqliteCatalogue(Applying, Inventories, Looking):
    kind = "sqlite"

    def __init__(self, path: Path, create: bool) -> None:
        self.shown = str(path)
        if not path.exists():
            if not create:
                raise StateUnavailable(
                    f"there is no catalogue at {path}", "make one: sync_to_azure catalogue init, or inventory"
                )
            self._make(path)
        with self._errors():
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _make(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Names of files are nobody else's business.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StateUnavailable(
                f"the catalogue {path} cannot be made: {error.strerror}", "name another --database"
            ) from error

    def _prepare(self) -> None:
        connection = self._connection
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "catalogue_migration" not in tables:
            raise StateUnavailable(
                f"{self.shown} is a database of another program", "name another --database"
            )
        _to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -64000")
        # Without it a transaction of a million rows keeps its pages for ever.
        connection.execute("PRAGMA journal_size_limit = 67108864")
        schema.migrate(self, "sqlite", is_new="catalogue_migration" not in tables)

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:
            # Within another one, which is as a whole or not at all.
            yield
            return
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._errors():
                self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def all(self, statement: str, *parameters: Any) -> list[Row]:
        with self._errors():
            return self._connection.execute(statement, parameters).fetchall()

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self._errors():
                self._connection.executemany(statement, rows)

    def script(self, text: str) -> None:
        """Statements that end in ``;``, within the transaction that is open."""
        for part in text.split(";"):
            if part.strip():
                self.all(part)

    def stream(self, statement: str, *parameters: Any) -> Iterator[Row]:
        with self._errors():
            yield from self._connection.execute(statement, parameters)

    def at_names(
        self, columns: str, table: str, store_id: int, names: Sequence[str], where: str
    ) -> list[Row]:
        """One look for each name: CROSS JOIN keeps the order."""
        return self.all(
            f"SELECT {columns} FROM json_each(?) j CROSS JOIN {table} v WHERE v.store_id = ?"
            f" AND {_AT_NAME[table]} {where}",
            json.dumps(names),
            store_id,
        )

    def in_numbers(self, columns: str, table: str, numbers: Sequence[int], key: str = "number") -> list[Row]:
        if not numbers:
            return []
        return self.all(
            f"SELECT {columns} FROM {table} WHERE {key} IN (SELECT value FROM json_each(?)) AND {key} IS NOT NULL",
            json.dumps(list(numbers)),
        )

    def insert_versions(self, rows: Sequence[Row]) -> None:
        self.many(_INSERT, rows)
        self.many(_INDEX, [(row[0], row[-1]) for row in rows])

    def reindex(self, rows: Sequence[tuple[int, str, str]]) -> None:
        self.many(_UNINDEX, [(number, before) for number, before, _ in rows])
        self.many(_INDEX, [(number, now) for number, _, now in rows])
        self.many("UPDATE version SET words = ? WHERE number = ?", [(now, number) for number, _, now in rows])

    def unindex(self, rows: Sequence[tuple[int, str]]) -> None:
        self.many(_UNINDEX, rows)

    def drop_search_index(self) -> None:
        self.do("INSERT INTO search (search) VALUES ('delete-all')")

    def driven(self, texts: Sequence[str]) -> tuple[str, str, list[str], list[Any]]:
        parts = dict.fromkeys(text[at : at + 3] for text in texts for at in range(len(text) - 2))
        exact, values = ["instr(v.words, ?) > 0"] * len(texts), list(texts)
        if not parts:
            return "version v", "v.number", exact, values
        match = " AND ".join(f'"{part}"' for part in parts)
        source = "search q CROSS JOIN version v ON v.number = q.rowid"
        return source, "q.rowid", ["q.search MATCH ?", *exact], [match, *values]

    def columns_of(self, view: str) -> Iterable[Row]:
        return self.all("SELECT name FROM pragma_table_info(?)", view)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None) or 0
            if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                advice = "it is filled again from the stores: move it away, and run inventory"
            elif code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                advice = f"another process wrote for more than {_WAIT:.0f} s: try again"
            else:
                advice = "check free space and permissions"
            raise StateUnavailable(f"the catalogue {self.shown} cannot be used: {error}", advice) from error


def _to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait by itself for others who do the same at this moment."""
    for _ in range(_WAL_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)
    connection.execute("PRAGMA journal_mode = WAL")


_AT_NAME = {
    "version": "v.name = j.value",
    "tombstone": "substr(v.name, 1, 500) = substr(j.value, 1, 500) AND v.name = j.value",
}
