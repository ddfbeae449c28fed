"""The folder of one AzCopy job: its list, plans and logs, below azcopy-logs; made with a mark, and cleared away by it.

Promises: nothing goes that we did not have made. A folder counts as ours by a mark in it that names the folder, not by
its own name; then only files whose names we or AzCopy give are unlinked, one by one, through handles that follow no
link. A folder that holds anything else stays, with that in it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.core.names import OURS_PREFIX

_log = logging.getLogger(__name__)

LIST, SOURCE, PLANS, LOGS = "files.txt", "source", "plans", "logs"
MARK = f"{OURS_PREFIX}-azcopy-job"
"""A file that holds the name of its folder: one that was renamed or copied is somebody's by now."""
_PREFIX = "job-"
_KEEP_FAILED = 14 * 86400.0
"""Seconds."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_AZCOPY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[A-Za-z0-9.-]*")
"""JOB.log, JOB-scanning.log, JOB-chunks.log; JOB--00000.steV20 (seen with AzCopy 10.32)."""


def make(jobs: Path, run: str, now: float) -> Path:
    """A new folder with its mark and folders for plans and logs. Raises OSError, StateUnavailable."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", run)[:60]
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    for number in range(1000):
        folder = jobs / f"{_PREFIX}{stamp}-{os.getpid()}-{number}-{name}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            mark = os.open(folder / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(mark, "w", encoding="utf-8") as file:
                file.write(f"{folder.name}\n")
            (folder / PLANS).mkdir(mode=0o700)
            (folder / LOGS).mkdir(mode=0o700)
            return folder
    raise StateUnavailable(f"no job folder can be made in {jobs}")


def clear(folder: Path, logs_too: bool) -> None:
    """A job is over: its plans go (they are worth nothing to us, we plan again from a listing), and with ``logs_too``
    all of it. What cannot be cleared away stays; nothing is raised."""
    with contextlib.suppress(OSError), _opened(folder.parent, None) as jobs:
        _clear(jobs, folder.name, logs_too)


def prune(jobs: Path, now: float) -> None:
    """Folders of failed jobs go after two weeks, the plans of killed ones at once. Nothing is raised."""
    with contextlib.suppress(OSError), _opened(jobs, None) as parent:
        for name in os.listdir(parent):
            if not name.startswith(_PREFIX):
                continue
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and (status.st_mtime < now - _KEEP_FAILED or not _runs(name)):
                    _clear(parent, name, status.st_mtime < now - _KEEP_FAILED)


def _clear(jobs: int, name: str, logs_too: bool) -> None:
    with _opened(name, jobs) as folder:
        if not _is_marked(folder, name):
            return
        _empty(folder, PLANS)
        if not logs_too:
            return
        _empty(folder, LOGS)
        _unlink(folder, LIST, stat.S_ISREG)
        _unlink(folder, SOURCE, stat.S_ISLNK)
        left = sorted(set(os.listdir(folder)) - {MARK})
        if left:
            _log.info("azcopy-logs: %s holds what is not of AzCopy, and stays: %s", name, ", ".join(left[:5]))
            return
        os.unlink(MARK, dir_fd=folder)
    os.rmdir(name, dir_fd=jobs)


def _empty(folder: int, name: str) -> None:
    """Files with names that AzCopy gives; then the folder, if nothing is left in it."""
    with contextlib.suppress(OSError):
        with _opened(name, folder) as inner:
            for each in os.listdir(inner):
                if _OF_AZCOPY.fullmatch(each):
                    _unlink(inner, each, stat.S_ISREG)
        os.rmdir(name, dir_fd=folder)


def _unlink(folder: int, name: str, is_kind: Callable[[int], bool]) -> None:
    with contextlib.suppress(FileNotFoundError):
        if is_kind(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)


def _is_marked(folder: int, name: str) -> bool:
    try:
        handle = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(handle).st_mode) and os.read(handle, 512) == os.fsencode(f"{name}\n")
    finally:
        os.close(handle)


@contextlib.contextmanager
def _opened(folder: "Path | str", parent: int | None) -> Iterator[int]:
    """azcopy-logs itself may be reached through a link: a person named it."""
    handle = os.open(folder, _FOLDER if parent is not None else _FOLDER & ~os.O_NOFOLLOW, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _runs(job: str) -> bool:
    """Does the process that made this job folder (job-TIME-PID-NUMBER-RUN) still run?"""
    found = re.match(rf"{_PREFIX}[0-9T]+-([0-9]+)-", job)
    return found is None or os.path.exists(f"/proc/{found[1]}")
