"""One run of one task: lock, record, ping, commands in order, record, ping. Returns what the command exits with."""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from typing import Any

from cronbeat import prune, supervise, units
from cronbeat.errors import StateUnavailable
from cronbeat.locks import Lock
from cronbeat.ping import Pings
from cronbeat.place import Place, file_name, prepare
from cronbeat.processes import MARK, marked
from cronbeat.redact import Redactor
from cronbeat.runlog import RunLog
from cronbeat.settings import Settings
from cronbeat.state import State
from cronbeat.supervise import Ended, Supervisor
from cronbeat.tasks import Task, TasksFile, load

SKIPPED = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later."""

logger = logging.getLogger("cronbeat")


def run(settings: Settings, path: str, name: str, show: bool) -> int:
    """``show``: the output also goes to stdout. ConfigurationError if there is no such task; nothing was run then."""
    file = load(path)
    task = file.task(name)
    place = prepare(settings.cache)
    redact = Redactor([settings.webhook, settings.check_ping, *(each.ping for each in file.tasks.values())])
    with _Record(settings, place, file, task, redact) as record:
        lock = Lock(place.lock(task.lock)) if task.lock else None
        if lock and not (lock.acquire(task.lock_wait) or _take_from_lost(record, lock, task)):
            return record.skipped()
        pings = Pings(task.ping, record.uid, settings.http_timeout)
        try:
            record.begin()
            pings.start()
            began = time.monotonic()
            ended = _commands(task, record, lock, show, began)
            record.end(ended, time.monotonic() - began)
        finally:
            if lock:
                lock.release()
        pings.end(ended.code, f"{redact(ended.reason)}\n{record.tail}")
        record.tell(ended)
        return ended.code


def _commands(task: Task, record: _Record, lock: Lock | None, show: bool, began: float) -> Ended:
    """All commands, until one fails; the last one's end, with the largest memory of all."""

    def write(data: bytes) -> None:
        nonlocal show
        record.write(data)
        if show:
            try:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            except OSError:  # nobody reads it any more: no reason to stop the task
                show = False

    supervisor = Supervisor(
        write,
        {**os.environ, MARK: record.uid},
        task.kill_after,
        began + task.timeout if task.timeout else None,
        # A lock lives on in the commands if we are killed: the task is still at work then.
        [lock.fileno()] if lock else [],
    )
    memory = 0
    with supervisor.listening():
        for argv in task.commands:
            ended = supervisor.run(argv)
            memory = max(memory, ended.memory)
            if ended.outcome != "ok":
                break
    reason = ended.reason
    if ended.outcome == "timeout" and task.timeout:
        reason = f"not done after {units.spoken(task.timeout)}" + reason.removeprefix("its time was over")
    elif ended.outcome == "failed" and len(task.commands) > 1:
        reason = f"command {task.commands.index(argv) + 1} of {len(task.commands)}: {reason}"
    return Ended(ended.outcome, ended.code, reason, memory)


def _take_from_lost(record: _Record, lock: Lock, task: Task) -> bool:
    """Whether the lock is ours now: it may be held by what a killed run left behind, whose time is over."""
    holder = record.lost_holder()
    if holder is None:
        return False
    left = ", ".join(map(str, sorted(marked(holder["uid"]))))
    if not left:
        return False
    if holder["timeout"] is None or time.time() - holder["started"] <= holder["timeout"]:
        logger.warning("%s: cronbeat was killed in an earlier run, whose process %s goes on", task.name, left)
        return False
    logger.warning("%s: ending process %s, left by a killed run whose time is over", task.name, left)
    supervise.end_marked(holder["uid"], task.kill_after)
    return lock.acquire(1.0)


