"""Looks at the share that its client does not answer from a cache: statx with AT_STATX_FORCE_SYNC on an open handle.
NFS clients answer from their attribute cache for up to 60 s, CIFS clients for 1 s, or for as long as the mount says.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Callable
from typing import NamedTuple

_AT_EMPTY_PATH, _AT_STATX_FORCE_SYNC = 0x1000, 0x2000
_BASIC = 0x7FF
_NEEDED = 0x1 | 0x40 | 0x80 | 0x200
"""STATX_TYPE, _MTIME, _CTIME, _SIZE (linux/stat.h)."""
_SIZE_OF_STATX = 256
_REFUSED = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP})
"""An older kernel or C library, a filter of system calls, a file system that does not know it."""


class Status(NamedTuple):
    """As ``os.stat_result``, by the names that are used."""

    st_mode: int
    st_nlink: int
    st_ino: int
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int


def look(handle: int) -> Status:
    """What the server says now of an open file or folder, also of one opened with O_PATH. The names in a folder are
    asked for again afterwards where it changed. Raises OSError."""
    buffer = ctypes.create_string_buffer(_SIZE_OF_STATX)
    if _statx()(handle, b"", _AT_EMPTY_PATH | _AT_STATX_FORCE_SYNC, _BASIC, buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    mask, links, mode, inode, size, changed, changed_ns, written, written_ns = struct.unpack_from(
        "=I12xI8xH2xQQ48xqI4xqI4x", buffer
    )
    if mask & _NEEDED != _NEEDED:
        raise OSError(errno.EOPNOTSUPP, "the file system reports neither size nor times")
    return Status(mode, links, inode, size, written * 10**9 + written_ns, changed * 10**9 + changed_ns)


def is_available(handle: int) -> bool:
    """Does it work for what is open here? Where it does, this was such a look. Raises OSError where the share fails."""
    try:
        look(handle)
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True


@functools.cache
def _statx() -> Callable[..., int]:
    try:
        function = ctypes.CDLL(None, use_errno=True).statx
    except (AttributeError, OSError):
        return _missing
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    function.restype = ctypes.c_int
    call: Callable[..., int] = function
    return call


def _missing(*given: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1
