"""`catalogue …`: the commands of the catalogue, a group of its own. Each takes --database and --config-file; those that
read a store also use the destination and the login of the config file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sync_to_azure.cli.click_options import given
from sync_to_azure.cli.failures import report_error, report_internal, say
from sync_to_azure.core.errors import ConfigurationError, SyncError
from sync_to_azure.cli.catalogue_context import Context, for_writing, reachable, target, vouching
from sync_to_azure.settings.catalogue_options import DATABASE, REGION

if TYPE_CHECKING:
    from sync_to_azure.catalogue.db.port import Catalogue
    from sync_to_azure.catalogue.query import Filters

EXIT_CODES = (
    ("0", "done, or nothing to do"),
    (
        "1",
        "needs attention: objects gone that were not deleted, differences, poison, nothing of that id",
    ),
    ("2", "wrong usage or configuration"),
    ("3", "the database or a store is unavailable"),
)
_SHARED = ("config_file", "database", "region")
Work = Callable[..., int]


@click.group(
    name="catalogue",
    help="Search what is stored where, and how strongly it is proved.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES) + ".",
)
def group() -> None:
    pass


def command(name: str, brief: str, more: str = "") -> Callable[[Work], click.Command]:
    """Make a function ``(context, **own options) -> exit code`` a command of the group. ``brief``: its line in the list
    of commands, at most 50 characters."""

    def decorate(work: Work) -> click.Command:
        own: list[click.Parameter] = list(reversed(getattr(work, "__click_params__", [])))
        shared = [
            click.Option(["--database"], metavar="DATABASE", help=DATABASE.help),
            click.Option(["--config-file"], metavar="FILE", help="As for a pass; section [catalogue]."),
        ]

        @click.pass_context
        def callback(ctx: click.Context, /, **all_given: Any) -> int:
            before = given(ctx.find_root().params)
            others = sorted(before.keys() - {"config_file"})
            if others:
                flags = ", ".join(f"--{key.replace('_', '-')}" for key in others)
                raise click.UsageError(
                    f"'catalogue' does not take {flags} before it, which is for a pass.", ctx
                )
            shared_given = {key: all_given.pop(key) for key in _SHARED if key in all_given}
            options = before | {key: value for key, value in shared_given.items() if value is not None}
            return _guarded(options, work, all_given)

        text = f"{brief} {more}".strip()
        made = click.Command(name, callback=callback, help=text, short_help=brief, params=[*own, *shared])
        group.add_command(made)
        return made

    return decorate


def _guarded(options: Mapping[str, object], work: Work, arguments: Mapping[str, Any]) -> int:
    context = None
    try:
        try:
            cwd = Path.cwd()
        except FileNotFoundError:
            raise ConfigurationError(
                "the current folder does not exist any more; start from another one"
            ) from None
        context = Context(options, os.environ, cwd)
        for warning in context.own.warnings:
            say(f"warning: {warning}")
        return work(context, **arguments)
    except SyncError as error:
        return report_error(error, context.secrets if context is not None else ())
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        return report_internal(error, context.secrets if context is not None else ())


_JSON = click.option("--json", "as_json", is_flag=True, help="For programs; docs/catalogue.md describes it.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


def _filters(work: Work) -> Work:
    """The filters of a search."""
    for option in reversed(
        (
            click.option("--run", metavar="NAME", help="Only of this run."),
            click.option("--project", metavar="NAME", help="Only of this project."),
            click.option("--instrument", metavar="ID", help="Only of this instrument."),
            click.option("--flow-cell", metavar="ID", help="Only of this flow cell."),
            click.option("--sample", metavar="ID", help="Only of runs with this sample (with sample-names)."),
            click.option("--store", metavar="ADDRESS", help="Only in this store."),
            click.option("--tier", metavar="NAME", help="Only in this access tier."),
            click.option(
                "--evidence",
                type=click.Choice(["listed", "validated", "read-back"]),
                help="Only what is proved at least so strongly.",
            ),
            click.option(
                "--since", metavar="DATE", help="Only what was modified since then, such as 2026-03-01."
            ),
            click.option("--until", metavar="DATE", help="Only what was modified until then."),
            click.option("--deleted", is_flag=True, help="Deleted objects, too."),
        )
    ):
        work = option(work)
    return work


def _filters_of(options: Mapping[str, Any]) -> "Filters":
    from sync_to_azure.catalogue.query import Filters
    from sync_to_azure.core.model import Evidence

    values = dict(options)
    if values["evidence"] is not None:
        values["evidence"] = Evidence.from_label(values["evidence"])
    for name in ("since", "until"):
        if values[name] is not None:
            values[name] = _moment(name, values[name])
    return Filters(**values)


def _moment(name: str, text: str) -> float:
    import datetime

    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--{name}: {text!r} is no date", "give 2026-03-01 or 2026-03-01T18:00"
        ) from None
    return (moment if moment.tzinfo is not None else moment.astimezone()).timestamp()


@command(
    "init",
    "Create the database, or upgrade its schema.",
    "Can be repeated.",
)
@_JSON
def init(context: Context, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open(create=True)) as catalogue:
        return care.init(catalogue, as_json)


@command(
    "inventory",
    "List a store, and record what is in it.",
    "STORE is https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX] or a folder; without STORE, the "
    "destination of the config file. Started again, it resumes where it was stopped.",
)
@click.argument("store", required=False)
@click.option("--manifests", is_flag=True, help="Every published run below the destination, by its manifest.")
@click.option("--again", is_flag=True, help="Start over, and read manifests that did not change, too.")
@click.option(
    "--accept-deletions", metavar="DIGEST", default="", help="Delete exactly the list that was held back."
)
@click.option("--region", metavar="NAME", help=REGION.help)
@_DRY_RUN
@_JSON
def inventory(
    context: Context,
    store: str | None,
    manifests: bool,
    again: bool,
    accept_deletions: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    from sync_to_azure.catalogue.commands import inventory as work
    from sync_to_azure.core.clock import Clock

    if manifests and (store is not None or accept_deletions):
        raise ConfigurationError("--manifests takes neither STORE nor --accept-deletions")
    where, opened, settings = target(context, store)
    with _closing(for_writing(context, dry_run)) as catalogue:
        if not manifests:
            return work.of_store(catalogue, opened, where, Clock(), accept_deletions, again, dry_run, as_json)
        assert settings is not None
        return work.of_manifests(
            *(catalogue, opened, where, settings.destination.destination, vouching(settings)),
            *(settings.source.sample_names, Clock(), again, dry_run, as_json),
        )


@command(
    "search",
    "Find objects by words or by a checksum.",
    "Searched are names, runs, instruments, flow cells, projects and samples. WORD is a whole word, 'WORD*' "
    "the beginning of one, '*PART*' three characters or more; all have to match.",
)
@click.argument("words", nargs=-1)
@_filters
@click.option("--limit", type=click.IntRange(1), help="So many results. [default: 100; with --json all]")
@click.option("--after", type=click.IntRange(0), default=0, metavar="CURSOR", help="Those behind this one.")
@click.option(
    "--facets", is_flag=True, help="How many results each run, project, tier … has, instead of the results."
)
@_JSON
def search(
    context: Context,
    words: tuple[str, ...],
    limit: int | None,
    after: int,
    facets: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    from sync_to_azure.catalogue.commands import looking
    from sync_to_azure.catalogue.query import parse

    query = parse(words, _filters_of(filters))
    with _closing(context.open()) as catalogue:
        return looking.search(catalogue, query, as_json, limit, after, facets)


@command(
    "show",
    "Show an object with its versions, by its id.",
    "The id of a version shows that version alone.",
)
@click.argument("identity", metavar="ID")
@_JSON
def show(context: Context, identity: str, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import looking

    with _closing(context.open()) as catalogue:
        return looking.show(catalogue, identity, as_json)


@command(
    "totals",
    "Show objects and bytes by place, tier and project.",
    "Of everything, or of what a search finds; a place is a cloud and a region.",
)
@click.argument("words", nargs=-1)
@_filters
@_JSON
def totals(context: Context, words: tuple[str, ...], as_json: bool, **filters: Any) -> int:
    from sync_to_azure.catalogue.commands import looking
    from sync_to_azure.catalogue.query import parse

    query = parse(words, _filters_of(filters))
    with _closing(context.open()) as catalogue:
        return looking.totals(catalogue, query, as_json)


@command(
    "export",
    "Write files, runs, samples or events to a file.",
    "For a data warehouse; as CSV or Parquet.",
)
@click.option("--view", type=click.Choice(["files", "runs", "samples", "events"]), default="files")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv")
@click.option(
    "--output",
    metavar="FILE",
    required=True,
    help="A file, which is replaced as a whole; - for CSV to standard output.",
)
def export(context: Context, view: str, kind: str, output: str) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.export(catalogue, view, kind, output if output == "-" else str(context.cwd / output))


@command(
    "verify",
    "Compare random objects with their stores.",
    "What the catalogue says of them against what the store says now.",
)
@click.option(
    "--objects", "many", type=click.IntRange(1, 100_000), default=100, help="So many. [default: 100]"
)
@_JSON
def verify(context: Context, many: int, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.verify(catalogue, lambda address: reachable(context, address), many, as_json)


@command(
    "status",
    "Show stores, last inventories, and open problems.",
    "Problems are events that could not be applied.",
)
@_JSON
def status(context: Context, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.status(catalogue, as_json)


@command(
    "clean",
    "Drop old versions and tombstones, or everything.",
    "No store is changed.",
)
@click.option(
    "--older-than", type=click.FloatRange(0), metavar="DAYS", help="Only what was replaced or deleted before."
)
@click.option("--yes", is_flag=True, help="Do it; without it only what would be dropped is said.")
@_JSON
def clean(context: Context, older_than: float | None, yes: bool, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.clean(catalogue, older_than, yes, as_json)


@command(
    "merge",
    "Record that two objects are copies of one.",
    "Only where size and a proved or store-computed checksum agree.",
)
@click.argument("kept", metavar="ID")
@click.argument("joined", metavar="ID")
@_DRY_RUN
@_JSON
def merge(context: Context, kept: str, joined: str, dry_run: bool, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.merge(catalogue, kept, joined, dry_run, as_json)


@command(
    "separate",
    "Undo a merge, by its number.",
)
@click.argument("number", type=click.IntRange(1), metavar="MERGE")
@_JSON
def separate(context: Context, number: int, as_json: bool) -> int:
    from sync_to_azure.catalogue.commands import care

    with _closing(context.open()) as catalogue:
        return care.separate(catalogue, number, as_json)


def _closing(catalogue: "Catalogue") -> Any:
    import contextlib

    return contextlib.closing(catalogue)
