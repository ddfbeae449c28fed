"""What the two databases share: statements, stores and runs. Each is written once, with the placeholder ``?``."""

from __future__ import annotations

import abc
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sync_to_azure.catalogue.db.port import Inventory, StoreStatus
from sync_to_azure.catalogue.db.rows import words_of
from sync_to_azure.catalogue.model import Applied, Checksum, Provenance, RunRecord, StoreAddress
from sync_to_azure.core.model import Evidence

BATCH = 5000
"""Rows that are taken at once where many are changed or read."""
INVENTORY_COLUMNS = (
    "id, store_id, prefix, began, store_began, token, listed, new, changed, gone, restored,"
    " unchanged, outcome, finished"
)
Row = tuple[Any, ...]


class Base(abc.ABC):
    kind: str
    shown: str

    # What a database does in its own way

    @abc.abstractmethod
    def all(self, statement: str, *parameters: Any) -> list[Row]:
        """Rows of a statement."""

    @abc.abstractmethod
    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """A statement, once for each row."""

    @abc.abstractmethod
    def stream(self, statement: str, *parameters: Any) -> Iterator[Row]:
        """As ``all``, without ever having more than some of the rows; within it nothing else is asked."""

    @abc.abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[None]: ...

    @abc.abstractmethod
    def at_names(
        self, columns: str, table: str, store_id: int, names: Sequence[str], where: str
    ) -> list[Row]:
        """Rows of ``table v`` in a store with one of these names."""

    @abc.abstractmethod
    def in_numbers(self, columns: str, table: str, numbers: Sequence[int], key: str = "number") -> list[Row]:
        """Rows of a table with one of these numbers in the column ``key``."""

    @abc.abstractmethod
    def insert_versions(self, rows: Sequence[Row]) -> None:
        """Rows of ``version`` in the order of VERSION_COLUMNS, and their place in the index."""

    @abc.abstractmethod
    def reindex(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """(number, words as they were, words as they are now): in the table and in the index."""

    @abc.abstractmethod
    def driven(self, texts: Sequence[str]) -> tuple[str, str, list[str], list[Any]]:
        """Versions whose words hold all of these texts: (what is selected from, ``version v`` among it; by
        what the results are in order of their numbers; conditions; their parameters)."""

    # Built on these

    def one(self, statement: str, *parameters: Any) -> Row | None:
        rows = self.all(statement, *parameters)
        return rows[0] if rows else None

    def do(self, statement: str, *parameters: Any) -> None:
        self.all(statement, *parameters)

    def next_numbers(self, many: int) -> range:
        """Numbers for new versions. Whoever took some holds the counter until its transaction ends, so numbers become
        visible in their order."""
        self.do("UPDATE counter SET last = last + ?", many)
        row = self.one("SELECT last FROM counter")
        assert row is not None
        return range(int(row[0]) - many + 1, int(row[0]) + 1)

    def lock(self) -> None:
        """From here to the end of the transaction nobody else writes versions."""
        self.do("UPDATE counter SET last = last")

    # Stores

    def store_id(self, store: StoreAddress) -> int:
        self.do(
            "INSERT INTO store (address, kind, cloud, region) VALUES (?, ?, ?, ?) ON CONFLICT (address) DO NOTHING",
            store.address,
            store.kind,
            store.cloud,
            store.region,
        )
        if store.region:
            self.do("UPDATE store SET region = ? WHERE address = ?", store.region, store.address)
        row = self.one("SELECT id FROM store WHERE address = ?", store.address)
        assert row is not None
        return int(row[0])

    def address_of(self, store_id: int) -> str:
        row = self.one("SELECT address FROM store WHERE id = ?", store_id)
        assert row is not None
        return str(row[0])

    def stores(self) -> list[StoreStatus]:
        counted = {
            row[0]: row[1:]
            for row in self.all(
                "SELECT store_id, count(CASE WHEN deleted_at IS NULL THEN 1 END),"
                " coalesce(sum(CASE WHEN deleted_at IS NULL THEN size END), 0),"
                " count(deleted_at) FROM version WHERE is_current GROUP BY store_id"
            )
        }
        found = []
        for identity, address, kind in self.all("SELECT id, address, kind FROM store ORDER BY address"):
            objects, size, deleted = counted.get(identity, (0, 0, 0))
            last = self.one(
                f"SELECT {INVENTORY_COLUMNS} FROM inventory WHERE store_id = ? ORDER BY id DESC LIMIT 1",
                identity,
            )
            inventory = inventory_of(last) if last is not None else None
            found.append(StoreStatus(address, kind, int(objects), int(size), int(deleted), inventory))
        return found

    # Runs

    def receipt_of(self, store_id: int, base: str) -> str | None:
        row = self.one("SELECT receipt_sha256 FROM run WHERE store_id = ? AND base = ?", store_id, base)
        return None if row is None else str(row[0])

    def put_run(self, store_id: int, run: RunRecord) -> int:
        before = self.one("SELECT id, words FROM run WHERE store_id = ? AND base = ?", store_id, run.base)
        values = _run_values(run)
        if before is None:
            columns = ", ".join(values)
            marks = ", ".join("?" * (len(values) + 2))
            self.do(
                f"INSERT INTO run (store_id, base, {columns}) VALUES ({marks})",
                store_id,
                run.base,
                *values.values(),
            )
            row = self.one("SELECT id FROM run WHERE store_id = ? AND base = ?", store_id, run.base)
            assert row is not None
            identity = int(row[0])
        else:
            identity = int(before[0])
            settings = ", ".join(f"{name} = ?" for name in values)
            self.do(f"UPDATE run SET {settings} WHERE id = ?", *values.values(), identity)
            if before[1] != run.words:
                self._reindex_run(identity, run.words)
        self.do("DELETE FROM sample WHERE run_id = ?", identity)
        self.many(
            "INSERT INTO sample (run_id, sample) VALUES (?, ?)",
            [(identity, sample) for sample in dict.fromkeys(run.samples)],
        )
        return identity

    def _reindex_run(self, run_id: int, words: str) -> None:
        after = 0
        while True:
            rows = self.all(
                "SELECT number, name, words FROM version WHERE run_id = ? AND number > ? ORDER BY number LIMIT ?",
                run_id,
                after,
                BATCH,
            )
            aliases = self.aliases_of([row[0] for row in rows])
            self.reindex(
                [
                    (number, before, words_of(name, words, aliases.get(number, frozenset())))
                    for number, name, before in rows
                ]
            )
            if len(rows) < BATCH:
                return
            after = rows[-1][0]

    def aliases_of(self, numbers: Sequence[int]) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = {}
        for number, alias in self.in_numbers("number, alias", "alias", numbers):
            found.setdefault(number, set()).add(alias)
        return {number: frozenset(names) for number, names in found.items()}

    def checksums_of(self, numbers: Sequence[int]) -> dict[int, frozenset[Checksum]]:
        """Those that are not in the rows themselves."""
        found: dict[int, set[Checksum]] = {}
        columns = "number, type, value, provenance, evidence, at"
        for number, kind, value, provenance, evidence, at in self.in_numbers(columns, "checksum", numbers):
            checksum = Checksum(Provenance(provenance), Evidence(evidence), kind, value, at)
            found.setdefault(number, set()).add(checksum)
        return {number: frozenset(each) for number, each in found.items()}

    # Views

    def rows(self, view: str) -> Iterator[Mapping[str, Any]]:
        names = [row[0] for row in self.columns_of(view)]
        for row in self.stream(f"SELECT {', '.join(names)} FROM {view}"):
            yield dict(zip(names, row))

    @abc.abstractmethod
    def columns_of(self, view: str) -> Iterable[Row]:
        """(name,) of each column of a view, in order."""


def _run_values(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        "generation": run.generation,
        "profile": run.profile,
        "outcome": run.outcome,
        "instrument": run.instrument,
        "instrument_type": run.instrument_type,
        "flow_cell": run.flow_cell,
        "project": run.project,
        "samples": json.dumps(list(run.samples)),
        "findings": json.dumps([dict(each) for each in run.findings]),
        "problems": json.dumps(list(run.problems)),
        "files": run.files,
        "bytes": run.bytes,
        "weakest": int(run.weakest),
        "published_at": run.published_at,
        "receipt_sha256": run.receipt_sha256,
        "words": run.words,
    }


def inventory_of(row: Row) -> Inventory:
    identity, store_id, prefix, began, store_began, token, listed = row[:7]
    new, changed, gone, restored, unchanged, outcome, finished = row[7:]
    applied = Applied(new, changed, gone, restored, unchanged)
    return Inventory(
        identity, store_id, prefix, began, store_began, token, listed, applied, outcome, finished
    )
