"""One pass at a time: a lock of the operating system, which a crash cannot leave behind."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from sync_to_azure.core.errors import LockLost, StateUnavailable

_TRIES = 10
"""Lock files that may be replaced while we take the lock; more than two mean that somebody deletes them for ever."""


class Lock:
    """``flock`` on a file beside the ledger. Children do not inherit it (the file is opened close-on-exec).

    A lock belongs to the file, not to its name: after somebody deleted or replaced the file, a second pass can lock the
    new one. So device and inode of what was locked are kept, and ``must_hold`` compares them with what has the name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        self._locked: tuple[int, int] | None = None

    def take(self) -> bool:
        """True if the lock is ours now, False if another pass holds it."""
        for _ in range(_TRIES):
            handle = self._opened()
            if not self._flock(handle):
                return False
            status = os.fstat(handle)
            self._locked = (status.st_dev, status.st_ino)
            if self._problem() is None:
                self._handle = handle
                return True
            # Deleted between our opening and our locking it: another pass may hold the lock on a new one.
            os.close(handle)
        raise StateUnavailable(
            f"lock file {self._path} is deleted or replaced again and again", "find out what deletes it"
        )

    def must_hold(self) -> None:
        """Before anything is written. Raises LockLost if the file that we locked does not have its name any more."""
        problem = self._problem()
        if problem is not None:
            raise LockLost(
                f"lock file {self._path} {problem} while this pass worked, so another pass may be running;"
                " this pass writes nothing more",
                "leave lock files alone; the next pass continues",
            )

    def _problem(self) -> str | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return "was deleted"
        except OSError as error:
            return f"cannot be accessed ({error.strerror})"
        return None if self._locked == (status.st_dev, status.st_ino) else "was replaced"

    def _opened(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
            )
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size:
                os.close(handle)
                # Ours is an empty file.
                raise StateUnavailable(
                    f"lock file {self._path} is no lock of sync_to_azure: it is no plain file, or holds something; it"
                    " is left alone",
                    "move it away, or name another state-file",
                )
            return handle
        except OSError as error:
            raise StateUnavailable(
                f"lock file {self._path} cannot be opened: {error.strerror}",
                "set state-file to a writable place",
            ) from error

    def _flock(self, handle: int) -> bool:
        """False, and the file closed, if another pass holds it."""
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
