"""A store and what a test does to it from outside."""

from __future__ import annotations

import abc
import hashlib
import pathlib
import typing

from sync_to_azure.stores.local import DeletingLocalStore, LocalStore
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

    def open(self) -> LocalStore:
        return LocalStore(self.folder)

    def open_deleting(self) -> DeletingLocalStore:
        return DeletingLocalStore(self.folder)

    def write_outside(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def put(store: Store, name: str, content: bytes, replaces: str | None = None, **options: typing.Any) -> str:
    md5 = hashlib.md5(content).digest()
    return store.put(name, content, len(content), md5, "text/plain", replaces, **options)


def md5(content: bytes) -> bytes:
    return hashlib.md5(content).digest()
