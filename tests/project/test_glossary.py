"""docs/glossary.md: every term is defined once and used, in the package as in the documentation."""

from __future__ import annotations

import re

import pytest

from embedded.tools import PROJECT
from sync_to_azure.core.model import Evidence

PAGE = (PROJECT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| \*\*(.+?)\*\* \|", PAGE, re.MULTILINE)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "sync_to_azure").rglob("*.py"))
PAGES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    if path.name != "glossary.md"
)


def test_each_term_is_defined_once() -> None:
    assert len(TERMS) > 30 and len(set(TERMS)) == len(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_each_term_is_used(term: str) -> None:
    in_code = re.compile(r"[ _-]?".join(map(re.escape, re.split(r"[ -]", term))), re.IGNORECASE)
    in_text = re.compile(rf"\b{re.escape(term)}", re.IGNORECASE)
    assert in_code.search(SOURCES) and in_text.search(PAGES)


def test_the_strengths_of_evidence_are_in_it() -> None:
    assert {each.name.lower().replace("_", "-") for each in Evidence} - {"none"} <= set(TERMS)
