"""What users read is written in the words of the field: no private word in a message, a help text or a page.

``ALLOWED`` holds what is left, a count a file. A count may only shrink: lower it with each text that is rewritten.
"""

from __future__ import annotations

import ast
import collections.abc
import pathlib
import re

import pytest

from embedded.tools import PROJECT

BANNED = re.compile(
    r"\b(?:carry|carries|carried|carrying|told|tells|telling|stands|lies|anew|meanwhile|mend(?:s|ed)?|lacks|of ours"
    r"|person's word|at rest|comes to|surroundings|troubles?|all is well|needs? a person|tried again|brought back"
    r"|bringing back|moved last|goes on|somebody|nobody|looked at|the lake)\b",
    re.IGNORECASE,
)
SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|AND|LEFT|JOIN|EXISTS)\b")

ALLOWED: dict[str, int] = {
    "CONTRIBUTING.md": 4,
    "docs/comparison.md": 3,
    "docs/design.md": 44,
    "docs/events.md": 1,
    "docs/faq.md": 1,
    "docs/glossary.md": 1,
    "docs/instruments.md": 3,
    "docs/operations.md": 6,
    "docs/receipt.md": 3,
    "docs/reliability.md": 15,
    "docs/security.md": 1,
    "docs/status.md": 3,
    "docs/troubleshooting.md": 9,
    "docs/upgrading.md": 2,
    "docs/uploaders.md": 2,
    # An event code: removal asks the history for it, and events are never rewritten.
    "sync_to_azure/transfer/ledger/removal_queries.py": 1,
}


def messages(source: str) -> collections.abc.Iterator[str]:
    """String literals with a space in them, joined where Python joins them; neither docstrings nor SQL."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if " " in node.value and not SQL.match(node.value):
                yield re.sub(r"\{\w*\}", "", node.value)


def prose(text: str) -> str:
    """A page without blocks of code, code in a line, and addresses."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)


def found_in(path: pathlib.Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [hit for message in messages(text) for hit in BANNED.findall(message)]
    if path.suffix == ".html":
        text = re.sub(r"<[^>]*>", " ", re.sub(r"\{[{%].*?[%}]\}", "", text))
    return BANNED.findall(prose(text) if path.suffix == ".md" else text)


def read_by_users() -> list[str]:
    paths = [
        *PROJECT.glob("sync_to_azure/**/*.py"),
        *PROJECT.glob("sync_to_azure/**/*.html"),
        *PROJECT.glob("docs/*.md"),
        PROJECT / "README.md",
        PROJECT / "CONTRIBUTING.md",
        PROJECT / "azsync.cfg.example",
    ]
    return sorted(str(path.relative_to(PROJECT)) for path in paths)


@pytest.mark.parametrize("name", read_by_users())
def test_no_private_word(name: str) -> None:
    found = found_in(PROJECT / name)
    allowed = ALLOWED.get(name, 0)
    assert len(found) <= allowed, f"{name}: {', '.join(found)}"
    assert len(found) == allowed, f"{name} has fewer by now: lower its count in ALLOWED to {len(found)}"


def test_every_allowance_is_for_a_file_that_is_there() -> None:
    assert set(ALLOWED) <= set(read_by_users())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Nothing is carried."""\nx = f"run {1} is carried"', ["carried"]),
        ('x = "SELECT told FROM told WHERE"', []),
        ('x = "uploaded when {lacks} exists"', []),
        ('x = "tried" " again"', ["tried again"]),
        ('x = "lies"', []),
    ],
)
def test_what_is_looked_into(source: str, expected: list[str]) -> None:
    assert [hit for message in messages(source) for hit in BANNED.findall(message)] == expected
