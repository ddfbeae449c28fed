"""A store that is one container of Azure Blob Storage. store.py says what it promises, azure_errors which errors
come out; the service checks every byte that is written (``validated``)."""

from __future__ import annotations

import contextlib
import email.utils
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, cast
from xml.etree import ElementTree

from sync_to_azure import __version__
from sync_to_azure.core import deadline
from sync_to_azure.core.errors import (
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    DocumentTooLarge,
    OutOfRange,
    StorageUnavailable,
    TokenRefused,
)
from sync_to_azure.core.model import NONCE_KEY, Blob
from sync_to_azure.stores.azure_answers import blobs_of, blocks_of, is_folder_stub
from sync_to_azure.stores.azure_errors import Errors
from sync_to_azure.stores.base import Checked, BaseStore, lower
from sync_to_azure.stores.signing import UrlSigner
from sync_to_azure.stores.store import (
    CHUNK,
    PAGE,
    Appended,
    Block,
    Dated,
    Page,
    SignedUrl,
    check_address,
    check_etag,
)

if TYPE_CHECKING:
    from sync_to_azure.stores.store_config import StoreConfig
    from sync_to_azure.stores.login import Identity

_BLOCK = 8 * 1024 * 1024
_MOST_BLOCKS = 50_000
"""The service's own bound."""
_SHORTEST_ID = 8
"""Bytes of a block id that are enough to be nobody else's."""
_LENGTH_OF_PUT = 48
"""Bytes of the ids that the library gives to blocks of ``put``: those of ``append`` are as long, so that neither is in
the other's way."""


