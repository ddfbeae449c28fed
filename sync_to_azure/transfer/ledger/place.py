"""Where the ledger lies, when its file is damaged, and how it is kept then."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.settings.state import state_folder
from sync_to_azure.transfer.ledger.run import Flow

__all__ = ["azcopy_folder", "is_damaged", "ledger_path", "lock_path", "move_aside", "state_folder"]


def azcopy_folder(azcopy_logs: Path | None, state_folder: Path) -> Path:
    """Where AzCopy's jobs have their folders."""
    return azcopy_logs or state_folder / "azcopy-jobs"


def lock_path(ledger: Path, flow: Flow) -> Path:
    """What a pass over this flow holds while it works."""
    return ledger.with_name(f"{ledger.name}.{flow.key}.lock")


def ledger_path(state_file: Path | None, flow: Flow, state_folder: Path) -> tuple[Path, str]:
    """Where the ledger lies, and a word if the file named is the predecessor's JSON, which is left alone."""
    if state_file is None:
        return state_folder / f"{flow.key}.sqlite", ""
    try:
        # Not to wait for ever for somebody to write into a FIFO.
        handle = os.open(state_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode) and not os.path.isdir(state_file):
                raise StateUnavailable(f"state file {state_file} is no regular file", "name a file")
            head = os.read(handle, 256)
        finally:
            os.close(handle)
    except IsADirectoryError:
        raise StateUnavailable(f"state file {state_file} is a folder", "name a file") from None
    except FileNotFoundError:
        return state_file, ""
    except OSError as error:
        raise StateUnavailable(
            f"state file {state_file} cannot be read: {error.strerror}",
            "run this as the user who runs the passes (sudo -u …), or name the right state-file",
        ) from error
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        own = state_file.with_name(state_file.name + ".sqlite")
        return (
            own,
            f"{state_file} is the state file of the predecessor; it is not changed, the new one is {own}",
        )
    return state_file, ""


def is_damaged(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def move_aside(path: Path, now: float) -> Path:
    """Rename a damaged ledger (with its WAL) so that a new one can be built; nothing is deleted."""
    target = path.with_name(f"{path.name}.damaged-{int(now)}")
    while os.path.lexists(target):
        now += 1
        target = path.with_name(f"{path.name}.damaged-{int(now)}")
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{target}{suffix}")
    os.rename(path, target)
    return target
