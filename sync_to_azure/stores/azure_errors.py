"""The Azure library's errors as ours, each with what to do. Every error of it is turned into one of ours here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sync_to_azure.core import deadline
from sync_to_azure.core.errors import (
    AccessRefused,
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    ConfigurationError,
    Redirected,
    StorageUnavailable,
    SyncError,
)
from sync_to_azure.stores.store_config import StoreConfig

_OF_ALL = frozenset({"ContainerBeingDeleted", "ContainerDisabled", "AccountBeingCreated"})
"""Refusals that are no single blob's
(https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes)."""
_NOT_AS_SEEN = frozenset({"ConditionNotMet", "BlobAlreadyExists", "TargetConditionNotMet"})


class Errors:
    def __init__(self, config: StoreConfig) -> None:
        self._config = config

    @contextlib.contextmanager
    def of(self, what: str, blob: str | None = None, whole: bool = True) -> Iterator[None]:
        """Each request is answered in full within ``timeout``. Not ``whole``: what is done between two answers is no
        part of that; they are asked for within a time of their own."""
        from azure.core import exceptions

        config = self._config
        try:
            with deadline.within(config.timeout) if whole else contextlib.nullcontext():
                yield
        except deadline.TooSlow as error:
            raise StorageUnavailable(
                f"{config.endpoint} answers too slowly while {what}: not in full within {config.timeout:g} s",
                "check the network; timeout says how long one answer, at most 4 MiB of data, may take",
            ) from error
        except exceptions.ClientAuthenticationError as error:
            # azure-identity calls it a refusal too when nobody answered where tokens are given.
            if isinstance(error.__cause__, (exceptions.ServiceRequestError, exceptions.ServiceResponseError)):
                raise StorageUnavailable(
                    f"no token was issued while {what}, {config.authority} cannot be reached: {_first_line(error)}",
                    "check the network, the proxy's certificate (REQUESTS_CA_BUNDLE) and authority-host",
                ) from error
            raise AccessRefused(
                f"{config.endpoint} refuses the credentials while {what}: {_first_line(error)}",
                "check tenant-id, application-id, credentials (expired?), the account's name, and this machine's clock",
            ) from error
        except exceptions.HttpResponseError as error:
            raise self._of_answer(error, what, blob) from error
        except exceptions.AzureError as error:
            raise StorageUnavailable(
                f"{config.endpoint} cannot be reached while {what}: {_first_line(error)}",
                "check the network, the account's name and blob-endpoint",
            ) from error
        except (UnicodeDecodeError, exceptions.DeserializationError) as error:
            # It came from there, and not from us.
            raise StorageUnavailable(
                f"{config.endpoint} answers with what cannot be read while {what}: {_first_line(error)}",
                "retried in the next pass",
            ) from error
        except (ValueError, TypeError) as error:
            # The SDK refuses a malformed key, SAS or URL with these while it signs.
            raise ConfigurationError(
                f"the credentials or the endpoint {config.endpoint} are malformed: {_first_line(error)}",
                "check credentials, storage-account and blob-endpoint",
            ) from error

    def unreadable(self, what: str) -> StorageUnavailable:
        return StorageUnavailable(
            f"{self._config.endpoint} answers with {what} that cannot be read", "retried in the next pass"
        )

    def _of_answer(self, error: Any, what: str, blob: str | None) -> SyncError:
        endpoint, status, code = self._config.endpoint, error.status_code or 0, code_of(error)
        if status == 404 and "container" in code.lower().replace("_", ""):
            return StorageUnavailable(
                f"container {self._config.container} is not there at {endpoint}",
                "create it or correct container-name",
            )
        if status == 404 and blob is not None:
            return BlobMissing(f"{blob} is not there")
        if status in (401, 403):
            return AccessRefused(
                f"{endpoint} refuses access ({code or status}) while {what}",
                "check the key or SAS (expired?), the role assignments, the account's firewall, this machine's clock",
            )
        if status == 409 and (blob is None or code in _OF_ALL):
            return StorageUnavailable(
                f"{endpoint} answers 409 {code} while {what}",
                "the container or the account is being changed or deleted; retried in the next pass",
            )
        if blob is not None and is_not_as_seen(error):
            return BlobReplaced(f"{blob} was written by another writer since it was listed")
        if status in (409, 412):
            return BlobRefused(
                f"the service refuses ({status} {code}) while {what}",
                "a lease, an immutability policy, or another writer at the same time",
            )
        if blob is not None and (status, code) == (400, "InvalidBlobOrBlock"):
            return BlobRefused(
                f"{blob} cannot be written in blocks: another upload left some with longer or shorter ids",
                "the service drops them after a week; a small blob of that name clears them",
            )
        if 300 <= status < 400:
            return Redirected(endpoint, status, what)
        if 200 <= status < 300:
            # The library could make nothing of it.
            return StorageUnavailable(
                f"{endpoint} answers with what cannot be read while {what}", "retried in the next pass"
            )
        if status in (404, 400):
            return StorageUnavailable(
                f"{endpoint} answers {status} {code} while {what}", "check storage-account and blob-endpoint"
            )
        return StorageUnavailable(
            f"{endpoint} answers {status} {code} while {what}", "retried in the next pass"
        )


def is_not_as_seen(error: Any) -> bool:
    """Did the condition of a request fail, and nothing else?"""
    return error.status_code in (409, 412) and code_of(error) in _NOT_AS_SEEN


def code_of(error: Any) -> str:
    """The service's own word for an error; the library makes members of an enumeration of those that it knows."""
    code = getattr(error, "error_code", None) or error.reason or ""
    return str(getattr(code, "value", code))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
