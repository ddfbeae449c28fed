"""What audits found: of each run when it was listed and read back, how far a reading back is, and what is wrong now.

Keyed by the run's name, as the lake may know runs that the run table does not. An audit works beside a pass: every
method is one short transaction. What is wrong is counted in the run's row, so that ``status`` reads no findings.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Mapping

from sync_to_azure.transfer.ledger import announcing, overrides
from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.model import Evidence

WELL, WRONG, NO_MANIFEST = "well", "wrong", "no-manifest"

_KEPT = 1000
"""So many findings of a listing are kept by name, the rest is counted."""
_READ = ("bytes", "unreadable")
"""Kinds that a reading back finds; a listing cannot take them away while the blob's ETag stands."""
_MAIL = "audit-mail:"
_OPEN = "audit-open"


@dataclasses.dataclass(frozen=True, slots=True)
class AuditFinding:
    """``name``: a blob below DEST/RUN/, or a document beside it (then ``kind`` is documents). Kinds by listing:
    documents, missing, size, md5, rewritten; by reading back: bytes, unreadable. ``etag`` of what was looked at.
    """

    name: str
    kind: str
    detail: str
    etag: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Audited:
    """Times in seconds since 1970, None for never; ``cursor``: the last blob of a reading back that is under way.
    ``found``: findings by kind, as ``kind=count,kind=count``, without the ``uncounted``; ``wrong_since``: when an audit
    first saw that something is wrong."""

    run: str
    outcome: str
    listed_at: float | None = None
    read_at: float | None = None
    cursor: str | None = None
    files: int = 0
    bytes: int = 0
    archived: int = 0
    extras: int = 0
    uncounted: int = 0
    found: str | None = None
    wrong_since: float | None = None

    @property
    def is_wrong(self) -> bool:
        return self.outcome == WRONG

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each kind are kept by name."""
        pairs = (each.partition("=") for each in (self.found or "").split(",") if each)
        return {kind: int(count) for kind, _, count in pairs}


_COLUMNS = (
    "run, outcome, listed_at, read_at, cursor, files, bytes, archived, extras, uncounted, found, wrong_since"
)


def all_audited(connection: sqlite3.Connection, flow_id: int | None) -> dict[str, Audited]:
    """By the run's name; the findings themselves are not read."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM audit WHERE flow_id = ?", (flow_id,))
    return {row[0]: Audited(*row) for row in rows}


def findings_of(connection: sqlite3.Connection, flow_id: int | None, run: str) -> list[AuditFinding]:
    rows = connection.execute(
        "SELECT name, kind, detail, etag FROM audit_finding WHERE flow_id = ? AND run = ? ORDER BY kind, name",
        (flow_id, run),
    )
    return [AuditFinding(*row) for row in rows]


