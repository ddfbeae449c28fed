"""docs/examples: each has the keys and kinds of values that the program writes today."""

from __future__ import annotations

import json
import pathlib

import pytest

from tests.project.examples import EXAMPLES, produce


def differences(shown: object, now: object, where: str = "") -> list[str]:
    """Where keys, their order or kinds of values differ; what is null in one of the two may be anything."""
    if shown is None or now is None:
        return []
    if isinstance(shown, dict) and isinstance(now, dict):
        if list(shown) != list(now):
            return [f"{where}: {sorted(shown.keys() ^ now.keys()) or 'another order'}"]
        return [each for key in shown for each in differences(shown[key], now[key], f"{where}.{key}")]
    if isinstance(shown, list) and isinstance(now, list):
        if len(shown) != len(now):
            return [f"{where}: {len(now)} of them"]
        return [each for pair in zip(shown, now) for each in differences(*pair, f"{where}[]")]
    return [] if type(shown) is type(now) else [f"{where}: {type(now).__name__}"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return produce(tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_an_example_is_what_is_written(name: str, written: dict[str, str]) -> None:
    shown = (EXAMPLES / name).read_text(encoding="utf-8")
    parts = [shown, written[name]]
    if name.endswith(".jsonl"):
        parts = [f"[{','.join(each.splitlines())}]" for each in parts]
    found = differences(*(json.loads(each) for each in parts))
    assert found == [], "write them again: python -m tests.project.examples"


def test_all_are_there(written: dict[str, str]) -> None:
    assert {path.name for path in pathlib.Path(EXAMPLES).iterdir()} == set(written)
