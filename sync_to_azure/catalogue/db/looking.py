"""Searching, counting, showing: whoever only looks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sync_to_azure.catalogue.db.base import Base
from sync_to_azure.catalogue.db.port import COUNTED, FACETS, Found, Merge, Total
from sync_to_azure.catalogue.db.rows import VERSION_COLUMNS, row_of
from sync_to_azure.catalogue.identity import split, version_id
from sync_to_azure.catalogue.model import Checksum, Provenance
from sync_to_azure.catalogue.places import best_md5
from sync_to_azure.catalogue.query import Query, Term
from sync_to_azure.core.model import Evidence

_BESIDE = (
    "s.address, s.kind, s.cloud, s.region, r.name, coalesce(r.instrument, ''), coalesce(r.flow_cell, ''),"
    " coalesce(r.project, '')"
)
_COLUMNS = f"{', '.join(f'v.{name}' for name in VERSION_COLUMNS)}, {_BESIDE}"
_JOINED = " JOIN store s ON s.id = v.store_id LEFT JOIN run r ON r.id = v.run_id"
_FACETS = {
    "run": "coalesce(r.name, '')",
    "project": "coalesce(r.project, '')",
    "instrument": "coalesce(r.instrument, '')",
    "tier": "coalesce(v.tier, '')",
    "store": "s.address",
    "evidence": "v.md5_evidence",
}


class Looking(Base):
    def search(self, query: Query, after: int, limit: int) -> list[Found]:
        source, order, where, parameters = self._matching(query)
        rows = self.all(
            f"SELECT {_COLUMNS} FROM {source}{_JOINED} WHERE {where} AND {order} > ? ORDER BY {order} LIMIT ?",
            *parameters,
            after,
            limit,
        )
        return self._found(rows)

    def _matching(self, query: Query) -> tuple[str, str, str, list[Any]]:
        """(what is selected from, by what it is in order, conditions, their parameters)."""
        plain = [term.text for term in query.terms if not term.checksum]
        source, order, conditions, parameters = self.driven(plain)
        for term in query.terms:
            if term.checksum:
                condition, values = self._checksum(term)
                conditions.append(condition)
                parameters += values
        more, values = _filtered(query)
        return source, order, " AND ".join(conditions + more), parameters + values

    def _checksum(self, term: Term) -> tuple[str, list[Any]]:
        """It may also be a word of the name."""
        parts = ["SELECT number FROM checksum WHERE value = ?"]
        parameters: list[Any] = [term.checksum]
        if len(term.checksum) == 32:
            parts.append("SELECT number FROM version WHERE md5 = ?")
            parameters.append(bytes.fromhex(term.checksum))
        source, _, conditions, values = self.driven([term.text])
        parts.append(f"SELECT v.number FROM {source} WHERE {' AND '.join(conditions)}")
        return f"v.number IN ({' UNION '.join(parts)})", parameters + values

    def count(self, query: Query) -> int:
        source, _, where, parameters = self._matching(query)
        row = self.one(
            f"SELECT count(*) FROM (SELECT v.number FROM {source}{_JOINED} WHERE {where} LIMIT ?) found",
            *parameters,
            COUNTED + 1,
        )
        return int(row[0]) if row is not None else 0

    def facets(self, query: Query) -> dict[str, dict[str, int]]:
        source, _, where, parameters = self._matching(query)
        columns = ", ".join(f"{_FACETS[name]} AS {name}_value" for name in FACETS)
        rows = self.all(
            f"SELECT {columns} FROM {source}{_JOINED} WHERE {where} LIMIT ?", *parameters, COUNTED
        )
        found: dict[str, dict[str, int]] = {name: {} for name in FACETS}
        for row in rows:
            for name, value in zip(FACETS, row):
                text = Evidence(value).label if name == "evidence" else str(value)
                found[name][text] = found[name].get(text, 0) + 1
        return found

    def totals(self, query: Query) -> list[Total]:
        source, _, where, parameters = self._matching(query)
        columns = "s.cloud, s.region, coalesce(v.tier, ''), coalesce(r.project, '')"
        rows = self.all(
            f"SELECT {columns}, count(*), sum(v.size), sum(CASE WHEN v.same_as IS NULL THEN v.size ELSE 0 END)"
            f" FROM {source}{_JOINED} WHERE {where} GROUP BY {columns} ORDER BY {columns}",
            *parameters,
        )
        return [Total(row[0], row[1], row[2], row[3], int(row[4]), int(row[5]), int(row[6])) for row in rows]

    def versions(self, identity: str) -> list[Found]:
        object_id, tag = split(identity)
        where = "substr(v.object_id, 1, 12) = ? AND v.object_id = ?"
        parameters = [object_id[:12], object_id]
        if tag:
            where, parameters = f"{where} AND v.tag = ?", [*parameters, tag]
        rows = self.all(
            f"SELECT {_COLUMNS} FROM version v{_JOINED} WHERE {where} ORDER BY v.is_current DESC, v.seen DESC",
            *parameters,
        )
        return self._found(rows)

    def random(self, many: int) -> list[Found]:
        last = self.one("SELECT max(number) FROM version")
        most = int(last[0] or 0) if last is not None else 0
        found: dict[int, Found] = {}
        for _ in range(many * 20):
            if len(found) >= many or not most:
                break
            rows = self.all(
                f"SELECT {_COLUMNS} FROM version v{_JOINED} WHERE v.number >= ? AND v.is_current"
                " AND v.deleted_at IS NULL ORDER BY v.number LIMIT 1",
                random.randint(1, most),
            )
            found.update({each.number: each for each in self._found(rows)})
        return list(found.values())

    def _found(self, rows: Sequence[tuple[Any, ...]]) -> list[Found]:
        numbers = [row[0] for row in rows if row[16]]
        more, aliases = self.checksums_of(numbers), self.aliases_of(numbers)
        groups = self._places_of({row[25] or row[0] for row in rows})
        found = []
        for row in rows:
            number, kept = row[0], row[25] or row[0]
            value = row_of(
                row[: len(VERSION_COLUMNS)], more.get(number, frozenset()), aliases.get(number, frozenset())
            )
            version, beside = value.version, row[len(VERSION_COLUMNS) :]
            md5 = best_md5(version.checksums)
            places = groups.get(kept, [])
            own = (beside[0], version.name)
            found.append(
                Found(
                    number=number,
                    id=next((each[2] for each in places if each[3] == kept), value.object_id),
                    version_id=version_id(value.object_id, version.tag),
                    name=version.name,
                    store=beside[0],
                    kind=beside[1],
                    cloud=beside[2],
                    region=beside[3],
                    size=version.size,
                    etag=version.etag,
                    store_version=version.store_version,
                    checksums=tuple(sorted(version.checksums, reverse=True)),
                    evidence=md5.evidence if md5 is not None else Evidence.NONE,
                    modified=version.modified,
                    mtime=version.mtime,
                    mime=version.mime,
                    tier=version.tier,
                    run=beside[4],
                    instrument=beside[5],
                    flow_cell=beside[6],
                    project=beside[7],
                    first_seen=value.first_seen,
                    last_seen=version.seen,
                    is_current=value.is_current,
                    deleted_at=value.deleted_at,
                    deleted_by=value.deleted_by,
                    places=(own, *((each[0], each[1]) for each in places if (each[0], each[1]) != own)),
                    aliases=tuple(sorted(version.aliases)),
                )
            )
        return found

    def _places_of(self, kept: set[int]) -> dict[int, list[tuple[str, str, str, int]]]:
        """(store, name, object id, number) of all places of those that have more than one."""
        joined = self.in_numbers("same_as, number", "version", sorted(kept), key="same_as")
        of = {number: group for group, number in joined} | {group: group for group, _ in joined}
        places: dict[int, list[tuple[str, str, str, int]]] = {}
        for number, group in sorted(of.items()):
            row = self.one(
                "SELECT s.address, v.name, v.object_id, v.number FROM version v JOIN store s ON s.id = v.store_id"
                " WHERE v.number = ?",
                number,
            )
            if row is not None:
                places.setdefault(group, []).append((row[0], row[1], row[2], row[3]))
        return places

    # Merging

    def merge(self, kept: int, joined: int, reason: Checksum, now: float) -> int:
        self.lock()
        self.do("UPDATE version SET same_as = ? WHERE number = ?", kept, joined)
        self.do(
            "INSERT INTO merge (kept, joined, type, value, provenance, at) VALUES (?, ?, ?, ?, ?, ?)",
            *(kept, joined, reason.type, reason.value, int(reason.provenance), now),
        )
        row = self.one("SELECT max(id) FROM merge")
        assert row is not None
        return int(row[0])

    def separate(self, merge: int, now: float) -> bool:
        self.lock()
        row = self.one("SELECT joined FROM merge WHERE id = ? AND undone_at IS NULL", merge)
        if row is None:
            return False
        self.do("UPDATE version SET same_as = NULL WHERE number = ?", row[0])
        self.do("UPDATE merge SET undone_at = ? WHERE id = ?", now, merge)
        return True

    def merges(self) -> list[Merge]:
        rows = self.all(
            "SELECT m.id, k.object_id, k.tag, j.object_id, j.tag, m.type, m.value, m.provenance, m.at, m.undone_at"
            " FROM merge m JOIN version k ON k.number = m.kept JOIN version j ON j.number = m.joined ORDER BY m.id"
        )
        return [
            Merge(
                row[0],
                version_id(row[1], row[2]),
                version_id(row[3], row[4]),
                f"{row[5]}:{row[6]} ({Provenance(row[7]).label})",
                *row[8:],
            )
            for row in rows
        ]


def _filtered(query: Query) -> tuple[list[str], list[Any]]:
    filters = query.filters
    conditions = ["v.is_current"]
    parameters: list[Any] = []
    if not filters.deleted:
        conditions.append("v.deleted_at IS NULL")
    if filters.run is not None:
        conditions.append("v.run_id IN (SELECT id FROM run WHERE name = ?)")
        parameters.append(filters.run)
    for column, value in (
        ("project", filters.project),
        ("instrument", filters.instrument),
        ("flow_cell", filters.flow_cell),
    ):
        if value is not None:
            conditions.append(f"v.run_id IN (SELECT id FROM run WHERE {column} = ?)")
            parameters.append(value)
    if filters.sample is not None:
        conditions.append("v.run_id IN (SELECT run_id FROM sample WHERE sample = ?)")
        parameters.append(filters.sample)
    if filters.store is not None:
        conditions.append("v.store_id IN (SELECT id FROM store WHERE address = ?)")
        parameters.append(filters.store)
    if filters.tier is not None:
        conditions.append("lower(v.tier) = ?")
        parameters.append(filters.tier.lower())
    if filters.evidence is not None:
        conditions.append("v.md5_evidence >= ?")
        parameters.append(int(filters.evidence))
    for comparison, moment in ((">=", filters.since), ("<=", filters.until)):
        if moment is not None:
            conditions.append(f"coalesce(v.mtime, v.modified) {comparison} ?")
            parameters.append(moment)
    return conditions, parameters
