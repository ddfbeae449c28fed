"""The key by which receipts at the destination are known to be ours. It lies with the credentials, not with the ledger:
whoever may only write to the container does not have it, and the ledger can be lost without it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

from sync_to_azure.core.errors import ConfigurationError

_BYTES = 32
_MOST = 1024
_OTHERS = 0o077
COMMAND = "umask 077; openssl rand -hex 32 >"
"""How a person makes one."""
DERIVED = "beside credentials"
"""Where the path comes from if it was not given."""


def beside(credentials: Path) -> Path:
    """Where the key is kept if no other place is named. Flows with the same credentials share it."""
    return credentials.with_name(f"{credentials.name}.evidence-key")


def read(path: Path) -> bytes | None:
    """None if it is not there. Raises ConfigurationError for what is no key, or one that others may read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is no file")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise ConfigurationError(
                f"{path} can be read by others (mode {mode:04o}): delete it, and the next pass makes another; or, if"
                f" no other user has read it, chmod 600 {path}"
            )
        text = os.read(handle, _MOST).strip()
    finally:
        os.close(handle)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise ConfigurationError(
            f"{path} is no key: it must hold {2 * _BYTES} hexadecimal digits and nothing else"
        )
    return key


def read_or_make(path: Path) -> bytes:
    """Made at once and whole, under its name only if there is none. Raises OSError if it cannot be made."""
    key = read(path)
    if key is not None:
        return key
    handle, name = tempfile.mkstemp(prefix=".sync_to_azure-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(secrets.token_hex(_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            # Another pass may have been faster: then it is that one's.
            os.link(name, path)
    finally:
        os.unlink(name)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    key = read(path)
    if key is None:
        raise FileNotFoundError(f"{path} went away")
    return key
