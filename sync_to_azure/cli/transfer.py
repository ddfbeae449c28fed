"""Commands beside the pass: show runs, override what happens to one, audit and restore what was published."""

from __future__ import annotations

import click

from sync_to_azure.cli.failures import plain
from sync_to_azure.cli.program import settings_command, settings_from
from sync_to_azure.cli.click_options import given
from sync_to_azure.core.errors import ConfigurationError, SyncError
from sync_to_azure.settings import Settings
from sync_to_azure.settings.options import OPTIONS

FLOW = ("main-folder", "destination", "identity", "state-file")
"""Which flow: it leads to the state file. Commands that log in nowhere hide the secret in what they show."""
UNIT = ("profile", "project-glob", "blank-glob")
"""What a run is called in a main folder of projects."""
SERVICE = ("retry-times", "timeout")

_NAME_IT = {"only-run": "Name the runs after the command instead."}
_AT_ONCE = {"dry-run": "It takes effect at once, and 'release' undoes this."}


@settings_command(
    "check",
    honours=[option.key for option in OPTIONS if option.key not in ("dry-run", "thorough", "only-run")],
)
@click.option("--send-mail", is_flag=True, help="Also send a mail to every log-recipient.")
def check(settings: Settings, send_mail: bool) -> int:
    """Test everything that a pass needs, and show what to fix.

    Checks folders, permissions, AzCopy, login, container, clock and mail. Writes one small blob to the destination,
    reads it, and deletes it if permitted; only reads the source. Exit code 0 if all checks passed, 3 otherwise.
    """
    from sync_to_azure.transfer.commands import check as work

    return work.run(settings, send_mail)


@settings_command(
    "audit",
    honours=(*FLOW, *SERVICE, "only-run", "log", "mail"),
    instead={
        "dry-run": "An audit changes nothing at the destination.",
        "thorough": "An audit looks at every file; --read-back reads its bytes, too.",
    },
    acts=True,
)
@click.option("--run", metavar="GLOB", help="Audit only runs whose name matches.")
@click.option(
    "--read-back",
    is_flag=True,
    help="Also download and hash every blob; bytes can change under an unchanged MD5.",
)
@click.option(
    "--budget", metavar="SIZE", help="Read back at most this much, e.g. 500GB; the next audit continues."
)
def audit(settings: Settings, run: str | None, read_back: bool, budget: str | None) -> int:
    """Compare what was published with its manifests.

    Finds missing, changed, extra and archived blobs. Changes nothing at the destination; begins with the runs audited
    longest ago. Exit code 0 if everything is as it was published, 1 otherwise.
    """
    from sync_to_azure.transfer.commands import audit as work

    return work.run(settings, run, read_back, budget)


@settings_command(
    "restore",
    honours=(*FLOW, *UNIT, *SERVICE, "remove-source", "log"),
    instead={"only-run": "Name the run after the command instead."},
    needs_source=False,
)
@click.argument("run")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option(
    "--to",
    metavar="DIR",
    help="Write RUN/ (and its sample sheet RUN.csv) to this folder; without it, to the current one.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing files that differ.")
def restore(settings: Settings, run: str, files: tuple[str, ...], to: str | None, overwrite: bool) -> int:
    """Download a published run, and verify each file.

    FILE is a path below the run, a folder, or a pattern in quotes; without one, all files are restored. Each file is
    compared with the manifest. Run it again to continue: correct files are kept. Needs no main folder and no state
    file. When restoring into the main folder of a flow that removes runs, the run is held first.
    Exit code 0 if all requested files are restored and verified, 1 otherwise.
    """
    from sync_to_azure.transfer.commands import restore as work

    return work.run(settings, run, files, to, overwrite)


def _options(ctx: click.Context) -> dict[str, object]:
    """Before and after the command's name, as far as the shell has them."""
    return given(ctx.parent.params if ctx.parent else {}) | given(ctx.params)


def _run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell's completion: runs on record. Whatever is wrong, nothing is offered, and no message shown."""
    from sync_to_azure.transfer.views.records import reading

    try:
        opened = reading(settings_from(_options(ctx)))
    except SyncError:
        return []
    if opened is None:
        return []
    with opened as ledger:
        # A shell writes them as they are, and takes a line for a name.
        return sorted(name for name in ledger.names() if name.startswith(incomplete) and plain(name) == name)


_RUN = click.argument("run", shell_complete=_run_names)
_REASON = click.option(
    "--reason", metavar="TEXT", help="Record why, with your name and the time. Recommended."
)
_EXPECTED = click.option("--expected", is_flag=True, help="Accept a run that does not exist yet.")


