"""Two ids, computed from what they are of: a catalogue that was lost and filled again gives the same ones. Pure.

An **object** id stays with an object over its versions. A **version** id means the same bytes for ever: a store gives
each write an ETag that the name never had before. Both consist of characters that no URL escapes.
"""

from __future__ import annotations

import hashlib

_OBJECT, _VERSION = 15, 10
"""Bytes of a digest: 30 and 20 digits, so that no id looks like a checksum."""


def object_id(store_address: str, name: str) -> str:
    """Of the object at a name in a store."""
    return _digits(f"{store_address}\0{name}", _OBJECT)


def version_tag(etag: str, store_version: str | None = None) -> str:
    """What tells the versions of one object apart. The ETag alone, where there is one: a listing and an event need not
    both tell the store's own version."""
    return _digits(etag or f"version {store_version or ''}", _VERSION)


def version_id(object_id: str, tag: str) -> str:
    return f"{object_id}.{tag}"


def split(identity: str) -> tuple[str, str]:
    """(object id, tag or "") of either id."""
    object_part, _, tag = identity.strip().lower().partition(".")
    return object_part, tag


def _digits(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
