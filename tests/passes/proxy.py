"""The line to the storage as tests of whole passes use it: an action before and one after each request.

The line itself is tests/line.py.
"""

from __future__ import annotations

import collections.abc
import datetime
import email.utils
import threading
import typing

from tests.conftest import LONG
from tests.line import Answer, Line, Request

Action = collections.abc.Callable[[str, str], object]
"""Called with method and unquoted path with query; an int or an Answer is answered instead of forwarding."""


class Proxy:
    """``before`` runs before a request is forwarded, ``after`` when it was done and before it is answered."""

    def __init__(self, upstream: int) -> None:
        self.before: Action = lambda method, path: None
        self.after: Action = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        self.hold = threading.Event()
        self._line = Line(upstream)
        self._line.act, self._line.change = self._act, self._done

    @property
    def endpoint(self) -> str:
        return self._line.endpoint

    def _act(self, request: Request) -> Answer | None:
        self.seen.append((request.method, request.path))
        status = self.before(request.method, request.path)
        if isinstance(status, Answer):
            return status
        return Answer(status, "ServerBusy") if isinstance(status, int) else None

    def _done(self, request: Request, status: int, content: bytes) -> bytes:
        self.after(request.method, request.path)
        return content

    def reset(self) -> None:
        self.before = self.after = lambda method, path: None
        self._line.headers = lambda request, headers: None
        self.seen.clear()

    def age(self, part: str, seconds: float) -> None:
        """Blobs whose path holds ``part`` look so much older, by the service's own clock."""

        def headers(request: Request, answer: dict[str, str]) -> None:
            for name in [name for name in answer if part in request.path and name.lower() == "last-modified"]:
                written = email.utils.parsedate_to_datetime(answer[name])
                older = written - datetime.timedelta(seconds=seconds)
                answer[name] = email.utils.format_datetime(older, usegmt=True)

        self._line.headers = headers

    def change_headers(self, how: collections.abc.Callable[[Request, dict[str, str]], None]) -> None:
        """Of each answer, until ``reset``."""
        self._line.headers = how

    def wait_for_release(self) -> None:
        """For an action that holds a request back; all are released at the end of the test."""
        self.hold.wait(LONG)

    def __enter__(self) -> typing.Self:
        self._line.__enter__()
        return self

    def __exit__(self, *error: typing.Any) -> None:
        self.hold.set()
        self._line.__exit__(*error)
