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
        endpoint=settings.destination.blob_endpoint,
        container=settings.destination.container_name,
        timeout=settings.upload.timeout,
        tries=settings.upload.retry_times,
        concurrency=settings.upload.concurrency if isinstance(settings.upload.concurrency, int) else None,
        source_readers=settings.upload.source_readers,
        cap_mbps=settings.upload.cap_mbps,
        block_check=settings.upload.block_check,
        access_tier=settings.upload.access_tier,
        azcopy=settings.upload.azcopy,
        azcopy_log_level=settings.upload.azcopy_log_level,
    )


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


def mail_config(settings: "Settings") -> MailConfig | None:
    """None where nobody is to be mailed."""
    if not settings.mail.log_recipient or settings.mail.smtp_host is None:
        return None
    return MailConfig(
        host=settings.mail.smtp_host,
        port=settings.mail.smtp_port,
        user=settings.mail.smtp_user or "",
        password=settings.mail.smtp_password or "",
        security=settings.mail.smtp_security,
        recipients=settings.mail.log_recipient,
        whole=settings.upload.timeout,
    )


def webhook_config(settings: "Settings") -> WebhookConfig | None:
    """None where no address is given, or the key may not be read."""
    if settings.events.notify_url is None or settings.notify_key_text is None:
        return None
    return WebhookConfig(
        settings.events.notify_url, key_of(settings.notify_key_text), settings.events.notify_events
    )