class AzureStore(BaseStore):
    """azure-storage-blob is imported when the first store is made: idle passes never pay for it."""

    def __init__(self, config: "StoreConfig", identity: "Identity") -> None:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import ContainerClient, ExponentialRetry

        self._timeout = config.timeout
        transport = RequestsTransport(
            connection_timeout=min(20.0, config.timeout), read_timeout=min(60.0, config.timeout)
        )
        transport.open()
        deadline.watch_session(transport.session)
        self._endpoint = config.endpoint
        self._of_thread = threading.local()
        self._clock_ahead: float | None = None
        self._service_date: float | None = None
        self._errors = Errors(config)
        self._options: dict[str, Any] = {
            "retry_policy": ExponentialRetry(
                initial_backoff=1, increment_base=2, retry_total=min(config.tries, 3), random_jitter_range=1
            ),
            "transport": transport,
            "max_single_put_size": CHUNK,
            "max_block_size": CHUNK,
            "max_single_get_size": CHUNK,
            "max_chunk_get_size": CHUNK,
            "user_agent": f"sync_to_azure/{__version__}",
            # A storage account redirects nobody; the key's signature, a SAS or a token would go to another host.
            "permit_redirects": False,
            # Here, not at the call: of a call the library forgets it as soon as one attempt breaks off.
            "raw_response_hook": self._keep,
        }
        with self._errors.of("signing in"):
            self._credential = identity.for_sdk()
            self._client = ContainerClient(
                config.endpoint, config.container, credential=self._credential, **self._options
            )
        is_https = config.endpoint.lower().startswith("https:")
        self._signer = UrlSigner(self._credential, is_https, config.container, self._service)

    @property
    def clock_ahead(self) -> float | None:
        """Whole seconds are told."""
        return self._clock_ahead

    @property
    def service_date(self) -> float | None:
        return self._service_date

    def check(self, prefix: str) -> None:
        with self._errors.of(f"looking into container {self._client.container_name}"):
            pages = self._client.list_blobs(name_starts_with=prefix or None, results_per_page=1).by_page()
            next(pages, None)

    def pages(self, prefix: str, after: str = "", page_size: int = PAGE) -> Iterator[Page]:
        """The library asks and follows the pages, and is asked for names only; the same answers are read here."""
        with self._errors.of(f"listing {prefix}", whole=False):
            asked = self._client.list_blob_names(
                name_starts_with=prefix, include=["metadata"], results_per_page=page_size
            ).by_page(after or None)
            pages, is_first = self._each_in_time(asked), True
            while True:
                self._of_thread.listing = None
                try:
                    names = next(pages, None)
                except Exception as error:
                    if is_first and after and getattr(error, "status_code", None) == 400:
                        raise TokenRefused(
                            f"the listing of {prefix!r} cannot go on from a token that the service does not know",
                            "begin again",
                        ) from error
                    raise
                if names is None:
                    return
                is_first = False
                answer = self._of_thread.listing
                try:
                    blobs = [] if answer is None else list(blobs_of(answer))
                except (ValueError, ElementTree.ParseError) as error:
                    # A size that is no number, an MD5 that is no Base64: damaged on its way to us.
                    raise self._errors.unreadable("a listing") from error
                if len(blobs) != sum(1 for _ in names):
                    raise self._errors.unreadable("a listing")
                yield Page(blobs, str(getattr(asked, "continuation_token", None) or ""))

    def list_level(self, prefix: str, folders: bool = False) -> Iterator[str]:
        with self._errors.of(f"listing {prefix}", whole=False):
            pages = self._client.walk_blobs(name_starts_with=prefix or None, delimiter="/").by_page()
            for page in self._each_in_time(pages):
                for item in page:
                    if folders or not item.name.endswith("/"):
                        yield str(item.name)

    def stat(self, name: str) -> Blob | None:
        check_address(name)
        try:
            with self._errors.of(f"looking for {name}", name):
                found = self._client.get_blob_client(name).get_blob_properties()
        except BlobMissing:
            return None
        md5 = found.content_settings.content_md5
        metadata = lower(found.metadata)
        return Blob(
            name,
            found.size,
            bytes(md5) if md5 else None,
            _etag(found.etag),
            found.blob_tier,
            folder_stub=is_folder_stub(metadata),
            nonce=metadata.get(NONCE_KEY),
            modified=found.last_modified.timestamp() if found.last_modified is not None else None,
            content_type=found.content_settings.content_type,
            version=getattr(found, "version_id", None),
            metadata=metadata,
        )

    def read(
        self,
        name: str,
        etag: str | None = None,
        offset: int = 0,
        most: int | None = None,
        length: int | None = None,
        snapshot: str | None = None,
    ) -> Iterator[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("a range begins at 0 or later and has no negative length")
        check_address(name)
        if length == 0:
            self._must_be(name, etag)
            return
        condition = _only_over(etag) if etag else {}
        if offset or length is not None:
            condition |= {"offset": offset, "length": length}
        with self._told_apart(name, etag), self._errors.of(f"reading {name}", name, whole=False):
            try:
                with deadline.within(self._timeout):
                    # What is stored counts, whatever Content-Encoding somebody gave it; unpacked, it could be of any
                    # size.
                    answer = self._client.get_blob_client(name, snapshot=snapshot).download_blob(
                        max_concurrency=1, decompress=False, **condition
                    )
            except Exception as error:
                if getattr(error, "status_code", None) != 416:
                    raise
                if offset:
                    raise OutOfRange(name, offset) from error
                # It is empty.
                return
            if offset and answer.size <= 0:
                raise OutOfRange(name, offset)
            if most is not None and answer.size > most:
                raise DocumentTooLarge(name, answer.size, most)
            yield from self._each_in_time(answer.chunks())

    def get_dated(self, name: str, most: int) -> Dated | None:
        check_address(name)
        try:
            with self._errors.of(f"reading {name}", name):
                answer = self._client.get_blob_client(name).download_blob(
                    offset=0, length=most, max_concurrency=1, decompress=False
                )
                content = b"".join(answer.chunks())
                found = answer.properties
                written = found.last_modified.timestamp() if found.last_modified is not None else None
                return Dated(content, _etag(found.etag), self._age(written))
        except BlobMissing:
            return None
        except StorageUnavailable as error:
            if getattr(error.__cause__, "status_code", None) != 416:
                raise
        # It has no range, as it is empty.
        empty = self.stat(name)
        return None if empty is None else Dated(b"", empty.etag, self._age(empty.modified))

    def put(
        self,
        name: str,
        data: bytes | IO[bytes],
        size: int,
        md5: bytes,
        content_type: str,
        replaces: str | None,
        hot: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        from azure.storage.blob import ContentSettings, StandardBlobTier

        check_address(name)
        tier: dict[str, Any] = {"standard_blob_tier": StandardBlobTier.HOT} if hot else {}
        settings = ContentSettings(content_type=content_type, content_md5=bytearray(md5))
        try:
            with self._errors.of(f"writing {name}", name):
                answer = self._client.get_blob_client(name).upload_blob(
                    cast(IO[bytes], Checked(name, data, size, md5)),
                    length=size,
                    overwrite=True,
                    validate_content=True,
                    max_concurrency=1,
                    content_settings=settings,
                    metadata=dict(metadata) if metadata else None,
                    **_only_over(replaces),
                    **tier,
                )
            return _etag(answer["etag"])
        except BlobReplaced:
            ours = self.written_before(name, size, md5, metadata)
            if ours is None:
                raise
            return ours

    def append(
        self,
        name: str,
        etag: str | None,
        kept: Sequence[bytes],
        tail: bytes | IO[bytes],
        size: int,
        content_type: str = "application/octet-stream",
        md5: bytes | None = None,
    ) -> Appended:
        from azure.storage.blob import BlobBlock, BlockState

        check_address(name)
        now, committed, left = self._blocks(name, "all")
        if now != etag:
            raise BlobMissing(f"{name} is not there") if now is None else _replaced(name)
        sizes = dict(committed)
        if any(block not in sizes for block in kept):
            raise BlobRefused(f"{name} has no such block to keep", "write it as a whole")
        if len(kept) + -(-size // _BLOCK) > _MOST_BLOCKS:
            raise BlobRefused(f"{name} was appended to too often: a blob has at most {_MOST_BLOCKS:,} blocks")
        stays = self._what_stays(name, etag, content_type, md5)
        new = self._stage(name, Checked(name, tail, size, None), _id_length(name, (*committed, *left)))
        blocks = [BlobBlock(_Id(block), BlockState.COMMITTED) for block in kept]
        blocks += [BlobBlock(_Id(block), BlockState.UNCOMMITTED) for block, _ in new]
        wanted = (*((block, sizes[block]) for block in kept), *new)
        try:
            with self._errors.of(f"appending to {name}", name):
                answer = self._client.get_blob_client(name).commit_block_list(
                    blocks, **stays, **_only_over(etag)
                )
            return Appended(_etag(answer["etag"]), wanted)
        except BlobReplaced:
            with contextlib.suppress(BlobMissing):
                now, there = self.committed_blocks(name)
                if new and there == wanted:
                    # Nobody else has ids of ours: our own first try came through without its answer.
                    return Appended(now, wanted)
            raise

    def _what_stays(
        self, name: str, etag: str | None, content_type: str, md5: bytes | None
    ) -> dict[str, Any]:
        """A list of blocks that is committed drops what is not said with it."""
        from azure.storage.blob import ContentSettings, StandardBlobTier

        digest = bytearray(md5) if md5 is not None else None
        if etag is None:
            return {"content_settings": ContentSettings(content_type=content_type, content_md5=digest)}
        with self._errors.of(f"looking for {name}", name):
            found = self._client.get_blob_client(name).get_blob_properties(**_only_over(etag))
        settings = found.content_settings
        settings.content_md5 = digest
        stays: dict[str, Any] = {"content_settings": settings, "metadata": found.metadata or None}
        if found.blob_tier and not found.blob_tier_inferred:
            stays["standard_blob_tier"] = StandardBlobTier(found.blob_tier)
        return stays

    def _stage(self, name: str, data: Checked, id_length: int) -> list[Block]:
        """New blocks, each with an id that is nobody else's; the service checks the MD5 of each."""
        blob, new = self._client.get_blob_client(name), []
        while chunk := data.read(_BLOCK):
            block = secrets.token_hex(id_length)[:id_length]
            with self._errors.of(f"appending to {name}", name):
                blob.stage_block(block, chunk, length=len(chunk), validate_content=True)
            new.append((block.encode(), len(chunk)))
        return new

    def _blocks(self, name: str, kind: str) -> tuple[str | None, tuple[Block, ...], tuple[Block, ...]]:
        """(ETag, committed ones, others); all of it nothing where nothing of that name is there. The ETag is None
        where nothing is committed."""
        check_address(name)
        try:
            with self._errors.of(f"looking for blocks of {name}", name):
                self._client.get_blob_client(name).get_block_list(kind)
        except BlobMissing:
            return None, (), ()
        answer = self._of_thread.blocks
        try:
            committed, left = blocks_of(answer, "Committed"), blocks_of(answer, "Uncommitted")
        except (ValueError, ElementTree.ParseError) as error:
            raise self._errors.unreadable("a list of blocks") from error
        etag = answer.http_response.headers.get("ETag")
        if etag and not committed:
            # Written as a whole; or never committed: Azurite gives that an ETag, too.
            found = self.stat(name)
            return (None if found is None else found.etag), committed, left
        return (_etag(etag) if etag else None), committed, left

    def committed_blocks(self, name: str) -> tuple[str, tuple[Block, ...]]:
        etag, committed, _ = self._blocks(name, "committed")
        if etag is None:
            raise BlobMissing(f"{name} is not there")
        return etag, committed

    def uncommitted_blocks(self, name: str) -> tuple[Block, ...]:
        return self._blocks(name, "uncommitted")[2]

    def snapshot(self, name: str, etag: str | None = None) -> str:
        check_address(name)
        condition = _only_over(etag) if etag else {}
        what = f"keeping {name} as a snapshot"
        with self._told_apart(name, etag), self._errors.of(what, name):
            return str(self._client.get_blob_client(name).create_snapshot(**condition)["snapshot"])

    def sign_url(
        self, name: str, seconds: float, file_name: str | None = None, version: str | None = None
    ) -> SignedUrl | None:
        check_address(name)
        if not self._signer.can_sign:
            return None
        with self._errors.of(f"signing a URL of {name}"):
            url = str(self._client.get_blob_client(name, version_id=version).url)
            return self._signer.sign(name, url, seconds, file_name, version)

    def _service(self) -> Any:
        """The account's client: it gives the keys of signatures."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(self._endpoint, credential=self._credential, **self._options)

    def _age(self, written: float | None) -> float:
        if written is None or self._clock_ahead is None:
            return 0.0
        return max(0.0, time.time() - self._clock_ahead - written)

    @contextlib.contextmanager
    def _told_apart(self, name: str, etag: str | None) -> Iterator[None]:
        """The service calls a condition on what is not there one that failed."""
        try:
            yield
        except BlobReplaced as error:
            if etag is not None and self.stat(name) is None:
                raise BlobMissing(f"{name} is not there") from error
            raise

    def _must_be(self, name: str, etag: str | None) -> None:
        found = self.stat(name)
        if found is None:
            raise BlobMissing(f"{name} is not there")
        if etag is not None and found.etag != etag:
            raise _replaced(name)

    def _keep(self, answer: Any) -> None:
        """Called for every answer of the service, in the thread that asked: of a listing the last, good one
        counts."""
        date = answer.http_response.headers.get("Date")
        self._service_date = None
        if date:
            self._note_date(date)
        if "comp=blocklist" in answer.http_request.url:
            self._of_thread.blocks = answer
        elif "comp=list" in answer.http_request.url:
            good = answer.http_response.status_code == 200
            self._of_thread.listing = answer if good else None

    def _note_date(self, date: str) -> None:
        with contextlib.suppress(ValueError, TypeError):
            self._service_date = email.utils.parsedate_to_datetime(date).timestamp()
            self._clock_ahead = time.time() - self._service_date

    def _each_in_time(self, answers: Iterator[Any]) -> Iterator[Any]:
        return deadline.each_within(self._timeout, answers)


class DeletingAzureStore(AzureStore):
    """A container that was opened with the right to delete, which its role need not have."""

    def delete(self, name: str, etag: str) -> None:
        check_address(name)
        # Only as it was seen, so that a request which is held back takes no later one away.
        with contextlib.suppress(BlobMissing), self._told_apart(name, etag):
            with self._errors.of(f"deleting {name}", name):
                self._client.delete_blob(name, **_only_over(etag))

    def may_delete(self, name: str) -> None:
        """It is asked to, under a condition that no blob meets."""
        self._must_be(name, None)
        with self._errors.of(f"asking whether {name} may be deleted", name):
            try:
                self._client.delete_blob(name, **_only_over("0x0"))
            except Exception as error:
                if getattr(error, "status_code", None) != 412:
                    raise


class _Id(str):
    """A block id for the library, which encodes text as UTF-8; ids may be any bytes."""

    def __new__(cls, block: bytes) -> "_Id":
        made = super().__new__(cls, block.decode("latin-1"))
        made.block = block
        return made

    block: bytes

    def __str__(self) -> str:
        return self

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.block


def _id_length(name: str, blocks: tuple[Block, ...]) -> int:
    """Bytes. All ids of a blob have one length, those that were never committed included."""
    length = max((len(block) for block, _ in blocks), default=_LENGTH_OF_PUT)
    if length < _SHORTEST_ID:
        raise BlobRefused(
            f"{name} has blocks with ids of {length} bytes, too short for new ones to be unique",
            "write it as a whole",
        )
    return length


def _etag(text: Any) -> str:
    return str(text).strip('"')


def _replaced(name: str) -> BlobReplaced:
    return BlobReplaced(f"{name} was written by another writer since it was listed")


def _only_over(replaces: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions

    if replaces is None:
        return {"match_condition": MatchConditions.IfMissing}
    check_etag(replaces)
    return {"etag": f'"{replaces}"', "match_condition": MatchConditions.IfNotModified}
