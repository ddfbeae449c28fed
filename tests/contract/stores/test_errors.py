"""Every error that a store raises comes out as one of ours: what only a service answers is spoilt on its way. (Those
that both stores meet alike are in the other files; those of a file system in tests/stores/test_local.py.)"""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import typing

import pytest

from sync_to_azure.core.errors import (
    AccessRefused,
    BlobRefused,
    ConfigurationError,
    Redirected,
    StorageUnavailable,
    TokenRefused,
)
from sync_to_azure.stores.store_config import LoginConfig, StoreConfig
from sync_to_azure.stores.opening import open_deleting_store, open_login
from sync_to_azure.stores.store import DeletingStore
from tests.passes.bad_input.test_storage import sas
from tests.contract.stores.bench import AzureBench, Bench, LocalBench
from tests.line import Answer, Line
from tests.server import nobody_listens

Call = collections.abc.Callable[[DeletingStore], object]
MD5 = hashlib.md5(b"x").digest()
READS: dict[str, Call] = {
    "check": lambda store: store.check(""),
    "pages": lambda store: list(store.pages("")),
    "list": lambda store: list(store.list("there")),
    "list_level": lambda store: list(store.list_level("")),
    "stat": lambda store: store.stat("there"),
    "exists": lambda store: store.exists("there"),
    "modified": lambda store: store.modified("there"),
    "read": lambda store: list(store.read("there")),
    "get": lambda store: store.get("there"),
    "get_dated": lambda store: store.get_dated("there", 5),
    "lines": lambda store: list(store.lines("there")),
    "committed_blocks": lambda store: store.committed_blocks("there"),
    "uncommitted_blocks": lambda store: store.uncommitted_blocks("there"),
}
WRITES: dict[str, Call] = {
    "put": lambda store: store.put("new", b"x", 1, MD5, "text/plain", None),
    "append": lambda store: store.append("new", None, [], b"x", 1),
    "snapshot": lambda store: store.snapshot("there"),
    "delete": lambda store: store.delete("there", "0x1"),
}
CALLS = READS | WRITES


def through(bench: AzureBench, endpoint: str, secret: str = "", **changes: typing.Any) -> DeletingStore:
    config = dataclasses.replace(bench.config, endpoint=endpoint, **changes)
    azurite = bench.azurite
    login = LoginConfig(
        "account-key", endpoint, config.container, azurite.account, secret=secret or azurite.key
    )
    return open_deleting_store(config, open_login(login))


def raised(kind: type[Exception], store: DeletingStore, calls: dict[str, Call] = CALLS) -> None:
    """Exactly of this class, naming a thing and what to do."""
    for name, call in calls.items():
        with pytest.raises(kind) as caught:
            call(store)
        assert type(caught.value) is kind, name
        assert getattr(caught.value, "advice"), name


def test_the_container_is_missing(azure: AzureBench) -> None:
    raised(StorageUnavailable, through(azure, azure.config.endpoint, container="absent"))


def test_nobody_listens(azure: AzureBench) -> None:
    with nobody_listens() as port:
        store = through(azure, f"http://127.0.0.1:{port}/{azure.azurite.account}", tries=0)
        raised(
            StorageUnavailable,
            store,
            {name: CALLS[name] for name in ("check", "stat", "read", "put", "append")},
        )


def test_the_key_is_wrong(azure: AzureBench) -> None:
    raised(AccessRefused, through(azure, azure.config.endpoint, secret="d3Jvbmc="))


def test_an_endpoint_that_is_none(azure: AzureBench) -> None:
    with pytest.raises(ConfigurationError, match="malformed"):
        through(azure, "http:///nobody")


def test_rights_are_missing(azure: AzureBench) -> None:
    """A SAS that reads and lists."""
    azure.put("there", b"x")
    login = LoginConfig(
        "sas", azure.config.endpoint, azure.config.container, secret=sas(azure.container, "rl")
    )
    store = open_deleting_store(azure.config, open_login(login))
    assert store.get("there") == b"x"
    raised(AccessRefused, store, WRITES)
    with pytest.raises(AccessRefused):
        store.may_delete("there")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(302, "", {"Location": "http://127.0.0.1:1/"}), Redirected),
        (Answer(409, "ContainerBeingDeleted"), StorageUnavailable),
        (Answer(500, "InternalError"), StorageUnavailable),
        (Answer(503, "ServerBusy"), StorageUnavailable),
        (Answer(403, "AuthorizationFailure"), AccessRefused),
        (Answer(400, "InvalidHeaderValue"), StorageUnavailable),
    ],
    ids=lambda each: f"{each.status}" if isinstance(each, Answer) else "",
)
def test_what_the_service_may_answer_to_anything(
    azure: AzureBench, answer: Answer, kind: type[Exception]
) -> None:
    azure.put("there", b"x")
    with Line(azure.azurite.port) as wire:
        wire.act = lambda request: answer
        raised(kind, through(azure, wire.endpoint, tries=0))
    assert azure.store.stat("new") is None


