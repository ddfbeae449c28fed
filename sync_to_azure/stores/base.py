"""What every store can do with its own ``pages``, ``stat`` and ``read``; and the check of what is written."""

from __future__ import annotations

import abc
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import IO

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import BlobMissing, BlobReplaced, ContentDiffers
from sync_to_azure.core.model import Blob
from sync_to_azure.stores.store import PAGE, Page

_LONGEST_LINE = 1024 * 1024


class BaseStore(abc.ABC):
    """The base of stores; store.py says what each of these promises."""

    @abc.abstractmethod
    def pages(self, prefix: str, after: str = "", page_size: int = PAGE) -> Iterator[Page]: ...

    @abc.abstractmethod
    def stat(self, name: str) -> Blob | None: ...

    @abc.abstractmethod
    def read(
        self,
        name: str,
        etag: str | None = None,
        offset: int = 0,
        most: int | None = None,
        length: int | None = None,
        snapshot: str | None = None,
    ) -> Iterator[bytes]: ...

    def list(self, prefix: str) -> Iterator[Blob]:
        for page in self.pages(prefix):
            yield from page.blobs

    def exists(self, name: str) -> bool:
        return self.stat(name) is not None

    def modified(self, name: str) -> float | None:
        found = self.stat(name)
        return None if found is None else found.modified

    def get(self, name: str, most: int = bounded.MOST_DOCUMENT) -> bytes | None:
        try:
            return b"".join(self.read(name, most=most))
        except BlobMissing:
            return None

    def lines(self, name: str) -> Iterator[bytes]:
        rest = b""
        for chunk in self.read(name, most=bounded.MOST_MANIFEST):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_LINE:
                yield rest
                rest = b""
        if rest:
            yield rest

    def md5_of(self, name: str, etag: str) -> bytes:
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.read(name, etag):
            digest.update(chunk)
        return digest.digest()

    def written_before(
        self, name: str, size: int, md5: bytes, metadata: Mapping[str, str] | None
    ) -> str | None:
        """A condition failed. Is what is there our own first try, whose answer was lost? Then its ETag."""
        found = self.stat(name)
        # Its size first: what somebody else wrote may be large.
        if found is None or (found.size, found.md5) != (size, md5):
            return None
        if metadata is not None and dict(found.metadata) != lower(metadata):
            return None
        with contextlib.suppress(BlobMissing, BlobReplaced):
            if self.md5_of(name, found.etag) == md5:
                return found.etag
        return None


def lower(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Names of metadata differ by more than their case."""
    return {name.lower(): value for name, value in (metadata or {}).items()}


class Checked:
    """Reads what is to be written and compares it on the way: the last bytes are given out only when size, and MD5
    where one was announced, are right. Else ContentDiffers is raised. It reads no more than was announced, and
    gives as many bytes as are asked for."""

    def __init__(self, name: str, data: "bytes | IO[bytes]", size: int, md5: bytes | None) -> None:
        self._name = name
        self._left = size
        self._data: IO[bytes] | None = None
        self._bytes = memoryview(b"")
        if isinstance(data, bytes):
            self._bytes = memoryview(data)
            if len(data) != size:
                raise ContentDiffers(name)
        else:
            self._data = data
        self._md5 = md5
        self._digest = hashlib.md5(usedforsecurity=False)
        if size == 0:
            self._check()

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > self._left:
            size = self._left
        if not size:
            return b""
        data = self._next(size)
        self._left -= len(data)
        self._digest.update(data)
        if not self._left:
            self._check()
        return data

    def _next(self, size: int) -> bytes:
        """Exactly so many bytes: a raw stream may give fewer at a time. Raises ContentDiffers at its end."""
        if self._data is None:
            data, self._bytes = bytes(self._bytes[:size]), self._bytes[size:]
            return data
        parts = []
        while size:
            part = self._data.read(size)
            if not part:
                raise ContentDiffers(self._name)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _check(self) -> None:
        if self._md5 is not None and self._digest.digest() != self._md5:
            raise ContentDiffers(self._name)
