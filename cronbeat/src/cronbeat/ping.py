"""Pings in the way of healthchecks.io: URL/start, URL for success, URL/fail with the exit code; ``rid`` pairs them.

A ping is a courtesy: it holds a task up for seconds at most, and its failure changes nothing else.
"""

from __future__ import annotations

import logging
import threading
import urllib.parse
import uuid

from cronbeat.errors import Unreachable

LONGEST_WAIT = 10.0
"""Seconds for one try, even if the settings allow a webhook more."""
TRIES = 2
LONGEST = 10_000
"""Bytes that healthchecks.io keeps of a body (its smallest plan)."""

logger = logging.getLogger("cronbeat")


class Pings:
    """The pings of one run; without a ``url``, nothing happens."""

    def __init__(self, url: str | None, uid: str, seconds: float) -> None:
        self._url = url
        self._seconds = min(seconds, LONGEST_WAIT)
        self._rid = str(uuid.UUID(uid))
        self._start: threading.Thread | None = None

    def start(self) -> None:
        """Does not wait: the task begins meanwhile."""
        if self._url:
            url = address(self._url, "/start", self._rid)
            self._start = threading.Thread(target=send, args=(url, self._seconds), daemon=True)
            self._start.start()

    def end(self, code: int, text: str) -> None:
        if not self._url:
            return
        if self._start:
            self._start.join(self._seconds * TRIES)  # else the start could arrive after the end
        if code == 0:
            send(address(self._url, "", self._rid), self._seconds)
        else:
            send(address(self._url, "/fail", self._rid), self._seconds, f"exit code {code}\n{text}")


def address(url: str, ending: str, rid: str | None = None) -> str:
    """``ending`` goes behind the path, ``rid`` to the query."""
    split = urllib.parse.urlsplit(url)
    query = "&".join(part for part in (split.query, f"rid={rid}" if rid else "") if part)
    path = split.path.rstrip("/") + ending if ending else split.path
    return urllib.parse.urlunsplit((split.scheme, split.netloc, path, query, ""))


def send(url: str, seconds: float, text: str = "") -> bool:
    """Whether it arrived; if not, one line in the log."""
    from cronbeat.post import post  # a run without pings need not load the HTTP library

    problem = ""
    for _ in range(TRIES):
        try:
            answer = post(
                url, text.encode()[:LONGEST], {"Content-Type": "text/plain; charset=utf-8"}, seconds
            )
        except Unreachable as error:
            problem = str(error)
            continue
        if 200 <= answer.status < 300:
            return True
        problem = f"it answered {answer.status}"
    logger.warning("ping: not delivered: %s", problem)
    return False
