"""Every error that a person can meet; one root, each knows its exit code and what to do.

CronbeatError
├── ConfigurationError  (2)  usage, ini file or tasks file is wrong
├── StateUnavailable    (3)  the cache folder or its database cannot be used
└── Unreachable         (3)  a webhook or ping URL did not answer; its text never holds the URL
"""

from __future__ import annotations


class CronbeatError(Exception):
    """``message`` names the thing and what happened; ``advice`` says what to do."""

    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class ConfigurationError(CronbeatError):
    exit_code = 2


class StateUnavailable(CronbeatError):
    exit_code = 3


class Unreachable(CronbeatError):
    exit_code = 3
