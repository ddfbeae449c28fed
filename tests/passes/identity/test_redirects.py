"""A redirect is followed by nothing that carries a login: another host gets neither signature nor token, and is never
believed. Two servers on loopback: one that redirects, and one that would answer all as the storage does."""

from __future__ import annotations

import collections.abc
import hashlib
import http.server
import json
import pathlib
import ssl
import threading
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core.errors import StorageUnavailable
from sync_to_azure.stores.login import identity_for
from sync_to_azure.stores.azure import DeletingAzureStore
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.settings import load
from tests.passes.bad_input.faults import told, write_run
from tests.passes.bad_input.test_storage import sas
from tests.passes.identity.conftest import APPLICATION, Login
from tests.passes.identity.front import Front
from tests.line import Answer, Line, Request
from tests.server import Server

STATUSES = (300, 301, 302, 303, 307, 308)
Run = collections.abc.Callable[..., typing.Any]


def redirect(
    line: Line, elsewhere: Line, status: int, which: collections.abc.Callable[[Request], bool]
) -> None:
    """The whole address goes along, with a SAS in it: so a server that means well does it."""
    base = elsewhere.endpoint.removesuffix(f"/{Azurite.account}")

    def act(request: Request) -> Answer | None:
        return Answer(status, "", {"Location": base + request.raw}) if which(request) else None

    line.act = act


def writes_a_document(request: Request) -> bool:
    return request.method == "PUT" and request.blob.endswith((".jsonl", ".md5", ".json", ".sync"))


def reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD")


@pytest.fixture
def storage(azurite: Azurite) -> collections.abc.Iterator[Line]:
    with Line(azurite.port) as line:
        yield line


@pytest.fixture
def elsewhere(azurite: Azurite) -> collections.abc.Iterator[Line]:
    with Line(azurite.port) as line:
        yield line


CALLS: tuple[collections.abc.Callable[[DeletingAzureStore], object], ...] = (
    lambda lake: lake.check(""),
    lambda lake: list(lake.list("")),
    lambda lake: list(lake.list_level("")),
    lambda lake: lake.put("new", b"x", 1, hashlib.md5(b"x").digest(), "text/plain", replaces=None),
    lambda lake: lake.stat("there"),
    lambda lake: lake.exists("there"),
    lambda lake: lake.modified("there"),
    lambda lake: lake.get("there"),
    lambda lake: lake.md5_of("there", "0x1"),
    lambda lake: lake.uncommitted_blocks("there"),
    lambda lake: lake.snapshot("there"),
    lambda lake: lake.may_delete("there"),
    lambda lake: lake.delete("there", "0x1"),
)


@pytest.mark.parametrize("login", ["account-key", "sas"])
@pytest.mark.parametrize("status", STATUSES)
def test_no_call_of_the_lake_follows(
    everyday: dict[str, object],
    storage: Line,
    elsewhere: Line,
    container: ContainerClient,
    account_key_file: pathlib.Path,
    tmp_path: pathlib.Path,
    login: str,
    status: int,
) -> None:
    container.upload_blob("there", b"x")
    if login == "sas":
        account_key_file.write_text(sas(container, "racwdl"), encoding="utf-8")
    redirect(storage, elsewhere, status, lambda request: True)
    config = everyday | {"blob-endpoint": storage.endpoint, "auth": login, "retry-times": 1}
    settings = load({key: str(value) for key, value in config.items()}, {}, tmp_path)
    lake = DeletingAzureStore(store_config(settings), identity_for(login_config(settings)))
    for call in CALLS:
        with pytest.raises(StorageUnavailable, match=f"redirects .{status}."):
            call(lake)
    assert elsewhere.seen == []
    assert container.get_blob_client("there").exists()


@pytest.mark.parametrize("login", ["account-key", "sas"])
@pytest.mark.parametrize(
    ("status", "which"), [(302, reads), (307, writes_a_document), (307, lambda request: request.writes)]
)
def test_a_pass_that_is_redirected(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    storage: Line,
    elsewhere: Line,
    container: ContainerClient,
    account_key_file: pathlib.Path,
    login: str,
    status: int,
    which: collections.abc.Callable[[Request], bool],
) -> None:
    write_run(main_folder, "run")
    if login == "sas":
        account_key_file.write_text(sas(container, "racwl"), encoding="utf-8")
    redirect(storage, elsewhere, status, which)
    config = everyday | {"blob-endpoint": storage.endpoint, "auth": login, "uploader": "native"}
    told(run_command(config=config | {"retry-times": 2}), 3)
    assert elsewhere.seen == []
    assert not container.get_blob_client("run.sync").exists()


