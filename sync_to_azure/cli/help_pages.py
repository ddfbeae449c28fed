"""What `--help` shows, commands and everyday options first, and what `--help-all` shows, every option by its group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import BY_KEY, EVERYDAY, GROUPS, OPTIONS

Record = tuple[str, str]
"""An option as help shows it: how it is written, what it means."""

_IS_ALL_SHOWN = "sync_to_azure.is_all_shown"


def _show_all(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_IS_ALL_SHOWN] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


HELP_ALL = click.Option(
    ["--help-all"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_all,
    help="Show all options in full, and exit.",
)


_ON_HELP = {"--help", "--help-all", "--version"}


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, own: Iterable[click.Parameter], names: frozenset[str]
) -> None:
    """The sections on options of a command: of its ``own``, and of those of the table that it honours (``names``)."""
    options = [param for param in own if isinstance(param, click.Option)]
    honoured = [option for option in OPTIONS if option.name in names and not option.obsolete]
    _write_section(
        formatter, "Options", _records(ctx, (each for each in options if not _ON_HELP & {*each.opts}))
    )
    if ctx.meta.get(_IS_ALL_SHOWN):
        for group, heading in GROUPS.items():
            found = [_in_full(option) for option in honoured if option.group == group]
            _write_section(formatter, heading, found)
    else:
        everyday = [BY_KEY[key] for key in EVERYDAY if BY_KEY[key] in honoured]
        _write_section(formatter, "Everyday options", [_in_short(option) for option in everyday])
    _write_section(formatter, "Help", _records(ctx, (each for each in options if _ON_HELP & {*each.opts})))


def _records(ctx: click.Context, options: Iterable[click.Option]) -> list[Record]:
    return [record for option in options if (record := option.get_help_record(ctx))]


def _in_short(option: Option) -> Record:
    """A switch as what it switches on."""
    written = f"--{option.key}" if option.flag else f"--{option.key} {option.metavar}"
    return written, option.help + _default(option)


def _in_full(option: Option) -> Record:
    written = f"--{option.key} / --no-{option.key}" if option.flag else f"--{option.key} {option.metavar}"
    return written, option.explanation + _default(option)


def _default(option: Option) -> str:
    return "" if option.default is None or option.flag else f" [default: {option.default}]"


def _write_section(formatter: click.HelpFormatter, heading: str, records: Sequence[Record]) -> None:
    if records:
        with formatter.section(heading):
            formatter.write_dl(records)