@settings_command("status", honours=FLOW, instead=_NAME_IT)
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=_run_names)
@click.option(
    "--state",
    "states",
    metavar="STATE",
    multiple=True,
    help="Show only runs with this status or state; repeatable.",
)
@click.option("--problems", is_flag=True, help="Show only runs that need attention or are retried.")
@click.option(
    "--since", metavar="TIME", help="Show only runs whose status changed since: 24h, 7d, 2026-11-22T18:00."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as described in docs/status.md.")
def status(
    settings: Settings,
    runs: tuple[str, ...],
    states: tuple[str, ...],
    problems: bool,
    since: str | None,
    as_json: bool,
) -> int:
    """Show the status of all runs: safe, waiting, or needs attention.

    RUN is a name or a pattern in quotes. Reads the state file only, also while a pass is running. Exit code 0, whatever
    the status of the runs.
    """
    from sync_to_azure.transfer.commands import status as work

    return work.run(settings, runs, states, problems, since, as_json)


@settings_command("events", honours=FLOW)
@click.option("--follow", is_flag=True, help="Keep printing new events, like tail -f.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one CloudEvent per line, as described in docs/events.md."
)
@click.option("--since", metavar="TIME", help="Show only events since: 24h, 7d, 2026-11-22T18:00.")
@click.option(
    "--consumer",
    metavar="NAME",
    help="Show what consumer NAME has not received yet, and record its position.",
)
@click.option("--forget", metavar="NAME", help="Remove consumer NAME.")
def events(
    settings: Settings,
    follow: bool,
    as_json: bool,
    since: str | None,
    consumer: str | None,
    forget: str | None,
) -> int:
    """Show events: runs published, changed, removed, flagged.

    Events are kept only while something waits for them: keep-events, notify-url, --follow or a --consumer.
    """
    from sync_to_azure.transfer.commands import show_events as work

    return work.run(settings, follow, as_json, since, consumer, forget)


@settings_command(
    "explain",
    honours=(
        *FLOW,
        *UNIT,
        *("completion-flag", "completion-delay", "min-file-age", "samplesheet-folder", "sheet-optional"),
        *("remove-source", "remove-after"),
    ),
    instead=_NAME_IT,
)
@_RUN
def explain(settings: Settings, run: str) -> int:
    """Show everything about one run, and what to do.

    What it waits for, what was uploaded and verified, and what went wrong.
    """
    from sync_to_azure.transfer.commands import explain as work

    return work.run(settings, run)


@settings_command("report", honours=(*FLOW, "sample-names"))
@click.option(
    "--output",
    metavar="DIR",
    required=True,
    help="Write the pages to this folder: new, empty, or an earlier report. Required.",
)
@click.option(
    "--days",
    metavar="DAYS",
    type=click.IntRange(1, 3660),
    default=30,
    help="Cover this many days. [default: 30]",
)
def report(settings: Settings, output: str, days: int) -> int:
    """Write static web pages: an overview, and a page for each run.

    They need no server and load nothing from elsewhere; open DIR/index.html, or mail it. Reads the state file, and the
    instrument's own files of runs that are still in the main folder. Needs the extra 'report'.
    """
    from sync_to_azure.transfer.report import command as work

    return work.run(settings, output, days, settings.source.sample_names)


@settings_command("hold", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
@_EXPECTED
def hold(settings: Settings, run: str, reason: str | None, expected: bool) -> int:
    """Stop uploading, publishing and removing a run until release.

    A pass that is working on it stops at its next step.
    """
    from sync_to_azure.transfer.commands import set_override as work

    return work.speak(settings, "hold", run, reason, expected)


@settings_command("ignore", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
@_EXPECTED
def ignore(settings: Settings, run: str, reason: str | None, expected: bool) -> int:
    """Hold a run, and stop reporting it, until it is released."""
    from sync_to_azure.transfer.commands import set_override as work

    return work.speak(settings, "ignore", run, reason, expected)


@settings_command("retry", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
def retry(settings: Settings, run: str, reason: str | None) -> int:
    """Check a run thoroughly in the next pass, and report it again."""
    from sync_to_azure.transfer.commands import set_override as work

    return work.speak(settings, "retry", run, reason)


@settings_command(
    "accept",
    honours=(*FLOW, *UNIT),
    instead={"dry-run": "Without --yes it says what would change, and asks."},
    acts=True,
)
@click.argument("run", required=False, shell_complete=_run_names)
@_REASON
@click.option("--sheets", is_flag=True, help="Accept the new sample sheets of all runs flagged for them.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--all", "every", is_flag=True, help="List every file, however many there are.")
def accept(
    settings: Settings, run: str | None, reason: str | None, sheets: bool, yes: bool, every: bool
) -> int:
    """Upload an unfinished run, or changes to a published one.

    Shows exactly what changes, and asks for confirmation. Removes the marker first, which needs permission to delete
    blobs; keeps what is replaced as snapshots.
    """
    from sync_to_azure.transfer.commands import set_override as work

    if sheets and run is None:
        return work.accept_sheets(settings, reason, yes, every)
    if run is None or sheets:
        raise ConfigurationError("accept wants either a run or --sheets", "give one of them")
    return work.accept(settings, run, reason, yes, every)


@settings_command("release", honours=(*FLOW, *UNIT), acts=True)
@_RUN
@_REASON
def release(settings: Settings, run: str, reason: str | None) -> int:
    """End the override (hold, ignore, retry, accept) of a run."""
    from sync_to_azure.transfer.commands import set_override as work

    return work.release(settings, run, reason)
