"""One POST that ends in time: for a watchdog, and for the receiver of a webhook.

Promises: never longer than its limit, whatever the server does, from the look-up of the name to the answer; when the
time is up, its connection is shut down, so that nothing of it arrives later; certificates are verified; no redirect is
followed; of an answer only status and headers are read; the text of a failure does not repeat the address.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sync_to_azure import __version__
from sync_to_azure.core.deadline import SocketHandle

if TYPE_CHECKING:
    import urllib.request

_TRY_AGAIN = (408, 425, 429)


class Post:
    """One request, on a thread of its own, begun at once: socket timeouts bound neither a look-up nor an answer that
    trickles. ``again``: may another attempt help soon?"""

    def __init__(self, url: str, content: bytes, headers: Mapping[str, str], limit: float) -> None:
        self.again = True
        self._limit = limit
        self._problem: str | None = None
        self._until = time.monotonic() + limit
        self._lock = threading.Lock()
        self._line: SocketHandle | None = None
        self._is_over = False
        self._thread = threading.Thread(
            target=self._work, args=(url, content, headers), name="post", daemon=True
        )
        self._thread.start()

    def result(self) -> str:
        """An empty text once the server has taken it, or what went wrong."""
        self._thread.join(max(self._until - time.monotonic(), 0))
        with self._lock:
            if self._problem is not None:
                return self._problem
            self._is_over = True
            if self._line is not None:
                self._line.shut()
        return f"no answer in {self._limit:g} s"

    def _connect(self, *arguments: Any, **options: Any) -> socket.socket:
        connection = socket.create_connection(*arguments, **options)
        with self._lock:
            if not self._is_over:
                self._line = SocketHandle(connection)
                return connection
        connection.close()
        raise TimeoutError("too late")

    def _work(self, url: str, content: bytes, headers: Mapping[str, str]) -> None:
        problem = self._ask(url, content, headers)
        with self._lock:
            if self._line is not None:
                # Now, not when it is collected: a server that still writes its answer hears that nobody reads it.
                self._line.shut()
                self._line = None
            if not self._is_over:
                self._problem = problem

    def _ask(self, url: str, content: bytes, headers: Mapping[str, str]) -> str:
        import http.client
        import urllib.error
        import urllib.request

        all_headers = {"User-Agent": f"sync_to_azure/{__version__}", **headers}
        try:
            request = urllib.request.Request(url, data=content, headers=all_headers)
            with self._opener().open(request, timeout=self._limit):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            self.again = error.code >= 500 or error.code in _TRY_AGAIN
            if 300 <= error.code < 400:
                return (
                    f"it answered {error.code}, a redirect, which is not followed: a login page, or the address has"
                    " moved"
                )
            return f"it answered {error.code}"
        except urllib.error.URLError as error:
            reason = error.reason
            return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        except (http.client.HTTPException, ValueError) as error:
            # Their texts may repeat the address.
            return f"no proper answer ({type(error).__name__})"

    def _opener(self) -> "urllib.request.OpenerDirector":
        import http.client
        import ssl
        import urllib.request

        import certifi

        connect = self._connect

        class Http(http.client.HTTPConnection):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self._create_connection = connect

        class Https(http.client.HTTPSConnection):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self._create_connection = connect

        class HttpHandler(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(Http, request)

        class HttpsHandler(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(Https, request, context=context)

        class NoRedirects(urllib.request.HTTPRedirectHandler):
            """The login page of a network answers 200: followed, it would pass for a success."""

            def redirect_request(self, *_: object) -> None:
                return None

        trusted = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
        context = ssl.create_default_context(cafile=trusted)
        return urllib.request.build_opener(HttpHandler, HttpsHandler(context=context), NoRedirects)
