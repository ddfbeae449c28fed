"""The command line: an error becomes one message and an exit code; all else is in the modules beside this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from sync_to_azure.cli.failures import (
    PROGRAM,
    forget,
    report_error,
    report_internal,
    report_usage,
    say,
)
from sync_to_azure.cli.program import group
from sync_to_azure.core.errors import Interrupted, SyncError

COMPLETION = "_SYNC_TO_AZURE_COMPLETE"
READER_GONE = 141
"""What a shell shows for a program that SIGPIPE ended: `sync_to_azure settings | head` is no fault."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and writes what went wrong to stderr, never a traceback for it."""
    if argv is None and (instruction := os.environ.get(COMPLETION)):
        return _complete(instruction)
    try:
        # Not group.main(): it makes exit code 1, "a run failed", of a reader that went away.
        with group.make_context(PROGRAM, list(sys.argv[1:] if argv is None else argv)) as ctx:
            code = int(group.invoke(ctx))
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return report_usage(error)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Interrupted as stop:
        say(str(stop))
        return stop.exit_code
    except SyncError as error:
        return report_error(error, ())
    except BrokenPipeError:
        forget(sys.stdout)
        return READER_GONE
    except Exception as error:
        return report_internal(error, ())


def _complete(instruction: str) -> int:
    """The shell asks what could come next (https://click.palletsprojects.com/shell-completion)."""
    from click.shell_completion import shell_complete

    return shell_complete(group, {}, PROGRAM, COMPLETION, instruction)
