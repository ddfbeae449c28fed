"""The command line: options, exit codes, and how errors are told."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

import click

from cronbeat import __version__
from cronbeat.errors import CronbeatError
from cronbeat.redact import RedactingFilter, Redactor
from cronbeat.settings import Settings, load, set_up_logging

PROGRAM = "cronbeat"
READER_GONE = 141
"""What a shell shows for a program that SIGPIPE ended."""
INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h."""


@click.group(
    PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: run: the task's own, 75 skipped, 124 out of time, 126 and 127 as in a shell, 128+n signal n."
    " check: 1 if something is not well. All: 2 wrong usage or configuration, 3 state or webhook unavailable.",
)
@click.option("--config", metavar="FILE", help="Read this ini file only.")
@click.option("--cache", metavar="FOLDER", help="Where runs, locks and logs are kept. [default: ~/.cronbeat]")
@click.option("--log-file", metavar="FILE", help="Write a log there too; turned over at 1 MB.")
@click.option("--log-level", metavar="LEVEL", help="What goes to the log file. [default: INFO]")
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def group(
    ctx: click.Context, config: str | None, cache: str | None, log_file: str | None, log_level: str | None
) -> None:
    """Run cron's tasks, keep how they went, and alarm when one stays away."""

    def settings() -> Settings:
        """Once for each command; a command's --help needs none."""
        found = load({"cache": cache, "log-file": log_file, "log-level": log_level}, config)
        logger = set_up_logging(found)
        for handler in logger.handlers:
            handler.addFilter(RedactingFilter(Redactor([found.webhook, found.check_ping])))
        return found

    ctx.obj = settings


@group.command("run")
@click.argument("tasks", metavar="TASKS.json")
@click.argument("name")
@click.option("-v", "--verbose", is_flag=True, help="Show the commands' output too.")
@click.pass_obj
def run_command(settings: Callable[[], Settings], tasks: str, name: str, verbose: bool) -> int:
    """Run task NAME: its commands in order, until one fails."""
    from cronbeat.run import run

    return run(settings(), tasks, name, verbose)


@group.command("list")
@click.argument("tasks", metavar="[TASKS.json]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_command(settings: Callable[[], Settings], tasks: tuple[str, ...], as_json: bool) -> int:
    """List all known tasks: last start, duration, outcome, when due, and whether late."""
    from cronbeat.listing import show

    return show(settings(), tasks, as_json)


@group.command("emit")
@click.pass_obj
def emit_command(settings: Callable[[], Settings]) -> int:
    """Send a summary of the runs since the last emit to the webhook."""
    from cronbeat.emit import emit

    return emit(settings())


@group.command("check")
@click.argument("tasks", metavar="[TASKS.json]...", nargs=-1)
@click.pass_obj
def check_command(settings: Callable[[], Settings], tasks: tuple[str, ...]) -> int:
    """Alarm for tasks that stay away or run too long, and say when they are well again."""
    from cronbeat.check import check

    return check(settings(), tasks)


@group.command("forget")
@click.argument("tasks", metavar="TASKS.json")
@click.pass_obj
def forget_command(settings: Callable[[], Settings], tasks: str) -> int:
    """Watch the tasks of this file no more; a run makes them known again."""
    from cronbeat.place import prepare
    from cronbeat.state import State
    from cronbeat.tasks import absolute

    state = State(prepare(settings().cache))
    try:
        count = state.forget(absolute(tasks))
    finally:
        state.close()
    click.echo(f"{count} tasks forgotten")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code; what went wrong is one message on stderr, never a traceback."""
    try:
        with group.make_context(PROGRAM, list(sys.argv[1:] if argv is None else argv)) as ctx:
            code = int(group.invoke(ctx))
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # `cronbeat list | head`: nobody reads any more. Else Python complains when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except CronbeatError as error:
        logger = logging.getLogger(PROGRAM)
        if logger.handlers:
            logger.error("%s", error)
        else:  # the settings themselves are at fault
            click.echo(f"{PROGRAM}: {error}", err=True)
        return error.exit_code
    except Exception:
        # A fault of ours; the traceback goes through the filter that hides the webhook.
        logging.getLogger(PROGRAM).critical("internal error, please report it: %s", traceback.format_exc())
        return INTERNAL_ERROR


def command() -> None:
    sys.exit(main())
