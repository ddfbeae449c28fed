"""What settings are, once they are merged and checked."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

_LEAST = 8
"""Letters of a part of an address that is hidden by itself; "ping" would be hidden in every other message."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """A warning for the pass to tell; ``once``: not again in every pass. ``key`` stays the same."""

    key: str
    text: str
    once: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a pass works with, complete and consistent. Paths are absolute; delays and times in seconds."""

    main_folder: Path
    samplesheet_folder: Path | None
    completion_flag: tuple[str, ...]
    family_flags: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Completion flags of one family of instruments each, by its profile's name: ``[family NAME]``."""
    profile: str
    failed_runs: str
    stale_after: float
    sample_names: bool
    completion_delay: float
    exclude: tuple[str, ...]
    project_glob: str
    blank_glob: str
    min_file_age: float | None
    only_run: str | None
    incremental: bool
    stable_for: float
    sheet_optional: bool
    remove_source: bool
    remove_after: float
    remove_rehash: bool
    read_back_limit: float
    remove_excluded: bool
    storage_account: str
    blob_endpoint: str
    container_name: str
    destination: str
    allow_plain_http: bool
    tenant_id: str | None
    application_id: str | None
    credentials: Path | None
    evidence_key: Path | None
    secret: str | None = dataclasses.field(repr=False)
    auth: str
    authority_host: str | None
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
    dry_run: bool
    thorough: bool
    reverify_after: float
    state_file: Path | None
    log_file: Path | None
    log_level: str
    log_recipient: tuple[str, ...]
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = dataclasses.field(repr=False)
    smtp_security: str
    metrics_file: Path | None
    ping: str | None = dataclasses.field(repr=False)
    notify_url: str | None = dataclasses.field(repr=False)
    notify_key: Path | None
    notify_events: tuple[str, ...]
    keep_events: float
    config_file: Path | None
    secrets_around: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """Secrets that are not ours but stand in our environment: a proxy's password, another tool's login."""
    notify_key_text: str | None = dataclasses.field(default=None, repr=False)
    """What notify-key holds; None where it may not be read by whoever only looks."""
    notices: tuple[Notice, ...]
    origin: Mapping[str, str]
    """Key -> where its value came from: 'command line', 'environment X', 'nextseq.cfg line 4', 'default', 'from …'."""

    def secret_values(self) -> tuple[str, ...]:
        """Every text that no log, mail or message may hold; of a SAS also the signature alone, in both spellings."""
        found = [self.secret, self.smtp_password, self.ping, self.notify_url, *self.secrets_around]
        if self.notify_key_text:
            found += [self.notify_key_text, self.notify_key_text.removeprefix("whsec_")]
        if self.auth == "sas" and self.secret:
            for signature in re.findall(r"(?:^|&)sig=([^&]+)", self.secret):
                found += [signature, urllib.parse.unquote(signature)]
        for url in filter(None, (self.ping, self.notify_url)):
            # What stands behind the host is the secret: messages may name it without the rest.
            parts = urllib.parse.urlsplit(url)
            behind = (parts.path.strip("/"), parts.query)
            found += [
                text for each in behind for text in (each, urllib.parse.unquote(each)) if len(text) >= _LEAST
            ]
        return tuple(dict.fromkeys(value for value in found if value))
