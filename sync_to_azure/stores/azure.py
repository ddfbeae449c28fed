"""The container: listing, small writes that the service checks, reading back. No data is deleted here: ``withdraw``
takes a marker away, ``remove_probe`` what ``check`` wrote.

Promises: ``put`` is all or nothing, and the service checked every byte (``validated``); ``listing`` yields each blob
once, in no agreed order; errors come out as ours, with what to do. Every call may be repeated.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.utils
import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree

from sync_to_azure import __version__
from sync_to_azure.core import bounded, deadline
from sync_to_azure.core.errors import (
    AccessRefused,
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    ConfigurationError,
    DocumentTooLarge,
    Redirected,
    StorageUnavailable,
    SyncError,
)
from sync_to_azure.core.model import NONCE_KEY, Blob
from sync_to_azure.core.names import OURS_PREFIX

if TYPE_CHECKING:
    from sync_to_azure.stores.login import Identity
    from sync_to_azure.stores.config import StoreConfig

_CHUNK = 4 * 1024 * 1024
_PAGE = 5000
_LONGEST_LINE = 1024 * 1024
PROBE_FOLDER = f"{OURS_PREFIX}-check"
"""Where ``check`` writes its probes at the destination. No run has this name."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Dated:
    """The beginning of a blob. ``age``: seconds since the service saw it written, by the service's own clock; 0 where
    it does not say what time it is."""

    content: bytes
    etag: str
    age: float


