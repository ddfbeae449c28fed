"""The one place that makes stores and logins. Everything else is handed a Store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_to_azure.stores.config import LoginConfig, StoreConfig
    from sync_to_azure.stores.login import Identity
    from sync_to_azure.stores.azure import AzureStore


def open_login(config: "LoginConfig") -> "Identity":
    """Raises StorageUnavailable where a token would go over plain http."""
    from sync_to_azure.stores.login import identity_for

    return identity_for(config)


def open_store(config: "StoreConfig", identity: "Identity") -> "AzureStore":
    """The container, not asked yet: ``check`` does that. Raises AccessRefused, StorageUnavailable,
    ConfigurationError."""
    from sync_to_azure.stores.azure import AzureStore

    return AzureStore(config, identity)
