"""What the local store notes of its files can be damaged; then nothing is claimed of the file."""

from __future__ import annotations

import json

import pytest

from sync_to_azure.stores.local_facts import _parsed

GOOD = {"etag": "1", "size": 1, "mtime_ns": 1, "md5": None, "content_type": "x", "metadata": {}, "blocks": []}


@pytest.mark.parametrize(
    "text",
    [
        *(
            json.dumps({"name": "x", "versions": [GOOD | wrong]})
            for wrong in (
                {"metadata": []},
                {"size": "a"},
                {"md5": 3},
                {"md5": "zz"},
                {"blocks": [1]},
                {"blocks": 5},
            )
        ),
        json.dumps({"name": "x", "versions": [GOOD]}).replace('"size": 1', '"size": 1e400'),
        "[" * 100_000,
        '{"name": "x"}',
        '{"name": "x", "versions": 3}',
        "[]",
        "",
    ],
)
def test_damaged_facts_are_none(text: str) -> None:
    assert _parsed("x", text.encode()) == []


def test_good_facts_are_read() -> None:
    assert len(_parsed("x", json.dumps({"name": "x", "versions": [GOOD]}).encode())) == 1
