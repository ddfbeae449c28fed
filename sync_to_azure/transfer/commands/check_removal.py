"""What `check` says of removing what AzCopy uploaded, and of the bytes that will be read back first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_to_azure.core.clock import local_time
from sync_to_azure.transfer.ledger.reader import open_reading
from sync_to_azure.transfer.steps.read_back import limit_in_words
from sync_to_azure.stores.opening import open_login
from sync_to_azure.settings.for_stores import login_config
from sync_to_azure.notify.terminal import how_many, human_size, human_time

if TYPE_CHECKING:
    from pathlib import Path

    from sync_to_azure.transfer.ledger.run import Flow
    from sync_to_azure.settings import Settings

_NATIVE = "set uploader = native: it writes under conditions, and its own answers prove what it uploaded"


def with_azcopy(settings: "Settings", now: float) -> list[tuple[str, str]]:
    """(what remains, what to do) where ``remove-source`` meets AzCopy."""
    from sync_to_azure.stores.login import NEVER

    expires, token_life = open_login(login_config(settings)).azcopy_expiry(now)
    if expires >= NEVER:
        when = "never: the SAS does not say when it expires (its access policy does)"
    elif settings.identity.auth == "sas":
        when = f"from {local_time(expires)} on, when the SAS has expired"
    else:
        when = f"{human_time(token_life or expires - now)} after AzCopy, when its credentials have expired"
    return [
        (
            "AzCopy writes without a condition: what another writer writes in the milliseconds after its check is"
            " overwritten, and a transfer that fails may delete it, where the login may delete",
            _NATIVE,
        ),
        (f"what AzCopy uploads is removed {when}; all of it is read back before", _NATIVE),
    ]


def to_read_back(path: "Path", flow: "Flow", settings: "Settings") -> str:
    """How much of what is published and not removed will be read back, by the ledger; empty if nothing."""
    reading = open_reading(path, flow)
    if reading is None:
        return ""
    with reading:
        runs, size = reading.to_read_back()
    return (
        f"{human_size(size)} of {how_many(runs, 'published run')} are read back before removal"
        f"{limit_in_words(settings.removal)}"
        if runs
        else ""
    )
