"""SQL is written in the ledger, the catalogue's databases, the outbox and the throw-away database of a published run,
and nowhere else."""

from __future__ import annotations

import ast
import pathlib
import re

import sync_to_azure

PACKAGE = pathlib.Path(sync_to_azure.__file__).parent
PLACES = ("catalogue/db/", "transfer/ledger/", "events/outbox.py", "manifest/publication.py")
STATEMENT = re.compile(
    r"\s*(?:SELECT\s.+\s(?:FROM|UNION)|INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|CREATE\s+(?:TABLE|INDEX)|PRAGMA)\s",
    re.DOTALL,
)


def statements(source: str) -> list[int]:
    """Lines of the texts that are SQL."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value)
    ]


def test_sql_is_written_in_few_places() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := statements(path.read_text(encoding="utf-8")))
    }
    assert {path for path in found if not path.startswith(PLACES)} == set()
    assert all(any(path.startswith(place) for path in found) for place in PLACES)


def test_what_counts_as_sql() -> None:
    assert statements('a.execute("""\n SELECT 1, x\n FROM y """)') == [1]
    assert statements('b = "INSERT OR REPLACE INTO t VALUES (1)"; c = "select one of them"') == [1]
