"""A flow and a run as the ledger keeps them."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import json
from typing import Any

from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """What ledger rows and the lock are keyed by, together."""

    main_folder: str
    endpoint: str
    container: str
    destination: str

    @property
    def key(self) -> str:
        facts = json.dumps([self.main_folder, self.endpoint, self.container, self.destination])
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclasses.dataclass(slots=True)
class Run:
    """A row of the run table; field names are column names. Times in seconds since 1970, mtimes in ns.

    ``weakest`` (an ``Evidence``) and ``verified_at`` are of the last verdict: they are asked for all runs at once, so
    they stand here and not only in the file rows. ``profile`` to ``completeness``: what its instrument tells of it,
    ``outcome`` None until that was asked; ``still_since``: an unfinished run's tree was ``still_digest`` since then,
    seen last at ``still_looked``. ``folders``: how many its last walk saw (the ``folder`` table has them), None if none
    did; ``scanned_at``: when all of them were looked at last; ``scan_cursor``: the last one of a look in part.
    ``announced``: the SHA-256 of the receipt of which an event was reported last.
    """

    id: int
    key: str
    profile: str
    state: State
    reason: Reason | None
    since: float
    first_seen: float
    folder_mtime_ns: int | None
    fingerprint: str | None
    quiet_since: float | None
    generation: int
    lake_known: bool
    taken_over: bool
    rows_kept: bool
    files: int
    bytes: int
    published_at: float | None
    first_published: float | None
    sheet_size: int | None
    sheet_mtime_ns: int | None
    weakest: int | None
    verified_at: float | None
    recognised_by: str | None = None
    outcome: str | None = None
    outcome_words: str | None = None
    complete: int | None = None
    completeness: str | None = None
    still_digest: str | None = None
    still_since: float | None = None
    still_looked: float | None = None
    folders: int | None = None
    scanned_at: float | None = None
    folders_changed_at: float | None = None
    scan_cursor: builtins.bytes | None = None
    receipt_sha256: str | None = None
    announced: str | None = None

    @property
    def is_published(self) -> bool:
        return self.generation > 0


RUN_COLUMNS = (
    "id, key, profile, state, reason_code, reason_parameters, since, first_seen, folder_mtime_ns, fingerprint,"
    " quiet_since, generation, lake_known, taken_over, rows_kept, files, bytes, published_at, first_published,"
    " sheet_size, sheet_mtime_ns, weakest, verified_at, recognised_by, outcome, outcome_words, complete,"
    " completeness, still_digest, still_since, still_looked, folders,"
    " scanned_at, folders_changed_at, scan_cursor, receipt_sha256, announced"
)
_NAMES = tuple(RUN_COLUMNS.replace(" ", "").split(","))
SETTABLE = frozenset(field.name for field in dataclasses.fields(Run)) - {
    "id",
    "key",
    "state",
    "reason",
    "since",
}


def run_of(row: tuple[Any, ...]) -> Run:
    values: dict[str, Any] = dict(zip(_NAMES, row))
    code, parameters = values.pop("reason_code"), values.pop("reason_parameters")
    values["reason"] = Reason(code, json.loads(parameters or "{}")) if code else None
    values["state"] = State(values["state"])
    for name in ("lake_known", "taken_over", "rows_kept"):
        values[name] = bool(values[name])
    return Run(**values)
