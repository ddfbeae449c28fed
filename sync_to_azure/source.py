"""The main folder and the sample sheet folder: what is there, on which mount, and whether that can be believed."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from pathlib import Path

from sync_to_azure.errors import ConfigurationError, RunError, SourceUnavailable
from sync_to_azure.names import ASIDE_PREFIX, is_never_a_run, shown
from sync_to_azure.walk import SHARE_GONE


@dataclasses.dataclass(frozen=True, slots=True)
class RunFolder:
    """One sub-folder of the main folder. ``mtime_ns`` is the folder's own."""

    name: bytes
    path: bytes
    mtime_ns: int

    @property
    def key(self) -> str:
        """The name as the ledger keeps it; bytes that are not UTF-8 as ``\\xff`` (such a run is never carried)."""
        return shown(self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class SheetFile:
    """``NAME.csv`` in the sample sheet folder; ``stem`` is NAME."""

    stem: str
    path: Path
    size: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """The file system of the main folder as /proc/self/mountinfo names it; device numbers change with every mount."""

    kind: str
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    runs: tuple[RunFolder, ...]
    aside: tuple[bytes, ...]
    strays: tuple[str, ...]
    mount: Mount


def find_runs(main_folder: Path) -> Found:
    """Everything in the main folder. Raises SourceUnavailable if it cannot be looked at."""
    root = os.fsencode(main_folder)
    runs, aside, strays = [], [], []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                name = os.fsdecode(entry.name)
                if entry.name.startswith(os.fsencode(ASIDE_PREFIX)):
                    aside.append(entry.name)
                elif is_never_a_run(name):
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    runs.append(_run_folder(entry))
                else:
                    strays.append(shown(entry.name))
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
    # After the scan: an automounter mounts at the first look.
    return Found(tuple(runs), tuple(sorted(aside)), tuple(sorted(strays)), mount_of(main_folder))


def _run_folder(entry: "os.DirEntry[bytes]") -> RunFolder:
    try:
        mtime_ns = entry.stat(follow_symlinks=False).st_mtime_ns
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise
        mtime_ns = 0
    return RunFolder(entry.name, entry.path, mtime_ns)


def find_sheets(folder: Path | None) -> dict[str, list[SheetFile]]:
    """The sheets by their stem, case folded. Two that differ only in case stand in one list."""
    sheets: dict[str, list[SheetFile]] = {}
    if folder is None:
        return sheets
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, extension = os.path.splitext(entry.name)
                if (
                    extension.casefold() != ".csv"
                    or entry.name.startswith((".", "~$"))
                    or not entry.is_file()
                ):
                    continue
                status = entry.stat()
                sheet = SheetFile(stem, Path(entry.path), status.st_size, status.st_mtime_ns)
                sheets.setdefault(stem.casefold(), []).append(sheet)
    except OSError as error:
        raise SourceUnavailable(
            f"sample sheet folder {folder} cannot be read: {error.strerror}",
            "check the mount and the permissions",
        ) from error
    return sheets


def sheets_for(run: str, sheets: dict[str, list[SheetFile]]) -> list[SheetFile]:
    """The sheets that fit a run: the exact name if it is there, else all that match without case."""
    fitting = sheets.get(run.casefold(), [])
    return [sheet for sheet in fitting if sheet.stem == run] or fitting


def top_level_files(run: RunFolder) -> list[str]:
    """Names of the plain files at the run's top level, where completion flags stand; none if the folder is gone."""
    try:
        with os.scandir(run.path) as entries:
            return [os.fsdecode(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        if error.errno in SHARE_GONE:
            raise SourceUnavailable(f"{shown(run.path)} cannot be read: {error.strerror}") from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return []
        # Not "waiting for its flag": nobody would ever look why.
        raise RunError(
            f"{shown(run.path)} cannot be read: {error.strerror}", "check its permissions"
        ) from error


def mount_of(folder: Path) -> Mount:
    """The mount that holds the folder: the longest mount point above it, the last of equal ones (it lies on top)."""
    real = os.path.realpath(folder)
    best, found = "", Mount("unknown", "unknown")
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                # man 5 proc: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS
                left, _, right = line.partition(" - ")
                point = _unescape(left.split(" ")[4])
                kind, source = right.split(" ")[:2]
                if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                    best, found = point, Mount(kind, _unescape(source))
    except (OSError, IndexError, ValueError):
        return Mount("unknown", "unknown")
    return found


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
