"""Mounts, as the kernel lists them in /proc: which one holds a folder, and what is mounted below it."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from sync_to_azure.core.names import shown
from sync_to_azure.files.folder import open_folder


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """The file system of the main folder as /proc/self/mountinfo names it; device numbers change with every mount."""

    kind: str
    source: str


UNKNOWN_MOUNT = Mount("unknown", "unknown")


def mount_of(folder: Path) -> Mount:
    """The mount that holds the folder, as the kernel says: by the paths of mount points alone one cannot tell, as one
    that lies deeper may be hidden under a later one above it. UNKNOWN_MOUNT where the kernel does not say, or the
    folder cannot be opened at this moment."""
    try:
        with open_folder(os.fsencode(folder)) as opened:
            return mount_of_handle(opened.handle)
    except OSError:
        return UNKNOWN_MOUNT


def mount_of_handle(handle: int) -> Mount:
    """The mount that an open handle lies on; UNKNOWN_MOUNT where the kernel does not say."""
    try:
        number = mount_number(handle)
        with open("/proc/self/mountinfo", "rb") as lines:
            return mount_numbered(number, lines)
    except OSError:
        return UNKNOWN_MOUNT


def place_on_mount(folder: Path) -> str | None:
    """The folder's path on what is mounted: the same wherever that is mounted, another for each folder that is
    bind-mounted from one file system. None where the kernel does not say."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            number, path = mount_number(handle), os.readlink(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        with open("/proc/self/mountinfo", "rb") as lines:
            for line in lines:
                fields = line.split(b" ")
                if fields[0] == number:
                    return _below_mount(os.fsencode(path), _unescape(fields[3]), _unescape(fields[4]))
    except OSError:
        pass
    return None


def _below_mount(path: bytes, root: bytes, point: bytes) -> str | None:
    """``root``: what of the file system is mounted at ``point``. Pure."""
    relative = os.path.relpath(path, point)
    if relative == b".." or relative.startswith(b"../"):
        return None
    return shown(os.path.normpath(os.path.join(root, relative)))


def mount_number(handle: int) -> bytes:
    """The ID of the mount that an open handle lies on. Device numbers do not tell a bind mount from what it shows.
    Raises OSError, also where the kernel does not say."""
    with open(f"/proc/self/fdinfo/{handle}", "rb") as facts:
        for line in facts:
            if line.startswith(b"mnt_id:"):
                return line.split()[1]
    raise OSError(errno.ENOSYS, "the kernel does not report the mount of a file")


def mounts_below(folder: bytes) -> tuple[str, ...]:
    """The mount points below a folder, as paths. Raises OSError."""
    inside = os.path.realpath(folder) + b"/"
    with open("/proc/self/mountinfo", "rb") as lines:
        points = [_unescape(line.split(b" ")[4]) for line in lines]
    return tuple(shown(point) for point in points if point.startswith(inside))


def mounted_at(path: Path) -> tuple[bytes, Path] | None:
    """(device, path in its file system) of a real path, the same for each mount that shows it; None where the kernel
    does not say. Of a path that is not there yet, by the folder that will hold it."""
    there = next((each for each in (path, *path.parents) if os.path.lexists(each)), None)
    if there is None:
        return None
    try:
        handle = os.open(there, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            number = mount_number(handle)
        finally:
            os.close(handle)
        with open("/proc/self/mountinfo", "rb") as lines:
            # man 5 proc: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT
            [about] = [line.split(b" ")[2:5] for line in lines if line.split(b" ")[0] == number]
    except (OSError, ValueError):
        return None
    device, root, point = about[0], os.fsdecode(_unescape(about[1])), os.fsdecode(_unescape(about[2]))
    if not path.is_relative_to(point):
        return None
    return device, Path(root) / path.relative_to(point)


def mount_numbered(number: bytes, mountinfo: Iterable[bytes]) -> Mount:
    """The mount with this ID among the lines of mountinfo; a space in a source is written as a backslash and 040."""
    for line in mountinfo:
        # man 5 proc: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS
        left, _, right = line.partition(b" - ")
        about = right.split(b" ")
        if left.split(b" ")[0] == number and len(about) > 1:
            return Mount(shown(about[0]), shown(_unescape(about[1].rstrip(b"\n"))))
    return UNKNOWN_MOUNT


def _unescape(text: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), text)
