"""The one place that makes stores and logins. Everything else is handed a Store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from sync_to_azure.stores.store_config import LoginConfig, StoreConfig
    from sync_to_azure.stores.login import Identity
    from sync_to_azure.stores.store import DeletingStore, Store


def open_login(config: "LoginConfig") -> "Identity":
    """Raises StorageUnavailable where a token would go over plain http."""
    from sync_to_azure.stores.login import identity_for

    return identity_for(config)


def open_store(config: "StoreConfig", identity: "Identity | None" = None, read_only: bool = False) -> "Store":
    """The container, not asked yet: ``check`` does that. ``identity``: a store in a folder needs none. ``read_only``:
    nothing is written, also nothing of the store's own into a folder. What it gives has no way to delete. Raises
    AccessRefused, StorageUnavailable, ConfigurationError."""
    if folder := _folder(config):
        from sync_to_azure.stores.local import LocalStore

        return LocalStore(folder, read_only)
    from sync_to_azure.stores.azure import AzureStore

    return AzureStore(config, _needed(identity))


def open_deleting_store(config: "StoreConfig", identity: "Identity | None" = None) -> "DeletingStore":
    """As ``open_store``, for the few that delete: each says why, where it calls this."""
    if folder := _folder(config):
        from sync_to_azure.stores.local import DeletingLocalStore

        return DeletingLocalStore(folder)
    from sync_to_azure.stores.azure import DeletingAzureStore

    return DeletingAzureStore(config, _needed(identity))


def _folder(config: "StoreConfig") -> Path | None:
    address = urlsplit(config.endpoint)
    return Path(unquote(address.path), config.container) if address.scheme == "file" else None


def _needed(identity: "Identity | None") -> "Identity":
    assert identity is not None, "a store in Azure needs a login"
    return identity
