"""The catalogue in PostgreSQL, for more than one machine; in a schema of its own. psycopg is imported here alone (extra
``catalogue``). pg_trgm answers what SQLite's FTS5 does: three characters anywhere in a version's words.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from sync_to_azure.catalogue.db import schema
from sync_to_azure.catalogue.db.applying import Applying
from sync_to_azure.catalogue.db.base import Row
from sync_to_azure.catalogue.db.inventories import Inventories
from sync_to_azure.catalogue.db.looking import Looking
from sync_to_azure.catalogue.db.port import Inventory
from sync_to_azure.catalogue.db.rows import VERSION_COLUMNS
from sync_to_azure.core.errors import ConfigurationError, StateUnavailable

SCHEMA = "sync_to_azure_catalogue"
_INDEXED = 500
"""Characters of a name that an index holds."""
_CONNECT = 20
"""Seconds."""
_LOCK = 0x53594E43
"""Whoever looks for the schema, and makes it."""
_COPY = f"COPY version ({', '.join(VERSION_COLUMNS)}) FROM STDIN"


class PostgresqlCatalogue(Applying, Inventories, Looking):
    kind = "postgresql"

    def __init__(self, address: str, create: bool) -> None:
        try:
            import psycopg
        except ImportError:
            raise ConfigurationError(
                "a catalogue in PostgreSQL needs psycopg, which is not installed",
                "pip install 'sync_to_azure[catalogue]'",
            ) from None
        self._psycopg = psycopg
        self.shown = without_password(address)
        with self._errors():
            self._connection = psycopg.connect(address, autocommit=True, connect_timeout=_CONNECT)
        try:
            # CREATE … IF NOT EXISTS fails where another session does the same at that moment.
            self.do("SELECT pg_advisory_lock(?)", _LOCK)
            self._prepare(create)
            self.do("SELECT pg_advisory_unlock(?)", _LOCK)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, create: bool) -> None:
        is_there = self.all("SELECT 1 FROM pg_namespace WHERE nspname = ?", SCHEMA)
        if not is_there and not create:
            raise StateUnavailable(
                f"there is no catalogue at {self.shown}",
                "make one: sync_to_azure catalogue init, or inventory",
            )
        if not is_there:
            self.do(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            self.do("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        self.do(f"SET search_path TO {SCHEMA}, public")
        known = self.all(
            "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'catalogue_migration'", SCHEMA
        )
        schema.migrate(self, "postgresql", is_new=not known)

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with self._errors(), self._connection.transaction():
            yield

    def all(self, statement: str, *parameters: Any) -> list[Row]:
        with self._errors():
            cursor = self._connection.execute(_placed(statement), parameters)
            return cursor.fetchall() if cursor.description is not None else []

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self._errors(), self._connection.cursor() as cursor:
                cursor.executemany(_placed(statement), rows)

    def script(self, text: str) -> None:
        with self._errors():
            self._connection.execute(text.encode())

    def stream(self, statement: str, *parameters: Any) -> Iterator[Row]:
        with self.transaction(), self._connection.cursor("catalogue_stream") as cursor:
            cursor.itersize = 2000
            cursor.execute(_placed(statement), parameters)
            yield from cursor

    def at_names(
        self, columns: str, table: str, store_id: int, names: Sequence[str], where: str
    ) -> list[Row]:
        if not names:
            return []
        begins = [name[:_INDEXED] for name in names]
        statement = f"SELECT {columns} FROM {table} v WHERE v.store_id = ? AND substr(v.name, 1, 500) = ANY(?) {where}"
        if all(len(begin) < _INDEXED for begin in begins):
            return self.all(statement, store_id, begins)
        return self.all(f"{statement} AND v.name = ANY(?)", store_id, begins, list(names))

    def in_numbers(self, columns: str, table: str, numbers: Sequence[int], key: str = "number") -> list[Row]:
        if not numbers:
            return []
        return self.all(f"SELECT {columns} FROM {table} WHERE {key} = ANY(?)", list(numbers))

    def insert_versions(self, rows: Sequence[Row]) -> None:
        with self._errors(), self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)

    def reindex(self, rows: Sequence[tuple[int, str, str]]) -> None:
        self.many("UPDATE version SET words = ? WHERE number = ?", [(now, number) for number, _, now in rows])

    def driven(self, texts: Sequence[str]) -> tuple[str, str, list[str], list[Any]]:
        # Words are letters, digits and spaces: none of LIKE's own characters.
        return "version v", "v.number", ["v.words LIKE ?"] * len(texts), [f"%{text}%" for text in texts]

    def finish_inventory(self, inventory: Inventory, outcome: str, now: float) -> None:
        super().finish_inventory(inventory, outcome, now)
        # What is not in the index yet is looked through by each search.
        self.do("SELECT gin_clean_pending_list('version_search')")

    def columns_of(self, view: str) -> Iterable[Row]:
        return self.all(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?"
            " ORDER BY ordinal_position",
            *(SCHEMA, view),
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.ProgrammingError as error:
            raise ConfigurationError(
                f"database {self.shown}: {_first_line(error)}", "give postgresql://USER@HOST/DATABASE"
            ) from error
        except self._psycopg.Error as error:
            raise StateUnavailable(
                f"the catalogue {self.shown} cannot be used: {_first_line(error)}",
                "does the server answer, and may this user log in and write there?",
            ) from error


def without_password(address: str) -> str:
    """The address as messages show it."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return f"{parts.scheme}://{user + '@' if user else ''}{host}{parts.path}"


@functools.cache
def _placed(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
