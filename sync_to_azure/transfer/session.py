"""What a pass stands on: state folder, lock, ledger, log, live line; and how it tells what happened at its end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, TextIO

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import Interrupted, LockLost, StateUnavailable, SyncError
from sync_to_azure.transfer.ledger import Files, Flow, Ledger, Lock
from sync_to_azure.transfer.ledger.place import is_damaged, ledger_path, move_aside, state_folder
from sync_to_azure.core.model import UNAVAILABLE, Progress, Summary, Problem
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.steps.context import PassContext
from sync_to_azure.transfer.configs import mail_config
from sync_to_azure.notify.mail_config import MailConfig
from sync_to_azure.notify import log as tell_log
from sync_to_azure.transfer import delivery, metrics
from sync_to_azure.notify import ping
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import Redactor
from sync_to_azure.notify.terminal import ProgressLine, how_many, table, terminal_width

_log = logging.getLogger(__name__)

_MAIL_WAIT, _MAIL_MARGIN = 0.2, 60.0
"""Seconds."""


class MailMemory(Protocol):
    """What was mailed before: a ledger for passes, its ``Audits`` for audits."""

    def mailed(self) -> dict[str, float]: ...

    def problem_is_open(self) -> bool: ...

    def note_mailed(self, keys: tuple[str, ...], now: float, open_problem: bool) -> None: ...


class PassSession:
    """Entered once a pass; everything that it opened is closed when it is left, whatever happens. Commands that work
    for long use it too: ``after_stop`` is what a person is told of going on after a signal."""

    def __init__(
        self, settings: Settings, clock: Clock, after_stop: str = "the next pass continues from here"
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._after_stop = after_stop
        self._redact = Redactor(settings.secret_values())
        self.flow = Flow(
            str(settings.source.main_folder),
            settings.destination.blob_endpoint,
            settings.destination.container_name,
            settings.destination.destination,
        )
        self._ledger: Ledger | None = None
        self._lock: Lock | None = None
        self._mail_lock: Path | None = None
        self._handlers: dict[int, Any] = {}
        self._began = clock.monotonic()
        # What only tries, or looks at some runs only, must not look like the pass that somebody waits for.
        self._is_whole = not settings.mode.dry_run and not settings.source.only_run
        self._pings = ping.Pings(settings.monitoring.ping if self._is_whole else None)

    def __enter__(self) -> "PassSession":
        settings = self.settings
        self._logs = tell_log.set_up(settings.log.log_level, settings.log.log_file, self._redact)
        self._live = ProgressLine(sys.stderr, self.clock)
        self._logs.attach(self._live)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._stop)
        return self

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # A second signal finds the default again and ends us at once; AzCopy dies with us in any case.
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()
        if isinstance(error, Interrupted):
            _log.warning("stopped by a signal; %s", self._after_stop)
            if self._pings.begun:
                self._pings.end(error.exit_code, f"exit code {error.exit_code}: stopped by a signal\n")
        self._live.close()
        self._logs.attach(None)
        if self._ledger is not None:
            self._ledger.close()
        if kind is None or not issubclass(kind, Exception):
            self._logs.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        try:
            sys.stderr.flush()
        except OSError:
            _forget(sys.stderr)

    # State

    @property
    def state_folder(self) -> Path:
        return state_folder(self.settings.state.state_file)

    def state_path(self) -> Path:
        """Where the ledger lies, or will lie."""
        self._path, self._word = ledger_path(self.settings.state.state_file, self.flow, self.state_folder)
        self._mail_lock = self._path.with_name(f"{self._path.name}.{self.flow.key}.mail.lock")
        return self._path

    def another_pass_runs(self) -> bool:
        """Take the lock of this flow; True if another pass holds it. A dry run stands in nobody's way."""
        if self.settings.mode.dry_run:
            self.state_path()
            return False
        return self._another_runs("")

    def another_audit_runs(self) -> bool:
        """Audits have a lock of their own: they work beside passes."""
        return self._another_runs(".audit")

    def _another_runs(self, kind: str) -> bool:
        path = self.state_path()
        lock = Lock(path.with_name(f"{path.name}.{self.flow.key}{kind}.lock"))
        taken = lock.take()
        self._lock = lock
        return not taken

    def ledger(self) -> Ledger | None:
        """The ledger, for a look only; None if it cannot be opened now."""
        if self._ledger is None:
            try:
                self._ledger = Ledger.open(self._path, self.flow)
            except (sqlite3.Error, OSError):
                return None
        return self._ledger

    def with_ledger(self, work: Callable[[PassContext], None], summary: Summary) -> None:
        """Open the ledger and do the work. A damaged ledger is moved aside, told, and built anew, once."""
        for attempt in (1, 2):
            try:
                self._with_open_ledger(work, summary)
                return
            except sqlite3.Error as error:
                damaged = is_damaged(error)
                if not damaged or attempt == 2 or self.settings.mode.dry_run:
                    anew = "; the next pass, unless it is a dry run, rebuilds it" if damaged else ""
                    raise StateUnavailable(
                        f"state file {self._path} cannot be used: {error}",
                        f"check free space and permissions there, or name another state-file{anew}",
                    ) from error
                aside = self._move_aside()
                summary.runs.clear()
                summary.problems.append(
                    Problem(
                        "ledger-damaged",
                        f"the state file was damaged; it is kept as {aside}, and rebuilt",
                        1,
                    )
                )
                _log.error("state file %s is damaged (%s); moved to %s and rebuilt", self._path, error, aside)
            except OSError as error:
                if error.filename is None or not str(error.filename).startswith(str(self._path.parent)):
                    raise
                raise StateUnavailable(f"{error.filename} cannot be used: {error.strerror}") from error

    def _move_aside(self) -> Path:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        try:
            return move_aside(self._path, self.clock.now())
        except OSError as error:
            raise StateUnavailable(
                f"damaged state file {self._path} cannot be moved: {error.strerror}"
            ) from error

    def _with_open_ledger(self, work: Callable[[PassContext], None], summary: Summary) -> None:
        opened = Ledger.open_copy if self.settings.mode.dry_run else Ledger.open
        ledger = self._ledger = opened(self._path, self.flow)
        ledger.names_allowed = self.settings.source.sample_names
        files = Files(ledger)
        lock = self._lock
        must_hold = ledger.may_write = lock.must_hold if lock is not None else ledger.may_write
        rooms = PassContext(
            self.settings, self.clock, ledger, files, self.state_folder, self._live.update, must_hold
        )
        try:
            self._tell_notices(ledger)
            delivery.prepare(ledger, self.settings, self.clock.now())
            try:
                work(rooms)
            finally:
                summary.problems += rooms.problems
                self._live.clear()
            ledger.end_progress()
        finally:
            rooms.close()
            # Hundreds of megabytes for a large run: not left lying until the next pass.
            files.close()

    def _tell_notices(self, ledger: Ledger) -> None:
        now = self.clock.now()
        if self._word and ledger.report_once("state-file", now):
            _log.warning("%s", self._word)
        for notice in self.settings.notices:
            if not notice.once or ledger.report_once(notice.key, now):
                _log.warning("%s", notice.text)

    def open_ledger(self) -> Ledger:
        """For a command beside the pass, which neither moves a damaged ledger aside nor touches what a pass writes."""
        try:
            if self._ledger is None:
                self._ledger = Ledger.open(self._path, self.flow)
            return self._ledger
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(
                f"state file {self._path} cannot be used: {error}",
                "the next pass rebuilds a damaged one; check free space and permissions",
            ) from error

    # Telling

    def redact(self, text: str) -> str:
        """Without secrets: for what goes into the ledger."""
        return self._redact(text)

    def show(self, progress: Progress) -> None:
        """On the live line."""
        self._live.update(progress)

    def clear(self) -> None:
        """Take the live line away: something is printed."""
        self._live.clear()

    def report_unavailable(self, error: SyncError, summary: Summary) -> None:
        _log.error("%s", error)
        if isinstance(error, LockLost) and self._ledger is not None:
            # It is the other pass's by now.
            self._ledger.close()
            self._ledger = None
        summary.problems.append(Problem(f"{UNAVAILABLE}{type(error).__name__}", str(error), error.exit_code))

    def report_internal_error(self, error: Exception, summary: Summary) -> None:
        """A fault of ours: told in full where the log goes, and in the mail."""
        text = f"internal error: {type(error).__name__}: {error}"
        _log.error("%s, please report it", text, exc_info=error)
        summary.problems.append(Problem("internal-error", text, 1))

    def ping_start(self) -> None:
        """Nobody else is at work on this flow."""
        self._pings.start()

    def tell(self, summary: Summary) -> int:
        """Metrics, table, ping, mail; the exit code of the pass. The metrics, which the next pass writes too, come
        while the lock is held; what receives the rest may take its time."""
        codes = [problem.exit_code for problem in summary.problems if problem.new or problem.exit_code == 3]
        code = max(codes, default=0)
        self._write_metrics(summary, code)
        self.let_go()
        self.print_runs(summary)
        _log.info(
            "%s ended: %d published, %d waiting, %d unchanged, %s",
            "dry run" if self.settings.mode.dry_run else "pass",
            summary.published,
            summary.waiting,
            summary.idle,
            how_many(len(summary.problems), "problem"),
        )
        self._pings.end(code, ping.body(summary, code))
        if self._ledger is not None and not self.settings.mode.dry_run:
            summary.problems += delivery.deliver(self._ledger, self.settings, self.clock, self._redact)
        self.mail(summary, self._ledger, partial=bool(self.settings.source.only_run))
        return code

    def let_go(self) -> None:
        """The work is done: the next pass may begin while we print and send. Of the ledger only what was mailed is
        written after this, under a lock of its own."""
        if self._lock is not None:
            self._lock.release()
        if self._ledger is not None:
            self._ledger.may_write = lambda: None

    def _write_metrics(self, summary: Summary, code: int) -> None:
        path = self.settings.monitoring.metrics_file
        if path is None or not self._is_whole:
            return
        runs = None
        try:
            runs = metrics.standings_of(self._ledger) if self._ledger is not None else None
        except sqlite3.Error as error:
            _log.warning("metrics-file: the runs cannot be read from the state file: %s", error)
        seconds = self.clock.monotonic() - self._began
        try:
            metrics.write(path, self._name, metrics.pass_of(summary, self.clock.now(), seconds, code), runs)
        except OSError as error:
            _log.warning("metrics-file %s cannot be written: %s", path, error.strerror)

    @property
    def _name(self) -> str:
        """What a person calls this flow."""
        config = self.settings.general.config_file
        return config.stem if config is not None else self.settings.source.main_folder.name

    def print_runs(self, summary: Summary) -> None:
        self._live.clear()
        if summary.runs:
            width = terminal_width(sys.stdout) if sys.stdout.isatty() else None
            self.print(table(summary.runs, width))

    def print(self, text: str) -> None:
        """Names need not fit the terminal's encoding; and that nobody reads any more must not cost us the mail."""
        self._live.clear()
        try:
            show(text, self._redact)
        except OSError as error:
            _log.warning("the table of runs cannot be written: %s", error.strerror)
            _forget(sys.stdout)

    def mail(self, summary: Summary, memory: MailMemory | None, partial: bool) -> None:
        """The mail that is due, if one is. ``partial``: only some of the runs were looked at."""
        config = mail_config(self.settings)
        if config is None or self.settings.mode.dry_run:
            return
        if not summary.problems and (partial or not self._is_open(memory)):
            # A pass over a part of the runs cannot say that all is well.
            return
        with contextlib.ExitStack() as stack:
            self._wait_for_mails(stack)
            self._mail(config, summary, memory)

    def _is_open(self, memory: MailMemory | None) -> bool:
        """Was trouble mailed, and none since that all is well?"""
        try:
            return memory is not None and memory.problem_is_open()
        except sqlite3.Error as error:
            _log.warning("earlier mails cannot be read from the state file: %s", error)
            return False

    def _wait_for_mails(self, stack: contextlib.ExitStack) -> None:
        """Another pass, which began before us, may be sending its mail still: what it mailed has to be on record before
        we ask what was. It sends for ``timeout`` at the longest."""
        if self._mail_lock is None:
            return
        lock = Lock(self._mail_lock)
        until = self.clock.monotonic() + self.settings.upload.timeout + _MAIL_MARGIN
        try:
            while not lock.take():
                if self.clock.monotonic() > until:
                    _log.warning("another pass is still sending its mail; this one may repeat it")
                    return
                self.clock.sleep(_MAIL_WAIT)
        except StateUnavailable as error:
            # Better told twice than not at all.
            _log.warning("%s", error)
            return
        stack.enter_context(lock)

    def _mail(self, server: MailConfig, summary: Summary, memory: MailMemory | None) -> None:
        known: dict[str, float] = {}
        was_open = self._is_open(memory)
        with contextlib.suppress(sqlite3.Error):
            known = memory.mailed() if memory is not None else {}
        from sync_to_azure.notify import mail

        now = self.clock.now()
        due = mail.digest(self._name, summary, known, now, was_open, self._redact)
        if due is None:
            return
        text = mail.body(due, summary, self._logs.mail_text(), redact=self._redact)
        try:
            mail.send(server, mail.compose(due.subject, text, mail.sender_of(server), server.recipients))
        except mail.MailFailed as error:
            _log.error("the mail could not be sent: %s", error)
            return
        # What is reported only once ends nothing: an earlier problem is still owed its "all problems resolved".
        lasting = not due.all_well and (was_open or any(not problem.once for problem in summary.problems))
        try:
            if memory is not None:
                memory.note_mailed(due.keys, now, lasting)
        except sqlite3.Error as error:
            _log.warning("the state file does not take what was mailed: %s", error)


def _forget(stream: TextIO) -> None:
    """Nobody reads it any more: without this Python tries again at its end, complains, and changes our exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
