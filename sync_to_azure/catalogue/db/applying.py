"""Changes become rows: the places that they are about are read, changed as values (places), and written back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sync_to_azure.catalogue.db.base import Base
from sync_to_azure.catalogue.db.port import Poisoned
from sync_to_azure.catalogue.db.rows import (
    VERSION_COLUMNS,
    Row,
    beside_md5,
    row_of,
    row_values,
    words_of,
)
from sync_to_azure.catalogue.identity import object_id
from sync_to_azure.catalogue.model import (
    MD5,
    Applied,
    Change,
    Place,
    Put,
    Tombstone,
    Version,
)
from sync_to_azure.catalogue.places import Poison, applied, check, current, tombstone_of, version_of

_ALL = ", ".join(f"v.{name}" for name in VERSION_COLUMNS)
_UPDATE = f"UPDATE version SET {', '.join(f'{name} = ?' for name in VERSION_COLUMNS[5:])} WHERE number = ?"
_KEPT = 4000
"""Characters of a poisoned change that are kept."""


@dataclasses.dataclass(slots=True)
class _Known:
    """A name as it is on record before and after."""

    rows: dict[str, Row]
    before: Place
    after: Place


class Applying(Base):
    def apply(self, store_id: int, changes: Sequence[Change], now: float, source: str) -> Applied:
        self.lock()
        names = list(dict.fromkeys(change.name for change in changes if _can_be_asked(change.name)))
        known = self._places(store_id, names)
        counts = Applied()
        fresh: dict[str, Put] = {}
        for change in changes:
            try:
                place = known.get(change.name)
                if place is None and isinstance(change, Put) and change.name not in fresh:
                    # Nearly all of a first inventory: nothing is known of it, so there is nothing to join.
                    check(change)
                    fresh[change.name] = change
                    continue
                before = place.after if place is not None else Place()
                if change.name in fresh:
                    before = applied(before, fresh[change.name])
                after = applied(before, change)
            except Poison as reason:
                self.poison(change.name, str(reason), _plain(change), now, source)
                counts.poison += 1
                continue
            fresh.pop(change.name, None)
            if place is None:
                known[change.name] = _Known({}, Place(), after)
            else:
                place.after = after
        address = self.address_of(store_id)
        self._write_fresh(store_id, address, fresh.values(), now, counts)
        self._write(store_id, address, known, now, counts)
        return counts

    def _write_fresh(
        self, store_id: int, address: str, puts: Collection[Put], now: float, counts: Applied
    ) -> None:
        if not puts:
            return
        run_words = self._run_words({put.run for put in puts})
        rows = []
        for number, put in zip(self.next_numbers(len(puts)), puts):
            version = version_of(put, number)
            words = words_of(put.name, run_words.get(put.run or 0, ""), version.aliases)
            has_more = _has_more(version)
            identity = object_id(address, put.name)
            rows.append(Row(version, identity, now, True, None, None, None, words, has_more))
        self.insert_versions([row_values(row, store_id) for row in rows])
        self._insert_beside([row for row in rows if row.has_more])
        counts.new += len(rows)
        counts.numbers += [row.version.number for row in rows]

    def _places(self, store_id: int, names: Sequence[str]) -> dict[str, _Known]:
        rows = self.at_names(_ALL, "version", store_id, names, "")
        numbers = [row[0] for row in rows if row[16]]
        more, aliases = self.checksums_of(numbers), self.aliases_of(numbers)
        by_name: dict[str, dict[str, Row]] = {}
        for values in rows:
            number = values[0]
            row = row_of(values, more.get(number, frozenset()), aliases.get(number, frozenset()))
            by_name.setdefault(row.version.name, {})[row.version.tag] = row
        stones: dict[str, dict[str, Tombstone]] = {}
        for name, tag, at, by in self.at_names(
            "v.name, v.tag, v.at, v.source", "tombstone", store_id, names, ""
        ):
            stones.setdefault(name, {})[tag] = Tombstone(tag, at, by)
        known = {}
        for name in by_name.keys() | stones.keys():
            here = by_name.get(name, {})
            place = Place({tag: row.version for tag, row in here.items()}, stones.get(name, {}))
            known[name] = _Known(here, place, place)
        return known

    def _write(
        self, store_id: int, address: str, known: Mapping[str, _Known], now: float, counts: Applied
    ) -> None:
        new: list[Row] = []
        changed: list[tuple[Row, Row]] = []
        stones: list[tuple[str, Tombstone]] = []
        here: list[Row] = []
        run_words = self._run_words(
            {version.run for each in known.values() for version in each.after.versions.values()}
        )
        for name, each in known.items():
            if each.before == each.after:
                counts.unchanged += 1
                counts.numbers += [row.version.number for row in each.rows.values() if row.is_current]
                continue
            rows = _rows_after(each, address, run_words, now)
            _count(each, counts)
            new += [row for tag, row in rows.items() if tag not in each.rows]
            changed += [
                (each.rows[tag], row)
                for tag, row in rows.items()
                if tag in each.rows and each.rows[tag] != row
            ]
            stones += [
                (name, stone)
                for tag, stone in each.after.tombstones.items()
                if each.before.tombstones.get(tag) != stone
            ]
            here += [row for row in rows.values() if row.is_current]
        self._insert(store_id, new)
        self._update(store_id, changed)
        counts.numbers += [row.version.number for row in here]
        self.many(
            "DELETE FROM tombstone WHERE store_id = ? AND substr(name, 1, 500) = substr(?, 1, 500) AND name = ?"
            " AND tag = ?",
            [(store_id, name, name, stone.tag) for name, stone in stones],
        )
        self.many(
            "INSERT INTO tombstone (store_id, name, tag, at, source) VALUES (?, ?, ?, ?, ?)",
            [(store_id, name, stone.tag, stone.at, stone.source) for name, stone in stones],
        )

    def _run_words(self, runs: set[int | None]) -> dict[int, str]:
        return {
            run: row[0]
            for run in runs
            if run and (row := self.one("SELECT words FROM run WHERE id = ?", run))
        }

    def _insert(self, store_id: int, rows: list[Row]) -> None:
        if not rows:
            return
        for number, row in zip(self.next_numbers(len(rows)), rows):
            row.version = dataclasses.replace(row.version, number=number)
        self.insert_versions([row_values(row, store_id) for row in rows])
        self._insert_beside([row for row in rows if row.has_more])

    def _update(self, store_id: int, changed: list[tuple[Row, Row]]) -> None:
        self.many(_UPDATE, [(*row_values(row, store_id)[5:], row.version.number) for _, row in changed])
        self.reindex(
            [(row.version.number, old.words, row.words) for old, row in changed if old.words != row.words]
        )
        beside = [row for _, row in changed if row.has_more]
        for table in ("checksum", "alias"):
            self.many(f"DELETE FROM {table} WHERE number = ?", [(row.version.number,) for row in beside])
        self._insert_beside(beside)

    def _insert_beside(self, rows: Sequence[Row]) -> None:
        self.many(
            "INSERT INTO checksum (number, type, value, provenance, evidence, at) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (row.version.number, each.type, each.value, int(each.provenance), int(each.evidence), each.at)
                for row in rows
                for each in beside_md5(row.version)
            ],
        )
        self.many(
            "INSERT INTO alias (number, alias) VALUES (?, ?)",
            [(row.version.number, alias) for row in rows for alias in sorted(row.version.aliases)],
        )

    def poison(self, subject: str, reason: str, payload: Mapping[str, Any], now: float, source: str) -> None:
        text = json.dumps(payload, ensure_ascii=True, sort_keys=True)[:_KEPT]
        digest = hashlib.sha256(f"{source}\n{reason}\n{text}".encode()).hexdigest()
        self.do(
            "INSERT INTO poison (digest, at, source, subject, reason, payload) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO NOTHING",
            *(digest, now, source, json.dumps(subject)[1:-1][:_KEPT], reason, text),
        )

    def poisoned(self, limit: int) -> tuple[int, list[Poisoned]]:
        count = self.one("SELECT count(*) FROM poison")
        rows = self.all("SELECT at, source, subject, reason FROM poison ORDER BY id DESC LIMIT ?", limit)
        return int(count[0]) if count else 0, [Poisoned(*row) for row in rows]


def _rows_after(known: _Known, address: str, run_words: Mapping[int, str], now: float) -> dict[str, Row]:
    here, stone = current(known.after), tombstone_of(known.after)
    rows = {}
    for tag, version in known.after.versions.items():
        is_current = here is not None and tag == here.tag
        earlier = known.rows.get(tag)
        if earlier is not None and earlier.version == version:
            words, has_more = earlier.words, earlier.has_more
        else:
            words = words_of(version.name, run_words.get(version.run or 0, ""), version.aliases)
            has_more = _has_more(version)
        rows[tag] = Row(
            version,
            earlier.object_id if earlier is not None else _object_id(known, address, version.name),
            earlier.first_seen if earlier is not None else now,
            is_current,
            stone.at if is_current and stone is not None else None,
            stone.source if is_current and stone is not None else None,
            earlier.same_as if earlier is not None else None,
            words,
            has_more or (earlier is not None and earlier.has_more),
        )
    return rows


def _has_more(version: Version) -> bool:
    """Are there checksums or aliases that its row does not hold itself?"""
    inline = any(each.type == MD5 for each in version.checksums)
    return bool(version.aliases) or len(version.checksums) > inline


def _object_id(known: _Known, address: str, name: str) -> str:
    return next((row.object_id for row in known.rows.values()), None) or object_id(address, name)


def _count(known: _Known, counts: Applied) -> None:
    before, after = current(known.before), current(known.after)
    was_there = before is not None and tombstone_of(known.before) is None
    is_there = after is not None and tombstone_of(known.after) is None
    if before is None and is_there:
        counts.new += 1
    elif was_there and not is_there:
        counts.gone += 1
    elif is_there and not was_there:
        counts.restored += 1
    elif before is not None and after is not None and before != dataclasses.replace(after, seen=before.seen):
        counts.changed += 1
    else:
        counts.unchanged += 1


def _can_be_asked(name: str) -> bool:
    """A name that no database takes is poison, and asked for nowhere."""
    if "\0" in name:
        return False
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(change: Change) -> dict[str, Any]:
    values = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
    if isinstance(change, Put):
        values["checksums"] = [
            f"{each.type}:{each.value} ({each.provenance.label})" for each in change.checksums
        ]
    return {"change": type(change).__name__.lower(), **{key: _bounded(each) for key, each in values.items()}}


def _bounded(value: object) -> Any:
    return value if isinstance(value, (int, float, type(None))) else str(value)[:_KEPT]
