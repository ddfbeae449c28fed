"""docs/instruments.md says what the profiles say."""

from __future__ import annotations

from embedded.tools import PROJECT
from sync_to_azure.settings.options import BY_KEY
from sync_to_azure.instruments.profiles import AUTO, PROFILES
from sync_to_azure.instruments.run_facts.sample_sheet import FINDINGS

LINES = (PROJECT / "docs" / "instruments.md").read_text(encoding="utf-8").splitlines()


def test_each_family_has_its_row() -> None:
    for profile in PROFILES:
        words = profile.words
        cells = [f"{profile.title} (`{profile.name}`)", words.recognised, words.finished, words.outcome]
        cells += [words.completeness, words.sheet]
        row = "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        assert row in LINES, row


def test_each_family_has_what_a_user_must_know() -> None:
    for profile in PROFILES:
        words = profile.words
        assert words.tried and words.know
        assert f"| {profile.title} | {words.tried} | {words.know} |" in LINES


def test_each_finding_has_its_row() -> None:
    for code, words in FINDINGS.items():
        assert f"| `{code}` | {words} |" in LINES


def test_each_source_is_named() -> None:
    for profile in PROFILES:
        assert profile.words.source == "none" or f"- {profile.title}: {profile.words.source}" in LINES


def test_the_option_offers_each() -> None:
    assert BY_KEY["profile"].choices == (AUTO, *(profile.name for profile in PROFILES))
