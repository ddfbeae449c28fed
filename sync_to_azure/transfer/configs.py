"""What each component has to know, taken from the settings: pure functions, one for each dataclass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_to_azure.events.webhook import WebhookConfig, key_of
from sync_to_azure.notify.config import MailConfig
from sync_to_azure.stores.config import LoginConfig, StoreConfig
from sync_to_azure.uploaders.config import UploadConfig

if TYPE_CHECKING:
    from sync_to_azure.settings import Settings


def upload_config(settings: "Settings") -> UploadConfig:
    return UploadConfig(
        endpoint=settings.blob_endpoint,
        container=settings.container_name,
        timeout=settings.timeout,
        tries=settings.retry_times,
        concurrency=settings.concurrency if isinstance(settings.concurrency, int) else None,
        source_readers=settings.source_readers,
        cap_mbps=settings.cap_mbps,
        block_check=settings.block_check,
        access_tier=settings.access_tier,
        azcopy=settings.azcopy,
        azcopy_log_level=settings.azcopy_log_level,
    )


def store_config(settings: "Settings") -> StoreConfig:
    return StoreConfig(
        endpoint=settings.blob_endpoint,
        container=settings.container_name,
        timeout=settings.timeout,
        tries=settings.retry_times,
        authority=settings.authority_host or "the login service",
    )


def login_config(settings: "Settings") -> LoginConfig:
    return LoginConfig(
        auth=settings.auth,
        endpoint=settings.blob_endpoint,
        container=settings.container_name,
        account=settings.storage_account,
        tenant_id=settings.tenant_id,
        application_id=settings.application_id,
        secret=settings.secret or "",
        authority_host=settings.authority_host,
    )


def mail_config(settings: "Settings") -> MailConfig | None:
    """None where nobody is to be mailed."""
    if not settings.log_recipient or settings.smtp_host is None:
        return None
    return MailConfig(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user or "",
        password=settings.smtp_password or "",
        security=settings.smtp_security,
        recipients=settings.log_recipient,
        whole=settings.timeout,
    )


def webhook_config(settings: "Settings") -> WebhookConfig | None:
    """None where no address is given, or the key may not be read."""
    if settings.notify_url is None or settings.notify_key_text is None:
        return None
    return WebhookConfig(settings.notify_url, key_of(settings.notify_key_text), settings.notify_events)
