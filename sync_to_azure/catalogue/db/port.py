"""The port to the catalogue's database. ``sqlite`` and ``postgresql`` implement it; tests/contract/catalogue holds both
to it.

**Transactions.** What changes something is done within ``transaction``, and is there as a whole or not at all, also
after a crash. One writes at a time; the others wait. Readers wait for nobody, and see what was committed.

**Errors** (core.errors): StateUnavailable (does not answer, disk full, no rights, a database of somebody else or of a
newer version), ConfigurationError (an address that is none). A database raises nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from sync_to_azure.catalogue.model import Applied, Change, Checksum, RunRecord, StoreAddress
from sync_to_azure.catalogue.query import Query
from sync_to_azure.core.model import Evidence

COUNTED = 10_000
"""To so many, results are counted exactly."""
FACETS = ("run", "project", "instrument", "tier", "store", "evidence")


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What an unchanged object is recognised by. ``has_more``: other checksums than ``md5`` are known of it, too;
    ``provenance``, ``evidence``: of ``md5``."""

    number: int
    etag: str
    size: int
    md5: bytes | None
    tier: str | None
    mime: str | None
    is_deleted: bool
    has_more: bool
    provenance: int
    evidence: int
    run: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One version at one place. ``id``: of the object, or of the one with which it was merged; ``places``: (store's
    address, name) of all that are merged, this one first. ``number``: where a next page goes on."""

    number: int
    id: str
    version_id: str
    name: str
    store: str
    kind: str
    cloud: str
    region: str
    size: int
    etag: str
    store_version: str | None
    checksums: tuple[Checksum, ...]
    evidence: Evidence
    modified: float | None
    mtime: float | None
    mime: str | None
    tier: str | None
    run: str | None
    instrument: str
    flow_cell: str
    project: str
    first_seen: float
    last_seen: float
    is_current: bool
    deleted_at: float | None
    deleted_by: str | None
    places: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Total:
    """Of one cloud, region, tier and project; ``unique`` counts merged places once."""

    cloud: str
    region: str
    tier: str
    project: str
    objects: int
    bytes: int
    unique_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """``store_began``: by the store's clock. ``token``: where its listing goes on. ``outcome``: "" while it goes on."""

    id: int
    store_id: int
    prefix: str
    began: float
    store_began: float
    token: str
    listed: int
    applied: Applied
    outcome: str = ""
    finished: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Merge:
    id: int
    kept: str
    joined: str
    checksum: str
    at: float
    undone_at: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Poisoned:
    at: float
    source: str
    subject: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class StoreStatus:
    address: str
    kind: str
    objects: int
    bytes: int
    deleted: int
    last_inventory: Inventory | None


class Catalogue(Protocol):
    """Open, and of our schema."""

    kind: str
    shown: str
    """For messages: no password."""

    def close(self) -> None: ...

    def transaction(self) -> contextlib.AbstractContextManager[None]: ...

    # Stores and runs

    def store_id(self, store: StoreAddress) -> int:
        """Of a store, which is entered where it is new."""

    def stores(self) -> list[StoreStatus]: ...

    def receipt_of(self, store_id: int, base: str) -> str | None:
        """SHA-256 of the receipt by which a run is on record, None if it is not."""

    def put_run(self, store_id: int, run: RunRecord) -> int:
        """Enter a run or what changed of it; its files are found by its words from then on."""

    # Changes

    def apply(self, store_id: int, changes: Sequence[Change], now: float, source: str) -> Applied:
        """Of any order and any number of repetitions (places). What can never be applied is kept as poison."""

    def poison(self, subject: str, reason: str, payload: Mapping[str, Any], now: float, source: str) -> None:
        """Keep what cannot be applied, with the reason; once."""

    def poisoned(self, limit: int) -> tuple[int, list[Poisoned]]:
        """How many there are, and the newest."""

    # Inventories

    def known(self, store_id: int, names: Sequence[str]) -> dict[str, Known]:
        """What is current at these names, deleted or not."""

    def begin_inventory(self, store_id: int, prefix: str, now: float, store_now: float) -> Inventory: ...

    def unfinished_inventory(self, store_id: int, prefix: str) -> Inventory | None: ...

    def note_page(self, inventory: Inventory, seen: Sequence[int]) -> None:
        """How far it is, and the numbers of what this page showed."""

    def gone(self, inventory: Inventory) -> Iterator[str]:
        """Names below its prefix that are current, not deleted, and were not seen; in their numbers' order."""

    def live(self, store_id: int, prefix: str) -> int:
        """How many objects below a prefix are there and not deleted."""

    def finish_inventory(self, inventory: Inventory, outcome: str, now: float) -> None: ...

    # Looking

    def search(self, query: Query, after: int, limit: int) -> list[Found]:
        """In the order in which they were entered, from behind the number ``after``."""

    def count(self, query: Query) -> int:
        """Exact to ``COUNTED``; one more than that stands for all above."""

    def facets(self, query: Query) -> dict[str, dict[str, int]]:
        """How many results have which value, of the first ``COUNTED``."""

    def totals(self, query: Query) -> list[Total]: ...

    def versions(self, identity: str) -> list[Found]:
        """Of an object id all versions, of a version id that one; merged ones too."""

    def random(self, many: int) -> list[Found]:
        """Some that are there, at random."""

    def rows(self, view: str) -> Iterator[Mapping[str, Any]]:
        """Of one of the stable views (schema): a stream."""

    # Merging

    def merge(self, kept: int, joined: int, reason: Checksum, now: float) -> int:
        """Two versions, by their numbers, are one; gives the merge's id."""

    def separate(self, merge: int, now: float) -> bool:
        """Undo a merge: all is as it was before it. False if there is none of that id that is in force."""

    def merges(self) -> list[Merge]: ...

    # Care

    def clean(self, before: float) -> Mapping[str, int]:
        """Drop what is only kept for a while: marks of finished inventories, versions that were replaced or deleted
        before then."""

    def empty(self) -> None:
        """Drop everything but the schema. No store is touched."""

    def drop_search_index(self) -> None: ...