def test_a_token_stays_with_the_storage(
    principal: Login, secure_azurite: Azurite, certificate: tuple[pathlib.Path, pathlib.Path]
) -> None:
    write_run(principal.main, "run")
    with Front(secure_azurite, certificate) as storage, Front(secure_azurite, certificate) as elsewhere:
        principal.config |= {"blob-endpoint": storage.endpoint, "uploader": "native", "retry-times": 2}
        for status, which in ((308, reads), (307, writes_a_document)):
            redirect(storage, elsewhere, status, which)
            principal.run(3, f"redirects ({status})")
        assert any("Bearer" in request.headers.get("Authorization", "") for request in storage.seen)
        assert elsewhere.seen == []


def test_a_removing_pass_does_not_believe_another_host(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    storage: Line,
    elsewhere: Line,
    container: ContainerClient,
    account_key_file: pathlib.Path,
) -> None:
    """All that is asked before the first file goes could be answered there: with a SAS in the address, it would be."""
    folder = write_run(main_folder, "run")
    before = sorted(folder.rglob("*"))
    account_key_file.write_text(sas(container, "racwl"), encoding="utf-8")
    config = everyday | {"blob-endpoint": storage.endpoint, "auth": "sas", "uploader": "native"}
    told(run_command(config=config), 0, "run: published")
    config |= {"remove-source": "true"}
    for which in (
        reads,
        lambda request: request.method == "HEAD",
        lambda request: "comp=list" in request.raw,
    ):
        redirect(storage, elsewhere, 307, which)
        told(run_command(config=config), 3, "redirects (307)")
        assert elsewhere.seen == [] and sorted(folder.rglob("*")) == before
    redirect(storage, elsewhere, 307, lambda request: False)
    told(run_command(config=config), 0)
    assert not folder.exists()


class Redirecting(Server):
    """Sends everybody to ``location``, or takes what comes; ``taken``: method, path and body of each request."""

    def __init__(
        self, location: str = "", certificate: tuple[pathlib.Path, pathlib.Path] | None = None
    ) -> None:
        self.taken: list[str] = []
        self.location = location
        super().__init__(("127.0.0.1", 0), _Redirects)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = f"http{'s' if certificate else ''}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()


class _Redirects(http.server.BaseHTTPRequestHandler):
    server: Redirecting

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.taken.append(f"{self.command} {self.path} {dict(self.headers)} {body}")
        answer = json.dumps({"token_type": "Bearer", "expires_in": 3600, "access_token": "of somebody else"})
        self.send_response(307 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location + self.path)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("what", ["the tenant's addresses", "the token"])
def test_the_client_secret_stays_with_the_login_service(
    principal: Login, token_endpoint: typing.Any, certificate: tuple[pathlib.Path, pathlib.Path], what: str
) -> None:
    write_run(principal.main, "run")
    with Redirecting(certificate=certificate) as elsewhere:
        with Redirecting(elsewhere.address, certificate) as login:
            if what == "the token":
                token_endpoint.token_address = f"{login.address}/token"
            else:
                principal.config["authority-host"] = login.address
            principal.run(3)
            assert login.taken and elsewhere.taken == []


def test_a_managed_identity_that_is_redirected(
    run_command: Run, secure: dict[str, object], trusting: dict[str, str], main_folder: pathlib.Path
) -> None:
    write_run(main_folder, "run")
    with Redirecting() as elsewhere, Redirecting(elsewhere.address) as machine:
        environment = trusting | {
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            "IDENTITY_ENDPOINT": f"{machine.address}/msi/token",
            "IDENTITY_HEADER": "the-header-that-only-the-machine-knows",
        }
        config = secure | {"auth": "default", "application-id": APPLICATION, "uploader": "native"}
        told(run_command(config=config, environment=environment), 3)
        assert machine.taken and elsewhere.taken == []
