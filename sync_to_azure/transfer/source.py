"""The main folder and the sample sheet folder: what is there, on which mount, and whether that can be believed."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Container, Iterable
from pathlib import Path

from sync_to_azure.core.clock import mtime_ns
from sync_to_azure.core.errors import ConfigurationError, RunError, SourceUnavailable
from sync_to_azure.files.folder import Folder, Place, is_gone_or_replaced, open_folder
from sync_to_azure.core.names import ASIDE_PREFIX, is_never_a_run, shown
from sync_to_azure.instruments.profiles.continuous import Unit
from sync_to_azure.files.walk import SHARE_GONE


@dataclasses.dataclass(frozen=True, slots=True)
class RunFolder:
    """One sub-folder of the main folder. ``mtime_ns`` is the folder's own. Of a continuous one (``unit``) ``name``
    is that of the destination, and ``place`` may be the main folder."""

    name: bytes
    place: Place
    mtime_ns: int
    unit: Unit | None = None

    @property
    def path(self) -> bytes:
        """For messages, and for programs that take nothing but paths."""
        return self.place.path

    @property
    def key(self) -> str:
        """The name as the ledger keeps it; bytes that are not UTF-8 as ``\\xff`` (such a run is never carried)."""
        return shown(self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class SheetFile:
    """``NAME.csv`` in the sample sheet folder, which is held open; ``stem`` is NAME. A link or a pipe is one
    too: it is refused where it is read, so that somebody hears of it."""

    stem: str
    path: Path
    size: int
    mtime_ns: int
    folder: Folder = dataclasses.field(compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """The file system of the main folder as /proc/self/mountinfo names it; device numbers change with every mount."""

    kind: str
    source: str


UNKNOWN_MOUNT = Mount("unknown", "unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """``main``: the main folder as it was when it was looked at, held open."""

    main: Folder = dataclasses.field(compare=False, repr=False)
    runs: tuple[RunFolder, ...]
    aside: tuple[bytes, ...]
    strays: tuple[str, ...]
    mount: Mount


def find_runs(main_folder: Path) -> Found:
    """Everything in the main folder. Raises SourceUnavailable if it cannot be looked at."""
    root = os.fsencode(main_folder)
    runs, aside, strays = [], [], []
    try:
        main = open_folder(root)
        with main.entries() as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if entry.name.startswith(ASIDE_PREFIX):
                    aside.append(name)
                elif is_never_a_run(entry.name):
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    runs.append(RunFolder(name, Place(main, name), _own_ns(entry)))
                else:
                    strays.append(shown(name))
    except FileNotFoundError as error:
        raise SourceUnavailable(f"main folder {main_folder} is not there", "is the share mounted?") from error
    except NotADirectoryError as error:
        raise ConfigurationError(
            f"main folder {main_folder} is not a folder", "set main-folder to the folder"
        ) from error
    except OSError as error:
        raise SourceUnavailable(
            f"main folder {main_folder} cannot be read: {error.strerror}",
            "check the mount and the permissions",
        ) from error
    runs.sort(key=lambda run: run.name)
    return Found(main, tuple(runs), tuple(sorted(aside)), tuple(sorted(strays)), _mount_of(main.handle))


def _own_ns(entry: "os.DirEntry[str]") -> int:
    try:
        return mtime_ns(entry.stat(follow_symlinks=False))
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise
        return 0


def find_sheets(folder: Path | None) -> dict[str, list[SheetFile]]:
    """The sheets by their stem, case folded. Two that differ only in case stand in one list."""
    sheets: dict[str, list[SheetFile]] = {}
    if folder is None:
        return sheets
    try:
        opened = open_folder(os.fsencode(folder))
        with opened.entries() as entries:
            for entry in entries:
                sheet = _sheet(entry, folder, opened)
                if sheet is not None:
                    sheets.setdefault(sheet.stem.casefold(), []).append(sheet)
    except OSError as error:
        raise SourceUnavailable(
            f"sample sheet folder {folder} cannot be read: {error.strerror}",
            "check the mount and the permissions",
        ) from error
    return sheets


def _sheet(entry: "os.DirEntry[str]", folder: Path, opened: Folder) -> SheetFile | None:
    """None for what is no sheet: another file, one that just went away."""
    stem, extension = os.path.splitext(entry.name)
    if extension.casefold() != ".csv" or entry.name.startswith((".", "~$")):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise
        return None
    if stat.S_ISDIR(status.st_mode):
        return None
    # The stem becomes a run's key in the ledger, which holds UTF-8 only; the path opens the file as it is named.
    own = folder / entry.name
    return SheetFile(shown(os.fsencode(stem)), own, status.st_size, mtime_ns(status), opened)


def sheets_for(run: str, sheets: dict[str, list[SheetFile]], alike: Container[str]) -> list[SheetFile]:
    """The sheets that fit a run: the exact name if it is there, else all that match without case, unless another run
    has that name in another case, too (``names_alike``): then a sheet belongs to the run of exactly its name.
    """
    folded = run.casefold()
    fitting = sheets.get(folded, [])
    exact = [sheet for sheet in fitting if sheet.stem == run]
    return exact if exact or folded in alike else fitting


def names_alike(runs: Iterable[str]) -> frozenset[str]:
    """Names, case folded, that several runs have."""
    counts = Counter(run.casefold() for run in runs)
    return frozenset(name for name, count in counts.items() if count > 1)


def top_level_files(run: RunFolder) -> list[str]:
    """Names of the plain files at the run's top level, where completion flags stand; none if the folder is gone."""
    try:
        with run.place.open() as folder, folder.entries() as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(run.path)} cannot be read: {error.strerror}") from error
        if is_gone_or_replaced(error):
            return []
        # Not "waiting for its flag": nobody would ever look why.
        raise RunError(
            f"{shown(run.path)} cannot be read: {error.strerror}", "check its permissions"
        ) from error


def mount_of(folder: Path) -> Mount:
    """The mount that holds the folder, as the kernel says: by the paths of mount points alone one cannot tell, as one
    that lies deeper may be hidden under a later one above it. UNKNOWN_MOUNT where the kernel does not say, or the
    folder cannot be opened at this moment."""
    try:
        with open_folder(os.fsencode(folder)) as opened:
            return _mount_of(opened.handle)
    except OSError:
        return UNKNOWN_MOUNT


def _mount_of(handle: int) -> Mount:
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
    raise OSError(errno.ENOSYS, "the kernel does not say on which mount a file lies")


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