class Audits:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._flow = ledger.flow_id

    def published_runs(self) -> set[str]:
        """Names of the runs that this flow published, by the ledger."""
        rows = self._connection.execute(
            "SELECT key FROM run WHERE flow_id = ? AND generation > 0", (self._flow,)
        )
        return {str(key) for (key,) in rows}

    def published_receipt(self, run: str) -> tuple[str, int] | None:
        """(SHA-256, generation) of the receipt that we published last; None where the ledger knows none."""
        row = self._connection.execute(
            "SELECT receipt_sha256, generation FROM run WHERE flow_id = ? AND key = ?", (self._flow, run)
        ).fetchone()
        return None if row is None or row[0] is None else (str(row[0]), int(row[1]))

    def was_published(self, run: str) -> bool:
        """By the ledger, or by an audit of ours that read its manifest."""
        row = self._connection.execute(
            "SELECT 1 FROM run WHERE flow_id = ?1 AND key = ?2 AND generation > 0 UNION ALL"
            " SELECT 1 FROM audit WHERE flow_id = ?1 AND run = ?2 AND outcome <> ?3",
            (self._flow, run, NO_MANIFEST),
        ).fetchone()
        return row is not None

    def is_being_published(self, run: str) -> bool:
        """A pass notes this before it writes the first document, and the end of it after the marker."""
        row = self._connection.execute(
            "SELECT 1 FROM run WHERE flow_id = ? AND key = ? AND remote_state_current = 0", (self._flow, run)
        ).fetchone()
        return row is not None

    def all(self) -> dict[str, Audited]:
        return all_audited(self._connection, self._flow)

    def of(self, run: str) -> Audited:
        """What is on record of one run."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM audit WHERE flow_id = ? AND run = ?", (self._flow, run)
        ).fetchone()
        return Audited(*row) if row is not None else Audited(run, WELL)

    def findings(self, run: str) -> list[AuditFinding]:
        return findings_of(self._connection, self._flow, run)

    def take_listing(self, audited: Audited, found: Iterable[AuditFinding], etags: Mapping[str, str]) -> None:
        """A run was listed: its findings by listing are these, and no others. ``etags``: of the blobs with findings by
        reading back, as listed now; under another ETag it is another blob, which the listing judges."""
        run, kept, uncounted = audited.run, 0, 0
        with self._ledger.transaction() as connection:
            before = self.of(run).is_wrong
            for old in self.findings(run):
                if old.kind not in _READ or etags.get(old.name) != old.etag:
                    self._drop(run, old.name, old.kind)
            for finding in found:
                kept += 1
                if kept > _KEPT:
                    uncounted += 1
                    continue
                self._put(run, finding, audited.listed_at)
            connection.execute(
                "INSERT INTO audit (flow_id, run, outcome, listed_at, files, bytes, archived, extras, uncounted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (flow_id, run) DO UPDATE SET outcome ="
                " excluded.outcome, listed_at = excluded.listed_at, files = excluded.files, bytes = excluded.bytes,"
                " archived = excluded.archived, extras = excluded.extras, uncounted = excluded.uncounted",
                (
                    self._flow,
                    run,
                    audited.outcome,
                    audited.listed_at,
                    audited.files,
                    audited.bytes,
                    audited.archived,
                    audited.extras,
                    uncounted,
                ),
            )
            self._judge(run, audited.listed_at, before)

    def take_reading(
        self,
        run: str,
        cursor: str | None,
        good: Iterable[tuple[str, str]],
        bad: Iterable[AuditFinding],
        now: float,
    ) -> None:
        """Some blobs were read back: ``good`` (name, ETag) hold the right bytes, ``bad`` do not. ``cursor``: the last
        one in order of names, None where they were read out of order."""
        with self._ledger.transaction() as connection:
            for name, etag in good:
                for kind in (*_READ, "rewritten"):
                    self._drop(run, name, kind)
                connection.execute(
                    "INSERT OR REPLACE INTO audit_good VALUES (?, ?, ?, ?)", (self._flow, run, name, etag)
                )
            worse = list(bad)
            for finding in worse:
                self._put(run, finding, now)
            if cursor is not None:
                connection.execute(
                    "UPDATE audit SET cursor = ? WHERE flow_id = ? AND run = ?", (cursor, self._flow, run)
                )
            self._doubt(run, worse)
            self._judge(run, now, self.of(run).is_wrong)

    def end_reading(self, run: str, now: float) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE audit SET cursor = NULL, read_at = ? WHERE flow_id = ? AND run = ?",
                (now, self._flow, run),
            )

    def is_good(self, run: str, name: str, etag: str) -> bool:
        """Is this version of the blob, other than the one that was published, proved to hold the published bytes?"""
        row = self._connection.execute(
            "SELECT 1 FROM audit_good WHERE flow_id = ?1 AND run = ?2 AND name = ?3 AND etag = ?4 UNION ALL"
            " SELECT 1 FROM file f JOIN run r ON r.id = f.run_id WHERE r.flow_id = ?1 AND r.key = ?2"
            f" AND f.blob = ?3 AND f.etag = ?4 AND f.evidence >= {int(Evidence.VALIDATED)}",
            (self._flow, run, name, etag),
        ).fetchone()
        return row is not None

    def _put(self, run: str, finding: AuditFinding, at: float | None) -> None:
        self._connection.execute(
            "INSERT INTO audit_finding (flow_id, run, name, kind, detail, etag, found_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (flow_id, run, name, kind) DO UPDATE SET detail = excluded.detail, etag = excluded.etag",
            (self._flow, run, finding.name, finding.kind, finding.detail, finding.etag, at),
        )

    def _drop(self, run: str, name: str, kind: str) -> None:
        self._connection.execute(
            "DELETE FROM audit_finding WHERE flow_id = ? AND run = ? AND name = ? AND kind = ?",
            (self._flow, run, name, kind),
        )

    def _judge(self, run: str, now: float | None, before: bool) -> None:
        """Within a transaction: a run with a finding is wrong, one without is well. That it became so is history.
        ``before``: was it wrong?"""
        self._connection.execute(
            "UPDATE audit SET found = (SELECT group_concat(kind || '=' || n) FROM (SELECT kind, count(*) AS n FROM"
            " audit_finding WHERE flow_id = ?1 AND run = ?2 GROUP BY kind)) WHERE flow_id = ?1 AND run = ?2",
            (self._flow, run),
        )
        self._connection.execute(
            "UPDATE audit SET outcome = CASE WHEN uncounted > 0 OR found IS NOT NULL THEN ?3"
            " WHEN outcome = ?4 THEN ?4 ELSE ?5 END, wrong_since = CASE WHEN uncounted > 0 OR found IS NOT NULL THEN"
            " coalesce(wrong_since, ?6) END WHERE flow_id = ?1 AND run = ?2",
            (self._flow, run, WRONG, NO_MANIFEST, WELL, now),
        )
        after = self.of(run)
        row = self._connection.execute(
            "SELECT id FROM run WHERE flow_id = ? AND key = ?", (self._flow, run)
        ).fetchone()
        if after.is_wrong != before and row is not None:
            found = ", ".join(f"{count} {kind}" for kind, count in after.counts.items())
            code = "audit:audit-wrong" if after.is_wrong else "audit:audit-solved"
            self._ledger.append(self._connection, row[0], now or 0.0, code, {"found": found})
        override = overrides.current(self._ledger, run)
        if after.is_wrong and not before and (override is None or override.action != overrides.IGNORE):
            count = sum(after.counts.values()) + after.uncounted
            self._ledger.outbox.append(announcing.damaged(self._ledger.flow, run, count), now or 0.0)

    # What a pass makes of it

    def doubt(self, run: Run) -> None:
        """Rows of files came from the manifest: what was found by reading back since counts more."""
        findings = [each for each in self.findings(run.key) if each.kind in _READ]
        if not findings:
            return
        with self._ledger.transaction():
            self._doubt(run.key, findings)
        run.weakest = self._connection.execute("SELECT weakest FROM run WHERE id = ?", (run.id,)).fetchone()[
            0
        ]

    def _doubt(self, run: str, findings: Iterable[AuditFinding]) -> None:
        """Within a transaction. A blob whose bytes are wrong under its ETag, or cannot be read, is not proved by that
        ETag any more: the source must not go for it, and the next thorough look reads it back."""
        doubted = self._connection.executemany(
            "UPDATE file SET evidence = ?3, etag_is_own = 0, adopted = 0"
            " WHERE run_id = (SELECT id FROM run WHERE flow_id = ?1 AND key = ?2)"
            " AND blob = ?4 AND (adopted OR (etag = ?5 AND evidence > ?3))",
            [(self._flow, run, int(Evidence.LISTED), each.name, each.etag) for each in findings],
        )
        if doubted.rowcount:
            self._connection.execute(
                "UPDATE run SET weakest = min(weakest, ?3) WHERE flow_id = ?1 AND key = ?2",
                (self._flow, run, int(Evidence.LISTED)),
            )

    def answer(self, run: Run, now: float) -> bool:
        """A pass has compared every file with a listing, and the documents with each other: what a listing can find is
        solved, what only reading back finds is if that file was proved anew. True if nothing is left that was found.
        """
        if not self.of(run.key).is_wrong:
            return False
        with self._ledger.transaction() as connection:
            connection.execute(
                "DELETE FROM audit_finding WHERE flow_id = ? AND run = ? AND (kind NOT IN"
                f" {(*_READ, 'rewritten')} OR name IN (SELECT blob FROM file WHERE run_id = ? AND evidence >= ?))",
                (self._flow, run.key, run.id, int(Evidence.VALIDATED)),
            )
            connection.execute(
                "UPDATE audit SET uncounted = 0 WHERE flow_id = ? AND run = ? AND NOT EXISTS"
                " (SELECT 1 FROM file WHERE run_id = ? AND evidence < ?)",
                (self._flow, run.key, run.id, int(Evidence.VALIDATED)),
            )
            self._judge(run.key, now, True)
        return not self.of(run.key).is_wrong

    # What was mailed: an audit's troubles are its own, a pass that is well must not call them solved

    def mailed(self) -> dict[str, float]:
        rows = self._connection.execute(
            "SELECT key, at FROM reported WHERE flow_id = ? AND key >= ? AND key < ?",
            (self._flow, _MAIL, _MAIL[:-1] + ";"),
        )
        return {str(key).removeprefix(_MAIL): float(at) for key, at in rows}

    def problem_is_open(self) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM reported WHERE flow_id = ? AND key = ?", (self._flow, _OPEN)
        ).fetchone()
        return row is not None

    def note_mailed(self, keys: tuple[str, ...], now: float, open_problem: bool) -> None:
        with self._ledger.transaction() as connection:
            if not open_problem:
                connection.execute(
                    "DELETE FROM reported WHERE flow_id = ? AND (key = ? OR (key >= ? AND key < ?))",
                    (self._flow, _OPEN, _MAIL, _MAIL[:-1] + ";"),
                )
            told = [f"{_MAIL}{key}" for key in keys] + ([_OPEN] if open_problem else [])
            connection.executemany(
                "INSERT OR REPLACE INTO reported (flow_id, key, at) VALUES (?, ?, ?)",
                [(self._flow, key, now) for key in told],
            )
