"""Who we are at the service: a credential for the SDK, login variables or a short-lived SAS for AzCopy.

Nothing here is written down; secrets leave this room only to the SDK and to AzCopy's environment (or, with ``sas`` and
``account-key``, to its arguments: AzCopy takes those in no other way).
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from sync_to_azure.core import deadline
from sync_to_azure.core.errors import AccessRefused, StorageUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from sync_to_azure.stores.store_config import LoginConfig

SCOPE = "https://storage.azure.com/.default"
SAS_LIFE = datetime.timedelta(hours=4)
"""A SAS of ours is good for so long; a longer AzCopy job is stopped in time and goes on under a new one."""

TOKEN_LIFE = 24 * 3600.0
"""Upper bound, in seconds, of a token of Microsoft Entra ID for Azure Storage: 60 to 90 minutes for applications and
users, 24 hours for managed identities (Microsoft: Configurable token lifetimes; Managed identities FAQ). AzCopy
requests its tokens itself, so their expiry is not known to us."""
NEVER = 253_370_764_800.0
"""9999-01-01: the expiry of a SAS that does not say when it ends (its stored access policy does)."""
_EXPIRY_MARGIN = 900.0
"""Seconds. Clocks differ (5 minutes are tolerated), and the service checks a credential when a request begins."""

_TOKEN_MARGIN = 300.0
_TOKEN_TIME = 60.0
"""Seconds in which each answer of the login service is there in full."""
_SAS_SHARE = 0.8

_IMDS = ("169.254.169.254", 80)

_CHOICE = "AZURE_TOKEN_CREDENTIALS"
_CHOICES = {
    "": ("WORKLOAD", "MSI", "AZCLI"),
    "prod": ("WORKLOAD", "MSI"),
    "dev": ("AZCLI",),
    "workloadidentitycredential": ("WORKLOAD",),
    "managedidentitycredential": ("MSI",),
    "azureclicredential": ("AZCLI",),
}
"""azure-identity's own variable, in small letters, for machines with more than one identity."""


class Identity(Protocol):
    def for_sdk(self) -> Any:
        """What azure-storage-blob takes as credential."""

    def azcopy_environment(self) -> dict[str, str]:
        """AzCopy's documented login variables, or none."""

    def azcopy_query(self) -> tuple[str, float | None]:
        """The SAS to append to AzCopy's URLs (or an empty string), and its life in seconds if it is ours."""

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        """When what AzCopy is given at ``now`` can no longer be used, in seconds since 1970; and the life in seconds of
        a token that it may request itself at any time while it runs, 0 if it cannot."""

    def forget(self) -> None:
        """The service called a token stale: ``for_sdk`` must not give one that was kept."""


class ServicePrincipal:
    def __init__(self, config: "LoginConfig") -> None:
        self._config = config

    def for_sdk(self) -> "TokenCredential":
        from azure.identity import ClientSecretCredential

        config = self._config
        extra: dict[str, Any] = {}
        if config.authority_host:
            # A private or sovereign authority is named by the user: nobody else is asked whether it is one.
            extra = {"authority": config.authority_host, "disable_instance_discovery": True}
        credential = ClientSecretCredential(
            config.tenant_id or "",
            config.application_id or "",
            config.secret,
            transport=_transport(),
            **extra,
        )
        # Asked now, and kept by the credential: later the storage's client would take a refusal for a bad line and
        # ask again and again.
        with _in_time():
            credential.get_token(SCOPE)
        return credential

    def azcopy_environment(self) -> dict[str, str]:
        config = self._config
        variables = {
            "AZCOPY_AUTO_LOGIN_TYPE": "SPN",
            "AZCOPY_TENANT_ID": config.tenant_id or "",
            "AZCOPY_SPA_APPLICATION_ID": config.application_id or "",
            "AZCOPY_SPA_CLIENT_SECRET": config.secret,
        }
        if config.authority_host:
            host = config.authority_host
            variables["AZCOPY_ACTIVE_DIRECTORY_ENDPOINT"] = host if "://" in host else f"https://{host}"
        return variables

    def azcopy_query(self) -> tuple[str, float | None]:
        return "", None

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        return _token_expiry(now)

    def forget(self) -> None:
        """Nothing is kept here: each credential has a cache of its own."""


