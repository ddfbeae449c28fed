"""A catalogue with one store, and what tests do with it."""

from __future__ import annotations

import typing

from sync_to_azure.catalogue.db.port import Catalogue, Found
from sync_to_azure.catalogue.model import (
    Applied,
    Change,
    Checksum,
    Provenance,
    Put,
    RunRecord,
    StoreAddress,
)
from sync_to_azure.catalogue.query import Filters, parse
from sync_to_azure.core.model import Evidence

NOW = 1_800_000_000.0


class Shelf:
    def __init__(self, catalogue: Catalogue, address: str) -> None:
        self.catalogue = catalogue
        with catalogue.transaction():
            self.store = catalogue.store_id(StoreAddress(address, "azure", "azure", "westeurope"))

    def apply(self, *changes: Change, store: int | None = None) -> Applied:
        with self.catalogue.transaction():
            return self.catalogue.apply(store or self.store, changes, NOW, "a test")

    def run(self, name: str, **facts: typing.Any) -> int:
        with self.catalogue.transaction():
            return self.catalogue.put_run(self.store, RunRecord(base=f"lake/{name}", name=name, **facts))

    def found(self, *words: str, after: int = 0, limit: int = 1000, **filters: typing.Any) -> list[Found]:
        return self.catalogue.search(parse(words, Filters(**filters)), after, limit)

    def names(self, *words: str, **filters: typing.Any) -> set[str]:
        return {each.name for each in self.found(*words, **filters)}

    def one(self, *words: str, **filters: typing.Any) -> Found:
        [found] = self.found(*words, **filters)
        return found


def put(name: str, etag: str = "e1", size: int = 1, at: float = 100.0, **facts: typing.Any) -> Put:
    return Put(name, etag, size, at, **facts)


def proved(value: str = "0" * 32, evidence: Evidence = Evidence.READ_BACK, kind: str = "md5") -> Checksum:
    return Checksum(Provenance.PROVED, evidence, kind, value, 50.0)


def stated(value: str = "0" * 32, kind: str = "md5") -> Checksum:
    return Checksum(Provenance.STORE, Evidence.NONE, kind, value)


def claimed(value: str = "0" * 32, kind: str = "md5") -> Checksum:
    return Checksum(Provenance.CLIENT, Evidence.NONE, kind, value)
