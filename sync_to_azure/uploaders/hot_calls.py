"""The three calls that carry bytes (Put Blob, Put Block, Put Block List) over a lean HTTP layer.

Promises: a call is repeated when that can help (network, 408, 429, 5xx, a body that the service found damaged), with
``Retry-After`` obeyed, jitter and a limit; it fails at once when it cannot (lease, policy, rights, container gone).
Each call can be repeated by its nature: the same bytes under the same name. What makes a blob (Put Blob, Put Block
List) is conditional: it replaces the blob of a given ETag, or none, so that a call which is held back on its way never
comes over a newer blob. Put Block takes no condition and needs none: what is not committed is nothing. TLS is verified;
proxies of the environment are used. Everything that carries no bytes goes through azure-storage-blob.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol, cast
from urllib.parse import quote, urlsplit

import urllib3

from sync_to_azure import __version__
from sync_to_azure.core.errors import (
    AccessRefused,
    BlobRefused,
    BlobReplaced,
    ConfigurationError,
    Redirected,
    StorageUnavailable,
    UploadFailed,
)
from sync_to_azure.stores.store import check_etag
from sync_to_azure.uploaders.blocks import encoded
from sync_to_azure.uploaders.upload_config import UploadConfig
from sync_to_azure.uploaders.http_lines import lines_to
from sync_to_azure.uploaders.under_way import UnderWay

_log = logging.getLogger(__name__)

API_VERSION = "2023-11-03"
"""Put Block with 4,000 MiB and Content-MD5 are in it; sovereign clouds and Azurite have it."""

_REPEATABLE = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 120.0
_MOST_LINES = 256
"""Through a proxy, which wants to know it: more than any limit on requests at once."""


class Signer(Protocol):
    """How a call is signed: a query to append and headers to send; ``renew`` after the service called it stale."""

    def signature(self) -> tuple[str, Mapping[str, str]]: ...

    def renew(self) -> None: ...


class Pace:
    """``cap-mbps`` (megabits a second) over all senders together: each waits for its bytes' turn."""

    def __init__(self, cap_mbps: float | None) -> None:
        self._rate = cap_mbps * 1e6 / 8 if cap_mbps else 0.0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int, stop: threading.Event) -> None:
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + size / self._rate
        stop.wait(max(0.0, start - now))