class DefaultChain:
    """azure-identity's chain; the first member that gives a token is the one that AzCopy is told to use."""

    def __init__(self, config: "LoginConfig") -> None:
        self._config = config
        self._chosen: tuple[Any, str] | None = None

    def _choose(self) -> tuple[Any, str]:
        if self._chosen is None:
            refusals = []
            for kind, credential in self._members():
                try:
                    with _in_time():
                        credential.get_token(SCOPE)
                except Exception as error:  # each member raises errors of its own; the next one is asked
                    refusals.append(
                        f"{kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
                    )
                    continue
                self._chosen = credential, kind
                break
            else:
                raise AccessRefused(
                    "no identity gave a token: "
                    + ("; ".join(refusals) or "none is configured on this machine"),
                    "give tenant-id, application-id and credentials, run 'az login', or assign a managed identity",
                )
        return self._chosen

    def _members(self) -> "list[tuple[str, TokenCredential]]":
        import azure.identity as identity

        extra: dict[str, Any] = {}
        if self._config.authority_host:
            extra = {"authority": self._config.authority_host, "disable_instance_discovery": True}
        chosen = os.environ.get(_CHOICE, "")
        if chosen.lower() not in _CHOICES:
            raise AccessRefused(
                f"{_CHOICE} is {chosen!r}, which is none of the logins of auth = default",
                f"unset it, or give one of {', '.join(filter(None, _CHOICES))}",
            )
        wanted = _CHOICES[chosen.lower()]
        members: list[tuple[str, Any]] = []
        client = self._client_id()
        if "WORKLOAD" in wanted and os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
            tenant = self._config.tenant_id
            members.append(
                (
                    "WORKLOAD",
                    identity.WorkloadIdentityCredential(
                        client_id=client, tenant_id=tenant, transport=_transport(), **extra
                    ),
                )
            )
        if "MSI" in wanted and (
            os.environ.get("IDENTITY_ENDPOINT") or os.environ.get("MSI_ENDPOINT") or _imds_answers()
        ):
            members.append(
                ("MSI", identity.ManagedIdentityCredential(client_id=client, transport=_transport()))
            )
        if "AZCLI" in wanted and shutil.which("az"):
            members.append(("AZCLI", identity.AzureCliCredential()))
        return members

    def _client_id(self) -> str | None:
        """Which identity, where a machine has more than one: azure-identity's own chain reads that variable too."""
        return self._config.application_id or os.environ.get("AZURE_CLIENT_ID") or None

    def for_sdk(self) -> Any:
        return self._choose()[0]

    def azcopy_environment(self) -> dict[str, str]:
        kind, client, tenant = self._choose()[1], self._client_id(), self._config.tenant_id
        variables = {"AZCOPY_AUTO_LOGIN_TYPE": kind}
        if tenant:
            variables["AZCOPY_TENANT_ID"] = tenant
        if kind == "MSI" and client:
            variables["AZCOPY_MSI_CLIENT_ID"] = client
        if kind == "WORKLOAD":
            # AzCopy reads those of the workload identity's webhook.
            given = {"AZURE_CLIENT_ID": client, "AZURE_TENANT_ID": tenant}
            variables |= {name: value for name, value in given.items() if value}
        return variables

    def azcopy_query(self) -> tuple[str, float | None]:
        return "", None

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        return _token_expiry(now)

    def forget(self) -> None:
        self._chosen = None


def _transport() -> Any:
    from azure.core.pipeline.transport import RequestsTransport

    transport = RequestsTransport(connection_timeout=20.0, read_timeout=_TOKEN_TIME)
    transport.open()
    deadline.watch_session(transport.session)
    return transport


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    try:
        with deadline.within(_TOKEN_TIME):
            yield
    except deadline.TooSlow as error:
        raise StorageUnavailable(
            f"the login service answers too slowly: not in full within {_TOKEN_TIME:g} s", "check the network"
        ) from error


def _imds_answers() -> bool:
    """Is there the metadata service of an Azure VM? Asked with one short connection, not with minutes of retries."""
    try:
        with socket.create_connection(_IMDS, timeout=1.0):
            return True
    except OSError:
        return False


