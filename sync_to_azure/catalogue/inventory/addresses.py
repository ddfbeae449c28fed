"""Which store, and what of it, an address names. Pure but for a folder's absolute path."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sync_to_azure.catalogue.model import StoreAddress
from sync_to_azure.core.errors import ConfigurationError


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """``endpoint`` and ``container`` as StoreConfig takes them; ``prefix``: of names, "" for all."""

    store: StoreAddress
    endpoint: str
    container: str
    prefix: str = ""

    @property
    def account(self) -> str:
        """Of Azure; "" for a folder."""
        if self.store.kind == "file":
            return ""
        parts = urlsplit(self.endpoint)
        return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def azure(endpoint: str, container: str, prefix: str = "", region: str = "") -> Target:
    address = f"{endpoint.rstrip('/')}/{container}"
    return Target(StoreAddress(address, "azure", "azure", region), endpoint.rstrip("/"), container, prefix)


def folder(path: Path) -> Target:
    """A folder of files, whoever wrote them."""
    whole = Path(path).absolute()
    if whole.parent == whole:
        raise ConfigurationError("the folder / is no store", "name the folder that holds the files")
    return Target(StoreAddress(whole.as_uri(), "file", "local"), whole.parent.as_uri(), whole.name)


def target(text: str, cwd: Path, region: str = "") -> Target:
    """``https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX``, ``file:///FOLDER``, or a folder's path. Raises
    ConfigurationError; what is pasted with a SAS is not repeated."""
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme == "":
        return folder(cwd / text)
    if scheme == "file":
        return folder(Path(unquote(urlsplit(text).path)))
    if scheme not in ("http", "https"):
        raise ConfigurationError(
            f"{scheme[:20]}:// is no store that this version can list",
            "give https://ACCOUNT.blob.core.windows.net/CONTAINER, or a folder",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("the address of the store is none") from None
    if not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            "the address of the store holds more than an address: a query (a SAS?), a fragment or a user",
            "give the login in the config file",
        )
    segments = unquote(parts.path).lstrip("/").split("/")
    account = [segments.pop(0)] if _in_path(host) and segments else []
    if not segments or not segments[0]:
        raise ConfigurationError(
            f"the address of the store names no container: {host}", "give https://ACCOUNT.blob…/CONTAINER"
        )
    shown = f"[{host}]" if ":" in host else host.lower()
    endpoint = "/".join([f"{scheme}://{shown}{f':{port}' if port else ''}", *account])
    return azure(endpoint, segments[0], "/".join(segments[1:]), region)


def _in_path(host: str) -> bool:
    """Does the account stand in the path, as with an emulator?"""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
