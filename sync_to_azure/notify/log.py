"""The log of a pass: on the terminal, in a rotated file and collected for the mail; redacted at each of them."""

from __future__ import annotations

import collections
import io
import logging
import logging.handlers
import os
import pathlib
import stat
import sys
import threading
from collections.abc import Callable
from typing import Protocol, TextIO

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.notify.redact import CleanFormatter, plain

NAME = "sync_to_azure"
FILE_BYTES = 1_000_000
FILES_KEPT = 5
FIRST_LINES = 1000
LAST_LINES = 4000
LINE_CHARACTERS = 4000

_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_TERMINAL_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
_DATE = "%Y-%m-%d %H:%M:%S%z"
_TERMINAL_DATE = "%H:%M:%S"
_LIBRARIES = ("azure", "urllib3", "msal", "asyncio")
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}


class Clearable(Protocol):
    """What stands on the terminal's last line and can be taken away (``terminal.ProgressLine``)."""

    def clear(self) -> None:
        """Takes the line away; called from any thread."""


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream; takes a live line away first. A stream that is closed or broken loses the line only."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.live: Clearable | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.live is not None:
            self.live.clear()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class FileHandler(logging.handlers.RotatingFileHandler):
    """A rotated file that only its owner reads (mode 0600, also the rotated ones).

    What goes wrong with it (disk full, folder denied) is told once through ``tell``; the pass goes on without it.
    A file that cannot be rotated grows on, rather than losing lines. Devices such as /dev/null are neither rotated
    nor is their mode touched; a folder, FIFO or socket is refused with OSError.
    """

    def __init__(self, path: pathlib.Path, tell: Callable[[str], None]) -> None:
        self._tell: Callable[[str], None] | None = tell
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(
            path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="backslashreplace"
        )

    def _open(self) -> io.TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=_open_private)

    def doRollover(self) -> None:
        try:
            super().doRollover()
        except OSError as error:
            self.maxBytes = 0
            self._tell_once(
                f"log file {self.baseFilename} cannot be rotated and keeps growing: {_words(error)}"
            )
            if self.stream is None:
                self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        self._tell_once(
            f"log file {self.baseFilename} cannot be written: {_words(error)}; "
            "the pass continues, lines are missing from it: free space or correct its permissions"
        )

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.stream = None
            self._tell_once(f"log file {self.baseFilename} could not be finished: {_words(error)}")

    def _tell_once(self, text: str) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(text)


def _open_private(path: str, flags: int) -> int:
    """Opener for mode 0600, also where the file was there with a wider mode."""
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            raise OSError("it is no regular file")
    except FileNotFoundError:
        pass
    descriptor = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode) and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        try:
            os.fchmod(descriptor, 0o600)
        except OSError:  # another's file, or a share without modes: a log there is better than none
            pass
    return descriptor


class Collector(logging.Handler):
    """Keeps the log for the mail, bounded: the first and the last lines, and how many are left out between them."""

    def __init__(self, first: int = FIRST_LINES, last: int = LAST_LINES) -> None:
        super().__init__()
        self._first_wanted = first
        self._first: list[str] = []
        self._last: collections.deque[str] = collections.deque(maxlen=last)
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self.format(record).split("\n")
        except Exception:
            return
        for line in lines:
            if len(line) > LINE_CHARACTERS:
                line = f"{line[:LINE_CHARACTERS]}… ({len(line) - LINE_CHARACTERS} more characters)"
            if len(self._first) < self._first_wanted:
                self._first.append(line)
                continue
            self._left_out += len(self._last) == self._last.maxlen
            self._last.append(line)

    def text(self) -> str:
        left_out = [f"… {self._left_out} lines are left out here …"] if self._left_out else []
        return "\n".join([*self._first, *left_out, *self._last])


