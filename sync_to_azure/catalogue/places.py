"""What becomes of a place when something is heard of it. Pure.

Messages come late, twice and out of order. So a place keeps, for each version, the latest time at which it is known to
have been there, and for each deletion when it was; what is there now follows from these alone. Each step takes the
larger of two values or unites two sets, so any order of the same changes, with any repetitions, ends in the same place.
"""

from __future__ import annotations

import dataclasses

from sync_to_azure.catalogue.identity import version_tag
from sync_to_azure.catalogue.model import Change, Checksum, Place, Put, Tombstone, Version
from sync_to_azure.core.bounded import LATEST, MOST_SIZE

_LONGEST_NAME = 4096


class Poison(ValueError):
    """A change that can never be applied; says why."""


def check(change: Change) -> None:
    """Raises Poison for what no catalogue can hold, or what contradicts itself."""
    name = change.name
    if not name or len(name) > _LONGEST_NAME:
        raise Poison(f"the name has {len(name)} characters; names have 1 to {_LONGEST_NAME}")
    text = name + change.etag
    if isinstance(change, Put):
        text = "".join(filter(None, (text, change.store_version, change.mime, change.tier, *change.aliases)))
    else:
        text += change.source
    if "\0" in text:
        raise Poison("a text holds a NUL character, which no database keeps")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Poison("a text is not UTF-8") from None
    if not 0 <= change.at <= LATEST:
        raise Poison(f"the time {change.at!r} is in no calendar")
    if isinstance(change, Put) and not 0 <= change.size <= MOST_SIZE:
        raise Poison(f"an object of {change.size} bytes cannot be")


def applied(place: Place, change: Change) -> Place:
    """The place after the change. Raises Poison."""
    check(change)
    if isinstance(change, Put):
        version = version_of(change)
        known = place.versions.get(version.tag)
        joined = version if known is None else _join(known, version)
        return dataclasses.replace(place, versions={**place.versions, version.tag: joined})
    tag = version_tag(change.etag) if change.etag else ""
    stone = Tombstone(tag, change.at, change.source)
    earlier = place.tombstones.get(tag)
    if earlier is not None:
        stone = max(earlier, stone, key=lambda each: (each.at, each.source))
    return dataclasses.replace(place, tombstones={**place.tombstones, tag: stone})


def current(place: Place) -> Version | None:
    """The version that was seen there last; deleted or not."""
    return max(place.versions.values(), key=_order, default=None)


def tombstone_of(place: Place) -> Tombstone | None:
    """Why what is current is not there any more; None while it is. A deletion that names a version is of that version
    only: some stores tell of the old one after they told of the new one."""
    now = current(place)
    if now is None:
        return None
    stones = (place.tombstones.get(tag) for tag in (now.tag, ""))
    covering = [stone for stone in stones if stone is not None and stone.at >= now.seen]
    return max(covering, key=lambda each: (each.at, each.source), default=None)


def is_newer(sequencer: str, than: str) -> bool | None:
    """By the store's own order; None where it cannot be compared (Microsoft documents two lengths)."""
    if not sequencer or len(sequencer) != len(than):
        return None
    return sequencer > than


def best_md5(checksums: frozenset[Checksum]) -> Checksum | None:
    """The one that is claimed most strongly."""
    return max((each for each in checksums if each.type == "md5"), default=None)


def version_of(put: Put, number: int = 0) -> Version:
    """What a place has after this alone."""
    return Version(
        name=put.name,
        tag=version_tag(put.etag, put.store_version),
        etag=put.etag,
        size=put.size,
        seen=put.at,
        facts_at=put.at if put.tier is not None or put.mime is not None else 0.0,
        modified=put.modified,
        sequencer=put.sequencer,
        store_version=put.store_version,
        checksums=_united(frozenset(put.checksums)) if len(put.checksums) > 1 else frozenset(put.checksums),
        mtime=put.mtime,
        mime=put.mime,
        tier=put.tier,
        run=put.run,
        aliases=frozenset(put.aliases),
        number=number,
    )


def _order(version: Version) -> tuple[float, float, str]:
    return version.seen, version.modified or 0.0, version.tag


def _join(one: Version, other: Version) -> Version:
    if one.size != other.size:
        raise Poison(f"one version (ETag {other.etag!r}) with two sizes, {one.size} and {other.size} bytes")
    facts = max(one, other, key=_facts)
    return dataclasses.replace(
        facts,
        number=one.number or other.number,
        seen=max(one.seen, other.seen),
        modified=_latest(one.modified, other.modified),
        sequencer=max(one.sequencer, other.sequencer),
        checksums=_united(one.checksums | other.checksums),
        mtime=_latest(one.mtime, other.mtime),
        run=max(one.run or 0, other.run or 0) or None,
        aliases=one.aliases | other.aliases,
    )


def _facts(version: Version) -> tuple[float, str, str, str]:
    """What the store said last counts, as a whole; of two things said at once, any, but always the same."""
    return version.facts_at, version.tier or "", version.mime or "", version.store_version or ""


def _latest(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


def _united(checksums: frozenset[Checksum]) -> frozenset[Checksum]:
    """Of each value what is claimed most strongly, and of that the latest time."""
    best: dict[tuple[str, str], Checksum] = {}
    for each in checksums:
        key = each.type, each.value
        if key not in best or each > best[key]:
            best[key] = each
    return frozenset(best.values())