class HotCalls:
    """Used by many threads at once, for the jobs and files of a session. Each call is for one that is under way: once
    that has to stop, the call raises UploadFailed."""

    def __init__(self, config: UploadConfig, signer: Signer) -> None:
        self._endpoint = config.endpoint
        self._base = f"{urlsplit(config.endpoint).path}/{config.container}/"
        self._container = config.container
        self._tier = config.access_tier
        self._tries = config.tries
        self._block_check = config.block_check
        self._signer = signer
        self._pace = Pace(config.cap_mbps)
        self._dated = (0, "")
        self._lines = lines_to(config.endpoint, max(_MOST_LINES, config.concurrency or 0), config.timeout)

    def close(self) -> None:
        """Call it when all that is under way has to stop: what is on its way is cut off, so that nothing arrives after
        our end."""
        self._lines.close()

    def cut(self, work: UnderWay) -> None:
        """The same for one, which has to stop by now."""
        self._lines.cut(work)

    def put_blob(
        self, work: UnderWay, blob: str, body: "memoryview | bytes", md5: bytes, replaces: str | None
    ) -> str:
        """Returns the new blob's ETag. ``replaces``: the ETag of the blob that stands there, None if none does. Raises
        BlobReplaced if another one does by now, which may be ours: of a call whose answer was lost."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": _base64(md5)} | self._of_new_blobs()
        return self._call(work, blob, "", headers | _only_over(replaces), body)

    def put_block(self, work: UnderWay, blob: str, identity: bytes, body: "memoryview | bytes") -> None:
        query = f"comp=block&blockid={quote(encoded(identity), safe='')}"
        self._call(work, blob, query, self._check_of_block(body), body)

    def put_block_list(self, work: UnderWay, blob: str, body: bytes, md5: bytes, replaces: str | None) -> str:
        """As ``put_blob``."""
        checked = hashlib.md5(body, usedforsecurity=False).digest()
        headers = {
            "x-ms-blob-content-md5": _base64(md5),
            "Content-MD5": _base64(checked),
        } | self._of_new_blobs()
        return self._call(work, blob, "comp=blocklist", headers | _only_over(replaces), body, counts=False)

    def _check_of_block(self, body: "memoryview | bytes") -> dict[str, str]:
        """A CRC64 is sent in little-endian order (Microsoft, Put Block, ``x-ms-content-crc64``)."""
        crc64 = crc64_for(self._block_check)
        if crc64 is None:
            return {"Content-MD5": _base64(hashlib.md5(body, usedforsecurity=False).digest())}
        return {"x-ms-content-crc64": _base64(crc64(body).to_bytes(8, "little"))}

    def _of_new_blobs(self) -> dict[str, str]:
        headers = {"x-ms-blob-content-type": "application/octet-stream"}
        if self._tier:
            headers["x-ms-access-tier"] = self._tier.capitalize()
        return headers

    def _call(
        self,
        work: UnderWay,
        blob: str,
        query: str,
        headers: Mapping[str, str],
        body: "memoryview | bytes",
        counts: bool = True,
    ) -> str:
        """One call, repeated as far as that can help. Returns the answer's ETag, empty if it has none."""
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            self._pace.wait(len(body), work.stop)
            work.go_on()
            wait = 0.0
            try:
                status, code, retry_after, etag = self._once(work, blob, query, headers, body)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                problem = f"{type(error).__name__}: {_without_query(str(error))}"
            else:
                if status == 201:
                    work.moved(len(body) if counts else 0)
                    return etag
                problem = f"{status} {code}"
                if code in ("AuthenticationFailed", "InvalidAuthenticationInfo") and not renewed:
                    # A token or SAS may have run out under a long file: once anew, without losing a try.
                    renewed = True
                    attempt -= 1
                    self._signer.renew()
                    continue
                if code in ("Md5Mismatch", "InvalidMd5", "Crc64Mismatch"):
                    _log.warning(
                        "%s: the service found %d bytes damaged on the way; sent again", blob, len(body)
                    )
                elif status not in _REPEATABLE:
                    raise self._final(blob, status, code)
                wait = retry_after
            if attempt >= self._tries:
                raise UploadFailed(f"{blob}: {problem}, after {attempt} tries")
            back_off = min(_LONGEST_WAIT, max(wait, min(30.0, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0)))
            _log.debug("%s: %s; again in %.1f s", blob, problem, back_off)
            work.stop.wait(back_off)

    def _once(
        self,
        work: UnderWay,
        blob: str,
        query: str,
        headers: Mapping[str, str],
        body: "memoryview | bytes",
    ) -> tuple[int, str, float, str]:
        signature, signed = self._signer.signature()
        queries = "&".join(part for part in (query, signature) if part)
        target = self._base + quote(blob, safe="/~") + (f"?{queries}" if queries else "")
        every = {
            "x-ms-version": API_VERSION,
            "x-ms-date": self._date(),
            "User-Agent": f"sync_to_azure/{__version__}",
            "Content-Type": "application/octet-stream",
        }
        status, began = 0, time.monotonic()
        try:
            answer = self._lines.put(target, every | dict(headers) | dict(signed), body, work.alive, work)
            status = answer.status
        finally:
            work.gate.answered(len(body), time.monotonic() - began, status)
        code = answer.headers.get("x-ms-error-code", "")
        if not code and answer.status >= 400:
            found = re.search(rb"<Code>([A-Za-z0-9]+)</Code>", answer.body)
            code = found[1].decode() if found else answer.reason
        etag = answer.headers.get("etag", "").strip('"')
        return answer.status, code, _seconds(answer.headers.get("retry-after")), etag

    def _date(self) -> str:
        """Made once a second."""
        now = int(time.time())
        second, text = self._dated
        if second != now:
            text = email.utils.formatdate(now, usegmt=True)
            self._dated = (now, text)
        return text

    def _final(self, blob: str, status: int, code: str) -> Exception:
        if status in (401, 403):
            return AccessRefused(
                f"the service refuses access ({status} {code}) while writing {blob}",
                "check the role assignments, the key or SAS (expired?), this machine's clock",
            )
        if status == 404:
            return StorageUnavailable(f"container {self._container} is gone ({code})", "create it")
        if 300 <= status < 400:
            return Redirected(self._endpoint, status, f"writing {blob}")
        if status < 400 or status == 407 or code in _OF_ALL:
            return StorageUnavailable(
                f"no service answers while writing {blob}: {status} {code}",
                "check blob-endpoint, and the proxy if there is one",
            )
        if code in _NOT_AS_SEEN or status == 412 and code in ("", "Precondition Failed"):
            return BlobReplaced(f"{blob} is another one by now ({status} {code})")
        if code in ("InvalidBlockList", "InvalidBlobOrBlock"):
            return UploadFailed(
                f"{blob}: blocks that were sent no longer exist ({status} {code})", "sent again"
            )
        return BlobRefused(f"{blob}: the service refuses for good ({status} {code})", _ADVICE.get(code, ""))


_OF_ALL = ("ContainerBeingDeleted", "ContainerDisabled", "AccountBeingCreated")
"""As ``lake``: refusals with 409 that are no single blob's."""
_NOT_AS_SEEN = ("ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists")
_ADVICE = {
    "LeaseIdMissing": "this blob has a lease: break it, or wait",
    "BlobImmutableDueToPolicy": "an immutability policy protects this blob: it cannot be replaced before it ends",
    "BlobArchived": "the blob is in the archive tier: rehydrate it first",
}


def _seconds(retry_after: str | None) -> float:
    """``Retry-After`` in seconds; as a date or absent: 0."""
    try:
        return min(_LONGEST_WAIT, max(0.0, float(retry_after or 0)))
    except ValueError:
        return 0.0


def crc64_for(block_check: str) -> "Callable[[memoryview | bytes], int] | None":
    """None: MD5. Raises ConfigurationError for a CRC64 that nothing here computes.

    Asked for each block, and not before the first: the library takes 0.05 s to load, and small files need none.
    """
    if block_check == "md5":
        return None
    try:
        # The service's CRC64 is that of NVMe: 55 GB/s without Python's lock, where an MD5 does 0.8.
        from awscrt.checksums import crc64nvme
    except ImportError:
        if block_check == "auto":
            return None
        raise ConfigurationError(
            "block-check = crc64 needs the extra 'fast': pip install 'sync_to_azure[fast]'"
        ) from None
    return cast("Callable[[memoryview | bytes], int]", crc64nvme)


def _only_over(replaces: str | None) -> dict[str, str]:
    if replaces is None:
        return {"If-None-Match": "*"}
    check_etag(replaces)
    return {"If-Match": f'"{replaces}"'}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _without_query(text: str) -> str:
    """Errors of the HTTP layer name the address, and with it a SAS."""
    return re.sub(r"\?[^\s'\")]*", "?…", text)
