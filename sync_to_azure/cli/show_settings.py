"""`settings`: each value, its unit and where it comes from, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from sync_to_azure.cli.failures import plain, say, write
from sync_to_azure.cli.program import settings_command
from sync_to_azure.settings import Settings
from sync_to_azure.settings.components import PASS
from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import GROUPS, OPTIONS

SCHEMA = 1


@settings_command("settings", honours=GROUPS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as described in docs/configuration.md.")
def show_settings(settings: Settings, as_json: bool) -> int:
    """Show each setting, its unit and its source; never a secret."""
    shown = [option for option in OPTIONS if not option.obsolete]
    if as_json:
        import json

        document = {
            "schema": SCHEMA,
            "section": PASS.section,
            "settings": [_for_programs(settings, option) for option in shown],
            "families": {
                name: list(flags) for name, flags in sorted(settings.completion.family_flags.items())
            },
            "warnings": [notice.text for notice in settings.notices],
        }
        write(sys.stdout, json.dumps(document, indent=2))
        return 0
    rows = [(each.key, _for_people(settings, each), settings.origin[each.key]) for each in shown]
    for name, flags in sorted(settings.completion.family_flags.items()):
        rows.append(("completion-flag", ", ".join(flags), f"[family {name}]"))
    if sys.stdout.isatty():
        _draw(rows)
    else:
        for key, text, origin in rows:
            write(sys.stdout, f"{key:20} {plain(text):40} {plain(origin)}")
    for notice in settings.notices:
        say(f"warning: {notice.text}")
    return 0


def _draw(rows: Sequence[tuple[str, str, str]]) -> None:
    """On a terminal: what is not a default stands out."""
    from sync_to_azure.notify.output import show
    from sync_to_azure.notify.terminal import grid, is_coloured, terminal_width

    coloured = is_coloured(sys.stdout)
    styles = [{1: "2" if origin == "default" else "1"} for _, _, origin in rows] if coloured else None
    show(grid(("setting", "value", "from"), rows, (), terminal_width(sys.stdout), styles), coloured=coloured)


def _is_set(value: object) -> bool:
    return value is not None and value != ()


def _for_people(settings: Settings, option: Option) -> str:
    value = settings.value(option)
    if not _is_set(value):
        return "(unset)"
    if option.secret:
        return "(set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    text = f"{value:g}" if isinstance(value, float) else str(value) or "/"
    return f"{text} {option.unit}".rstrip()


def _for_programs(settings: Settings, option: Option) -> dict[str, Any]:
    value = settings.value(option)
    is_set = _is_set(value)
    plain_value = list(value) if isinstance(value, tuple) else value
    return {
        "key": option.key,
        # A secret's own text is nobody's business; a path is text.
        "value": (
            None
            if option.secret or value is None
            else plain_value if isinstance(plain_value, (bool, int, float, list)) else str(plain_value)
        ),
        "is_set": is_set,
        "unit": option.unit or None,
        "origin": settings.origin[option.key],
        "is_secret": option.secret,
    }
