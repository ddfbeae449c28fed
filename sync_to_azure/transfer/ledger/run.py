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
    remote_state_current: bool
    foreign_blobs: bool
    manifest_cached: bool
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
    outcome_detail: str | None = None
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


_FIELDS = tuple(field.name for field in dataclasses.fields(Run))
RUN_COLUMNS = ", ".join(_FIELDS).replace(" reason,", " reason_code, reason_parameters,")
"""In the order of the fields, of which one stands in two columns."""
SETTABLE = frozenset(_FIELDS) - {
    "id",
    "key",
    "state",
    "reason",
    "since",
}


def run_of(row: tuple[Any, ...]) -> Run:
    """A row of ``RUN_COLUMNS``."""
    number, key, profile, state, code, parameters, *others = row
    reason = Reason(code, json.loads(parameters or "{}")) if code else None
    run = Run(number, key, profile, State(state), reason, *others)
    run.remote_state_current, run.foreign_blobs, run.manifest_cached = (
        bool(run.remote_state_current),
        bool(run.foreign_blobs),
        bool(run.manifest_cached),
    )
    return run
