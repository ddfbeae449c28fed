"""The tasks file: a JSON object of task names, each with its commands and how it is watched.

``{"nextseq": {"commands": [["sync_to_azure", "--config-file", "nextseq.cfg"]], "pid": "lake", "timeout": "6h"}}``
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import stat
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from cronbeat import units
from cronbeat.errors import ConfigurationError
from cronbeat.redact import plain

LARGEST = 1 << 20
"""Bytes. No tasks file is as long; a path such as /dev/zero must not fill the memory."""
DURATIONS = ("timeout", "kill_after", "lock_wait", "expected_every", "too_long")
KEYS = ("commands", "pid", "ping", *DURATIONS)
KILL_AFTER = 10.0
"""Seconds from TERM to KILL, where the task says nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Durations in seconds; None: not set. ``lock``: a name, or an absolute path that is the lock file itself."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    lock: str | None = None
    timeout: float | None = None
    kill_after: float = KILL_AFTER
    lock_wait: float = 0.0
    expected_every: float | None = None
    too_long: float | None = None
    ping: str | None = dataclasses.field(default=None, repr=False)

    @property
    def longest(self) -> float | None:
        """A run that lasts longer is told by `check`."""
        if self.too_long is not None:
            return self.too_long
        if self.timeout is not None:
            return self.timeout + self.kill_after + 60
        return self.expected_every


@dataclasses.dataclass(frozen=True, slots=True)
class TasksFile:
    """``path``: absolute. ``problems``: task name to what is wrong with it; such a task is not in ``tasks``."""

    path: str
    tasks: Mapping[str, Task]
    problems: Mapping[str, str]

    def task(self, name: str) -> Task:
        """The task, or ConfigurationError that suggests what may be meant."""
        if name in self.problems:
            raise ConfigurationError(f"{self.path}: task '{name}': {self.problems[name]}")
        if name in self.tasks:
            return self.tasks[name]
        near = difflib.get_close_matches(name, self.tasks, 1)
        known = f"did you mean '{near[0]}'?" if near else f"its tasks: {', '.join(self.tasks) or 'none'}"
        raise ConfigurationError(f"{self.path}: there is no task '{name}'; {known}")


class Repeated(ValueError):
    pass


def load(path: str) -> TasksFile:
    """Read a tasks file. ConfigurationError if it is not there or no JSON object; a faulty task spoils only itself."""
    path = absolute(path)
    return parse(_text(path), path)


def absolute(path: str) -> str:
    """The name under which a tasks file is known. ConfigurationError if no database could keep it."""
    path = os.path.abspath(os.path.expanduser(path))
    if not _can_be_given(path):
        raise ConfigurationError(f"tasks file {plain(path)}: its name is not UTF-8; rename it")
    return path


def _text(path: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ConfigurationError(f"tasks file {path}: is not a file")  # a pipe would be waited for
        with Path(path).open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"tasks file {path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"tasks file {path}: cannot be read ({reason})") from None
    if len(data) > LARGEST:
        raise ConfigurationError(f"tasks file {path}: is larger than 1 MiB; this cannot be the right file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"tasks file {path}: line {line} is not UTF-8") from None


def parse(text: str, path: str) -> TasksFile:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        """The standard reader takes the last of two equal names in silence."""
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise Repeated(next(name for name in names if names.count(name) > 1))
        return found

    try:
        content = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"tasks file {path}: {where}: is not JSON: {error.msg}") from None
    except Repeated as error:
        raise ConfigurationError(
            f"tasks file {path}: the name '{error}' stands there twice; remove one"
        ) from None
    except ValueError:  # a number with thousands of digits
        raise ConfigurationError(f"tasks file {path}: holds a number that is too long") from None
    except RecursionError:
        raise ConfigurationError(f"tasks file {path}: is nested too deeply") from None
    if not isinstance(content, dict):
        raise ConfigurationError(
            f'tasks file {path}: is not an object of tasks: {{"NAME": {{"commands": …}}}}'
        )
    tasks: dict[str, Task] = {}
    problems: dict[str, str] = {}
    for name, definition in content.items():
        try:
            tasks[name] = _task(name, definition)
        except ValueError as error:
            problems[name] = str(error)
    return TasksFile(path, tasks, problems)


def _task(name: str, definition: object) -> Task:
    if not name.strip() or not name.isprintable():
        raise ValueError("a task's name must be printable text, not empty")
    if not isinstance(definition, dict):
        raise ValueError('is not an object {"commands": [["program", "argument"]]}')
    for key in definition:
        if key not in KEYS and not key.startswith(("_", "#")) and key != "comment":
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(KEYS)}; a note begins with _"
            raise ValueError(f"unknown key '{key}'; {hint}")
    durations: dict[str, float] = {}
    for key in DURATIONS:
        value = definition.get(key)
        if value is None or (value == 0 and key == "lock_wait" and not isinstance(value, bool)):
            continue
        try:
            durations[key] = units.duration(value)
        except ValueError as error:
            raise ValueError(f"'{key}' {error}") from None
    lock, ping = definition.get("pid"), definition.get("ping")
    if lock is not None and (not isinstance(lock, str) or not lock.strip() or not lock.isprintable()):
        raise ValueError("'pid' is not the name of a lock")
    if ping is not None and not is_url(ping):
        raise ValueError("'ping' is not an http or https address")  # the value is a secret: not repeated
    return Task(name, _commands(definition.get("commands")), lock=lock, ping=ping, **durations)


def _commands(value: object) -> tuple[tuple[str, ...], ...]:
    if value is None:
        raise ValueError("has no 'commands'")
    if not isinstance(value, list) or not value:
        raise ValueError("'commands' is not a list with at least one command")
    for number, command in enumerate(value, start=1):
        if isinstance(command, str):
            raise ValueError(
                f'command {number} is text, not a list of words; for a shell write ["sh", "-c", "…"]'
            )
        if not isinstance(command, list) or not command:
            raise ValueError(f"command {number} is not a list of words with at least the program")
        for word in command:
            if not isinstance(word, str):
                raise ValueError(
                    f"command {number}: every word must be text in quotes, {_shown(word)} is not"
                )
            if not _can_be_given(word):
                raise ValueError(f"command {number}: a word holds a character that no program can be given")
        if not command[0].strip():
            raise ValueError(f"command {number}: the program's name is empty")
    return tuple(tuple(command) for command in value)


def _can_be_given(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "a number"
    return json.dumps(value)[:40]


def is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        split = urllib.parse.urlsplit(value)
        return (
            split.scheme in ("http", "https")
            and bool(split.hostname)
            and split.port != 0
            and value.isprintable()
        )
    except ValueError:
        return False
