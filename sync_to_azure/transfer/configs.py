"""What uploaders, mail and webhook have to know, taken from the settings: pure functions, one for each dataclass. Those
of stores are in ``settings/for_stores``, which the catalogue uses, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_to_azure.events.webhook import WebhookConfig, key_of
from sync_to_azure.notify.mail_config import MailConfig
from sync_to_azure.uploaders.upload_config import UploadConfig

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
