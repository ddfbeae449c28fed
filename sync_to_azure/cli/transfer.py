"""Commands beside the pass: look at runs, give an override for one, prove and bring back what was published."""

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
_AT_ONCE = {"dry-run": "It takes effect at once, and 'release' takes it back."}


@settings_command(
    "check",
    honours=[option.key for option in OPTIONS if option.key not in ("dry-run", "thorough", "only-run")],
)
@click.option("--send-mail", is_flag=True, help="Send a mail to every log-recipient, too.")
def check(settings: Settings, send_mail: bool) -> int:
    """Try everything that a pass needs, and say of each thing whether it is well or what to do.

    Folders, permissions, AzCopy, login, container, clock, mail. At the destination one small blob is written, read
    and, if we may, deleted again; the source is only read. Exit code 0 if all is well, 3 if not.
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
@click.option("--run", metavar="GLOB", help="Only runs whose name matches.")
@click.option("--read-back", is_flag=True, help="Download and hash, too: bytes can change under a right MD5.")
@click.option(
    "--budget", metavar="SIZE", help="Read back so much, e.g. 500GB; the next audit goes on from there."
)
def audit(settings: Settings, run: str | None, read_back: bool, budget: str | None) -> int:
    """Look again at what was published, against its manifest: missing, changed, extra, archived.

    Nothing at the destination is changed; runs audited longest ago come first. Exit code 0 if all is as it was
    published, 1 if something is not.
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
@click.option("--to", metavar="DIR", help="Put RUN/ (and its sample sheet RUN.csv) there; else here.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other bytes.")
def restore(settings: Settings, run: str, files: tuple[str, ...], to: str | None, overwrite: bool) -> int:
    """Bring a published run back, each file proved against its manifest.

    FILE is a path below the run, a folder, or a pattern in quotes; without one all files are brought back. Started
    again, it goes on: what is there and right is kept. Needs no main folder and no state file; into the main folder of
    a flow that removes runs, the run is held first.
    Exit code 0 if all that was asked for is there and proved, 1 if something is not.
    """
    from sync_to_azure.transfer.commands import restore as work

    return work.run(settings, run, files, to, overwrite)


def _options(ctx: click.Context) -> dict[str, object]:
    """Before and after the command's name, as far as the shell has them."""
    return given(ctx.parent.params if ctx.parent else {}) | given(ctx.params)


def _run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell's completion: runs on record. Whatever is wrong, nothing is offered, and nothing is said."""
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
_REASON = click.option("--reason", metavar="TEXT", help="Why; kept with who said it and when. Recommended.")
_EXPECTED = click.option("--expected", is_flag=True, help="Also for a run that is still to come.")


@settings_command("status", honours=FLOW, instead=_NAME_IT)
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=_run_names)
@click.option(
    "--state", "states", metavar="STATE", multiple=True, help="Only these, such as waiting or needs-a-person."
)
@click.option("--problems", is_flag=True, help="Only runs that need a person or are tried again.")
@click.option("--since", metavar="TIME", help="Only what became so since then: 24h, 7d, 2026-11-22T18:00.")
@click.option("--json", "as_json", is_flag=True, help="For programs; docs/status.md describes it.")
def status(
    settings: Settings,
    runs: tuple[str, ...],
    states: tuple[str, ...],
    problems: bool,
    since: str | None,
    as_json: bool,
) -> int:
    """Show how all runs stand: what is safe, what waits and why, what needs a person.

    RUN is a name or a pattern in quotes. Reads the state file only, and works while a pass does. Exit code 0, however
    the runs stand.
    """
    from sync_to_azure.transfer.commands import status as work

    return work.run(settings, runs, states, problems, since, as_json)