@pytest.mark.parametrize("code", ["LeaseIdMissing", "BlobImmutableDueToPolicy", "BlobArchived"])
def test_what_it_refuses_of_one_blob_for_good(azure: AzureBench, code: str) -> None:
    with Line(azure.azurite.port) as wire:
        wire.act = lambda request: Answer(409, code)
        calls = {name: CALLS[name] for name in ("read", "put", "snapshot", "delete", "append")}
        raised(BlobRefused, through(azure, wire.endpoint, tries=0), calls)


def test_a_lease(azure: AzureBench) -> None:
    etag = azure.put("there", b"x")
    lease = azure.container.get_blob_client("there").acquire_lease()
    with pytest.raises(BlobRefused, match="lease"):
        azure.put("there", b"y", etag)
    assert azure.store.get("there") == b"x"
    lease.release()


@pytest.mark.parametrize(
    ("kind", "spoilt"),
    [
        ("GET list", b"<EnumerationResults><Blobs><Blob></Blob></Blobs></EnumerationResults>"),
        ("GET list", b"<EnumerationRes"),
        ("GET list", b"\xff\xfe\x00"),
        ("GET blocklist", b"<BlockList><Committed"),
        (
            "GET blocklist",
            b"<B><UncommittedBlocks><Block><Name>?</Name><Size>x</Size></Block></UncommittedBlocks></B>",
        ),
    ],
)
def test_answers_that_cannot_be_read(azure: AzureBench, kind: str, spoilt: bytes) -> None:
    azure.put("there", b"x")
    with Line(azure.azurite.port) as wire:
        wire.change = lambda request, status, content: spoilt if request.kind == kind else content
        store = through(azure, wire.endpoint, tries=0)
        calls = (
            {"list": READS["list"]}
            if kind == "GET list"
            else {"uncommitted_blocks": READS["uncommitted_blocks"]}
        )
        raised(StorageUnavailable, store, calls)


def test_a_listing_that_cannot_go_on(azure: AzureBench) -> None:
    """A marker that the service does not know any more; at the beginning, the same answer is another trouble."""
    azure.put("there", b"x")
    with Line(azure.azurite.port) as wire:
        wire.act = lambda request: Answer(400, "OutOfRangeInput")
        store = through(azure, wire.endpoint, tries=0)
        with pytest.raises(TokenRefused, match="begin again"):
            list(store.pages("", "an old marker"))
        with pytest.raises(StorageUnavailable) as caught:
            list(store.pages(""))
        assert type(caught.value) is StorageUnavailable


def test_a_page_that_is_missing_ends_the_listing(azure: AzureBench) -> None:
    """Never a listing that looks whole and is not."""
    for number in range(4):
        azure.put(f"{number}", b"x")
    with Line(azure.azurite.port) as wire:
        wire.act = lambda request: Answer(500, "InternalError") if "marker=" in request.path else None
        pages = through(azure, wire.endpoint, tries=0).pages("", page_size=2)
        assert len(next(pages).blobs) == 2
        with pytest.raises(StorageUnavailable):
            list(pages)


def test_a_folder_that_is_missing(local: LocalBench) -> None:
    with pytest.raises(StorageUnavailable):
        open_deleting_store(StoreConfig(local.folder.as_uri(), "absent"))


def test_what_can_never_be_right(bench: Bench) -> None:
    bench.put("x", b"x")
    for offset, length in ((-1, None), (0, -1)):
        with pytest.raises(ValueError):
            list(bench.store.read("x", None, offset, length=length))


@pytest.mark.parametrize("name", ["run/../victim", "run/./x", "../other/x", ".", "..", "x/.."])
def test_a_name_that_no_url_keeps_is_refused(azure: AzureBench, name: str) -> None:
    """On its way ``run/../victim`` becomes ``victim``, and with a SAS the service never knows."""
    with pytest.raises(BlobRefused, match="another name"):
        azure.put(name, b"x")
    for ask in (azure.store.stat, azure.store.snapshot, azure.store.get, azure.store.committed_blocks):
        with pytest.raises(BlobRefused):
            ask(name)
    assert list(azure.store.list("")) == []
