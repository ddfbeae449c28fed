"""The HMAC of a receipt: over its values and its place, as docs/receipt.md says it is made."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import hypothesis
from hypothesis import strategies

from sync_to_azure.manifest import documents
from sync_to_azure.transfer.steps.vouching import FIELD, mac
from tests.conftest import PROJECT
from tests.core.test_bounded import JSON

KEY = bytes(range(32))
PLACE = ("account", "runs", "dest", "R")


@hypothesis.given(strategies.dictionaries(strategies.text(max_size=9), JSON, max_size=5))
def test_it_is_the_same_however_the_receipt_is_laid_out(values: dict[str, object]) -> None:
    receipt = values | {"schema": 1, "generation": 1}
    expected = mac(receipt, KEY, PLACE)
    text = documents.receipt_text(receipt | {FIELD: expected})
    again = json.loads(json.dumps(json.loads(text), indent=3, sort_keys=True))
    assert mac(again, KEY, PLACE) == again[FIELD] == expected


def test_it_covers_every_value_the_key_and_the_place() -> None:
    receipt = {"schema": 1, "files": 2, "times": {"published": "x"}, "overrides": []}
    macs = [
        mac(receipt, KEY, PLACE),
        mac(receipt | {"files": 3}, KEY, PLACE),
        mac(receipt | {"more": None}, KEY, PLACE),
        mac(receipt | {"times": {"published": "y"}}, KEY, PLACE),
        mac({name: value for name, value in receipt.items() if name != "overrides"}, KEY, PLACE),
        mac(receipt, KEY[::-1], PLACE),
        *(mac(receipt, KEY, (*PLACE[:number], "other", *PLACE[number + 1 :])) for number in range(4)),
    ]
    assert len(set(macs)) == len(macs)


def test_a_folder_that_is_not_utf_8_is_covered_too() -> None:
    text = documents.receipt_text({"source": {"main_folder": "/m\udcff"}})
    values = documents.parse_receipt(text)
    assert values is not None
    assert mac(values, KEY, PLACE) == mac({"schema": 1, "source": {"main_folder": "/m\udcff"}}, KEY, PLACE)


def test_the_document_says_how(tmp_path: pathlib.Path) -> None:
    found = re.search(r"<<'END'\n(.*?)END\n", (PROJECT / "docs" / "receipt.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    receipt = {"schema": 1, "run": "R", "files": 2, "source": {"main_folder": "/m\udcff"}}
    text = documents.receipt_text(receipt | {FIELD: mac(receipt, KEY, PLACE)})
    (tmp_path / "R.json").write_bytes(text)
    (tmp_path / "key").write_text(KEY.hex() + "\n")
    for destination, said in (("dest", "ours\n"), ("elsewhere", "NOT ours\n")):
        arguments = ["R.json", "key", "account", "runs", destination]
        done = subprocess.run(
            [sys.executable, "-", *arguments], input=found[1], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stdout == said, done.stderr