@settings_command("events", honours=FLOW)
@click.option("--follow", is_flag=True, help="Go on, as tail -f does.")
@click.option("--json", "as_json", is_flag=True, help="One CloudEvent a line; docs/events.md describes them.")
@click.option("--since", metavar="TIME", help="Only what happened since then: 24h, 7d, 2026-11-22T18:00.")
@click.option("--consumer", metavar="NAME", help="What NAME has not had yet; keeps how far it is.")
@click.option("--forget", metavar="NAME", help="Keep nothing for this consumer any more.")
def events(
    settings: Settings,
    follow: bool,
    as_json: bool,
    since: str | None,
    consumer: str | None,
    forget: str | None,
) -> int:
    """Show what happened: runs that were published, changed or removed, or that need a person.

    Events are kept only while somebody waits for them: keep-events, notify-url, --follow or a --consumer.
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
    """Tell everything about one run: what it waits for, what was carried and proved, what went wrong, what to do."""
    from sync_to_azure.transfer.commands import explain as work

    return work.run(settings, run)


@settings_command("report", honours=(*FLOW, "sample-names"))
@click.option(
    "--output",
    metavar="DIR",
    required=True,
    help="The folder for the pages: a new or empty one, or an earlier report.",
)
@click.option(
    "--days", metavar="DAYS", type=click.IntRange(1, 3660), default=30, help="How far back. [default: 30]"
)
def report(settings: Settings, output: str, days: int) -> int:
    """Write static web pages: what is safe, what needs a person, how it went over time, and a page for each run.

    They need no server and load nothing from elsewhere; open DIR/index.html, or mail it. Reads the state file, and of
    the runs that still stand in the main folder what the instrument says. Needs the extra 'report'.
    """
    from sync_to_azure.transfer.report import command as work

    return work.run(settings, output, days, settings.source.sample_names)


@settings_command("hold", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
@_EXPECTED
def hold(settings: Settings, run: str, reason: str | None, expected: bool) -> int:
    """Carry, publish and remove nothing of a run until it is released. What is under way stops at its next step."""
    from sync_to_azure.transfer.commands import words as work

    return work.speak(settings, "hold", run, reason, expected)


@settings_command("ignore", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
@_EXPECTED
def ignore(settings: Settings, run: str, reason: str | None, expected: bool) -> int:
    """Like hold; and nobody is told of the run any more, until it is released."""
    from sync_to_azure.transfer.commands import words as work

    return work.speak(settings, "ignore", run, reason, expected)


@settings_command("retry", honours=(*FLOW, *UNIT), instead=_AT_ONCE, acts=True)
@_RUN
@_REASON
def retry(settings: Settings, run: str, reason: str | None) -> int:
    """Forget what was told of a run, and look at it anew and thoroughly in the next pass."""
    from sync_to_azure.transfer.commands import words as work

    return work.speak(settings, "retry", run, reason)


@settings_command(
    "accept",
    honours=(*FLOW, *UNIT),
    instead={"dry-run": "Without --yes it says what would change, and asks."},
    acts=True,
)
@click.argument("run", required=False, shell_complete=_run_names)
@_REASON
@click.option("--sheets", is_flag=True, help="The new sample sheets of all runs that are flagged for them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--all", "every", is_flag=True, help="List every file, however many they are.")
def accept(
    settings: Settings, run: str | None, reason: str | None, sheets: bool, yes: bool, every: bool
) -> int:
    """Carry a run although it never finished; or publish what the source holds now over what was published.

    Says exactly what that changes, and asks. The marker is withdrawn first, which needs the right to delete blobs;
    what is replaced stays as snapshots.
    """
    from sync_to_azure.transfer.commands import words as work

    if sheets and run is None:
        return work.accept_sheets(settings, reason, yes, every)
    if run is None or sheets:
        raise ConfigurationError("accept wants either a run or --sheets", "give one of them")
    return work.accept(settings, run, reason, yes, every)


@settings_command("release", honours=(*FLOW, *UNIT), acts=True)
@_RUN
@_REASON
def release(settings: Settings, run: str, reason: str | None) -> int:
    """Take back the word (hold, ignore, retry, accept) that is in force for a run."""
    from sync_to_azure.transfer.commands import words as work

    return work.release(settings, run, reason)
