"""The schema, as small named steps; each is applied once, in its own transaction, and never edited afterwards.

One text for both databases: what SQLite and PostgreSQL call differently stands between ``<`` and ``>``.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Protocol

from sync_to_azure.core.errors import StateUnavailable

MIGRATIONS: dict[str, str] = {
    "0001_first": """
        CREATE TABLE store (
            id <identity>,
            address TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            cloud TEXT NOT NULL,
            region TEXT NOT NULL
        );
        CREATE TABLE run (
            id <identity>,
            store_id BIGINT NOT NULL REFERENCES store (id),
            base TEXT NOT NULL,
            name TEXT NOT NULL,
            generation BIGINT NOT NULL,
            profile TEXT NOT NULL,
            outcome TEXT NOT NULL,
            instrument TEXT NOT NULL,
            instrument_type TEXT NOT NULL,
            flow_cell TEXT NOT NULL,
            project TEXT NOT NULL,
            samples TEXT NOT NULL,
            findings TEXT NOT NULL,
            problems TEXT NOT NULL,
            files BIGINT NOT NULL,
            bytes BIGINT NOT NULL,
            weakest INTEGER NOT NULL,
            published_at DOUBLE PRECISION,
            receipt_sha256 TEXT NOT NULL,
            words TEXT NOT NULL,
            UNIQUE (store_id, base)
        );
        CREATE TABLE sample (
            run_id BIGINT NOT NULL REFERENCES run (id),
            sample TEXT NOT NULL,
            PRIMARY KEY (run_id, sample)
        );
        CREATE INDEX sample_of_name ON sample (sample);
        CREATE TABLE version (
            number <key>,
            store_id BIGINT NOT NULL REFERENCES store (id),
            name TEXT NOT NULL,
            tag TEXT NOT NULL,
            object_id TEXT NOT NULL,
            etag TEXT NOT NULL,
            size BIGINT NOT NULL,
            seen DOUBLE PRECISION NOT NULL,
            facts_at DOUBLE PRECISION NOT NULL,
            modified DOUBLE PRECISION,
            sequencer TEXT,
            store_version TEXT,
            md5 <bytes>,
            md5_provenance SMALLINT NOT NULL,
            md5_evidence SMALLINT NOT NULL,
            md5_at DOUBLE PRECISION,
            has_more BOOLEAN NOT NULL,
            mtime DOUBLE PRECISION,
            mime TEXT,
            tier TEXT,
            run_id BIGINT,
            first_seen DOUBLE PRECISION NOT NULL,
            is_current BOOLEAN NOT NULL,
            deleted_at DOUBLE PRECISION,
            deleted_by TEXT,
            same_as BIGINT,
            words TEXT NOT NULL
        );
        <place>
        CREATE INDEX version_of_object ON version (substr(object_id, 1, 12));
        CREATE INDEX version_of_md5 ON version (md5) WHERE md5 IS NOT NULL;
        CREATE INDEX version_of_run ON version (run_id, number) WHERE run_id IS NOT NULL;
        CREATE INDEX version_deleted ON version (deleted_at) WHERE deleted_at IS NOT NULL;
        CREATE INDEX version_merged ON version (same_as) WHERE same_as IS NOT NULL;
        CREATE TABLE checksum (
            number BIGINT NOT NULL,
            type TEXT NOT NULL,
            value TEXT NOT NULL,
            provenance SMALLINT NOT NULL,
            evidence SMALLINT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (number, type, value, provenance)
        );
        CREATE INDEX checksum_of_value ON checksum (value);
        CREATE TABLE alias (
            number BIGINT NOT NULL,
            alias TEXT NOT NULL
        );
        CREATE INDEX alias_of_version ON alias (number);
        CREATE TABLE tombstone (
            store_id BIGINT NOT NULL REFERENCES store (id),
            name TEXT NOT NULL,
            tag TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            source TEXT NOT NULL
        );
        CREATE INDEX tombstone_of_place ON tombstone (store_id, substr(name, 1, 500));
        CREATE TABLE merge (
            id <identity>,
            kept BIGINT NOT NULL,
            joined BIGINT NOT NULL,
            type TEXT NOT NULL,
            value TEXT NOT NULL,
            provenance SMALLINT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            undone_at DOUBLE PRECISION
        );
        CREATE TABLE inventory (
            id <identity>,
            store_id BIGINT NOT NULL REFERENCES store (id),
            prefix TEXT NOT NULL,
            began DOUBLE PRECISION NOT NULL,
            store_began DOUBLE PRECISION NOT NULL,
            finished DOUBLE PRECISION,
            token TEXT NOT NULL,
            listed BIGINT NOT NULL,
            new BIGINT NOT NULL,
            changed BIGINT NOT NULL,
            restored BIGINT NOT NULL,
            unchanged BIGINT NOT NULL,
            gone BIGINT NOT NULL,
            outcome TEXT NOT NULL
        );
        CREATE INDEX inventory_of_store ON inventory (store_id, id);
        CREATE TABLE inventory_seen (
            inventory_id BIGINT NOT NULL REFERENCES inventory (id),
            part BIGINT NOT NULL,
            bits <bytes> NOT NULL,
            PRIMARY KEY (inventory_id, part)
        );
        CREATE TABLE counter (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            last BIGINT NOT NULL
        );
        INSERT INTO counter VALUES (1, 0);
        CREATE TABLE poison (
            id <identity>,
            digest TEXT NOT NULL UNIQUE,
            at DOUBLE PRECISION NOT NULL,
            source TEXT NOT NULL,
            subject TEXT NOT NULL,
            reason TEXT NOT NULL,
            payload TEXT NOT NULL
        );
        <search>
    """,
    "0002_views": """
        CREATE VIEW catalogue_files AS SELECT
            v.object_id AS id, v.object_id || '.' || v.tag AS version_id, v.name AS name, v.size AS size,
            s.address AS store, s.kind AS kind, s.cloud AS cloud, s.region AS region, v.tier AS tier,
            v.mime AS mime_type,
            v.etag AS etag, v.store_version AS store_version, v.modified AS modified, v.mtime AS file_modified,
            <hex> AS md5,
            CASE v.md5_provenance WHEN 3 THEN 'proved' WHEN 2 THEN 'store' WHEN 1 THEN 'client' END AS md5_provenance,
            CASE v.md5_evidence WHEN 3 THEN 'read-back' WHEN 2 THEN 'validated' WHEN 1 THEN 'listed' ELSE 'none' END
                AS evidence,
            v.md5_at AS evidence_at, r.name AS run, r.instrument AS instrument, r.flow_cell AS flow_cell,
            r.project AS project, v.first_seen AS first_seen, v.seen AS last_seen, v.is_current AS is_current,
            v.deleted_at AS deleted_at, v.deleted_by AS deleted_by
            FROM version v JOIN store s ON s.id = v.store_id LEFT JOIN run r ON r.id = v.run_id;
        CREATE VIEW catalogue_runs AS SELECT
            r.name AS run, s.address AS store, r.base AS base, r.generation AS generation, r.profile AS profile,
            r.outcome AS outcome, r.instrument AS instrument, r.instrument_type AS instrument_type,
            r.flow_cell AS flow_cell, r.project AS project, r.files AS files, r.bytes AS bytes,
            CASE r.weakest WHEN 3 THEN 'read-back' WHEN 2 THEN 'validated' WHEN 1 THEN 'listed' ELSE 'none' END
                AS weakest_evidence,
            r.published_at AS published_at, r.findings AS sheet_findings, r.problems AS problems
            FROM run r JOIN store s ON s.id = r.store_id;
        CREATE VIEW catalogue_samples AS SELECT
            p.sample AS sample, r.name AS run, s.address AS store, r.project AS project
            FROM sample p JOIN run r ON r.id = p.run_id JOIN store s ON s.id = r.store_id;
        CREATE VIEW catalogue_events AS
            SELECT first_seen AS at, 'seen' AS event, object_id AS id, object_id || '.' || tag AS version_id,
                name AS name, '' AS source FROM version
            UNION ALL SELECT deleted_at, 'deleted', object_id, object_id || '.' || tag, name, deleted_by
                FROM version WHERE deleted_at IS NOT NULL;
    """,
}
"""Columns of a view are only added, and their names kept."""

WORDS_OF_DATABASE = {
    "sqlite": {
        "<identity>": "INTEGER PRIMARY KEY",
        "<bytes>": "BLOB",
        "<key>": "INTEGER PRIMARY KEY",
        "<place>": "CREATE UNIQUE INDEX version_of_place ON version (store_id, name, tag);",
        "<hex>": "nullif(lower(hex(v.md5)), '')",
        "<search>": (
            "CREATE VIRTUAL TABLE search USING fts5"
            " (words, content='', columnsize=0, detail=none, tokenize='trigram');"
        ),
    },
    "postgresql": {
        "<identity>": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "<bytes>": "BYTEA",
        "<key>": "BIGINT PRIMARY KEY",
        # A whole name may be longer than an entry of an index (2,704 bytes); the counter's lock sees to it that no
        # version is there twice.
        "<place>": "CREATE INDEX version_of_place ON version (store_id, substr(name, 1, 500));",
        "<hex>": "encode(v.md5, 'hex')",
        # An inventory enters into the index once for many pages (32 MB), and at its end.
        "<search>": (
            "CREATE INDEX version_search ON version USING gin (words gin_trgm_ops)"
            " WITH (fastupdate = on, gin_pending_list_limit = 32768);"
        ),
    },
}


class Migrating(Protocol):
    """What a database has to do for its schema."""

    shown: str

    def all(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]: ...

    def transaction(self) -> contextlib.AbstractContextManager[None]: ...

    def script(self, text: str) -> None: ...


def migrate(database: Migrating, kind: str, is_new: bool) -> None:
    """Bring the database to the newest schema. Raises StateUnavailable for one of a newer version."""
    if is_new:
        with database.transaction():
            database.all(
                "CREATE TABLE IF NOT EXISTS catalogue_migration (name TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL)"
            )
    applied = _applied(database)
    unknown = sorted(applied - MIGRATIONS.keys())
    if unknown:
        raise StateUnavailable(
            f"the catalogue {database.shown} was written by a newer version of sync_to_azure ({', '.join(unknown)})",
            "use that version, or name another --database",
        )
    for name in MIGRATIONS:
        if name in applied:
            continue
        with database.transaction():
            # Another process may have been faster.
            if name not in _applied(database):
                database.all("INSERT INTO catalogue_migration VALUES (?, ?)", name, time.time())
                database.script(statements(name, kind))


def _applied(database: Migrating) -> set[str]:
    return {str(row[0]) for row in database.all("SELECT name FROM catalogue_migration")}


def statements(name: str, database: str) -> str:
    text = MIGRATIONS[name]
    for word, meaning in WORDS_OF_DATABASE[database].items():
        text = text.replace(word, meaning)
    return text