class _Record:
    """Writes down how a run went. What cannot be written is told, and does not keep the task from running."""

    def __init__(
        self, settings: Settings, place: Place, file: TasksFile, task: Task, redact: Redactor
    ) -> None:
        self.uid = uuid.uuid4().hex
        self.tail = ""
        self._settings, self._place, self._file, self._task = settings, place, file, task
        self._redact = redact
        self._state: State | None = None
        self._log: RunLog | None = None

    def __enter__(self) -> _Record:
        try:
            self._state = State(self._place)
            self._state.register(self._file, time.time())
            self._state.find_lost()
        except StateUnavailable as error:
            self._tell_unrecorded(error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._log:
            self._log.close()
        if self._state:
            try:
                prune.prune(self._settings, self._state)
            except StateUnavailable as error:
                logger.warning("not pruned: %s", error)
            self._state.close()

    def _tell_unrecorded(self, error: Exception) -> None:
        logger.error("%s: this run is not recorded: %s", self._task.name, error)
        if self._state:
            self._state.close()
        self._state = None

    def lost_holder(self) -> dict[str, Any] | None:
        if self._state is None or self._task.lock is None:
            return None
        row = self._state.lost_holder(self._task.lock)
        return dict(row) if row else None

    def skipped(self) -> int:
        logger.warning("%s: skipped, as the lock '%s' is held", self._task.name, self._task.lock)
        if self._state:
            try:
                now = time.time()
                self._state.begin(
                    self.uid,
                    self._file.path,
                    self._task.name,
                    now,
                    outcome="skipped",
                    code=SKIPPED,
                    reason=f"the lock '{self._task.lock}' was held",
                    lock=self._task.lock,
                )
            except StateUnavailable as error:
                self._tell_unrecorded(error)
        return SKIPPED

    def begin(self) -> None:
        name = f"{file_name(self._task.name)}-{self.uid}.log"
        try:
            self._log = RunLog(self._place.logs / name, self._settings.log_size)
        except OSError as error:
            logger.error("%s: no log of this run: %s", self._task.name, error.strerror)
            self._tell_unrecorded(error)  # without the log's lock it would be called lost
        if self._state:
            try:
                self._state.begin(
                    self.uid,
                    self._file.path,
                    self._task.name,
                    time.time(),
                    log=name,
                    lock=self._task.lock,
                    timeout=self._task.timeout,
                )
            except StateUnavailable as error:
                self._tell_unrecorded(error)
        logger.info("%s: begins, run %s", self._task.name, self.uid)

    def write(self, data: bytes) -> None:
        if self._log:
            self._log.write(data)

    def end(self, ended: Ended, seconds: float) -> None:
        if self._log and self._log.broken:
            logger.error("%s: its log is not complete: %s", self._task.name, self._log.broken)
        if self._log and ended.outcome != "ok":
            self.tail = self._log.tail.text(self._redact)
        if self._state:
            columns = {
                "outcome": ended.outcome,
                "code": ended.code,
                "reason": self._redact(ended.reason),
                "duration": seconds,
                "memory": ended.memory,
                "tail": self.tail,
            }
            try:
                self._write_end(self._state, columns)
            except StateUnavailable as error:
                self._tell_unrecorded(error)
        logger.info(
            "%s: %s after %s, %s",
            self._task.name,
            ended.outcome,
            units.spoken(seconds),
            units.megabytes(ended.memory),
        )

    def _write_end(self, state: State, columns: dict[str, object]) -> None:
        now = time.time()
        try:
            state.end(self.uid, now, **columns)
        except StateUnavailable:
            if not (self._log and self._log.broken):
                raise
            self._log.give_up()
            state.end(self.uid, now, **columns)

    def tell(self, ended: Ended) -> None:
        """A failure goes to stderr, so that cron mails it, with the last lines and where all of them are."""
        if ended.outcome == "ok":
            return
        where = f"\n  all output: {self._log.path}" if self._log else ""
        lines = "".join(f"\n  | {line}" for line in self.tail.splitlines())
        logger.error("%s: %s: %s%s%s", self._task.name, ended.outcome, ended.reason, lines, where)
