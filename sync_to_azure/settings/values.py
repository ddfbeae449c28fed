"""What settings are, once they are merged and checked."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from sync_to_azure.settings.option import Option
from typing import Any, NamedTuple
from typing import Literal

_LEAST = 8
"""Letters of a part of an address that is hidden by itself; "ping" would be hidden in every other message."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """A warning for the pass to tell; ``once``: not again in every pass. ``key`` stays the same."""

    key: str
    text: str
    once: bool


def _without(part: Any, secret: str) -> str:
    """A part as text for whoever debugs, its secret left out."""
    shown = ", ".join(f"{name}={value!r}" for name, value in part._asdict().items() if name != secret)
    return f"{type(part).__name__}({shown})"


class SourceSettings(NamedTuple):
    """What is looked at, and what of it is left out."""

    main_folder: Path
    samplesheet_folder: Path | None
    sample_names: bool
    exclude: tuple[str, ...]
    only_run: str | None
    sheet_optional: bool


class CompletionSettings(NamedTuple):
    """When a run is complete. Delays and ages in seconds, ``stale_after`` in hours."""

    completion_flag: tuple[str, ...]
    profile: str
    failed_runs: str
    stale_after: float
    completion_delay: float
    project_glob: str
    blank_glob: str
    min_file_age: float | None
    family_flags: Mapping[str, tuple[str, ...]] = {}
    """Of single families of instruments, by the name of the profile: ``[family NAME]``."""


class IncrementalSettings(NamedTuple):
    """Upload while a run is still being written. Seconds."""

    incremental: bool
    stable_for: float


class RemovalSettings(NamedTuple):
    """Removal of published runs from the source. Days; ``read_back_limit`` in gigabytes."""

    remove_source: bool
    remove_after: float
    remove_rehash: bool
    read_back_limit: float
    remove_excluded: bool


class DestinationSettings(NamedTuple):
    """Where runs go. ``destination`` has no slash at either end."""

    storage_account: str
    blob_endpoint: str
    container_name: str
    destination: str
    allow_plain_http: bool


class IdentitySettings(NamedTuple):
    """Who we are at the service."""

    tenant_id: str | None
    application_id: str | None
    credentials: Path | None
    evidence_key: Path | None
    secret: str | None
    auth: str
    authority_host: str | None

    def __repr__(self) -> str:
        return _without(self, "secret")


class UploadSettings(NamedTuple):
    """How bytes get there. ``timeout`` in seconds, ``cap_mbps`` in megabits a second."""

    uploader: str
    verify: str
    access_tier: str | None
    concurrency: int | Literal["auto"]
    block_check: str
    azcopy: str | None
    azcopy_logs: Path | None
    azcopy_log_level: str
    cap_mbps: float | None
    retry_times: int
    timeout: float
    source_readers: int


class ModeSettings(NamedTuple):
    """What this pass does. ``reverify_after`` in days."""

    dry_run: bool
    thorough: bool
    reverify_after: float


class StateSettings(NamedTuple):
    """Where the ledger is kept."""

    state_file: Path | None


class LogSettings(NamedTuple):
    """Where the log goes."""

    log_file: Path | None
    log_level: str


class MailSettings(NamedTuple):
    """Whom to mail, and how."""

    log_recipient: tuple[str, ...]
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None
    smtp_security: str

    def __repr__(self) -> str:
        return _without(self, "smtp_password")


class MonitoringSettings(NamedTuple):
    """Whom else to notify."""

    metrics_file: Path | None
    ping: str | None

    def __repr__(self) -> str:
        return _without(self, "ping")


class EventsSettings(NamedTuple):
    """The webhook, and what is kept for programs that read events. ``keep_events`` in days."""

    notify_url: str | None
    notify_key: Path | None
    notify_events: tuple[str, ...]
    keep_events: float

    def __repr__(self) -> str:
        return _without(self, "notify_url")


class GeneralSettings(NamedTuple):
    """Where settings come from."""

    config_file: Path | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a pass works with, complete and consistent: a part for each group of options. Paths are absolute.

    Parts are named tuples: thirteen dataclasses more took 8 ms of each start.
    """

    source: SourceSettings
    completion: CompletionSettings
    early: IncrementalSettings
    removal: RemovalSettings
    destination: DestinationSettings
    identity: IdentitySettings
    upload: UploadSettings
    mode: ModeSettings
    state: StateSettings
    log: LogSettings
    mail: MailSettings
    monitoring: MonitoringSettings
    events: EventsSettings
    general: GeneralSettings
    foreign_secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """Secrets that are not ours but stand in our environment: a proxy's password, another tool's login."""
    notify_key_text: str | None = dataclasses.field(default=None, repr=False)
    """What notify-key holds; None where it may not be read by whoever only looks."""
    notices: tuple[Notice, ...]
    origin: Mapping[str, str]
    """Key -> where its value came from: 'command line', 'environment X', 'nextseq.cfg line 4', 'default', 'from …'."""

    def value(self, option: Option) -> object:
        """Of one option of the table."""
        return getattr(getattr(self, option.group), option.name)

    def secret_values(self) -> tuple[str, ...]:
        """Every text that no log, mail or message may hold; of a SAS also the signature alone, in both spellings."""
        found = [
            self.identity.secret,
            self.mail.smtp_password,
            self.monitoring.ping,
            self.events.notify_url,
            *self.foreign_secrets,
        ]
        if self.notify_key_text:
            found += [self.notify_key_text, self.notify_key_text.removeprefix("whsec_")]
        if self.identity.auth == "sas" and self.identity.secret:
            for signature in re.findall(r"(?:^|&)sig=([^&]+)", self.identity.secret):
                found += [signature, urllib.parse.unquote(signature)]
        for url in filter(None, (self.monitoring.ping, self.events.notify_url)):
            # What stands behind the host is the secret: messages may name it without the rest.
            parts = urllib.parse.urlsplit(url)
            behind = (parts.path.strip("/"), parts.query)
            found += [
                text for each in behind for text in (each, urllib.parse.unquote(each)) if len(text) >= _LEAST
            ]
        return tuple(dict.fromkeys(value for value in found if value))


GROUP_TYPES: Mapping[str, Any] = {
    "source": SourceSettings,
    "completion": CompletionSettings,
    "early": IncrementalSettings,
    "removal": RemovalSettings,
    "destination": DestinationSettings,
    "identity": IdentitySettings,
    "upload": UploadSettings,
    "mode": ModeSettings,
    "state": StateSettings,
    "log": LogSettings,
    "mail": MailSettings,
    "monitoring": MonitoringSettings,
    "events": EventsSettings,
    "general": GeneralSettings,
}
