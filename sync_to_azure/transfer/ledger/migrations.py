"""The schema, as small named steps; each is applied once, in its own transaction, and never edited afterwards."""

from __future__ import annotations

import sqlite3

from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.events.outbox import SCHEMA_1

MIGRATIONS: dict[str, str] = {
    "0001_first": """
        CREATE TABLE flow (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            main_folder TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            container TEXT NOT NULL,
            destination TEXT NOT NULL,
            mount_kind TEXT,
            mount_source TEXT,
            heartbeat REAL,
            trouble_mailed INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE run (
            id INTEGER PRIMARY KEY,
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            key TEXT NOT NULL,
            profile TEXT NOT NULL DEFAULT 'generic',
            state TEXT NOT NULL,
            reason_code TEXT,
            reason_parameters TEXT,
            since REAL NOT NULL,
            first_seen REAL NOT NULL,
            folder_mtime_ns INTEGER,
            fingerprint TEXT,
            quiet_since REAL,
            generation INTEGER NOT NULL DEFAULT 0,
            lake_known INTEGER NOT NULL DEFAULT 0,
            taken_over INTEGER NOT NULL DEFAULT 0,
            rows_kept INTEGER NOT NULL DEFAULT 1,
            files INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0,
            published_at REAL,
            first_published REAL,
            sheet_size INTEGER,
            sheet_mtime_ns INTEGER,
            sheet_state TEXT,
            UNIQUE (flow_id, key)
        );
        CREATE TABLE file (
            run_id INTEGER NOT NULL REFERENCES run(id),
            blob TEXT NOT NULL,
            path BLOB NOT NULL,
            origin TEXT NOT NULL DEFAULT 'run',
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            md5 BLOB,
            evidence INTEGER NOT NULL DEFAULT 0,
            etag TEXT,
            generation INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (run_id, blob)
        ) WITHOUT ROWID;
        CREATE TABLE uncarried (
            run_id INTEGER NOT NULL REFERENCES run(id),
            path BLOB NOT NULL,
            kind TEXT NOT NULL,
            size INTEGER NOT NULL,
            detail TEXT NOT NULL,
            PRIMARY KEY (run_id, path)
        ) WITHOUT ROWID;
        CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            run_id INTEGER REFERENCES run(id),
            at REAL NOT NULL,
            code TEXT NOT NULL,
            parameters TEXT NOT NULL
        );
        CREATE INDEX event_of_run ON event (run_id, id);
        CREATE TRIGGER event_never_changes BEFORE UPDATE ON event
            BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
        CREATE TRIGGER event_never_goes BEFORE DELETE ON event
            BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
        CREATE TABLE progress (
            flow_id INTEGER PRIMARY KEY REFERENCES flow(id),
            run_id INTEGER,
            step TEXT NOT NULL,
            files_done INTEGER NOT NULL,
            files_total INTEGER NOT NULL,
            bytes_done INTEGER NOT NULL,
            bytes_total INTEGER NOT NULL,
            updated REAL NOT NULL
        );
        CREATE TABLE told (
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            key TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (flow_id, key)
        ) WITHOUT ROWID;
    """,
    "0002_words": """
        ALTER TABLE run ADD COLUMN weakest INTEGER;
        ALTER TABLE run ADD COLUMN verified_at REAL;
        UPDATE run SET verified_at = published_at, weakest = (SELECT min(evidence) FROM file WHERE run_id = run.id)
            WHERE generation > 0;
        CREATE TABLE word (
            id INTEGER PRIMARY KEY,
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            key TEXT NOT NULL,
            word TEXT NOT NULL,
            by TEXT NOT NULL,
            at REAL NOT NULL,
            reason TEXT NOT NULL,
            about TEXT NOT NULL,
            ended TEXT
        );
        CREATE UNIQUE INDEX word_now ON word (flow_id, key) WHERE ended IS NULL;
        CREATE INDEX word_of_run ON word (flow_id, key);
        CREATE TABLE changed (
            run_id INTEGER NOT NULL REFERENCES run(id),
            blob TEXT NOT NULL,
            path BLOB NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            applied INTEGER NOT NULL DEFAULT 0,
            snapshot TEXT,
            old_path BLOB,
            old_size INTEGER,
            old_mtime_ns INTEGER,
            old_md5 BLOB,
            old_evidence INTEGER,
            old_etag TEXT,
            old_generation INTEGER,
            PRIMARY KEY (run_id, blob)
        ) WITHOUT ROWID;
        CREATE TABLE own (
            run_id INTEGER NOT NULL REFERENCES run(id),
            blob TEXT NOT NULL,
            etag TEXT NOT NULL,
            PRIMARY KEY (run_id, blob)
        ) WITHOUT ROWID;
    """,
    "0004_audits": """
        CREATE TABLE audit (
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            run TEXT NOT NULL,
            outcome TEXT NOT NULL,
            listed_at REAL,
            read_at REAL,
            cursor TEXT,
            files INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0,
            archived INTEGER NOT NULL DEFAULT 0,
            extras INTEGER NOT NULL DEFAULT 0,
            uncounted INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (flow_id, run)
        ) WITHOUT ROWID;
        CREATE TABLE audit_finding (
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            run TEXT NOT NULL,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            detail TEXT NOT NULL,
            etag TEXT NOT NULL,
            found_at REAL,
            PRIMARY KEY (flow_id, run, name, kind)
        ) WITHOUT ROWID;
        CREATE TABLE audit_good (
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            run TEXT NOT NULL,
            name TEXT NOT NULL,
            etag TEXT NOT NULL,
            PRIMARY KEY (flow_id, run, name)
        ) WITHOUT ROWID;
    """,
    "0005_instruments": """
        ALTER TABLE run ADD COLUMN recognised_by TEXT;
        ALTER TABLE run ADD COLUMN outcome TEXT;
        ALTER TABLE run ADD COLUMN outcome_words TEXT;
        ALTER TABLE run ADD COLUMN complete INTEGER;
        ALTER TABLE run ADD COLUMN completeness TEXT;
        ALTER TABLE run ADD COLUMN still_digest TEXT;
        ALTER TABLE run ADD COLUMN still_since REAL;
        ALTER TABLE run ADD COLUMN still_looked REAL;
    """,
    "0006_still": """
        CREATE TABLE still (
            run_id INTEGER NOT NULL REFERENCES run(id),
            blob TEXT NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            ctime_ns INTEGER NOT NULL,
            since REAL NOT NULL,
            PRIMARY KEY (run_id, blob)
        ) WITHOUT ROWID;
    """,
    "0007_audit_found": """
        ALTER TABLE audit ADD COLUMN found TEXT;
        ALTER TABLE audit ADD COLUMN wrong_since REAL;
        UPDATE audit SET wrong_since = coalesce(read_at, listed_at), found =
            (SELECT group_concat(kind || '=' || n) FROM (SELECT kind, count(*) AS n FROM audit_finding f
                WHERE f.flow_id = audit.flow_id AND f.run = audit.run GROUP BY kind))
            WHERE outcome = 'wrong';
    """,
    "0008_own_etag": """
        ALTER TABLE file ADD COLUMN etag_is_own INTEGER NOT NULL DEFAULT 0;
    """,
    "0010_flow_identity": """
        ALTER TABLE flow ADD COLUMN identity TEXT;
        CREATE TABLE other_flow (
            flow_id INTEGER NOT NULL REFERENCES flow(id),
            run TEXT NOT NULL,
            identity TEXT NOT NULL,
            how TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (flow_id, run, identity)
        ) WITHOUT ROWID;
        CREATE TABLE claim (
            run_id INTEGER PRIMARY KEY REFERENCES run(id),
            number INTEGER NOT NULL,
            etag TEXT NOT NULL,
            written REAL NOT NULL,
            is_fixed INTEGER NOT NULL DEFAULT 0
        );
    """,
    "0009_azcopy": """
        CREATE TABLE azcopy_job (
            run_id INTEGER NOT NULL REFERENCES run(id),
            nonce TEXT NOT NULL,
            expires REAL NOT NULL,
            token_life REAL NOT NULL,
            outcome TEXT NOT NULL,
            PRIMARY KEY (run_id, nonce)
        ) WITHOUT ROWID;
    """,
    "0012_folders": """
        ALTER TABLE run ADD COLUMN folders INTEGER;
        ALTER TABLE run ADD COLUMN scanned_at REAL;
        ALTER TABLE run ADD COLUMN folders_changed_at REAL;
        ALTER TABLE run ADD COLUMN scan_cursor BLOB;
        CREATE TABLE folder (
            run_id INTEGER NOT NULL REFERENCES run(id),
            path BLOB NOT NULL,
            mtime_ns INTEGER NOT NULL,
            PRIMARY KEY (run_id, path)
        ) WITHOUT ROWID;
    """,
    "0013_ctime": """
        ALTER TABLE file ADD COLUMN ctime_ns INTEGER;
    """,
    "0014_sheets": """
        CREATE TABLE sheet (
            run_id INTEGER PRIMARY KEY REFERENCES run(id),
            seen TEXT NOT NULL,
            since REAL NOT NULL,
            refused BLOB,
            why TEXT,
            refused_at REAL
        );
    """,
    "0015_adopted": """
        ALTER TABLE file ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
    """,
    "0016_receipt": """
        ALTER TABLE run ADD COLUMN receipt_sha256 TEXT;
    """,
    "0017_events": SCHEMA_1
    + """
        ALTER TABLE run ADD COLUMN announced TEXT;
        UPDATE run SET announced = coalesce(receipt_sha256, 'before events') WHERE generation > 0;
    """,
    "0018_left": """
        ALTER TABLE flow ADD COLUMN loose_files INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE flow ADD COLUMN links INTEGER NOT NULL DEFAULT 0;
    """,
    "0019_plain_names": """
        ALTER TABLE run RENAME COLUMN lake_known TO remote_state_current;
        ALTER TABLE run RENAME COLUMN taken_over TO foreign_blobs;
        ALTER TABLE run RENAME COLUMN rows_kept TO manifest_cached;
        ALTER TABLE run RENAME COLUMN outcome_words TO outcome_detail;
        ALTER TABLE flow RENAME COLUMN trouble_mailed TO problem_mailed;
        ALTER TABLE told RENAME TO reported;
        UPDATE reported SET key = 'mail:unavailable:' || substr(key, 19) WHERE key LIKE 'mail:surroundings:%';
        ALTER TABLE still RENAME TO stability;
        DROP INDEX word_now;
        DROP INDEX word_of_run;
        ALTER TABLE word RENAME COLUMN word TO action;
        ALTER TABLE word RENAME TO override;
        CREATE UNIQUE INDEX override_now ON override (flow_id, key) WHERE ended IS NULL;
        CREATE INDEX override_of_run ON override (flow_id, key);
    """,
    "0020_waiting_entries": """
        UPDATE uncarried SET kind = 'waiting' WHERE kind = 'waits';
    """,
}

