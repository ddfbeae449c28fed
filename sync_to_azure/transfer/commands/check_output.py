"""How `check` shows each result: on a terminal folded to its width and in colour, elsewhere in plain lines."""

from __future__ import annotations

import sys

from sync_to_azure.notify.output import show
from sync_to_azure.notify.terminal import folded, is_coloured, painted, terminal_width

_COLOURS = {"ok": "32", "WRONG": "1;31", "note": "33", "-": "2"}
_INDENT = 22
"""Columns before the text: its kind and its subject."""
_ARROW = "→ "


def show_result(kind: str, subject: str, text: str, advice: str) -> None:
    """``text`` and ``advice`` are plain already; elsewhere than on a terminal each is one line."""
    coloured = is_coloured(sys.stdout)
    width = terminal_width(sys.stdout) if sys.stdout.isatty() else None
    lines = [
        f"{painted(f'{kind:6}', _COLOURS[kind] if coloured else '')} {subject:14} {_hanging(text, _INDENT, width)}"
    ]
    if advice:
        indent = _INDENT + len(_ARROW)
        lines.append(f"{'':{_INDENT}}{_ARROW}{_hanging(advice, indent, width)}")
    show("\n".join(lines), coloured=coloured)


def _hanging(text: str, indent: int, width: int | None) -> str:
    """Further lines begin below the first."""
    if width is None:
        return text
    return ("\n" + " " * indent).join(folded(text, max(width - indent, 20)))
