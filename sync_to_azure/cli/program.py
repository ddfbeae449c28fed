"""The program as click sees it: a group whose own options are those of a pass, and its commands, imported when called.

Each command declares the options that it honours. Another one on its command line is refused, before or after the
command's name: to ignore it would do something else than was asked (`hold RUN --dry-run` takes effect at once).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from sync_to_azure import __version__
from sync_to_azure.cli.click_options import CLICK_OPTIONS, EVERY, given, honoured, named
from sync_to_azure.cli.failures import PROGRAM, guarded
from sync_to_azure.cli.help_pages import HELP_ALL, write_options
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings import Settings, load, not_for_children

EXIT_CODES = (
    ("0", "done, nothing to do, or another pass is running"),
    ("1", "a run failed in this pass or was newly flagged"),
    ("2", "wrong usage or configuration"),
    ("3", "a dependency is unavailable: source, storage, credentials, state file, or a pass that hangs"),
    ("129, 130, 143", "interrupted (its terminal is gone, Ctrl-C, SIGTERM)"),
)

MODULES = {
    "sync_to_azure.cli.transfer": (
        *("check", "status", "explain", "report", "events"),
        *("hold", "ignore", "retry", "accept", "release", "audit", "restore"),
    ),
    "sync_to_azure.cli.show_settings": ("settings",),
}
"""Which module defines which commands, in the order in which help lists them. A module is imported when one of its
commands is called, and for help."""

GROUPS_BESIDE = {"catalogue": "sync_to_azure.cli.catalogue"}
"""Groups of commands with options of their own, and the modules that define them as ``group``."""

_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}

Work = TypeVar("Work", bound=Callable[..., int])


class ProgramGroup(click.Group):
    """The pass, and the commands beside it. Its help begins with the commands; a misspelt command suggests one."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), HELP_ALL]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_MODULE_OF, *GROUPS_BESIDE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in GROUPS_BESIDE:
            beside: click.Group = importlib.import_module(GROUPS_BESIDE[cmd_name]).group
            return beside
        if cmd_name in _MODULE_OF and cmd_name not in self.commands:
            importlib.import_module(_MODULE_OF[cmd_name])
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            hint = (
                f"Did you mean '{near[0]}'?"
                if near
                else f"Commands: {', '.join(sorted(self.list_commands(ctx)))}."
            )
            raise click.UsageError(f"No such command '{name}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        own = [param for param in self.get_params(ctx) if param.name not in EVERY]
        write_options(ctx, formatter, own, EVERY)
        with formatter.section("Exit codes"):
            formatter.write_dl(list(EXIT_CODES))


class HonouringCommand(click.Command):
    """A command with options of its own and those of the table that it honours.

    ``instead``: key of an option that it does not honour -> what to do instead, for whoever tries it.
    """

    def __init__(
        self, *arguments: Any, honours: frozenset[str], instead: Mapping[str, str], **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.honours = honours
        self._instead = instead

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = named(error.option_name)
            if name is None:
                raise
            self._refuse(ctx, [name])

    def options_given(self, ctx: click.Context) -> dict[str, object]:
        """Options of the table before and after the command's name; after wins. Raises UsageError for others."""
        found = given(ctx.parent.params if ctx.parent else {}) | given(ctx.params)
        others = found.keys() - self.honours
        if others and not ctx.resilient_parsing:
            self._refuse(ctx, sorted(others))
        return found

    def _refuse(self, ctx: click.Context, names: Iterable[str]) -> NoReturn:
        keys = [name.replace("_", "-") for name in names]
        flags = ", ".join(f"--{key}" for key in keys)
        text = f"'{self.name}' does not take {flags}, which {'is' if len(keys) == 1 else 'are'} for a pass."
        hints = [self._instead[key] for key in keys if key in self._instead]
        for hint in hints or ["Leave it out; in the config file and in the environment it does no harm."]:
            text += f" {hint}"
        raise click.UsageError(text, ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), HELP_ALL]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param for param in self.get_params(ctx) if param.name not in EVERY]
        write_options(ctx, formatter, own, self.honours)


@click.pass_context
def _pass(ctx: click.Context, /, **_: object) -> int:
    """Upload completed instrument runs to Azure Blob Storage, and prove that every byte arrived.

    Without a command, run one pass over the main folder. Each option is also a key of the config file (main-folder) and
    an environment variable (SYNC_TO_AZURE_MAIN_FOLDER). The command line overrides the environment, which overrides the
    file.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    settings = settings_from(given(ctx.params))

    def work() -> int:
        from sync_to_azure.transfer import one_pass

        return one_pass.run(settings)

    return guarded(settings, work, acts=True)


group = ProgramGroup(
    name=PROGRAM,
    callback=_pass,
    help=_pass.__doc__,
    params=list(CLICK_OPTIONS.values()),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
click.version_option(__version__, message="%(prog)s %(version)s")(group)


def settings_command(
    name: str,
    honours: Iterable[str],
    instead: Mapping[str, str] | None = None,
    needs_source: bool = True,
    acts: bool = False,
) -> Callable[[Work], click.Command]:
    """Make a function ``(settings, **own options) -> exit code`` a command of the group.

    ``honours``: groups of options, and single keys. One that ``acts`` is refused where files of the program are among
    the runs. The function's docstring is the help; its own options are click.option below this decorator, and no keys.
    """

    def decorate(work: Work) -> click.Command:
        own: list[click.Parameter] = list(reversed(getattr(work, "__click_params__", [])))
        clash = {param.name for param in own} & EVERY
        assert not clash, f"{name}: {clash} are settings already"
        names = honoured(honours)

        @click.pass_context
        def callback(ctx: click.Context, /, **all_given: Any) -> int:
            settings = settings_from(command.options_given(ctx), needs_source)
            arguments = {key: value for key, value in all_given.items() if key not in EVERY}
            return guarded(settings, lambda: work(settings, **arguments), acts)

        command = HonouringCommand(
            name,
            callback=callback,
            help=work.__doc__,
            params=[*own, *(CLICK_OPTIONS[each] for each in CLICK_OPTIONS if each in names)],
            honours=names,
            instead=instead or {},
        )
        group.add_command(command)
        return command

    return decorate


def settings_from(options: Mapping[str, object], needs_source: bool = True) -> Settings:
    """Settings from the command line's options, the environment and the config file."""
    try:
        cwd = Path.cwd()
    except FileNotFoundError:
        raise ConfigurationError(
            "the current folder does not exist any more; start from another one"
        ) from None
    settings = load(options, os.environ, cwd, needs_source)
    # Known now: a child (az, through azure-identity) inherits no secret that is not meant for it.
    for name in not_for_children(os.environ):
        del os.environ[name]
    return settings
