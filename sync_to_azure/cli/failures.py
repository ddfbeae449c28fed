"""What a person reads, and the exit code, when something goes wrong: one message, and never a traceback for it.

Secrets and control characters never get into a message, whoever wrote its words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import click

from sync_to_azure.core.errors import ConfigurationError, SyncError
from sync_to_azure.settings import Settings

PROGRAM = "sync_to_azure"


def guarded(settings: Settings, work: Callable[[], int], acts: bool) -> int:
    """Do ``work``; its errors are reported here, where it is known which texts are secrets."""
    secrets = settings.secret_values()
    try:
        if acts:
            from sync_to_azure.transfer.own_paths import refuse_overlaps

            refuse_overlaps(settings)
        return work()
    except SyncError as error:
        return report_error(error, secrets)
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        return report_internal(error, secrets)


def report_error(error: SyncError, secrets: Sequence[str]) -> int:
    lines = error.problems if isinstance(error, ConfigurationError) else [error.message]
    for line in [*lines, error.advice]:
        if line:
            say(hidden(line, secrets))
    return error.exit_code


def report_usage(error: click.ClickException) -> int:
    """What click says of words that a person typed, or pasted; they may be odd, and hold a secret."""
    import io

    said = io.StringIO()
    error.show(said)
    message = error.format_message()
    text = said.getvalue().rstrip("\n").replace(message, plain(message))
    try:
        write(sys.stderr, hidden(text, ()))
    except BrokenPipeError:
        forget(sys.stderr)
    return 2


def report_internal(error: Exception, secrets: Sequence[str]) -> int:
    """A fault of the program: the traceback goes where the log goes (and into the mail), one line to stderr."""
    import logging
    import traceback

    logger = logging.getLogger(PROGRAM)
    line = f"internal error: {type(error).__name__}: {error}"
    files = [handler.baseFilename for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    if logger.hasHandlers():
        logger.error(line, exc_info=error)
        where = f"the traceback is in {files[0]}" if files else "the traceback is in the log above"
    else:  # nobody listens yet, or not any more: nothing may be lost
        write(sys.stderr, hidden("".join(traceback.format_exception(error)).rstrip(), secrets))
        where = "the traceback is above"
    say(f"{hidden(line, secrets)}; {where}")
    return 1


def say(text: str) -> None:
    """One line on stderr; what others wrote into it cannot act on the terminal."""
    try:
        write(sys.stderr, f"{PROGRAM}: {plain(text)}")
    except BrokenPipeError:
        forget(sys.stderr)


def plain(text: str) -> str:
    from sync_to_azure.notify.redact import plain

    return plain(text)


def write(stream: TextIO, text: str) -> None:
    from sync_to_azure.notify.output import show

    show(text, stream=stream)


def forget(stream: TextIO) -> None:
    """Nobody reads this stream any more; without this Python complains, and changes the exit code, when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def hidden(text: str, secrets: Sequence[str]) -> str:
    from sync_to_azure.notify.redact import Redactor

    return Redactor(secrets)(text)