class AzureStore:
    """One container. azure-storage-blob is imported when the first AzureStore is made: idle passes never pay for it."""

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
        self._container = config.container
        self._answers: list[Any] = []
        self._of_thread = threading.local()
        self.clock_ahead: float | None = None
        """Seconds that this machine's clock is ahead of the service's, by its last answer; whole seconds are told."""
        self.service_date: float | None = None
        """The service's date in its last answer, in seconds since 1970; None if that told none."""
        self._authority = config.authority
        with self._errors("signing in"):
            self._client = ContainerClient(
                config.endpoint,
                config.container,
                credential=identity.for_sdk(),
                retry_policy=ExponentialRetry(
                    initial_backoff=1,
                    increment_base=2,
                    retry_total=min(config.tries, 3),
                    random_jitter_range=1,
                ),
                transport=transport,
                max_single_put_size=_CHUNK,
                max_block_size=_CHUNK,
                max_single_get_size=_CHUNK,
                max_chunk_get_size=_CHUNK,
                user_agent=f"sync_to_azure/{__version__}",
                # A storage account redirects nobody; the key's signature, a SAS or a token would go to another host.
                permit_redirects=False,
                # Here, not at the call: of a call the library forgets it as soon as one attempt breaks off.
                raw_response_hook=self._keep,
            )

    def check(self, prefix: str) -> None:
        """Does the container answer, with our rights? Raises StorageUnavailable or AccessRefused."""
        with self._errors(f"looking into container {self._container}"):
            pages = self._client.list_blobs(name_starts_with=prefix or None, results_per_page=1).by_page()
            next(pages, None)

    def list(self, prefix: str) -> Iterator[Blob]:
        """Every blob whose name starts with ``prefix``, a page of 5,000 at a time.

        The library asks and follows the pages; its own reading of an entry into a BlobProperties costs 0.2 ms, which
        are minutes for a million files. So it is asked for names only, and the same answers are read here.
        """
        with self._errors(f"listing {prefix}", whole=False):
            pages = self._each_in_time(
                self._client.list_blob_names(
                    name_starts_with=prefix, include=["metadata"], results_per_page=_PAGE
                ).by_page()
            )
            while True:
                self._answers = []
                names = next(pages, None)
                if names is None:
                    return
                try:
                    blobs = [blob for answer in self._answers for blob in _blobs(answer)]
                except (ValueError, ElementTree.ParseError):
                    # A size that is no number, an MD5 that is no Base64: damaged on its way to us.
                    blobs = []
                if len(blobs) != sum(1 for _ in names):
                    raise StorageUnavailable(
                        f"{self._endpoint} answers with a listing that cannot be read",
                        "tried again next time",
                    )
                yield from blobs

    def list_level(self, prefix: str) -> Iterator[str]:
        """Names of the blobs that stand at ``prefix`` itself (DEST/, or empty), not in folders below it."""
        with self._errors(f"listing {prefix}", whole=False):
            pages = self._client.walk_blobs(name_starts_with=prefix or None, delimiter="/").by_page()
            for page in self._each_in_time(pages):
                for item in page:
                    if not item.name.endswith("/"):
                        yield str(item.name)

    def _keep(self, answer: Any) -> None:
        """Called for every answer of the service: of a listing the last, good one counts."""
        date = answer.http_response.headers.get("Date")
        self.service_date = None
        if date:
            self._note_date(date)
        if "comp=blocklist" in answer.http_request.url:
            self._of_thread.blocks = answer
        elif "comp=list" in answer.http_request.url:
            good = answer.http_response.status_code == 200
            self._answers = [answer] if good else []

    def _note_date(self, date: str) -> None:
        with contextlib.suppress(ValueError, TypeError):
            self.service_date = email.utils.parsedate_to_datetime(date).timestamp()
            self.clock_ahead = time.time() - self.service_date

    def put(
        self,
        name: str,
        data: bytes | IO[bytes],
        size: int,
        md5: bytes,
        content_type: str,
        replaces: str | None,
        hot: bool = False,
    ) -> str:
        """Write one blob; returns its ETag. The service checks every part's MD5.

        ``replaces``: the ETag of what may be replaced, None if nothing may stand there. Raises BlobReplaced if
        something else does, unless it reads back as the very bytes that were to be written: then our own first try came
        through without its answer. ``hot``: in the hot tier, where the account has tiers, whatever its default is.
        """
        from azure.core import exceptions
        from azure.storage.blob import ContentSettings, StandardBlobTier

        tier: dict[str, Any] = {"standard_blob_tier": StandardBlobTier.HOT} if hot else {}

        with self._errors(f"writing {name}", name):
            try:
                answer = self._client.get_blob_client(name).upload_blob(
                    data,
                    length=size,
                    overwrite=True,
                    validate_content=True,
                    max_concurrency=1,
                    content_settings=ContentSettings(content_type=content_type, content_md5=bytearray(md5)),
                    **_only_over(replaces),
                    **tier,
                )
            except (exceptions.ResourceModifiedError, exceptions.ResourceExistsError) as error:
                if _code(error) not in _NOT_AS_SEEN:
                    raise
                stands = self.stat(name)
                # Its size first: what somebody else wrote may be large.
                is_same = stands is not None and (stands.size, stands.md5) == (size, md5)
                if stands is None or not is_same or self.md5_of(name, stands.etag) != md5:
                    raise BlobReplaced(
                        f"{name} was written by somebody else since it was looked at"
                    ) from error
                return stands.etag
            return str(answer["etag"]).strip('"')

    def stat(self, name: str) -> Blob | None:
        """One blob as it is now, or None if it is not there."""
        try:
            with self._errors(f"looking for {name}", name):
                found = self._client.get_blob_client(name).get_blob_properties()
        except BlobMissing:
            return None
        md5 = found.content_settings.content_md5
        return Blob(name, found.size, bytes(md5) if md5 else None, str(found.etag).strip('"'))

    def get(self, name: str, most: int = bounded.MOST_DOCUMENT) -> bytes | None:
        """A small blob, whole, or None if it is not there. Raises DocumentTooLarge."""
        try:
            return b"".join(self.read(name, most=most))
        except BlobMissing:
            return None

    def get_dated(self, name: str, most: int) -> Dated | None:
        """The first ``most`` bytes of a blob and how old it is, or None if it is not there."""
        try:
            with self._errors(f"reading {name}", name):
                answer = self._client.get_blob_client(name).download_blob(
                    offset=0, length=most, max_concurrency=1, decompress=False
                )
                content = b"".join(answer.chunks())
                found = answer.properties
                written = found.last_modified.timestamp() if found.last_modified is not None else None
        except BlobMissing:
            return None
        age = 0.0
        if written is not None and self.clock_ahead is not None:
            age = time.time() - self.clock_ahead - written
        return Dated(content, str(found.etag).strip('"'), max(0.0, age))

    def read(
        self,
        name: str,
        etag: str | None = None,
        offset: int = 0,
        most: int | None = None,
        length: int | None = None,
    ) -> Iterator[bytes]:
        """The blob in chunks, from byte ``offset`` on, which must lie within it, up to ``length`` bytes; with ``etag``
        only that version. Raises BlobMissing (a SyncError) if it is not there, DocumentTooLarge if it has more than
        ``most`` bytes.
        """
        from azure.core import MatchConditions

        condition: dict[str, Any] = {}
        if etag:
            condition = {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}
        with self._errors(f"reading {name}", name, whole=False):
            if offset or length is not None:
                condition |= {"offset": offset, "length": length}
            with deadline.within(self._timeout):
                # What is stored counts, whatever Content-Encoding somebody gave it; unpacked, it could be of any size.
                answer = self._client.get_blob_client(name).download_blob(
                    max_concurrency=1, decompress=False, **condition
                )
            if most is not None and answer.size > most:
                raise DocumentTooLarge(name, answer.size, most)
            yield from self._each_in_time(answer.chunks())

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a manifest, without their ends; one above 1 MiB, which is none of ours, comes in pieces. Raises
        BlobMissing, DocumentTooLarge."""
        rest = b""
        for chunk in self.read(name, most=bounded.MOST_MANIFEST):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_LINE:
                yield rest
                rest = b""
        if rest:
            yield rest

    def uncommitted_blocks(self, name: str) -> Sequence[tuple[bytes, int]]:
        """(id, size) of blocks that an upload left behind, none if nothing of that name is there. The answer is read
        here: the library makes text of ids, which may be any bytes."""
        try:
            with self._errors(f"looking for blocks of {name}", name):
                self._client.get_blob_client(name).get_block_list("uncommitted")
        except BlobMissing:
            return []
        try:
            return list(_blocks(self._of_thread.blocks))
        except (ValueError, ElementTree.ParseError) as error:
            raise StorageUnavailable(
                f"{self._endpoint} answers with a list of blocks that cannot be read", "tried again next time"
            ) from error

    def md5_of(self, name: str, etag: str) -> bytes:
        """Read one version of a blob back and hash it: the strongest evidence."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.read(name, etag):
            digest.update(chunk)
        return digest.digest()

    def exists(self, name: str) -> bool:
        with self._errors(f"looking for {name}", name):
            return bool(self._client.get_blob_client(name).exists())

    def modified(self, name: str) -> float | None:
        """When the service saw a blob written last, in seconds since 1970 by its own clock; None if it is not there."""
        try:
            with self._errors(f"looking for {name}", name):
                return float(
                    self._client.get_blob_client(name).get_blob_properties().last_modified.timestamp()
                )
        except BlobMissing:
            return None

    def remove_probe(self, name: str, etag: str) -> bool:
        """Delete a blob that ``check`` wrote, while it is the one that has this ETag; False where the service refuses
        (a right that nothing else needs), or it is another one by now."""
        from azure.core import MatchConditions

        if f"{PROBE_FOLDER}/" not in name:
            raise ValueError(f"{name} is no probe")
        condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            with self._errors(f"deleting {name}", name):
                self._client.delete_blob(name, **condition)
        except BlobMissing:
            return True
        except (AccessRefused, BlobRefused):
            return False
        return True

    def may_withdraw(self, name: str) -> None:
        """Have we the right to delete this blob? It is asked to, under a condition that no blob meets; nothing changes.
        Raises AccessRefused; BlobMissing if it is not there."""
        from azure.core import MatchConditions

        condition: dict[str, Any] = {"etag": '"0x0"', "match_condition": MatchConditions.IfNotModified}
        with self._errors(f"asking whether {name} may be deleted", name):
            try:
                self._client.delete_blob(name, **condition)
            except Exception as error:
                if getattr(error, "status_code", None) != 412:
                    raise

    def withdraw(self, name: str) -> None:
        """Delete a marker, after a person accepted that what it vouches for is replaced. None there: nothing to do.
        Only as it stands now, so that a request which is held back takes no later one away. Raises BlobRefused if
        somebody else wrote it in between."""
        from azure.core import MatchConditions

        stands = self.stat(name)
        if stands is None:
            return
        condition: dict[str, Any] = {
            "etag": f'"{stands.etag}"',
            "match_condition": MatchConditions.IfNotModified,
        }
        with contextlib.suppress(BlobMissing), self._errors(f"deleting {name}", name):
            self._client.delete_blob(name, **condition)

    def snapshot(self, name: str, etag: str | None = None) -> str:
        """Keep the blob's bytes as they are now under its name; returns the snapshot's time, which names it. They stay
        when the blob is written over. Raises BlobMissing; with ``etag`` BlobReplaced where it has another by now.
        """
        from azure.core import exceptions

        condition = _only_over(etag) if etag else {}
        with self._errors(f"keeping {name} as a snapshot", name):
            try:
                return str(self._client.get_blob_client(name).create_snapshot(**condition)["snapshot"])
            except exceptions.ResourceModifiedError as error:
                if _code(error) not in _NOT_AS_SEEN:
                    raise
                raise BlobReplaced(f"{name} was written by somebody else just now") from error

    def _each_in_time(self, answers: Iterator[Any]) -> Iterator[Any]:
        return deadline.each_within(self._timeout, answers)

    @contextlib.contextmanager
    def _errors(self, what: str, blob: str | None = None, whole: bool = True) -> Iterator[None]:
        """Each request is answered in full within ``timeout``. Not ``whole``: what is done between two answers is no
        part of that; they are asked for by ``_each_in_time``."""
        from azure.core import exceptions

        try:
            with deadline.within(self._timeout) if whole else contextlib.nullcontext():
                yield
        except deadline.TooSlow as error:
            raise StorageUnavailable(
                f"{self._endpoint} answers too slowly while {what}: not in full within {self._timeout:g} s",
                "check the network; timeout says how long one answer, at most 4 MiB of data, may take",
            ) from error
        except exceptions.ClientAuthenticationError as error:
            # azure-identity calls it a refusal too when nobody answered where tokens are given.
            if isinstance(error.__cause__, (exceptions.ServiceRequestError, exceptions.ServiceResponseError)):
                raise StorageUnavailable(
                    f"no token could be had while {what}, {self._authority} cannot be reached: {_first_line(error)}",
                    "check the network, the proxy's certificate (REQUESTS_CA_BUNDLE) and authority-host",
                ) from error
            raise AccessRefused(
                f"{self._endpoint} refuses our credentials while {what}: {_first_line(error)}",
                "check tenant-id, application-id, credentials (expired?), the account's name, and this machine's clock",
            ) from error
        except exceptions.HttpResponseError as error:
            raise self._of_answer(error, what, blob) from error
        except exceptions.AzureError as error:
            raise StorageUnavailable(
                f"{self._endpoint} cannot be reached while {what}: {_first_line(error)}",
                "check the network, the account's name and blob-endpoint",
            ) from error
        except (UnicodeDecodeError, exceptions.DeserializationError) as error:
            # It came from there, and not from us.
            raise StorageUnavailable(
                f"{self._endpoint} answers with what cannot be read while {what}: {_first_line(error)}",
                "tried again next time",
            ) from error
        except (ValueError, TypeError) as error:
            # The SDK refuses a malformed key, SAS or URL with these while it signs.
            raise ConfigurationError(
                f"the credentials or the endpoint {self._endpoint} are malformed: {_first_line(error)}",
                "check credentials, storage-account and blob-endpoint",
            ) from error

    def _of_answer(self, error: Any, what: str, blob: str | None) -> SyncError:
        status = error.status_code or 0
        code = _code(error)
        if status == 404 and "container" in code.lower().replace("_", ""):
            return StorageUnavailable(
                f"container {self._container} is not there at {self._endpoint}",
                "create it or correct container-name",
            )
        if status == 404 and blob is not None:
            return BlobMissing(f"{blob} is not there")
        if status in (401, 403):
            return AccessRefused(
                f"{self._endpoint} refuses us ({code or status}) while {what}",
                "check the key or SAS (expired?), the role assignments, the account's firewall, this machine's clock",
            )
        if status == 409 and (blob is None or code in _OF_ALL):
            return StorageUnavailable(
                f"{self._endpoint} answers 409 {code} while {what}",
                "the container or the account is being changed or deleted; tried again next time",
            )
        if status in (409, 412):
            return BlobRefused(
                f"the service refuses ({status} {code}) while {what}",
                "a lease, an immutability policy, or somebody else who writes there at the same time",
            )
        if 300 <= status < 400:
            return Redirected(self._endpoint, status, what)
        if 200 <= status < 300:
            # The library could make nothing of it.
            return StorageUnavailable(
                f"{self._endpoint} answers with what cannot be read while {what}", "tried again next time"
            )
        if status in (404, 400):
            return StorageUnavailable(
                f"{self._endpoint} answers {status} {code} while {what}",
                "check storage-account and blob-endpoint",
            )
        return StorageUnavailable(
            f"{self._endpoint} answers {status} {code} while {what}", "tried again next time"
        )


