"""Every message of core/reasons.py, rendered once: ``python -m tests.core.wording`` writes wording.txt anew.

Tests name codes; this page alone holds what they say."""

from __future__ import annotations

import os
import pathlib
import sys
import time

from sync_to_azure.core import reasons

PAGE = pathlib.Path(__file__).with_name("wording.txt")
SECOND = 1_790_000_000
"""Of every time in it, of 2026."""
VALUES: dict[str, object] = {
    "flags": ["RTAComplete.txt", "CopyComplete.txt"],
    "from": SECOND,
    "since": SECOND,
    "at": SECOND,
    "names": ["Data/one.bcl", "Data/two.bcl"],
    "count": 2,
    "files": 2,
    "waiting": 3,
}
"""Parameters that are no text; all others stand as their own name, in pointed brackets."""


def tables() -> dict[str, dict[str, str]]:
    """The module's tables from a code, a state or a word to a text, by name."""
    return {
        name: {str(key): text for key, text in table.items()}
        for name, table in vars(reasons).items()
        if isinstance(table, dict) and table and all(isinstance(text, str) for text in table.values())
        if not name.startswith("__")
    }


def page() -> str:
    """A paragraph a code or state: what is said of it, what comes next, what a person does."""
    found = tables()
    codes = {code for table in found.values() for code in table}
    paragraphs = []
    for code in sorted(codes):
        lines = [code]
        reason = reasons.Reason(code, _parameters(found, code))
        said = {"says": reason.text, "next": reason.next, "advice": reason.advice}
        lines += [f"    {label}: {text}" for label, text in said.items() if text and text != code]
        shown = set(said.values())
        lines += [
            f"    besides: {table[code]}"
            for table in found.values()
            if code in table and "{" not in table[code] and table[code] not in shown
        ]
        paragraphs.append("\n".join(lines) + "\n")
    standings = "\n".join(f"    {standing.name}: {standing.value}" for standing in reasons.RunStatus)
    return "\n".join([*paragraphs, f"how a run stands\n{standings}\n"])


def _parameters(found: dict[str, dict[str, str]], code: str) -> dict[str, object]:
    """Every parameter that a text of this code names."""
    names = _Collecting()
    for table in found.values():
        table.get(code, "").format_map(names)
    return {name: VALUES.get(name, f"<{name}>") for name in names.seen}


class _Collecting(dict[str, str]):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __missing__(self, key: str) -> str:
        self.seen.append(key)
        return ""


def main() -> int:
    os.environ["TZ"] = "UTC"
    time.tzset()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
