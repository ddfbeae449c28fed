"""What is read from documents of others: within bounds, or a ValueError; never another error, never a crash."""

from __future__ import annotations

import json

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.core import bounded

JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(10**18), 10**18)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=20),
    lambda below: strategies.lists(below, max_size=4)
    | strategies.dictionaries(strategies.text(), below, max_size=4),
    max_leaves=20,
)


@hypothesis.given(JSON)
def test_what_fits_comes_back(values: object) -> None:
    assert bounded.json_of(json.dumps(values).encode()) == values


@pytest.mark.parametrize(
    "text",
    [
        b"1" + b"0" * 400,
        b"-1" + b"0" * 5000,
        b'{"a": 1e999}',
        b"NaN",
        b"[Infinity, -Infinity]",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 60 + b"]" * 60,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'"' + b"x" * 70_000 + b'"',
        b'{"' + b"x" * 70_000 + b'": 1}',
        b"[" + b"0," * 2_100_000 + b"0]",
        b"[" + b"[]," * 1_100_000 + b"0]",
        b" " * (bounded.MOST_DOCUMENT + 1),
        b"\xff",
        b"",
        b"\x00" * 1000,
    ],
    ids=lambda text: f"{bytes(text[:12])!r} {len(text)}",
)
def test_what_does_not_fit_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        bounded.json_of(text)


@pytest.mark.parametrize("value", [-1, 2**31 + 1, True, 1.0, "1", None, 10**400])
def test_counts(value: object) -> None:
    assert bounded.count(2**31) == 2**31 and bounded.count(0) == 0
    with pytest.raises(ValueError):
        bounded.count(value)


@pytest.mark.parametrize("value", ["x" * 11, b"x", None, 5])
def test_texts(value: object) -> None:
    assert bounded.text("x" * 10, 10) == "x" * 10
    with pytest.raises(ValueError):
        bounded.text(value, 10)
