"""What a store and a login have to know, taken from the settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_to_azure.stores.store_config import LoginConfig, StoreConfig

if TYPE_CHECKING:
    from sync_to_azure.settings.values import Settings


def store_config(settings: "Settings") -> StoreConfig:
    return StoreConfig(
        endpoint=settings.destination.blob_endpoint,
        container=settings.destination.container_name,
        timeout=settings.upload.timeout,
        tries=settings.upload.retry_times,
        authority=settings.identity.authority_host or "the login service",
    )


def login_config(settings: "Settings") -> LoginConfig:
    return LoginConfig(
        auth=settings.identity.auth,
        endpoint=settings.destination.blob_endpoint,
        container=settings.destination.container_name,
        account=settings.destination.storage_account,
        tenant_id=settings.identity.tenant_id,
        application_id=settings.identity.application_id,
        secret=settings.identity.secret or "",
        authority_host=settings.identity.authority_host,
    )