class SharedAccessSignature:
    """A SAS that the user holds."""

    def __init__(self, config: "LoginConfig") -> None:
        self._sas = (config.secret).lstrip("?")

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        end = sas_end(self._sas)
        return (NEVER if end is None else min(end + _EXPIRY_MARGIN, NEVER)), 0.0

    def for_sdk(self) -> Any:
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(self._sas)

    def azcopy_environment(self) -> dict[str, str]:
        return {}

    def azcopy_query(self) -> tuple[str, float | None]:
        return self._sas, None

    def forget(self) -> None:
        """It has no token."""


class AccountKey:
    """The account's key stays with the SDK; AzCopy gets a container-scoped SAS without the right to delete."""

    def __init__(self, config: "LoginConfig", life: datetime.timedelta = SAS_LIFE) -> None:
        self._account = config.account
        self._container = config.container
        self._key = config.secret
        self._life = life

    def for_sdk(self) -> Any:
        return {"account_name": self._account, "account_key": self._key}

    def azcopy_environment(self) -> dict[str, str]:
        return {}

    def azcopy_query(self) -> tuple[str, float | None]:
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas

        now = datetime.datetime.now(datetime.timezone.utc)
        sas = generate_container_sas(
            self._account,
            self._container,
            account_key=self._key,
            permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
            start=now - datetime.timedelta(minutes=15),
            expiry=now + self._life,
        )
        return sas, self._life.total_seconds()

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        return now + self._life.total_seconds() + _EXPIRY_MARGIN, 0.0

    def forget(self) -> None:
        """It has no token."""


def _token_expiry(now: float) -> tuple[float, float]:
    life = TOKEN_LIFE + _EXPIRY_MARGIN
    return now + life, life


def sas_end(sas: str) -> float | None:
    """When a SAS expires by its own ``se``, in seconds since 1970; None if it does not say so (a stored access policy
    does), or not in a way that can be read."""
    try:
        end = datetime.datetime.fromisoformat(parse_qs(sas.lstrip("?"))["se"][0])
        return (end if end.tzinfo else end.replace(tzinfo=datetime.timezone.utc)).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def identity_for(config: "LoginConfig") -> Identity:
    kinds: Mapping[str, Any] = {
        "service-principal": ServicePrincipal,
        "default": DefaultChain,
        "sas": SharedAccessSignature,
        "account-key": AccountKey,
    }
    if urlsplit(config.endpoint).scheme == "http" and config.auth in (
        "service-principal",
        "default",
    ):
        raise StorageUnavailable(
            f"{config.endpoint} is plain http: a token is never sent over it", "use an https endpoint"
        )
    made: Identity = kinds[config.auth](config)
    return made


class RequestSigner:
    """Signs calls that do not go through the SDK: a bearer token, or a SAS; each renewed before it runs out.

    Used by many threads. Raises AccessRefused when no token is to be had.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        credential = identity.for_sdk()
        self._credential = credential if hasattr(credential, "get_token") else None
        self._lock = threading.Lock()
        self._signature: tuple[str, dict[str, str]] = ("", {})
        self._good_until = 0.0
        self._refused = False

    def signature(self) -> tuple[str, dict[str, str]]:
        """(query to append, headers to send)."""
        with self._lock:
            if time.time() >= self._good_until:
                self._signature, self._good_until = self._new()
            return self._signature

    def renew(self) -> None:
        """The service called it stale, whatever its own dates say."""
        with self._lock:
            self._good_until, self._refused = 0.0, True

    def _new(self) -> tuple[tuple[str, dict[str, str]], float]:
        if self._credential is None:
            query, life = self._identity.azcopy_query()
            return (query, {}), time.time() + life * _SAS_SHARE if life is not None else math.inf
        from azure.core.exceptions import AzureError

        try:
            if self._refused:
                # The credential would give the same token out of its cache.
                self._identity.forget()
                self._credential = self._identity.for_sdk()
            with _in_time():
                token = self._credential.get_token(SCOPE)
            self._refused = False
        except AzureError as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            advice = "check tenant-id, application-id, credentials and the network"
            raise AccessRefused(f"no token: {text}", advice) from error
        good_until = max(token.expires_on - _TOKEN_MARGIN, time.time() + 10)
        return ("", {"Authorization": f"Bearer {token.token}"}), good_until
