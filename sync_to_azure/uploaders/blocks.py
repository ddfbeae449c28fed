"""How a large file is cut into blocks, and what the blocks are called: pure functions.

A block's id is its number and the MD5 of the file up to the block's end, at a fixed length, so that the service's own
list of uncommitted blocks says what need not be sent again after a kill: same number, same bytes. That MD5 is the
file's own as it grows, so that nothing is hashed for the id alone.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterable

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


_ID = re.compile(r"s2a-\d{5}-[0-9a-f]{32}")


def block_id(number: int, md5: bytes) -> str:
    """``s2a-NNNNN-`` and the MD5 of all bytes to the block's end in hex: always 42 characters (in base64, as calls
    spell it, 56 of at most 64)."""
    return f"s2a-{number:05d}-{md5.hex()}"


def encoded(identity: str) -> str:
    """A block id as calls spell it."""
    return base64.b64encode(identity.encode()).decode()


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """An uncommitted block that stands at the service; ``id`` is decoded."""

    id: str
    size: int


def reusable(leftovers: Iterable[Leftover]) -> tuple[frozenset[tuple[str, int]], bool]:
    """(id and size of blocks of ours that need not be sent again, whether blocks of another kind stand in the way).

    All ids of one blob must have the same length: leftovers of AzCopy or other tools make every Put Block fail.
    """
    all_of_them = list(leftovers)
    ours = frozenset((block.id, block.size) for block in all_of_them if _ID.fullmatch(block.id))
    return ours, len(ours) < len({(block.id, block.size) for block in all_of_them})


def block_list(ids: Iterable[str]) -> bytes:
    """The body of Put Block List: these blocks, in this order. ``Latest``, so that it can be repeated when its answer
    was lost: the blocks are committed then, and none is uncommitted."""
    parts = "".join(f"<Latest>{encoded(each)}</Latest>" for each in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{parts}</BlockList>'.encode()
