"""Processes of this machine, as /proc shows them: who descends from us, and who carries a run's mark."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

ENDED = (b"Z", b"X")
"""States in /proc/PID/stat: a zombie, and one that is gone."""
MARK = "CRONBEAT_RUN"
"""In the environment of all that a run starts, with the run's id."""
SET_CHILD_SUBREAPER = 36
"""prctl(2). Orphans below us become our children, also with a session of their own: we can find and end them."""


def adopt_orphans() -> bool:
    """False where the system does not let us."""
    return bool(ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def descendants(root: int) -> set[int]:
    """Process ids below ``root`` that live; those that ended and wait to be reaped are none.

    The kernel's own lists of children are quick, so that what changes its process id all the time is caught. They may
    miss one that is just being born or adopted (proc_pid_task_tid_children(5)): only a look at all processes says so.
    """
    return _listed(root) or _below(root)


def _listed(root: int) -> set[int]:
    found: set[int] = set()
    stack = [root]
    while stack:
        parent = stack.pop()
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", "rb") as stream:
                    children = {int(pid) for pid in stream.read().split()} - found
                found |= children
                stack += children
    return {pid for pid in found if _state_and_parent(pid)[0] not in ENDED}


def _below(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    dead: set[int] = set()
    for pid in _all():
        state, parent = _state_and_parent(pid)
        children.setdefault(parent, []).append(pid)
        if state in ENDED:
            dead.add(pid)
    found: set[int] = set()
    stack = [root]
    while stack:
        below = children.get(stack.pop(), [])
        found.update(below)
        stack += below
    return found - dead


def _state_and_parent(pid: int) -> tuple[bytes, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name, in brackets, may hold anything: after the last bracket come state and parent.
            state, parent, *_ = stream.read().rpartition(b")")[2].split()
    except OSError:
        return b"X", 0
    return state, int(parent)


def marked(uid: str) -> set[int]:
    """Living processes that were started by run ``uid``, also after cronbeat itself was killed.

    Not found: those of other users, and those that cleared their environment.
    """
    mark = f"{MARK}={uid}".encode()
    found = set()
    for pid in _all():
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as stream:
                if mark in stream.read().split(b"\0"):
                    found.add(pid)
    return found - {os.getpid()}


def send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