def probe_folder(destination: str) -> str:
    return f"{destination}/{PROBE_FOLDER}" if destination else PROBE_FOLDER


def _blobs(answer: Any) -> Iterator[Blob]:
    """The entries of one answer to List Blobs. The library read it into a tree and keeps that with the answer; if it
    ever does not, it is read here."""
    tree = answer.context.get("deserialized_data")
    if not isinstance(tree, ElementTree.Element):
        tree = ElementTree.fromstring(answer.http_response.body())
    return map(_blob, tree.iter("Blob"))


def _blocks(answer: Any) -> Iterator[tuple[bytes, int]]:
    """The blocks of one answer to Get Block List that are not committed."""
    tree = answer.context.get("deserialized_data")
    if not isinstance(tree, ElementTree.Element):
        tree = ElementTree.fromstring(answer.http_response.body())
    for block in tree.iterfind("UncommittedBlocks/Block"):
        yield base64.b64decode(block.findtext("Name") or ""), int(block.findtext("Size") or 0)


def _blob(element: ElementTree.Element) -> Blob:
    name, properties, metadata = element.find("Name"), element.find("Properties"), element.find("Metadata")
    if name is None or properties is None:
        raise StorageUnavailable("an entry of the listing has no name or no properties")
    facts = {fact.tag: fact.text for fact in properties}
    text, md5 = name.text or "", facts.get("Content-MD5")
    stub, nonce = False, None
    for each in () if metadata is None else metadata:
        stub |= each.tag.lower() == "hdi_isfolder" and each.text == "true"
        if each.tag.lower() == NONCE_KEY:
            nonce = each.text
    return Blob(
        # What XML cannot hold is percent-encoded, and marked so.
        unquote(text) if name.get("Encoded") == "true" else text,
        int(facts.get("Content-Length") or 0),
        base64.b64decode(md5) if md5 else None,
        facts.get("Etag") or "",
        facts.get("AccessTier"),
        folder_stub=stub,
        nonce=nonce,
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _code(error: Any) -> str:
    """The service's own word for an error; the library makes members of an enumeration of those that it knows."""
    code = getattr(error, "error_code", None) or error.reason or ""
    return str(getattr(code, "value", code))


_OF_ALL = frozenset({"ContainerBeingDeleted", "ContainerDisabled", "AccountBeingCreated"})
"""Refusals that are no single blob's
(https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes)."""
_NOT_AS_SEEN = frozenset({"ConditionNotMet", "BlobAlreadyExists", "TargetConditionNotMet"})


def _only_over(replaces: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions

    if replaces is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{replaces}"', "match_condition": MatchConditions.IfNotModified}
