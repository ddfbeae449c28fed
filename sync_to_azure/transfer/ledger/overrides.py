"""Operator overrides of a run: hold, ignore, retry, accept. One is in force at a time; the earlier ones stay on record.

An override is a row of its own, not a column of the run: it may be set while a pass works on that run with its own
copy of the row, and before the run exists.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from sync_to_azure.transfer.ledger.ledger import Ledger, storable

HOLD, IGNORE, RETRY, ACCEPT, RELEASE = "hold", "ignore", "retry", "accept", "release"
STOPPING = (HOLD, IGNORE)
"""Nothing of the run is uploaded, published or removed while one of these is in force."""

USED, RELEASED, REPLACED = "used", "released", "replaced"
"""How an override ended: a pass acted on it, the operator released it, or another one replaced it."""

_COLUMNS = "id, key, action, by, at, reason, about, ended"


@dataclasses.dataclass(frozen=True, slots=True)
class Override:
    """``by``: login name @ host; ``at`` in seconds since 1970; ``about``: for accept, what exactly was accepted."""

    id: int
    key: str
    action: str
    by: str
    at: float
    reason: str
    about: Mapping[str, Any]
    ended: str | None = None

    @property
    def stops(self) -> bool:
        return self.action in STOPPING

    def accepts(self, kind: str) -> bool:
        return self.action == ACCEPT and self.about.get("kind") == kind


def override_of(row: tuple[Any, ...]) -> Override:
    number, key, action, by, at, reason, about, ended = row
    return Override(number, key, action, by, at, reason, json.loads(about), ended)


def current(ledger: Ledger, key: str) -> Override | None:
    """The override in force for this run, read from the file: it may have been set a moment ago."""
    row = ledger.connection.execute(
        f"SELECT {_COLUMNS} FROM override WHERE flow_id = ? AND key = ? AND ended IS NULL",
        (ledger.flow_id, key),
    ).fetchone()
    return None if row is None else override_of(row)


def all_current(connection: sqlite3.Connection, flow_id: int) -> dict[str, Override]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM override WHERE flow_id = ? AND ended IS NULL", (flow_id,)
    )
    return {override.key: override for override in map(override_of, rows)}


def override_history(connection: sqlite3.Connection, flow_id: int, key: str) -> list[Override]:
    """Every override that was ever set for this run, the oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM override WHERE flow_id = ? AND key = ? ORDER BY id", (flow_id, key)
    )
    return [override_of(row) for row in rows]


def set_override(
    ledger: Ledger, key: str, action: str, by: str, at: float, reason: str, about: Mapping[str, Any]
) -> Override | None:
    """Put an override in force (``release``: none); returns the one that was in force before. One transaction."""
    key, by, reason = storable(key), storable(by), storable(reason)
    with ledger.transaction() as connection:
        before = current(ledger, key)
        if before is not None:
            how = RELEASED if action == RELEASE else REPLACED
            connection.execute("UPDATE override SET ended = ? WHERE id = ?", (how, before.id))
        connection.execute(
            "INSERT INTO override (flow_id, key, action, by, at, reason, about, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                ledger.flow_id,
                key,
                action,
                by,
                at,
                reason,
                json.dumps(dict(about)),
                USED if action == RELEASE else None,
            ),
        )
        run = connection.execute(
            "SELECT id FROM run WHERE flow_id = ? AND key = ?", (ledger.flow_id, key)
        ).fetchone()
        if run is not None:
            ledger.append(connection, run[0], at, f"word:{action}", {"by": by, "reason": reason})
    return before


def mark_used(ledger: Ledger, override: Override) -> None:
    """A pass acted on it; does nothing if another override replaced it in between."""
    with ledger.transaction() as connection:
        connection.execute(
            "UPDATE override SET ended = ? WHERE id = ? AND ended IS NULL", (USED, override.id)
        )
