"""Documents on their way: in an unlinked temporary file beside the ledger, which lies on a volume with room."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from typing import IO, Any

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import DocumentTooLarge, RunError, StateUnavailable
from sync_to_azure.transfer.steps.context import PassContext
from sync_to_azure.notify.terminal import human_size
from sync_to_azure.transfer.ledger import Ledger

_ROOM = 4
"""A manifest is spooled, and its rows go into the ledger and its log."""


def spooled(ledger: Ledger, lines: Iterable[bytes]) -> IO[Any]:
    """Filled, not rewound."""
    try:
        handle = tempfile.TemporaryFile(dir=ledger.path.parent)
        for line in lines:
            handle.write(line)
        handle.flush()
        return handle
    except OSError as error:
        raise StateUnavailable(
            f"the manifest cannot be written to {ledger.path.parent}: {error.strerror}",
            "free some space there",
        ) from error


def must_have_room(context: PassContext, name: str, size: int) -> None:
    """Whoever may write to the container must not fill our disk. Raises RunError: other runs go on."""
    if size > bounded.MOST_MANIFEST:
        raise DocumentTooLarge(name, size, bounded.MOST_MANIFEST)
    folder = context.ledger.path.parent
    free = shutil.disk_usage(folder).free
    if size * _ROOM > free:
        raise RunError(
            f"{name} has {human_size(size)}; to read it, {human_size(size * _ROOM)} must be free in {folder}, and"
            f" {human_size(free)} are",
            "free some space there, if this machine wrote it; otherwise find out who did",
        )
