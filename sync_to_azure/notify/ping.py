"""A watchdog elsewhere (healthchecks.io and its like) hears when a pass begins and how it ended: it tells a person when
a pass stays away, which no pass can tell itself.

Promises: never longer than a limit, whatever the server does; a ping that fails is a warning and no more; the address
is a secret; no name of a run or a file leaves the house.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING

from sync_to_azure import __version__
from sync_to_azure.core.model import SURROUNDINGS, Summary
from sync_to_azure.notify.terminal import how_many

if TYPE_CHECKING:
    import urllib.request

_log = logging.getLogger(__name__)

LIMIT = 10.0
"""Seconds for one try, from the name's look-up to the answer."""
TRIES = 3
PAUSE = 1.0
_TRY_AGAIN = (408, 425, 429)


class Pings:
    """``url`` None: nothing is sent. ``start`` does not wait for the answer; ``end`` does, for its own at most
    TRIES * (LIMIT + PAUSE) seconds."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._start: _Attempt | None = None
        self.begun = False

    def start(self) -> None:
        """Tried once: a lost start costs nothing but the duration."""
        self.begun = True
        if self._url is not None:
            self._start = _Attempt(below(self._url, "start"), b"")

    def end(self, exit_code: int, text: str) -> None:
        """Success or failure, after the start is through: they must not arrive the other way round."""
        if self._url is None:
            return
        if self._start is not None and (problem := self._start.result()):
            _log.warning("ping: the watchdog did not take that a pass began: %s", problem)
        url = self._url if exit_code == 0 else below(self._url, "fail")
        if problem := send(url, text.encode("utf-8", "backslashreplace")):
            _log.warning("ping: the watchdog did not take that the pass ended: %s", problem)
        # A signal that comes while the mail is sent stops no pass any more.
        self.begun = False


def body(summary: Summary, exit_code: int) -> str:
    """Counts only: it goes to somebody else's server, and names of runs and files may say whose they are."""
    lines = [
        f"exit code {exit_code}",
        f"{summary.published} published, {summary.waiting} waiting, {summary.idle} with nothing to do",
    ]
    lines += [key for trouble in summary.troubles if (key := trouble.key).startswith(SURROUNDINGS)]
    lines.append(how_many(len(summary.troubles), "trouble"))
    return "\n".join(lines) + "\n"


def below(url: str, word: str) -> str:
    """``url`` with a further part of its path; a query stays behind it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{word}"))


def send(url: str, content: bytes) -> str:
    """An empty text, or what went wrong with the last try."""
    for left in reversed(range(TRIES)):
        attempt = _Attempt(url, content)
        problem = attempt.result()
        if not problem or not attempt.again or not left:
            return problem
        time.sleep(PAUSE)
    return ""


class _Attempt:
    """One request, on a thread of its own: socket timeouts bound neither a look-up nor an answer that trickles."""

    def __init__(self, url: str, content: bytes) -> None:
        self.again = True
        self._problem: str | None = None
        self._until = time.monotonic() + LIMIT
        self._thread = threading.Thread(target=self._work, args=(url, content), name="ping", daemon=True)
        self._thread.start()

    def result(self) -> str:
        self._thread.join(max(self._until - time.monotonic(), 0))
        return f"no answer in {LIMIT:g} s" if self._problem is None else self._problem

    def _work(self, url: str, content: bytes) -> None:
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(
            url,
            data=content,
            headers={
                "User-Agent": f"sync_to_azure/{__version__}",
                "Content-Type": "text/plain; charset=utf-8",
            },
        )
        try:
            with _opener().open(request, timeout=LIMIT):
                self._problem = ""
        except urllib.error.HTTPError as error:
            error.close()
            self.again = error.code >= 500 or error.code in _TRY_AGAIN
            self._problem = f"it answered {error.code}"
            if 300 <= error.code < 400:
                self._problem += ", a redirect, which is not followed: a login page, or the address has moved"
        except urllib.error.URLError as error:
            reason = error.reason
            self._problem = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
        except OSError as error:
            self._problem = error.strerror or str(error) or type(error).__name__
        except (http.client.HTTPException, ValueError) as error:
            # Their texts may repeat the address.
            self._problem = f"no proper answer ({type(error).__name__})"


def _opener() -> "urllib.request.OpenerDirector":
    import ssl
    import urllib.request

    import certifi

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        """The login page of a network answers 200: followed, it would pass for a ping that arrived."""

        def redirect_request(self, *_: object) -> None:
            return None

    trusted = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    return urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=trusted)), NoRedirects
    )
