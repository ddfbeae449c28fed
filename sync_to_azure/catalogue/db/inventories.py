"""What an inventory keeps while it goes on: how far its listing is, and which versions it showed.

Those are bits, 32,768 to a row, by the versions' numbers: a million objects that are listed in the order in which they
were entered change one row a page, and need 125 KB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence


from sync_to_azure.catalogue.db.base import BATCH, INVENTORY_COLUMNS, Base, inventory_of
from sync_to_azure.catalogue.db.port import Inventory, Known

_BITS = 32_768
_BELOW = "v.store_id = ? AND v.is_current AND v.deleted_at IS NULL AND substr(v.name, 1, ?) = ?"


class Inventories(Base):
    def known(self, store_id: int, names: Sequence[str]) -> dict[str, Known]:
        columns = (
            "v.name, v.number, v.etag, v.size, v.md5, v.tier, v.mime, v.deleted_at IS NOT NULL, v.has_more,"
            " v.md5_provenance, v.md5_evidence, v.run_id"
        )
        rows = self.at_names(columns, "version", store_id, names, "AND v.is_current")
        return {
            row[0]: Known(
                number=row[1],
                etag=row[2],
                size=row[3],
                md5=bytes(row[4]) if row[4] is not None else None,
                tier=row[5],
                mime=row[6],
                is_deleted=bool(row[7]),
                has_more=bool(row[8]),
                provenance=row[9],
                evidence=row[10],
                run=row[11],
            )
            for row in rows
        }

    def begin_inventory(self, store_id: int, prefix: str, now: float, store_now: float) -> Inventory:
        self.do(
            "INSERT INTO inventory (store_id, prefix, began, store_began, token, listed, new, changed, gone, restored,"
            " unchanged, outcome) VALUES (?, ?, ?, ?, '', 0, 0, 0, 0, 0, 0, '')",
            *(store_id, prefix, now, store_now),
        )
        found = self.unfinished_inventory(store_id, prefix)
        assert found is not None
        return found

    def unfinished_inventory(self, store_id: int, prefix: str) -> Inventory | None:
        row = self.one(
            f"SELECT {INVENTORY_COLUMNS} FROM inventory WHERE store_id = ? AND prefix = ? AND outcome = ''"
            " ORDER BY id DESC LIMIT 1",
            store_id,
            prefix,
        )
        return None if row is None else inventory_of(row)

    def note_page(self, inventory: Inventory, seen: Sequence[int]) -> None:
        parts: dict[int, list[int]] = {}
        for number in seen:
            parts.setdefault(number // _BITS, []).append(number % _BITS)
        for part, offsets in parts.items():
            bits = self._bits(inventory.id, part)
            for offset in offsets:
                bits[offset >> 3] |= 1 << (offset & 7)
            self.do(
                "INSERT INTO inventory_seen (inventory_id, part, bits) VALUES (?, ?, ?)"
                " ON CONFLICT (inventory_id, part) DO UPDATE SET bits = excluded.bits",
                *(inventory.id, part, bytes(bits)),
            )
        self._note(inventory)

    def _note(self, inventory: Inventory) -> None:
        counts = inventory.applied
        self.do(
            "UPDATE inventory SET token = ?, listed = ?, new = ?, changed = ?, gone = ?, restored = ?, unchanged = ?,"
            " outcome = ?, finished = ? WHERE id = ?",
            *(inventory.token, inventory.listed, counts.new, counts.changed, counts.gone, counts.restored),
            *(counts.unchanged, inventory.outcome, inventory.finished, inventory.id),
        )

    def _bits(self, inventory_id: int, part: int) -> bytearray:
        row = self.one(
            "SELECT bits FROM inventory_seen WHERE inventory_id = ? AND part = ?", inventory_id, part
        )
        return bytearray(row[0]) if row is not None else bytearray(_BITS // 8)

    def gone(self, inventory: Inventory) -> Iterator[str]:
        after, part, bits = 0, -1, bytearray()
        while True:
            rows = self.all(
                f"SELECT v.number, v.name FROM version v WHERE {_BELOW} AND v.number > ? ORDER BY v.number LIMIT ?",
                *(inventory.store_id, len(inventory.prefix), inventory.prefix, after, BATCH),
            )
            for number, name in rows:
                if number // _BITS != part:
                    part = number // _BITS
                    bits = self._bits(inventory.id, part)
                offset = number % _BITS
                if not bits[offset >> 3] & 1 << (offset & 7):
                    yield name
            if len(rows) < BATCH:
                return
            after = rows[-1][0]

    def live(self, store_id: int, prefix: str) -> int:
        row = self.one(f"SELECT count(*) FROM version v WHERE {_BELOW}", store_id, len(prefix), prefix)
        return int(row[0]) if row is not None else 0

    def finish_inventory(self, inventory: Inventory, outcome: str, now: float) -> None:
        self._note(dataclasses.replace(inventory, outcome=outcome, finished=now))
        self.do("DELETE FROM inventory_seen WHERE inventory_id = ?", inventory.id)

    # Care

    def clean(self, before: float) -> Mapping[str, int]:
        going = "(NOT is_current AND seen < ?) OR (is_current AND deleted_at IS NOT NULL AND deleted_at < ?)"
        dropped = {"versions": 0, "inventories": 0}
        while True:
            rows = self.all(
                f"SELECT number, words FROM version WHERE same_as IS NULL AND ({going})"
                " AND number NOT IN (SELECT same_as FROM version WHERE same_as IS NOT NULL) LIMIT ?",
                *(before, before, BATCH),
            )
            numbers = [(row[0],) for row in rows]
            self.unindex([(row[0], row[1]) for row in rows])
            for table in ("checksum", "alias", "version"):
                self.many(f"DELETE FROM {table} WHERE number = ?", numbers)
            dropped["versions"] += len(rows)
            if len(rows) < BATCH:
                break
        self.do("DELETE FROM tombstone WHERE at < ?", before)
        old = "finished IS NOT NULL AND finished < ?"
        last = "id NOT IN (SELECT max(id) FROM inventory GROUP BY store_id)"
        row = self.one(f"SELECT count(*) FROM inventory WHERE {old} AND {last}", before)
        dropped["inventories"] = int(row[0]) if row is not None else 0
        self.do(f"DELETE FROM inventory WHERE {old} AND {last}", before)
        return dropped

    def unindex(self, rows: Sequence[tuple[int, str]]) -> None:
        """(number, words) of versions that go; where rows and index are one there is nothing to do."""

    def empty(self) -> None:
        self.drop_search_index()
        for table in (
            *("inventory_seen", "inventory", "tombstone", "alias", "checksum", "merge", "sample", "version"),
            *("run", "store", "poison"),
        ):
            self.do(f"DELETE FROM {table}")

    def drop_search_index(self) -> None:
        """Where rows and index are one there is nothing to do."""
