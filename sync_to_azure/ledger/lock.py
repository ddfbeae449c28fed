"""One pass at a time: a lock of the operating system, which a crash cannot leave behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from sync_to_azure.errors import StateUnavailable


class Lock:
    """``flock`` on a file beside the ledger. Children do not inherit it (the file is opened close-on-exec)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """True if the lock is ours now, False if another pass holds it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnavailable(
                f"lock file {self._path} cannot be opened: {error.strerror}",
                "set state-file to a writable place",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:
            os.close(handle)
            raise StateUnavailable(
                f"lock file {self._path} cannot be locked: {error.strerror}",
                "put the state file on a local disk, not on a share",
            ) from error
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_held(path: Path) -> bool | None:
    """Does a process hold this lock? Asked of the kernel's list, without taking it: a pass that starts at that moment
    must not take us for another one. None where nobody can say."""
    try:
        number = os.stat(path).st_ino
        with open("/proc/locks", "rb") as locks:
            # 1: FLOCK  ADVISORY  WRITE 4242 fe:01:131 0 EOF (man 5 proc)
            held = [line.split() for line in locks if b" FLOCK " in line]
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return any(len(words) > 5 and words[5].rpartition(b":")[2] == b"%d" % number for words in held)
