"""docs/troubleshooting.md has each exit code, and a row for each reason about which somebody can do something."""

from __future__ import annotations

import re

from embedded.tools import PROJECT
from sync_to_azure.cli.program import EXIT_CODES
from sync_to_azure.core import reasons

PAGE = (PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
CODES = set(re.findall(r"^\| [^|]+ \| `([a-z-]+)` \|", PAGE, re.MULTILINE))
TOLD_BY_STATUS_ALONE = {
    *("not-quiet-additions", "accepted-not-quiet", "not-there", "moved-aside", "unlinking", "audit-solved"),
    "dry-run",
}
"""Nothing is wrong, and ``next`` in `status` says what comes."""


def test_each_exit_code_has_a_first_action() -> None:
    assert [code for code, _ in EXIT_CODES if not re.search(rf"^\| {code} \|", PAGE, re.MULTILINE)] == []


def test_each_reason_has_a_row_and_each_row_a_reason() -> None:
    assert CODES == set(reasons._TEXTS) - TOLD_BY_STATUS_ALONE
