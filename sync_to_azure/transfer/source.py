"""The main folder and the sample sheet folder: what is there, on which mount, and whether that can be believed."""

from __future__ import annotations

import dataclasses
import itertools
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
from sync_to_azure.files.mounts import Mount, mount_of_handle
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
class MainFolderContents:
    """``main``: the main folder as it was when it was looked at, held open. ``strays``: what lies there and is no
    folder, so that it is left alone; ``links``: those of them that are symbolic links, maybe to runs elsewhere.
    """

    main: Folder = dataclasses.field(compare=False, repr=False)
    runs: tuple[RunFolder, ...]
    aside: tuple[bytes, ...]
    strays: tuple[str, ...]
    mount: Mount
    links: tuple[str, ...] = ()


def find_runs(main_folder: Path) -> MainFolderContents:
    """Everything in the main folder. Raises SourceUnavailable if it cannot be looked at."""
    root = os.fsencode(main_folder)
    runs: list[RunFolder] = []
    aside, strays, links = [], [], []
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
                    links += [shown(name)] if entry.is_symlink() else []
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
    mount = mount_of_handle(main.handle)
    return MainFolderContents(
        main, tuple(runs), tuple(sorted(aside)), tuple(sorted(strays)), mount, tuple(sorted(links))
    )


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


def nearly_sheets(folder: Path | None, run: str) -> tuple[str, ...]:
    """Files of the sample sheet folder that may be meant as the run's sheet and are not named RUN.csv: as Excel saves
    it (RUN.xlsx), as Windows names it where it hides endings (RUN.csv.txt), a copy. The first three by name; none
    where the folder cannot be read."""
    wanted = run.casefold()
    try:
        names = sorted(os.listdir(folder)) if folder is not None else []
    except OSError:
        return ()
    fitting = (
        name
        for name in names
        if name.casefold().startswith(wanted)
        and _NEARLY.fullmatch(name[len(run) :].casefold())
        and name.casefold() != f"{wanted}.csv"
    )
    return tuple(shown(os.fsencode(name)) for name in itertools.islice(fitting, 3))


_NEARLY = re.compile(r"( - \w+| ?\(\d+\)|\s+)?(\.csv)?\s*(\.txt|\.csv|\.xlsx?|\.ods|\.numbers)\s*")


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
