"""``auth = default`` with a managed identity: its endpoint on loopback, asked for real by azure-identity and AzCopy."""

from __future__ import annotations

import collections.abc
import http.server
import json
import pathlib
import threading
import time
import typing
import urllib.parse

import pytest

from tests.passes.bad_input.faults import assert_no_secret, told, write_run
from tests.passes.identity.conftest import APPLICATION, token
from tests.server import Server

HEADER = "the-header-that-only-the-machine-knows"
Run = typing.Any


class ManagedIdentity:
    """As App Service has it (2019-08-01): IDENTITY_ENDPOINT, and a header as proof of being on the machine."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        identity = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                good = self.headers.get("X-IDENTITY-HEADER") == HEADER
                identity.asked.append(query)
                expires = str(int(time.time()) + 3600)
                content = {"access_token": token(), "expires_on": expires, "resource": query.get("resource")}
                body = json.dumps(content | {"token_type": "Bearer"}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/msi/token"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def managed() -> collections.abc.Iterator[ManagedIdentity]:
    server = ManagedIdentity()
    yield server
    server.close()


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
@pytest.mark.parametrize("given", ["application-id", "AZURE_CLIENT_ID", None])
def test_the_identity_that_was_named_is_asked_for(
    run_command: Run,
    secure: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    managed: ManagedIdentity,
    uploader: str,
    given: str | None,
) -> None:
    """By us and by AzCopy. Without a name, the machine's own is meant."""
    write_run(main_folder, "run")
    environment = trusting | {
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "IDENTITY_ENDPOINT": managed.address,
        "IDENTITY_HEADER": HEADER,
        # Of somebody else, who used AzCopy here by hand.
        "AZCOPY_MSI_CLIENT_ID": "99999999-0000-0000-0000-000000000000",
    }
    config = secure | {
        "auth": "default",
        "uploader": uploader,
        "log-file": tmp_path / "x.log",
        "log-level": "DEBUG",
    }
    if given == "application-id":
        config["application-id"] = APPLICATION
    elif given is not None:
        environment[given] = APPLICATION
    outcome = run_command(config=config, environment=environment)
    told(outcome, 0, "run: published")
    assert len(managed.asked) >= (2 if uploader == "azcopy" else 1)
    clients = {query.get("client_id") for query in managed.asked}
    assert clients == {APPLICATION if given else None}
    assert_no_secret(tmp_path, outcome, [HEADER, "not checked"], but=())
