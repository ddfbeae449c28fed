"""A watchdog elsewhere (healthchecks.io and its like) hears when a pass begins and how it ended: it tells a person when
a pass stays away, which no pass can tell itself.

Promises: never longer than a limit, whatever the server does; a ping that fails is a warning and no more; the address
is a secret; no name of a run or a file leaves the house.
"""

from __future__ import annotations

import logging
import time
import urllib.parse

from sync_to_azure.core.model import UNAVAILABLE, Summary
from sync_to_azure.core.posting import Post
from sync_to_azure.notify.terminal import how_many

_log = logging.getLogger(__name__)

LIMIT = 10.0
"""Seconds for one try, from the name's look-up to the answer."""
TRIES = 3
PAUSE = 1.0


class Pings:
    """``url`` None: nothing is sent. ``start`` does not wait for the answer; ``end`` does, for its own at most
    TRIES * (LIMIT + PAUSE) seconds."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._start: Post | None = None
        self.begun = False

    def start(self) -> None:
        """Tried once: a lost start costs nothing but the duration."""
        self.begun = True
        if self._url is not None:
            self._start = _post(below(self._url, "start"), b"")

    def end(self, exit_code: int, text: str) -> None:
        """Success or failure, after the start is through: they must not arrive the other way round."""
        if self._url is None:
            return
        if self._start is not None and (problem := self._start.result()):
            _log.warning("ping: start ping failed: %s", problem)
        url = self._url if exit_code == 0 else below(self._url, "fail")
        if problem := send(url, text.encode("utf-8", "backslashreplace")):
            _log.warning("ping: end ping failed: %s", problem)
        # A signal that comes while the mail is sent stops no pass any more.
        self.begun = False


def body(summary: Summary, exit_code: int) -> str:
    """Counts only: it goes to somebody else's server, and names of runs and files may say whose they are."""
    lines = [
        f"exit code {exit_code}",
        f"{summary.published} published, {summary.waiting} waiting, {summary.idle} unchanged",
    ]
    lines += [key for problem in summary.problems if (key := problem.key).startswith(UNAVAILABLE)]
    lines.append(how_many(len(summary.problems), "problem"))
    return "\n".join(lines) + "\n"


def below(url: str, word: str) -> str:
    """``url`` with a further part of its path; a query stays behind it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{word}"))


def send(url: str, content: bytes) -> str:
    """An empty text, or what went wrong with the last try."""
    for left in reversed(range(TRIES)):
        attempt = _post(url, content)
        problem = attempt.result()
        if not problem or not attempt.again or not left:
            return problem
        time.sleep(PAUSE)
    return ""


def _post(url: str, content: bytes) -> Post:
    return Post(url, content, {"Content-Type": "text/plain; charset=utf-8"}, LIMIT)
