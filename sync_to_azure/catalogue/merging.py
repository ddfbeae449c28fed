"""When two places hold the same bytes. Pure.

Only equal sizes and an equal SHA-256 or MD5 say so, and only where each side's was proved by us or computed by its
store. An ETag, a name, or what a client said of its upload never does.
"""

from __future__ import annotations

from collections.abc import Iterable

from sync_to_azure.catalogue.model import MD5, SHA256, Checksum, Provenance

_TYPES = (SHA256, MD5)
"""Strongest first."""


def reason_to_merge(
    size: int, checksums: Iterable[Checksum], other_size: int, other_checksums: Iterable[Checksum]
) -> Checksum | None:
    """The checksum by which they are the same, the weaker of both sides' claims; None if they may not be merged."""
    if size != other_size:
        return None
    ours, theirs = list(checksums), list(other_checksums)
    if _contradict(ours, theirs):
        return None
    for kind in _TYPES:
        for one in filter(_counts, ours):
            for other in filter(_counts, theirs):
                if one.type == other.type == kind and one.value == other.value:
                    return min(one, other)
    return None


def why_not(
    size: int, checksums: Iterable[Checksum], other_size: int, other_checksums: Iterable[Checksum]
) -> str:
    """In words, for a person who asked for a merge."""
    if size != other_size:
        return f"sizes differ: {size:,} and {other_size:,} bytes"
    ours, theirs = list(checksums), list(other_checksums)
    if _contradict(ours, theirs):
        return "their checksums differ"
    for each in (ours, theirs):
        if not any(map(_counts, each)):
            return "of one of them no SHA-256 or MD5 is proved or stated by its store"
    return "no checksum of one type is known of both"


def _counts(checksum: Checksum) -> bool:
    return checksum.type in _TYPES and checksum.provenance >= Provenance.STORE


def _contradict(ours: list[Checksum], theirs: list[Checksum]) -> bool:
    """Does one that counts say otherwise, on either type?"""
    for kind in _TYPES:
        one = {each.value for each in ours if each.type == kind and _counts(each)}
        other = {each.value for each in theirs if each.type == kind and _counts(each)}
        if len(one) > 1 or len(other) > 1 or (one and other and one != other):
            return True
    return False
