"""The options of the table as click's, and which of them a command honours.

click only splits the words. It reads neither environment nor file and converts nothing, so that `settings` can merge
all sources and report all problems at once, each with its source.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import BY_KEY, GROUPS, OPTIONS


def _click_option(option: Option) -> click.Option:
    if option.flag:
        return click.Option([f"--{option.key}/--no-{option.key}"], default=None)
    return click.Option(
        [f"--{option.key}"],
        type=click.UNPROCESSED,
        default=None,
        multiple=option.repeatable,
        metavar=option.metavar,
        hidden=option.obsolete,
    )


# Shared by all commands: click's options know nothing of the command that they belong to.
CLICK_OPTIONS: dict[str, click.Option] = {
    option.name: _click_option(option) for option in OPTIONS if option.on_command_line
}

EVERY = frozenset(CLICK_OPTIONS)
"""What a pass honours: names of all options that the command line can give."""


def honoured(groups_and_keys: Iterable[str]) -> frozenset[str]:
    """Names of the options of these groups, and of these keys (of a word that is both: the group). config-file is
    always among them."""
    found = {"config_file"}
    for each in groups_and_keys:
        if each in GROUPS:
            found |= {option.name for option in OPTIONS if option.group == each}
        else:
            found.add(BY_KEY[each].name)
    return frozenset(found & EVERY)


def given(params: dict[str, object]) -> dict[str, object]:
    """Those of a command's parsed words that are options of the table, and have a value."""
    return {
        name: value for name, value in params.items() if name in EVERY and value is not None and value != ()
    }


def named(flag: str) -> str | None:
    """The option's name that a person wrote as --dry-run or --no-dry-run; None if it is none of the table."""
    for text in (flag.removeprefix("--"), flag.removeprefix("--no-")):
        if text in BY_KEY and BY_KEY[text].name in EVERY:
            return BY_KEY[text].name
    return None
