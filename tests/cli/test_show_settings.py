"""`settings`: value, unit and origin of each option, for people and as JSON; no secret in either."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sync_to_azure.settings.option import Type
from sync_to_azure.settings.options import OPTIONS

Run = Callable[..., Any]
CONFIG = (
    "main-folder = /data/runs\ncontainer-name = runs\nstorage-account = lake\nsmtp-password = hidden-1\n"
    "timeout = 90\nexclude = a\n  b\npid-file = x\n"
)
NO_UNIT = {"smtp-port"}


def test_each_number_has_a_unit() -> None:
    for option in OPTIONS:
        is_number = option.type in (Type.INTEGER, Type.NUMBER)
        assert bool(option.unit) is (is_number and option.key not in NO_UNIT), option.key


def test_people_see_value_unit_and_origin(run_command: Run) -> None:
    outcome = run_command("settings", config=CONFIG)
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in outcome.stdout.splitlines()}
    assert rows.keys() == {option.key for option in OPTIONS if not option.obsolete}
    assert rows["timeout"].startswith("90 seconds /") and rows["timeout"].endswith(" line 5")
    assert rows["stale-after"] == "48 hours default"
    assert rows["cap-mbps"] == "(unset) default"
    assert rows["smtp-port"] == "0 default"


def test_programs_get_the_same_as_json(run_command: Run) -> None:
    environment = {"SYNC_TO_AZURE_SECRET": "hidden-2", "SYNC_TO_AZURE_AUTH": "default"}
    outcome = run_command("settings", "--json", config=CONFIG, environment=environment)
    assert outcome.returncode == 0 and "hidden" not in outcome.output and outcome.stderr == ""
    document = json.loads(outcome.stdout)
    assert document["schema"] == 1 and document["section"] == "sync_to_azure"
    found = {each.pop("key"): each for each in document["settings"]}
    assert list(found) == [option.key for option in OPTIONS if not option.obsolete]
    assert found["timeout"] | {"origin": ""} == {
        "value": 90.0,
        "is_set": True,
        "unit": "seconds",
        "origin": "",
        "is_secret": False,
    }
    assert found["timeout"]["origin"].endswith("line 5")
    assert found["exclude"]["value"] == ["a", "b"]
    assert found["main-folder"]["value"] == "/data/runs" and found["main-folder"]["unit"] is None
    assert found["dry-run"]["value"] is False and found["cap-mbps"]["is_set"] is False
    assert found["smtp-password"]["value"] is None and found["smtp-password"]["is_set"] is True
    assert found["secret"]["origin"] == "environment SYNC_TO_AZURE_SECRET"
    assert any("pid-file" in text for text in document["warnings"])
