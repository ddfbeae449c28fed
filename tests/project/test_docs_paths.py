"""Files, pages and headings that the documents name are there."""

from __future__ import annotations

import pathlib
import re

import pytest

PROJECT = pathlib.Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *PROJECT.glob("docs/*.md"),
        *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ]
)
NAMED = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`")


def is_there(path: str) -> bool:
    return (PROJECT / path).is_file() or (PROJECT / "sync_to_azure" / path).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_files_that_documents_name_are_there(document: pathlib.Path) -> None:
    named = set(NAMED.findall(document.read_text(encoding="utf-8")))
    assert {path for path in named if not is_there(path)} == set()


def test_some_are_named() -> None:
    design = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
    assert len(NAMED.findall(design)) > 3 and not is_there("transfer/steps/origin.py")


def anchors(path: pathlib.Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_links_between_pages_lead_somewhere(document: pathlib.Path) -> None:
    wrong = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        page = document.parent / name if name else document
        if not page.exists() or anchor and anchor not in anchors(page):
            wrong.append(target)
    assert wrong == []
