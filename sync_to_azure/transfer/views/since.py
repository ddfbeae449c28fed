"""``--since``: a time as a person writes it. Pure."""

from __future__ import annotations

import datetime
import re

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.notify.redact import plain

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def time_since(text: str, now: float) -> float:
    """``24h``, ``7d``; or a date, with a time if wanted, on this machine's clock unless it names its zone."""
    ago = re.fullmatch(r"([0-9]{1,6})([mhdw])", text.strip())
    if ago:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(
            f"--since {plain(text)}: not a time", "give 30m, 24h, 7d, 2w, or a date such as 2026-11-22T18:00"
        ) from None