SCRATCH_SCHEMA = """
    CREATE TABLE IF NOT EXISTS scratch.seen (
        path BLOB NOT NULL, blob TEXT, kind TEXT NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, detail TEXT NOT NULL, ctime_ns INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS scratch.folder (
        path BLOB PRIMARY KEY, mtime_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS scratch.listing (
        blob TEXT NOT NULL, size INTEGER NOT NULL, md5 BLOB, etag TEXT NOT NULL, stub INTEGER NOT NULL, nonce TEXT,
        archived INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS scratch.sent (
        blob TEXT PRIMARY KEY, evidence INTEGER NOT NULL, md5 BLOB, etag_before TEXT, etag TEXT, nonce TEXT,
        ctime_ns INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS scratch.hold (
        blob TEXT PRIMARY KEY, code TEXT NOT NULL
    ) WITHOUT ROWID;
"""
"""The throw-away database: seen and folder (this walk), listing (this look at the container), sent (this try), and hold
(files that must not be sent, and why)."""


def refuse_others(connection: sqlite3.Connection, path: str) -> None:
    """Changes nothing. Raises StateUnavailable for a database that somebody else made: nothing of ours goes into it."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "migration" not in tables:
        raise StateUnavailable(
            f"state file {path} is a database of another program", "name another state-file"
        )


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the ledger to the newest schema. Raises StateUnavailable for a ledger of a newer version."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone() is None:
        # At once for writing: a reader that turns writer is refused without a wait if another one was faster.
        connection.executescript(
            "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY); COMMIT;"
        )
    applied = {row[0] for row in connection.execute("SELECT name FROM migration")}
    unknown = applied - MIGRATIONS.keys()
    if unknown:
        raise StateUnavailable(
            f"state file {path} was written by a newer version of sync_to_azure ({', '.join(sorted(unknown))})",
            "use that version, or name another state-file",
        )
    for name, script in MIGRATIONS.items():
        if name in applied:
            continue
        try:
            # executescript would commit by itself; the explicit BEGIN makes step and name one transaction. The name
            # comes first: if another pass (of another flow in this file) was faster, nothing else is tried.
            connection.executescript(
                f"BEGIN IMMEDIATE; INSERT INTO migration VALUES ('{name}'); {script}; COMMIT;"
            )
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK")
            if connection.execute("SELECT 1 FROM migration WHERE name = ?", (name,)).fetchone() is None:
                raise
