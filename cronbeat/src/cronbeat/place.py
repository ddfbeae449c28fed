"""The cache folder: the database, logs of runs, and lock files."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path

from cronbeat.errors import StateUnavailable


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """The folders exist. What the predecessor left in ``root`` is not touched."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "cronbeat.sqlite"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def own_lock(self, name: str) -> Path:
        """Of cronbeat itself; no task's lock can have its name."""
        return self.root / f"{name}.lock"

    def lock(self, name: str) -> Path:
        """The file of a lock; an absolute path is that file itself, so that users can share one."""
        return Path(name) if name.startswith("/") else self.root / "locks" / file_name(name)


def file_name(text: str) -> str:
    """``text`` as a file name that no path can hide in, at most 100 characters and unlike any other's."""
    quoted = urllib.parse.quote(text, safe=" ").replace(".", "%2E")
    if len(quoted) <= 100:
        return quoted
    import hashlib

    return f"{re.sub('%.?$', '', quoted[:60])}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def prepare(root: Path) -> Place:
    """Make the folders. Where the predecessor left a file of this name, ``NAME.d`` beside it is used."""
    if root.exists() and not root.is_dir():
        root = root.with_name(root.name + ".d")
    place = Place(root)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.logs.mkdir(mode=0o700, exist_ok=True)
        (root / "locks").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateUnavailable(
            f"cache folder {root}: cannot be made ({error.strerror})", "set 'cache' to a folder of yours"
        ) from None
    return place
