"""Values of the catalogue. A million objects are a stream of these, never a list."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from sync_to_azure.core.model import Evidence


class Provenance(enum.IntEnum):
    """Who says that a checksum is that of the bytes in the store, weakest first.

    ``CLIENT``: whoever wrote the object said so, and nobody compared (the Content-MD5 of a blob that was uploaded in
    blocks). ``STORE``: the store computed it of what it holds. ``PROVED``: sync_to_azure proved it, with evidence
    ``validated`` or ``read-back``.
    """

    CLIENT = 1
    STORE = 2
    PROVED = 3

    @property
    def label(self) -> str:
        return self.name.lower()


MD5, SHA256 = "md5", "sha-256"
"""Names of checksum types, as in DRS. An ETag is none: it is kept as an ETag."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Checksum:
    """``value``: hexadecimal digits in small letters. ``evidence`` and ``at`` (seconds since 1970): of a proof."""

    provenance: Provenance
    evidence: Evidence
    type: str
    value: str
    at: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Put:
    """An object was seen at a place, a name in a store.

    ``at``: the latest time, by the store's clock in seconds since 1970, at which this version is known to have been
    the one there. ``modified``: when the store saw it written; ``mtime``: of the file that it was made of.
    ``sequencer``: the store's own order of what happened to this name, where it has one; only equal lengths compare.
    ``run``: number of the run to which it belongs. ``aliases``: other names by which people know it.
    """

    name: str
    etag: str
    size: int
    at: float
    modified: float | None = None
    sequencer: str = ""
    store_version: str | None = None
    checksums: tuple[Checksum, ...] = ()
    mtime: float | None = None
    mime: str | None = None
    tier: str | None = None
    run: int | None = None
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Delete:
    """An object is not there any more. ``etag``: of the version that went, empty where that is not known. ``source``:
    who says so, such as ``inventory 12``."""

    name: str
    at: float
    source: str
    etag: str = ""


Change = Put | Delete
"""What feeds the catalogue, whoever observed it: inventories and manifests now, queues and topics later."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tombstone:
    """``tag``: of the version that went, "" for whatever was there."""

    tag: str
    at: float
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """One version of an object at a place, as it is on record. ``seen``: the latest time at which it is known to have
    been there; ``facts_at``: when the store said its tier, type and version. ``number``: of its row, 0 if it has none
    yet."""

    name: str
    tag: str
    etag: str
    size: int
    seen: float
    facts_at: float = 0.0
    modified: float | None = None
    sequencer: str = ""
    store_version: str | None = None
    checksums: frozenset[Checksum] = frozenset()
    mtime: float | None = None
    mime: str | None = None
    tier: str | None = None
    run: int | None = None
    aliases: frozenset[str] = frozenset()
    number: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """All that is known of one name in one store."""

    versions: Mapping[str, Version] = dataclasses.field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class StoreAddress:
    """``address``: ENDPOINT/CONTAINER, the same for whoever looks. ``kind``: azure or file."""

    address: str
    kind: str
    cloud: str = ""
    region: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A published run. ``base``: its name in the store, DEST/RUN. ``samples``: ids, only where names are allowed;
    ``findings``: what its sample sheet would break. ``published_at``: seconds since 1970."""

    base: str
    name: str
    generation: int = 0
    profile: str = ""
    outcome: str = ""
    instrument: str = ""
    instrument_type: str = ""
    flow_cell: str = ""
    project: str = ""
    samples: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    weakest: Evidence = Evidence.NONE
    published_at: float | None = None
    receipt_sha256: str = ""

    @property
    def words(self) -> str:
        """By which its files are found, beside their own names."""
        parts = (
            self.name,
            self.instrument,
            self.instrument_type,
            self.flow_cell,
            self.project,
            *self.samples,
        )
        return "\n".join(dict.fromkeys(filter(None, parts)))


@dataclasses.dataclass(slots=True)
class Applied:
    """What changes did: objects that are new, changed, gone, back after they were gone, unchanged, or poison.
    ``numbers``: of the versions that are current at their places now."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    restored: int = 0
    unchanged: int = 0
    poison: int = 0
    numbers: list[int] = dataclasses.field(default_factory=list, repr=False, compare=False)

    def add(self, other: "Applied") -> None:
        """The counts alone."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}


COUNTS = ("new", "changed", "gone", "restored", "unchanged", "poison")
