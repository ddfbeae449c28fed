"""What the image installs is named by version and hash, and has all that setup.py asks for."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re

LOCK = (pathlib.Path(__file__).parents[2] / "container" / "requirements.lock").read_text("utf-8")


def test_every_package_has_a_version_and_a_hash_and_no_address() -> None:
    packages = re.findall(r"^[a-z0-9-]+==[0-9][^ ]* \\\n    --hash=sha256:[0-9a-f]{64}$", LOCK, re.MULTILINE)
    lines = [line for line in LOCK.splitlines() if line and not line.startswith(("#", "    --hash"))]
    assert len(packages) == len(lines) > 10
    assert "://" not in LOCK and "--index" not in LOCK


def test_all_that_we_ask_for_is_there() -> None:
    """Run ``make lock`` when this fails."""
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))
    for requirement in importlib.metadata.requires("sync_to_azure") or []:
        name, _, extra = requirement.partition(";")
        if extra and not any(f"'{each}'" in extra or f'"{each}"' in extra for each in ("fast", "report")):
            continue
        found = re.match(r"([A-Za-z0-9_.-]+?)\s*(?:[<>=!~(].*)?$", name.strip())
        assert found and found[1].lower().replace("_", "-") in locked, requirement
