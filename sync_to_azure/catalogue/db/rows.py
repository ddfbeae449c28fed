"""Rows of the database and the values that they hold. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from sync_to_azure.catalogue.model import MD5, Checksum, Provenance, Version
from sync_to_azure.catalogue.places import best_md5
from sync_to_azure.catalogue.query import normalized
from sync_to_azure.core.model import Evidence

VERSION_COLUMNS = (
    "number",
    "store_id",
    "name",
    "tag",
    "object_id",
    "etag",
    "size",
    "seen",
    "facts_at",
    "modified",
    "sequencer",
    "store_version",
    "md5",
    "md5_provenance",
    "md5_evidence",
    "md5_at",
    "has_more",
    "mtime",
    "mime",
    "tier",
    "run_id",
    "first_seen",
    "is_current",
    "deleted_at",
    "deleted_by",
    "same_as",
    "words",
)


@dataclasses.dataclass(slots=True)
class Row:
    """A row of ``version``: the value, and what only the database keeps of it."""

    version: Version
    object_id: str
    first_seen: float
    is_current: bool
    deleted_at: float | None
    deleted_by: str | None
    same_as: int | None
    words: str
    has_more: bool


def words_of(name: str, run_words: str = "", aliases: frozenset[str] = frozenset()) -> str:
    """The text by which a version is found."""
    if not run_words and not aliases:
        return normalized(name)
    return normalized("\n".join((name, run_words, *sorted(aliases))))


def row_values(row: Row, store_id: int) -> tuple[Any, ...]:
    """In the order of ``VERSION_COLUMNS``."""
    version = row.version
    md5 = best_md5(version.checksums)
    return (
        version.number,
        store_id,
        version.name,
        version.tag,
        row.object_id,
        version.etag,
        version.size,
        version.seen,
        version.facts_at,
        version.modified,
        version.sequencer or None,
        version.store_version,
        bytes.fromhex(md5.value) if md5 is not None else None,
        int(md5.provenance) if md5 is not None else 0,
        int(md5.evidence) if md5 is not None else 0,
        (md5.at or None) if md5 is not None else None,
        row.has_more,
        version.mtime,
        version.mime,
        version.tier,
        version.run,
        row.first_seen,
        row.is_current,
        row.deleted_at,
        row.deleted_by,
        row.same_as,
        row.words,
    )


def row_of(values: tuple[Any, ...], more: frozenset[Checksum], aliases: frozenset[str]) -> Row:
    """The way back; ``more``: of the table ``checksum``."""
    named = dict(zip(VERSION_COLUMNS, values))
    checksums = more
    if named["md5"] is not None:
        checksums |= {
            Checksum(
                Provenance(named["md5_provenance"]),
                Evidence(named["md5_evidence"]),
                MD5,
                bytes(named["md5"]).hex(),
                named["md5_at"] or 0.0,
            )
        }
    version = Version(
        name=named["name"],
        tag=named["tag"],
        etag=named["etag"],
        size=named["size"],
        seen=named["seen"],
        facts_at=named["facts_at"],
        modified=named["modified"],
        sequencer=named["sequencer"] or "",
        store_version=named["store_version"],
        checksums=checksums,
        mtime=named["mtime"],
        mime=named["mime"],
        tier=named["tier"],
        run=named["run_id"],
        aliases=aliases,
        number=named["number"],
    )
    return Row(
        version,
        named["object_id"],
        named["first_seen"],
        bool(named["is_current"]),
        named["deleted_at"],
        named["deleted_by"],
        named["same_as"],
        named["words"],
        bool(named["has_more"]),
    )


def beside_md5(version: Version) -> list[Checksum]:
    """Checksums that the row itself does not hold."""
    inline = best_md5(version.checksums)
    return sorted(each for each in version.checksums if each is not inline)
