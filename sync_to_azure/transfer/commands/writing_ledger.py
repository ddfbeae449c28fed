"""The ledger of a flow for a command that writes into it beside the passes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.views.records import place

if TYPE_CHECKING:
    from sync_to_azure.settings import Settings


@contextlib.contextmanager
def open_ledger(settings: "Settings") -> Iterator[Ledger]:
    """Raises StateUnavailable if it cannot be opened or written, also within the block; BrokenPipeError goes through,
    as that is a reader of our output that ended."""
    path, flow = place(settings)
    try:
        ledger = Ledger.open(path, flow)
        try:
            yield ledger
        finally:
            ledger.close()
    except BrokenPipeError:
        raise
    except (sqlite3.Error, OSError) as error:
        raise StateUnavailable(
            f"state file {path} cannot be written: {error}",
            "run this as the user who runs the passes (sudo -u …), or name the right state-file",
        ) from error
