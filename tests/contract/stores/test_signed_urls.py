"""Signed URLs: fetched for real, by somebody who knows nothing but the URL."""

from __future__ import annotations

import http.client
import pathlib
import ssl
import time
import types
import typing
import urllib.error
import urllib.parse
import urllib.request

import pytest
from azure.core.credentials import AccessToken
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.stores.azure import AzureStore
from sync_to_azure.stores.store_config import LoginConfig, StoreConfig
from sync_to_azure.stores.opening import open_login, open_store
from sync_to_azure.stores.store import SignedUrl
from tests.passes.bad_input.test_storage import sas
from tests.contract.stores.bench import AzureBench, Bench, put
from tests.passes.identity.conftest import certificate, secure_azurite, secure_container, token

__all__ = ["certificate", "secure_azurite", "secure_container"]

NAME = "run/a b/ü%20#?.txt"


def fetched(
    url: str, trust: pathlib.Path | None = None, method: str = "GET", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    request = urllib.request.Request(
        url, method=method, headers=headers, data=b"x" if method == "PUT" else None
    )
    context = ssl.create_default_context(cafile=str(trust)) if trust else None
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def reads_one_blob_and_nothing_else(signed: SignedUrl, trust: pathlib.Path | None = None) -> None:
    status, content, headers = fetched(signed.url, trust)
    assert (status, content) == (200, b"0123456789")
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''s%C3%BCss.txt"
    assert fetched(signed.url, trust, Range="bytes=2-4")[:2] == (206, b"234")
    for method in ("PUT", "DELETE"):
        assert fetched(signed.url, trust, method, **{"x-ms-blob-type": "BlockBlob"})[0] == 403
    other = signed.url.replace(urllib.parse.quote("ü"), "u")
    assert other != signed.url and fetched(other, trust)[0] == 403
    assert "sig=" in signed.url and "sig=" not in repr(signed), "it is a secret"


def test_signed_by_the_accounts_key(azure: AzureBench) -> None:
    azure.put(NAME, b"0123456789")
    signed = azure.store.sign_url(NAME, 3600, file_name="süss.txt")
    assert signed is not None and abs(signed.expires - time.time() - 3600) < 60
    reads_one_blob_and_nothing_else(signed)
    over = azure.store.sign_url(NAME, -60)
    assert over is not None and fetched(over.url)[0] == 403
    absent = azure.store.sign_url("absent", 60)
    assert absent is not None and fetched(absent.url)[0] == 404


class Tokens:
    """A login as azure-identity gives it."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken(token(), int(time.time()) + 3600)


def test_signed_by_a_key_of_our_login(
    secure_azurite: Azurite,
    secure_container: ContainerClient,
    certificate: tuple[pathlib.Path, pathlib.Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """User delegation: one request for a key serves many URLs, none of which outlives it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    config = StoreConfig(secure_azurite.endpoint, str(secure_container.container_name), tries=1)
    identity: typing.Any = types.SimpleNamespace(for_sdk=Tokens)
    store = AzureStore(config, identity)
    put(store, NAME, b"0123456789")
    signed = store.sign_url(NAME, 3600, file_name="süss.txt")
    assert signed is not None
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(signed.url).query)
    assert query["spr"] == ["https"] and query["sp"] == ["r"] and "skoid" in query
    reads_one_blob_and_nothing_else(signed, certificate[0])
    again = store.sign_url(NAME, 60)
    assert again is not None
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(again.url).query)["ske"] == query["ske"]
    long = store.sign_url(NAME, 30 * 86400)
    assert long is not None and long.expires < time.time() + 7 * 86400, "the service's own bound of a key"
    assert fetched(long.url, certificate[0])[0] == 200


def test_a_sas_signs_nothing(azure: AzureBench) -> None:
    login = LoginConfig(
        "sas", azure.config.endpoint, azure.config.container, secret=sas(azure.container, "rl")
    )
    assert open_store(azure.config, open_login(login)).sign_url(NAME, 60) is None


def test_a_folder_has_no_urls(local: Bench) -> None:
    local.put("x", b"x")
    assert local.store.sign_url("x", 60) is None
