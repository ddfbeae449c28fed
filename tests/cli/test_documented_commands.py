"""Command lines of README and docs: each is taken by the command that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from sync_to_azure.cli.program import MODULES, PROGRAM, HonouringCommand, group

PROJECT = Path(__file__).parent.parent.parent
DOCUMENTS = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md"), *PROJECT.glob("datalake-sync-vm/*.md")]
COMMANDS = {name for names in MODULES.values() for name in names}


def lines() -> list[str]:
    """What follows the program's name in code blocks and between backticks, without comments and pipes."""
    found = set()
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"(?:^|/|`)sync_to_azure ([^`\n]+)", text, re.MULTILINE):
            words = re.split(r"\s+#|\s*[|>;]|\s{2,}", line)[0].strip()
            if not re.search(r"[…()]|^receipt|^[A-Z0-9]", words) and (
                words[0] == "-" or words.split()[0] in COMMANDS
            ):
                found.add(words)
    return sorted(found)


def test_there_are_some() -> None:
    assert len(lines()) > 20


@pytest.mark.parametrize("line", lines())
def test_each_is_taken(line: str) -> None:
    words = [word for word in shlex.split(line) if word != "--help"]
    with group.make_context(PROGRAM, words) as parent:
        # click's own name for what follows the group's options; without the underscore it warns.
        rest = [*getattr(parent, "_protected_args", []), *parent.args]
        if not rest:
            return
        name, command, arguments = group.resolve_command(parent, rest)
        assert isinstance(command, HonouringCommand)
        try:
            with command.make_context(name, arguments, parent=parent) as ctx:
                command.options_given(ctx)
        except click.MissingParameter:
            pass  # a command that prose only names
