"""How a large file is cut into blocks, and what the blocks are called: pure functions.

A block's id is its number and the MD5 of the file up to the block's end, so that the service's own list of uncommitted
blocks says what need not be sent again after a kill: same number, same bytes, if nobody else wrote under that id. That
MD5 is the file's own as it grows, so that nothing is hashed for the id alone.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Collection, Iterable

MEBIBYTE = 1024 * 1024
SINGLE_PUT = 8 * MEBIBYTE
"""Up to this size a file is one Put Blob."""

BLOCK = 8 * MEBIBYTE
MOST_BLOCKS = 50_000
LARGEST_BLOCK = 4000 * MEBIBYTE
LARGEST_BLOB = MOST_BLOCKS * LARGEST_BLOCK
"""Azure's limits of a block blob (Microsoft, Scalability and performance targets for Blob storage)."""


def block_size(size: int) -> int:
    """Bytes a block for a file of ``size``: 8 MiB, and more (whole MiB) where 50,000 blocks would not do.

    Raises ValueError above Azure's limit of about 190.7 TiB.
    """
    if size > LARGEST_BLOB:
        raise ValueError(f"{size} bytes are more than a blob can hold ({LARGEST_BLOB})")
    needed = -(-size // MOST_BLOCKS)
    return max(BLOCK, -(-needed // MEBIBYTE) * MEBIBYTE)


_ID = re.compile(rb"s2a-\d{5}-[0-9a-f]{32}-*")
OWN_LENGTH = 42
"""Of an id of ours; in base64, as calls spell it, 56 characters of at most 64."""


def block_id(number: int, md5: bytes, length: int = OWN_LENGTH) -> bytes:
    """``s2a-NNNNN-`` and the MD5 of all bytes to the block's end in hex, ``length`` bytes long: filled up with ``-``;
    where that has no room, the number alone.

    Raises ValueError where not even the number has room: from the 257th block on, where ids have one byte.
    """
    if length >= OWN_LENGTH:
        return f"s2a-{number:05d}-{md5.hex()}".encode().ljust(length, b"-")
    try:
        return number.to_bytes(length, "big")
    except OverflowError:
        raise ValueError(
            f"another tool left blocks there whose ids have {length} byte, and with them no blob of more than"
            f" {256**length} blocks can be made"
        ) from None


def encoded(identity: bytes) -> str:
    """A block id as calls spell it."""
    return base64.b64encode(identity).decode()


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """An uncommitted block that stands at the service; ``id`` is decoded."""

    id: bytes
    size: int


def id_length(leftovers: Collection[Leftover]) -> int:
    """All ids of one blob must have the same length, else every Put Block fails: what AzCopy or other tools left says
    which. What is theirs goes when our list of blocks is committed, and nothing has to be cleared before."""
    return max((len(each.id) for each in leftovers), default=OWN_LENGTH)


def reusable(leftovers: Iterable[Leftover]) -> frozenset[tuple[bytes, int]]:
    """(id, size) of blocks that an earlier try of ours left, as far as their names say it."""
    return frozenset((block.id, block.size) for block in leftovers if _ID.fullmatch(block.id))


def block_list(ids: Iterable[bytes]) -> bytes:
    """The body of Put Block List: these blocks, in this order. ``Latest``, so that it can be repeated when its answer
    was lost: the blocks are committed then, and none is uncommitted."""
    parts = "".join(f"<Latest>{encoded(each)}</Latest>" for each in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{parts}</BlockList>'.encode()
