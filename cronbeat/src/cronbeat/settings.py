"""Settings: ini files in a fixed order, then the command line. All problems are told at once, no value of a secret."""

from __future__ import annotations

import configparser
import dataclasses
import difflib
import logging
import os
import pwd
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cronbeat import tasks, units
from cronbeat.errors import ConfigurationError

FORMATS = ("auto", "adaptive", "messagecard", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds, sizes in bytes. ``notices``: what should be told once a person looks (list, emit)."""

    cache: Path
    webhook: str | None = dataclasses.field(default=None, repr=False)
    webhook_format: str = "auto"
    log_file: Path | None = None
    log_level: str = "INFO"
    tasks: tuple[str, ...] = ()
    check_ping: str | None = dataclasses.field(default=None, repr=False)
    log_size: int = 1 << 20
    logs_size: int = 200 << 20
    keep_days: float = 90.0
    remind_every: float = 86400.0
    retry_times: int = 5
    retry_delay: float = 1.0
    http_timeout: float = 30.0
    notices: tuple[str, ...] = ()


def _one_of(choices: Sequence[str], change: Callable[[str], str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if change(text) not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return change(text)

    return read


def _url(text: str) -> str:
    if not tasks.is_url(text):
        raise ValueError("is not an http or https address")
    return text


def _path(text: str) -> Path:
    if text == "~" or text.startswith("~/"):
        return home() / text[2:]
    return Path(text).absolute()


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise ValueError("is not a number from 1 to 100")
    return int(text)


def _days(text: str) -> float:
    return units.duration(f"{text}d") / 86400


def _paths(text: str) -> tuple[str, ...]:
    return tuple(str(_path(line.strip())) for line in text.splitlines() if line.strip())


READERS: Mapping[str, Callable[[str], Any]] = {
    "webhook": _url,
    "webhook-format": _one_of(FORMATS, str.lower),
    "log-file": _path,
    "log-level": _one_of(LEVELS, str.upper),
    "cache": _path,
    "tasks": _paths,
    "check-ping": _url,
    "log-size": units.size,
    "logs-size": units.size,
    "keep-days": _days,
    "remind-every": units.duration,
    "retry-times": _count,
    "retry-delay": units.duration,
    "http-timeout": units.duration,
}
SECRETS = ("webhook", "check-ping")


def home() -> Path:
    """The user's home, also where cron or a container gives no HOME. ConfigurationError if nobody knows it."""
    if given := os.environ.get("HOME"):
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise ConfigurationError(
            f"HOME is not set, and user {os.geteuid()} has no entry in the passwd database",
            "set HOME, or give --cache and --config",
        ) from None


def places(etc: Path = Path("/etc/cronbeat")) -> list[Path]:
    """Where ini files may be; a later one wins over an earlier one."""
    return [*sorted(etc.glob("*.ini")), home() / "cronbeat.ini", home() / ".cronbeat.ini"]


def load(
    given: Mapping[str, str | None], config: str | None = None, etc: Path = Path("/etc/cronbeat")
) -> Settings:
    """``given``: keys of the command line, which win over all files. ``config``: this file alone is read."""
    found: dict[str, tuple[str, str]] = {}
    notices: list[str] = []
    problems: list[str] = []
    for path in [Path(config).absolute()] if config else places(etc):
        try:
            text = path.read_text(encoding="utf-8-sig")
            mode = path.stat().st_mode
        except FileNotFoundError:
            if config:
                problems.append(f"{path}: there is no such file")
            continue
        except UnicodeDecodeError:
            problems.append(f"{path}: is not UTF-8 text")
            continue
        except OSError as error:
            # Another user's file in /etc is no fault of this one.
            (notices if path.parent == etc else problems).append(f"{path}: cannot be read ({error.strerror})")
            continue
        values = _parse(text, str(path), problems)
        for key, value in values.items():
            if key not in READERS:
                near = difflib.get_close_matches(key, READERS, 1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                notices.append(f"{path}: key '{key}' is unknown and does nothing{hint}")
            elif value:
                found[key] = (value, str(path))
        if mode & stat.S_IROTH and any(values.get(key) for key in SECRETS):
            notices.append(f"{path}: everybody may read it, and it holds the webhook; do: chmod o-r {path}")
    found |= {key: (value, "command line") for key, value in given.items() if value}
    fields: dict[str, Any] = {}
    for key, (value, source) in found.items():
        try:
            fields[key.replace("-", "_")] = READERS[key](value)
        except ValueError as error:
            shown = "" if key in SECRETS else f" '{value}'"
            problems.append(f"{source}: {key}{shown} {error}")
    if problems:
        raise ConfigurationError("; ".join(problems))
    cache = fields.pop("cache", None) or home() / ".cronbeat"
    return Settings(cache=cache, notices=tuple(notices), **fields)


def _parse(text: str, name: str, problems: list[str]) -> dict[str, str]:
    """Keys and values; section headers may stand there or not, and mean nothing."""
    parser = configparser.ConfigParser(
        interpolation=None,
        strict=False,
        default_section="\0",
        empty_lines_in_values=False,
        allow_no_value=True,
    )
    try:
        parser.read_string("[cronbeat]\n" + text)
    except configparser.ParsingError as error:
        # Not the line itself: it may be the webhook.
        lines = ", ".join(str(number - 1) for number, _ in error.errors)
        problems.append(f"{name} line {lines}: is not 'key = value'")
        return {}
    except configparser.Error as error:
        problems.append(f"{name}: cannot be understood ({type(error).__name__})")
        return {}
    return {
        key.replace("_", "-"): (value or "").strip()
        for section in parser.sections()
        for key, value in parser.items(section)
    }


def set_up_logging(settings: Settings) -> logging.Logger:
    """Warnings to stderr; everything from ``log-level`` on to the log file, which many processes may write."""
    from cronbeat.logfile import file_handler

    logger = logging.getLogger("cronbeat")
    logger.setLevel(settings.log_level)
    logger.propagate = False
    stderr = logging.StreamHandler()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(logging.Formatter("cronbeat: %(message)s"))
    logger.addHandler(stderr)
    if settings.log_file:
        try:
            logger.addHandler(file_handler(settings.log_file))
        except OSError as error:
            logger.warning("log file %s: cannot be written (%s)", settings.log_file, error.strerror)
    return logger
