"""Files and folders of ours that lie in the main folder, or hold it: they would be uploaded, and removed, as runs.

Asked by every command that acts, before it does anything. A path counts by where it really lies: symlinks are resolved,
each link on the way counts where it stands, and two mounts of one folder are one place.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from sync_to_azure.settings import evidence_key
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger.place import azcopy_folder, state_folder
from sync_to_azure.files.mounts import mounted_at

if TYPE_CHECKING:
    from sync_to_azure.settings import Settings

_MOST_LINKS = 40
"""As many as the kernel follows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Overlap:
    """``key``: of the setting whose path it is, or ``--output``."""

    key: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}: {self.advice}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Own:
    """``whole``: a folder in which we write, so the main folder must not lie in it either. ``may_be_main``: sheets
    beside the runs, in the main folder itself, are no part of any run."""

    key: str
    path: Path
    origin: str
    whole: bool = False
    may_be_main: bool = False


def refuse_overlaps(settings: "Settings", report: Path | None = None) -> None:
    """Raises ConfigurationError with all of them."""
    found = overlaps(settings, report)
    if found:
        raise ConfigurationError([str(each) for each in found])


def overlaps(settings: "Settings", report: Path | None = None) -> list[Overlap]:
    """Empty where the main folder is not given: the current folder only stands for it then."""
    if settings.origin["main-folder"] == "not given":
        return []
    main = _places(settings.source.main_folder)
    found = [
        overlap
        for own in _own(settings, report)
        if (overlap := _overlap(own, main, settings.source.main_folder))
    ]
    if settings.upload.azcopy_logs is None and "state-file" not in {each.key for each in found}:
        # By default beside the state file, whose folder may well be the one above the main folder.
        jobs = azcopy_folder(None, state_folder(settings.state.state_file))
        overlap = _overlap(
            _Own("azcopy-logs", jobs, "default", whole=True), main, settings.source.main_folder
        )
        found += [overlap] if overlap else []
    return found


def _own(settings: "Settings", report: Path | None) -> Iterator[_Own]:
    def named(key: str, path: Path | None, **more: bool) -> Iterator[_Own]:
        if path is not None:
            yield _Own(key, path, settings.origin[key], **more)

    yield from named("config-file", settings.general.config_file)
    yield from named("credentials", settings.identity.credentials)
    if settings.origin["evidence-key"] != evidence_key.DERIVED:
        # Otherwise it stands beside the credentials.
        yield from named("evidence-key", settings.identity.evidence_key)
    yield from named("notify-key", settings.events.notify_key)
    yield from named("samplesheet-folder", settings.source.samplesheet_folder, may_be_main=True)
    if settings.state.state_file is None:
        # Work database, lock and the copy of a dry run stand beside the state file.
        yield _Own("state-file", state_folder(None), "default", whole=True)
    else:
        yield from named("state-file", settings.state.state_file)
    yield from named("log-file", settings.log.log_file)
    yield from named("azcopy-logs", settings.upload.azcopy_logs, whole=True)
    yield from named("metrics-file", settings.monitoring.metrics_file)
    if report is not None:
        yield _Own("--output", report, "command line", whole=True)


def _overlap(own: _Own, main: list[Path], main_folder: Path) -> Overlap | None:
    places = _places(own.path)
    if own.may_be_main and (places[-1] == main[-1] or is_within(places[-1], main[-1]) == "same"):
        return None
    begin = f"{own.origin}: {own.key} {own.path}"
    if any(is_within(place, folder) for place in places for folder in main):
        return Overlap(
            own.key,
            f"{begin} is in the main folder {main_folder}, and would be uploaded and removed with the runs",
            "name a place outside of it",
        )
    if own.whole and any(is_within(folder, places[-1]) for folder in main):
        return Overlap(
            own.key,
            f"{begin} holds the main folder {main_folder}, and files are written into it and removed from it",
            "name a folder of its own",
        )
    return None


def _places(path: Path) -> list[Path]:
    """Where it stands, each link that leads on, and where it really lies (last). It need not be there yet."""
    places: list[Path] = []
    here = Path(os.path.abspath(path))
    for _ in range(_MOST_LINKS):
        here = Path(os.path.realpath(here.parent)) / here.name
        places.append(here)
        try:
            here = here.parent / os.readlink(here)
        except OSError:
            break
        here = Path(os.path.abspath(here))
    return [*places, Path(os.path.realpath(path))]


def is_within(path: Path, folder: Path) -> str:
    """ "same", "below", or an empty text. Both are real paths."""
    relative = relative_to(path, folder)
    if relative is None:
        return ""
    return "below" if relative.parts else "same"


def relative_to(path: Path, folder: Path) -> PurePath | None:
    """Where ``path`` is in ``folder``, also through another mount of it; None if it is not. Both are real paths."""
    if path.is_relative_to(folder):
        return path.relative_to(folder)
    # Another mount of the same folder, of one above it, or of one in it.
    try:
        there = os.stat(folder)
    except OSError:
        return None
    for above in (path, *path.parents):
        try:
            status = os.stat(above)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (there.st_dev, there.st_ino):
            return path.relative_to(above)
    one, other = mounted_at(path), mounted_at(folder)
    if one is None or other is None or one[0] != other[0] or not one[1].is_relative_to(other[1]):
        return None
    return one[1].relative_to(other[1])
