"""A kernel that refuses openat2 with a given error, as old ones and containers' filters do: a real seccomp filter, in
the process that calls it and all that it starts."""

from __future__ import annotations

import ctypes
import os
import struct

_OPENAT2 = 437
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def refuse_openat2(number: int) -> None:
    """Cannot be taken back."""
    rules = [
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, _OPENAT2),
        (_RETURN, 0, 0, _ERRNO | number),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SET_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0),
    ):
        if libc.prctl(*(ctypes.c_ulong(each) for each in words)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


SITECUSTOMIZE = """
import os, sys
sys.path.insert(0, {project!r})
from tests.files.refusing import refuse_openat2
refuse_openat2(int(os.environ["REFUSE_OPENAT2"]))
"""
"""For a ``sitecustomize.py``: the command runs on such a kernel."""
