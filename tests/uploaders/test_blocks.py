"""How a large file is cut into blocks, and what they are called."""

from __future__ import annotations

import base64
import hashlib
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.uploaders import blocks

MEBIBYTE = 1024 * 1024


@hypothesis.given(strategies.integers(0, blocks.LARGEST_BLOB))
@hypothesis.example(blocks.LARGEST_BLOB)
@hypothesis.example(blocks.MOST_BLOCKS * blocks.BLOCK)
@hypothesis.example(blocks.MOST_BLOCKS * blocks.BLOCK + 1)
def test_any_size_up_to_the_limit_of_the_service_is_cut_into_blocks_that_it_takes(size: int) -> None:
    block = blocks.block_size(size)
    assert block * blocks.MOST_BLOCKS >= size and blocks.BLOCK <= block <= blocks.LARGEST_BLOCK
    assert block % MEBIBYTE == 0
    # No larger than it must be: memory.
    assert block == blocks.BLOCK or (block - MEBIBYTE) * blocks.MOST_BLOCKS < size


def test_a_file_above_the_limit_is_refused() -> None:
    assert blocks.LARGEST_BLOB == 50_000 * 4000 * 2**20
    with pytest.raises(ValueError, match="more than a blob can hold"):
        blocks.block_size(blocks.LARGEST_BLOB + 1)


@hypothesis.given(strategies.integers(0, blocks.MOST_BLOCKS - 1), strategies.binary(min_size=16, max_size=16))
def test_ids_have_one_length_and_say_number_and_bytes(number: int, md5: bytes) -> None:
    made = blocks.block_id(number, md5)
    assert len(made) == 42 and len(blocks.encoded(made)) <= 64
    assert base64.b64decode(blocks.encoded(made)) == made
    assert made != blocks.block_id((number + 1) % blocks.MOST_BLOCKS, md5)
    assert blocks.reusable([blocks.Leftover(made, 5)]) == {(made, 5)}


@hypothesis.given(
    strategies.integers(0, blocks.MOST_BLOCKS - 1),
    strategies.binary(min_size=16, max_size=16),
    strategies.data(),
)
def test_ids_of_any_length_say_the_number(number: int, md5: bytes, data: strategies.DataObject) -> None:
    """Beside blocks that another tool left, whose ids have this length."""
    length = data.draw(strategies.integers(2, 48))
    made = blocks.block_id(number, md5, length)
    assert len(made) == length and len(blocks.encoded(made)) <= 64
    assert made != blocks.block_id((number + 1) % blocks.MOST_BLOCKS, md5, length)
    is_full = length >= blocks.OWN_LENGTH
    assert blocks.reusable([blocks.Leftover(made, 5)]) == ({(made, 5)} if is_full else frozenset())


def test_an_id_without_room_for_its_number_is_refused() -> None:
    assert blocks.block_id(255, bytes(16), 1) == b"\xff"
    with pytest.raises(ValueError, match="1 byte.*more than 256 blocks"):
        blocks.block_id(256, bytes(16), 1)


def _id(number: int) -> bytes:
    return blocks.block_id(number, hashlib.md5(b"x").digest())


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"AAAA",
        b"x" * 42,
        _id(1) + b"0",
        _id(1)[:-1],
        _id(1).upper(),
        _id(1) + b"\n",
        b"s2a-000001-" + b"0" * 31,
        b"\xff\xfe",
    ],
)
def test_blocks_of_another_kind_are_not_reused(odd: bytes) -> None:
    left = [blocks.Leftover(_id(1), 5), blocks.Leftover(odd, 5), blocks.Leftover(_id(2), 7)]
    assert blocks.reusable(left) == {(_id(1), 5), (_id(2), 7)}


def test_the_length_is_that_of_what_stands_there() -> None:
    assert blocks.id_length([]) == blocks.OWN_LENGTH == len(_id(1))
    assert blocks.id_length([blocks.Leftover(b"AAAA", 5)]) == 4
    assert blocks.reusable([]) == frozenset()
    assert blocks.reusable([blocks.Leftover(_id(1), 5)] * 2) == {(_id(1), 5)}


def test_the_list_keeps_the_order() -> None:
    root = ElementTree.fromstring(blocks.block_list([_id(3), _id(1), _id(2)]))
    assert [base64.b64decode(each.text or "") for each in root] == [_id(3), _id(1), _id(2)]
    # Uncommitted would make a list that is sent twice, as its answer was lost, fail.
    assert {each.tag for each in root} == {"Latest"}
