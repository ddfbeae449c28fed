"""A line of https before the secure Azurite: requests can be refused as the service refuses stale tokens."""

from __future__ import annotations

import collections.abc
import http.client
import http.server
import pathlib
import ssl
import threading
import types

from embedded.azurite import Azurite
from tests.passes.proxy import _Handler

Judge = collections.abc.Callable[[str, str, str], bool]
"""Method, path with query, Authorization header: is the request taken?"""


class Front:
    """``judge`` may be changed at any time; what it does not take is answered with 401 InvalidAuthenticationInfo."""

    def __init__(self, azurite: Azurite, certificate: tuple[pathlib.Path, pathlib.Path]) -> None:
        self.upstream = azurite.port
        self.judge: Judge = lambda method, path, authorization: True
        self.refused = 0
        self.trust = ssl.create_default_context(cafile=str(certificate[0]))
        handler = type("Handler", (_Fronting,), {"front": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}/{Azurite.account}"

    def __enter__(self) -> Front:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Fronting(_Handler):
    front: Front

    def _forward(self) -> None:
        try:
            body = self._body()
            front = self.front
            if not front.judge(self.command, self.path, self.headers.get("Authorization", "")):
                front.refused += 1
                headers = {"x-ms-error-code": "InvalidAuthenticationInfo"}
                self._answer(401, headers, b"<Error><Code>InvalidAuthenticationInfo</Code></Error>")
                return
            line = http.client.HTTPSConnection("127.0.0.1", front.upstream, timeout=60, context=front.trust)
            given = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("transfer-encoding", "expect", "content-length", "host")
            }
            if body or self.command in ("PUT", "POST"):
                given["Content-Length"] = str(len(body))
            line.request(self.command, self.path, body, given)
            answer = line.getresponse()
            content = answer.read()
            self._answer(answer.status, dict(answer.getheaders()), content)
            line.close()
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward
