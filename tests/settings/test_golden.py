"""Config files of earlier versions and of the predecessor give the values that they gave: tests/settings/golden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_to_azure.settings import Settings, load
from sync_to_azure.settings.options import OPTIONS

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS: dict[str, Any] = json.loads((GOLDEN / "defaults.json").read_text(encoding="utf-8"))
NOT_A_SECRET = {
    "secret": "placeholder-of-a-client-secret",
    # base64 of "placeholder of an account key, no key of any account"
    "account.key": "cGxhY2Vob2xkZXIgb2YgYW4gYWNjb3VudCBrZXksIG5vIGtleSBvZiBhbnkgYWNjb3VudA==",
}


def as_json(value: object, folder: Path) -> Any:
    """A value for comparison: paths and messages name the test's folder as @FOLDER@."""
    if isinstance(value, tuple):
        return [as_json(each, folder) for each in value]
    if isinstance(value, (Path, str)):
        return str(value).replace(str(folder), "@FOLDER@")
    return value


def found(settings: Settings, folder: Path) -> dict[str, Any]:
    values = {
        option.key: as_json(settings.value(option), folder) for option in OPTIONS if not option.obsolete
    }
    return {
        "values": values,
        "origin": {key: as_json(text, folder) for key, text in settings.origin.items() if text != "default"},
        "notices": [[notice.key, notice.once] for notice in settings.notices],
    }


def read(name: str, folder: Path) -> dict[str, Any]:
    """What NAME.cfg gives, read in ``folder`` as a person's file is."""
    for file, text in NOT_A_SECRET.items():
        (folder / file).touch(mode=0o600)
        (folder / file).write_text(text, encoding="utf-8")
    config = folder / "azsync.cfg"
    config.touch(mode=0o600)
    config.write_bytes((GOLDEN / f"{name}.cfg").read_bytes().replace(b"@FOLDER@", str(folder).encode()))
    return found(load({}, {"HOME": "/home/user"}, folder), folder)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.cfg")))
def test_an_old_config_file_gives_the_same_values(name: str, tmp_path: Path) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    now = read(name, tmp_path)
    # A key that came later is at its default in an old file; nothing else may differ.
    later = now["values"].keys() - DEFAULTS.keys()
    assert not later & now["origin"].keys()
    assert {key: now["values"][key] for key in DEFAULTS} == DEFAULTS | expected["values"]
    assert now["origin"] == expected["origin"]
    assert now["notices"] == expected["notices"]


def test_each_file_is_compared() -> None:
    """No file without expected values, and no expected values without a file."""
    names = {path.stem for path in GOLDEN.glob("*.json")} - {"defaults"}
    assert names == {path.stem for path in GOLDEN.glob("*.cfg")} and len(names) >= 39


def test_together_they_hold_every_key_of_those_days() -> None:
    given = {
        key
        for path in GOLDEN.glob("*.json")
        if path.stem != "defaults"
        for key in json.loads(path.read_text(encoding="utf-8"))["origin"]
    }
    assert DEFAULTS.keys() <= given
