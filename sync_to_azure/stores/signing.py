"""URLs by which anybody reads one blob for a while, signed with the account's key or with a key of our login (user
delegation). Secrets stay in here; what is given out reads one blob, and no more.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sync_to_azure.stores.store import SignedUrl

_CLOCKS = 15 * 60.0
"""Seconds by which clocks may differ: a signature is good from so long ago on."""
_KEY_LIFE = 6 * 3600.0
_KEY_LIFE_MOST = 7 * 86400.0 - 3600.0
"""Seconds. The service gives keys for at most seven days."""
_KEY_LEFT = 2 * 3600.0
"""Seconds for which a key must still be good, or another one is asked for."""


class UrlSigner:
    """``credential``: as the SDK takes it; ``service``: the account's client, made when it is needed. Used by
    threads."""

    def __init__(self, credential: Any, is_https: bool, container: str, service: Callable[[], Any]) -> None:
        self._credential = credential
        self._is_https = is_https
        self._container = container
        self._service = service
        self._lock = threading.Lock()
        self._key: Any = None
        self._key_until = 0.0

    @property
    def can_sign(self) -> bool:
        """A SAS that somebody gave us signs nothing further."""
        return isinstance(self._credential, dict) or hasattr(self._credential, "get_token")

    def sign(
        self, name: str, url: str, seconds: float, file_name: str | None, version: str | None
    ) -> SignedUrl:
        """``url``: of the blob, without a signature. Raises what the service raises to a request for a key."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        now = time.time()
        if isinstance(self._credential, dict):
            account = self._credential["account_name"]
            by: dict[str, Any] = {"account_key": self._credential["account_key"]}
            until = now + seconds
        else:
            key, key_until = self._delegation_key(now, seconds)
            account, by = self._service().account_name, {"user_delegation_key": key}
            until = min(now + seconds, key_until)
        if file_name is not None:
            by["content_disposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        if self._is_https:
            by["protocol"] = "https"
        signature = generate_blob_sas(
            account,
            self._container,
            name,
            permission=BlobSasPermissions(read=True),
            start=_utc(now - _CLOCKS),
            expiry=_utc(until),
            version_id=version,
            **by,
        )
        return SignedUrl(url + ("&" if "?" in url else "?") + signature, float(int(until)))

    def _delegation_key(self, now: float, seconds: float) -> tuple[Any, float]:
        with self._lock:
            if self._key is None or self._key_until < now + max(seconds, _KEY_LEFT):
                life = min(max(_KEY_LIFE, seconds + _KEY_LEFT), _KEY_LIFE_MOST)
                self._key = self._service().get_user_delegation_key(_utc(now - _CLOCKS), _utc(now + life))
                self._key_until = now + life
            return self._key, self._key_until


def _utc(moment: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc)
