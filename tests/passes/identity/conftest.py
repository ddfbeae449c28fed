"""An Azure with logins on loopback: Azurite over https that takes bearer tokens, and an endpoint that gives them."""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import http.server
import json
import os
import pathlib
import shlex
import ssl
import threading
import time
import typing
import urllib.parse
import uuid

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.passes.bad_input.faults import stand_in, told
from tests.certificates import make_certificate
from tests.server import Server

TENANT = "11111111-2222-3333-4444-555555555555"
APPLICATION = "66666666-7777-8888-9999-000000000000"
CLIENT_SECRET = "hunter2~client.SECRET+with/odd%23letters"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """(certificate, key), for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("identity"))


def token(life: float = 3600, audience: str = "https://storage.azure.com") -> str:
    """As Azurite's ``--oauth basic`` takes it: it checks audience, issuer and times, not the signature."""
    now = int(time.time())
    facts = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "tid": TENANT,
        "appid": APPLICATION,
    }
    facts |= {
        "iat": now - 10,
        "nbf": now - 10,
        "exp": int(now + life),
        "oid": APPLICATION,
        "sub": APPLICATION,
    }
    facts |= {"ver": "1.0"}
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, facts)] + [b"not checked"]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class TokenEndpoint:
    """Gives tokens for ``CLIENT_SECRET``; ``life``: seconds that they are good for; ``each_differs``: also two of one
    second; ``token_address``: where it says that tokens are given, if not here."""

    def __init__(self, certificate: tuple[pathlib.Path, pathlib.Path]) -> None:
        self.life = 3600.0
        self.each_differs = False
        self.token_address: str | None = None
        self.asked: list[dict[str, str]] = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self, code: int, content: dict[str, typing.Any]) -> None:
                data = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                tenant = self.path.split("/")[1]
                base = f"{endpoint.address}/{tenant}"
                self.answer(
                    200,
                    {
                        "issuer": f"{base}/v2.0",
                        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                        "token_endpoint": endpoint.token_address or f"{base}/oauth2/v2.0/token",
                        "jwks_uri": f"{base}/discovery/v2.0/keys",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                asked = dict(urllib.parse.parse_qsl(body)) | {"path": self.path}
                endpoint.asked.append(asked)
                if asked.get("client_secret") != CLIENT_SECRET:
                    # As Entra does it, with what was sent in the text: the worst that can come back.
                    text = f"AADSTS7000215: Invalid client secret provided: {asked.get('client_secret')}"
                    self.answer(401, {"error": "invalid_client", "error_description": text})
                    return
                life = endpoint.life + (len(endpoint.asked) if endpoint.each_differs else 0)
                self.answer(
                    200,
                    {"token_type": "Bearer", "expires_in": int(life), "access_token": token(life)},
                )

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def token_endpoint(
    certificate: tuple[pathlib.Path, pathlib.Path],
) -> collections.abc.Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint(certificate)
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="session")
def secure_azurite(
    certificate: tuple[pathlib.Path, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[Azurite]:
    file, key = certificate
    with Azurite(
        tmp_path_factory.mktemp("secure"), certificate=file, certificate_key=key, oauth=True
    ) as server:
        yield server


@pytest.fixture
def secure_container(secure_azurite: Azurite) -> collections.abc.Iterator[ContainerClient]:
    with secure_azurite.create_container(f"test-{uuid.uuid4().hex}") as client:
        yield client


@pytest.fixture
def trusting(certificate: tuple[pathlib.Path, pathlib.Path]) -> dict[str, str]:
    """Environment of a command that trusts the certificate. Only az is asked of azure-identity's chain: the machine of
    the test may have a managed identity."""
    file = str(certificate[0])
    return {
        "SSL_CERT_FILE": file,
        "REQUESTS_CA_BUNDLE": file,
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
    }


@pytest.fixture
def secure(
    everyday: dict[str, object], secure_azurite: Azurite, secure_container: ContainerClient
) -> dict[str, object]:
    """The everyday config towards the secure Azurite, without a login."""
    config = everyday | {
        "blob-endpoint": secure_azurite.endpoint,
        "container-name": secure_container.container_name,
    }
    del config["credentials"], config["auth"]
    return config


@pytest.fixture
def service_principal(
    secure: dict[str, object], token_endpoint: TokenEndpoint, tmp_path: pathlib.Path
) -> dict[str, object]:
    file = tmp_path / "client.secret"
    file.touch(mode=0o600)
    file.write_text(CLIENT_SECRET + "\n", encoding="utf-8")
    return secure | {
        "tenant-id": TENANT,
        "application-id": APPLICATION,
        "credentials": file,
        "authority-host": token_endpoint.address,
    }


@dataclasses.dataclass
class Login:
    """Passes towards the secure Azurite with one login. ``config`` and ``environment`` may be changed freely;
    ``folder`` is the test's own."""

    run_command: typing.Any
    config: dict[str, object]
    environment: dict[str, str]
    main: pathlib.Path
    container: ContainerClient
    folder: pathlib.Path

    def run(self, code: int, *words: str, **options: typing.Any) -> typing.Any:
        """One pass, which ends with ``code`` and says ``words``."""
        outcome = self.run_command(config=self.config, environment=self.environment, **options)
        told(outcome, code, *words)
        return outcome

    def logs_all(self) -> None:
        self.config |= {"log-file": self.folder / "x.log", "log-level": "DEBUG"}

    def assert_carried(self, run: pathlib.Path) -> None:
        for path in run.rglob("*"):
            if path.is_file():
                blob = self.container.download_blob(f"{run.name}/{path.relative_to(run)}")
                assert blob.readall() == path.read_bytes(), path


@pytest.fixture
def principal(
    run_command: typing.Any,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    secure_container: ContainerClient,
    tmp_path: pathlib.Path,
) -> Login:
    """By tenant, application and secret."""
    return Login(run_command, service_principal, trusting, main_folder, secure_container, tmp_path)


@pytest.fixture
def by_az(
    run_command: typing.Any,
    secure: dict[str, object],
    trusting: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
    secure_container: ContainerClient,
    tmp_path: pathlib.Path,
) -> Login:
    """The default, which is az here."""
    environment = trusting | {"PATH": f"{az}:{os.environ['PATH']}"}
    return Login(run_command, secure, environment, main_folder, secure_container, tmp_path)


@pytest.fixture
def az(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder to stand first on PATH, with an ``az`` that is logged in; it writes down what it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "token").write_text(token(), encoding="utf-8")
    stand_in(
        folder / "az",
        f"cd {shlex.quote(str(folder))}\n"
        'echo "$*" >> calls\nenv >> environment\n'
        "if [ -e logged-out ]; then echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1; fi\n"
        'printf \'{"accessToken": "%s", "expiresOn": "2099-01-01 00:00:00.000000",'
        ' "expires_on": 4070908800, "subscription": "s", "tenant": "%s", "tokenType": "Bearer"}\\n\''
        f' "$(cat token)" {TENANT}',
    )
    return folder
