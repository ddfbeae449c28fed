"""A line of https before the secure Azurite: requests can be refused as the service refuses stale tokens."""

from __future__ import annotations

import collections.abc
import http.client
import pathlib
import ssl

from embedded.azurite import Azurite
from tests.line import Answer, Line, LineHandler, Request

Judge = collections.abc.Callable[[str, str, str], bool]
"""Method, path with query, Authorization header: is the request taken?"""


class Front(Line):
    """``judge`` may be changed at any time; what it does not take is answered with 401 InvalidAuthenticationInfo."""

    def __init__(self, azurite: Azurite, certificate: tuple[pathlib.Path, pathlib.Path]) -> None:
        self.judge: Judge = lambda method, path, authorization: True
        self.refused = 0
        self.trust = ssl.create_default_context(cafile=str(certificate[0]))
        super().__init__(azurite.port, _Fronting)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.act = self._judged

    @property
    def endpoint(self) -> str:
        return super().endpoint.replace("http://", "https://", 1)

    def _judged(self, request: Request) -> Answer | None:
        if self.judge(request.method, request.raw, request.headers.get("Authorization", "")):
            return None
        self.refused += 1
        return Answer(401, "InvalidAuthenticationInfo")


class _Fronting(LineHandler):
    wire: Front

    def upstream(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPSConnection(
            "127.0.0.1", self.wire.upstream, timeout=60, context=self.wire.trust
        )
        given = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("transfer-encoding", "expect", "content-length", "host")
        }
        if request.body or request.method in ("PUT", "POST"):
            given["Content-Length"] = str(len(request.body))
        try:
            line.request(request.method, request.raw, request.body, given)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except http.client.HTTPException as error:
            raise ConnectionResetError(str(error)) from error
        finally:
            line.close()