class LogSetup:
    """The handlers of one pass; made by ``set_up``, ended by ``close``."""

    def __init__(self, terminal: TerminalHandler, collector: Collector) -> None:
        self.terminal = terminal
        self._collector = collector
        self._handlers: list[logging.Handler] = []
        self._levels: dict[str, int] = {}
        self._raise_exceptions = logging.raiseExceptions
        self._excepthook = threading.excepthook

    def mail_text(self) -> str:
        """The log of this pass so far, redacted and bounded."""
        return self._collector.text()

    def attach(self, live: Clearable | None) -> None:
        """From now on ``live`` is cleared before a line is written to the terminal; None ends that."""
        self.terminal.live = live

    def tell(self, text: str) -> None:
        """A warning about the log file itself: past loggers, levels and the file, to the terminal and the mail."""
        record = logging.LogRecord(NAME, logging.WARNING, __file__, 0, plain(text), None, None)
        self.terminal.handle(record)
        self._collector.handle(record)

    def set_level(self, name: str, level: int) -> None:
        self._levels.setdefault(name, logging.getLogger(name).level)
        logging.getLogger(name).setLevel(level)

    def add(self, handler: logging.Handler) -> None:
        self._handlers.append(handler)
        logging.getLogger().addHandler(handler)

    def close(self) -> None:
        """Gives logging back as it was. May be called twice; ``mail_text`` still answers."""
        global _current
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()
        self._handlers.clear()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()
        logging.raiseExceptions = self._raise_exceptions
        logging.captureWarnings(False)
        threading.excepthook = self._excepthook
        if _current is self:
            _current = None


_current: LogSetup | None = None


def set_up(
    log_level: str, log_file: pathlib.Path | None, redact: Callable[[str], str], stream: TextIO | None = None
) -> LogSetup:
    """Logging for a pass: what ``sync_to_azure.*`` says from ``log_level`` on, libraries from WARNING on.

    The handlers stand at the root, so that no library's warning gets round the redactor. ``stream`` is sys.stderr
    if None: coloured on a terminal (not with NO_COLOR or TERM=dumb), with whole dates otherwise. A log file that
    cannot be used is told once and changes nothing else. A second call ends what the first one set up.
    ConfigurationError: a level that is none.
    """
    global _current
    level = _LEVELS.get(log_level.strip().upper())
    if level is None:
        raise ConfigurationError(
            f"log-level: {plain(log_level)!r} is no level", "use DEBUG, INFO, WARNING, ERROR or CRITICAL"
        )
    if _current is not None:
        _current.close()
    terminal, collector = TerminalHandler(stream if stream is not None else sys.stderr), Collector()
    setup = LogSetup(terminal, collector)
    terminal.setFormatter(CleanFormatter(redact, _terminal_formatter(terminal.stream)))
    written = CleanFormatter(redact, logging.Formatter(_FORMAT, _DATE))
    collector.setFormatter(written)
    setup.add(terminal)
    setup.add(collector)
    setup.set_level(NAME, level)
    for library in _LIBRARIES:
        setup.set_level(library, max(level, logging.WARNING))
    logging.raiseExceptions = False
    # What Python itself would write to the terminal, past the redactor.
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended
    if log_file is not None:
        try:
            file_handler = FileHandler(log_file, setup.tell)
            file_handler.setFormatter(written)
            setup.add(file_handler)
        except (OSError, ValueError) as error:
            setup.tell(
                f"log file {log_file} cannot be opened: {_words(error)}; "
                "the pass continues without it: set another log-file or correct its permissions"
            )
    _current = setup
    return setup


def _thread_ended(fault: threading.ExceptHookArgs) -> None:
    error = fault.exc_value
    if error is not None:
        logging.getLogger(NAME).error(
            "internal error in a thread: %s, please report it", error, exc_info=error
        )


def colours_wanted(stream: TextIO) -> bool:
    """True on a terminal that can show colours, unless NO_COLOR (no-color.org) is set to anything."""
    try:
        terminal = stream.isatty()
    except ValueError:  # closed
        return False
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _terminal_formatter(stream: TextIO) -> logging.Formatter:
    try:
        terminal = stream.isatty()
    except ValueError:
        terminal = False
    if not terminal:
        return logging.Formatter(_FORMAT, _DATE)
    if not colours_wanted(stream):
        return logging.Formatter(_TERMINAL_FORMAT, _TERMINAL_DATE)
    import coloredlogs  # here, because it costs 50 ms that a pass started by cron need not pay

    formatter: logging.Formatter = coloredlogs.ColoredFormatter(_TERMINAL_FORMAT, _TERMINAL_DATE)
    return formatter


def _words(error: BaseException | None) -> str:
    """An OSError in words, without its path: the message has that already."""
    return getattr(error, "strerror", None) or str(error)
