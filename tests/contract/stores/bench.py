"""A store and what a test does to it from outside."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import pathlib
import typing

from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.stores.store_config import LoginConfig, StoreConfig
from sync_to_azure.stores.opening import open_deleting_store, open_login, open_store
from sync_to_azure.stores.store import DeletingStore, Store

MEBIBYTE = 1024 * 1024


class Bench(abc.ABC):
    kind: str

    def __init__(self) -> None:
        self.store = self.open()

    @abc.abstractmethod
    def open(self) -> Store:
        """Another one of the same container, as another process has it."""

    @abc.abstractmethod
    def open_deleting(self) -> DeletingStore: ...

    @abc.abstractmethod
    def write_outside(self, name: str, content: bytes) -> None:
        """As somebody writes who knows nothing of the port."""

    def put(self, name: str, content: bytes, replaces: str | None = None, **options: typing.Any) -> str:
        return put(self.store, name, content, replaces, **options)

    def replace(self, name: str, content: bytes) -> str:
        """As another machine does, over whatever is there."""
        other = self.open()
        now = other.stat(name)
        return put(other, name, content, None if now is None else now.etag)

    def delete(self, name: str) -> None:
        now = self.store.stat(name)
        assert now is not None
        self.open_deleting().delete(name, now.etag)


class LocalBench(Bench):
    kind = "local"

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        super().__init__()

    def open(self) -> Store:
        return open_store(StoreConfig(self.folder.parent.as_uri(), self.folder.name))

    def open_deleting(self) -> DeletingStore:
        return open_deleting_store(StoreConfig(self.folder.parent.as_uri(), self.folder.name))

    def write_outside(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class AzureBench(Bench):
    kind = "azure"

    def __init__(self, azurite: Azurite, container: ContainerClient) -> None:
        self.azurite = azurite
        self.container = container
        self.config = StoreConfig(azurite.endpoint, str(container.container_name), timeout=60.0, tries=1)
        super().__init__()

    @property
    def login(self) -> LoginConfig:
        config, azurite = self.config, self.azurite
        return LoginConfig(
            "account-key", config.endpoint, config.container, azurite.account, secret=azurite.key
        )

    def open(self, **changes: typing.Any) -> Store:
        return open_store(dataclasses.replace(self.config, **changes), open_login(self.login))

    def open_deleting(self, **changes: typing.Any) -> DeletingStore:
        return open_deleting_store(dataclasses.replace(self.config, **changes), open_login(self.login))

    def write_outside(self, name: str, content: bytes) -> None:
        self.container.upload_blob(name, content)


def put(store: Store, name: str, content: bytes, replaces: str | None = None, **options: typing.Any) -> str:
    md5 = hashlib.md5(content).digest()
    return store.put(name, content, len(content), md5, "text/plain", replaces, **options)


def md5(content: bytes) -> bytes:
    return hashlib.md5(content).digest()
