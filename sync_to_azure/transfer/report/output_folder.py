"""The folder of a report: known by a file of ours, written file by file and each at once, what is old goes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from sync_to_azure.core.errors import ConfigurationError, UnavailableError

INDEX, RUNS, KEPT = "index.html", "runs", "kept"
MARKER = ".sync_to_azure-report"
_OURS = re.compile(r".*-[0-9a-f]{8}\.(html|json)")
_PART = ".part"
_HEAD = 4096
_MARKS = {"html": b'<meta name="generator" content="sync_to_azure ', "json": b'"stamp": '}
"""What stands in the first ``_HEAD`` bytes of each file that we write, by the end of its name."""


class CannotWrite(UnavailableError):
    pass


def page_name(run: str) -> str:
    """A file name for a run of any name, the same each time; no two runs share one, also where case does not count."""
    digest = hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', run).lstrip('.-')[:80] or 'run'}-{digest}"


class ReportFolder:
    """Open with ``take``. Raises CannotWrite where the disk does not want."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def take(cls, path: Path, flow_key: str) -> "ReportFolder":
        """Make it, or find it as we left it. Raises ConfigurationError for a folder that is not a report's: what stands
        in it is somebody's, and pages of ours are removed when they are old."""
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            entries = os.listdir(path)
            if entries and MARKER not in entries:
                raise ConfigurationError(
                    f"--output {path} contains other files and no report of sync_to_azure",
                    "name an empty or a new folder",
                )
            if entries and (folder.read(MARKER) or "").split()[:1] != [flow_key]:
                raise ConfigurationError(
                    f"--output {path} holds the report of another configuration", "give each its own folder"
                )
            folder.write(MARKER, f"{flow_key}\nThis folder is written by sync_to_azure report.\n")
            for name in (RUNS, KEPT):
                (path / name).mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise CannotWrite(
                f"--output {path}: there is a file where a folder should be", "name an empty or a new folder"
            ) from error
        except OSError as error:
            raise cannot(path, error) from error
        return folder

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """RUNS or KEPT, which must be folders and no links; or, for an empty name, the folder that a person named."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if name:
                inner = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle
                )
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    def write(self, name: str, text: str) -> None:
        """At once: whoever opens it meanwhile sees the old or the new page, never half of one. Pages are for everybody;
        what is kept for later ones may hold names of samples, and is for us. What is no page of ours is left alone.
        """
        inner, _, leaf = name.rpartition("/")
        part = f".{secrets.token_hex(8)}{_PART}"
        try:
            with self._opened(inner) as folder:
                if not _may_be_replaced(folder, leaf):
                    raise CannotWrite(
                        f"{self.path / name} was not written by sync_to_azure report, and is not changed",
                        "move it away",
                    )
                handle = os.open(
                    part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder
                )
                try:
                    with os.fdopen(
                        handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
                    ) as file:
                        file.write(text)
                        os.fchmod(file.fileno(), 0o600 if inner == KEPT else 0o644)
                    os.replace(part, leaf, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(part, dir_fd=folder)
                    raise
        except OSError as error:
            raise cannot(self.path / name, error) from error

    def read(self, name: str) -> str | None:
        """None where no plain file of that name can be read."""
        inner, _, leaf = name.rpartition("/")
        try:
            with self._opened(inner) as folder:
                content = _content(folder, leaf, -1)
            return content.decode("utf-8") if content is not None else None
        except (OSError, UnicodeDecodeError):
            return None

    def prune(self, names: set[str]) -> int:
        """Remove pages (and what was kept for them) of other runs than ``names``; how many. What is not ours stays."""
        removed = 0
        for name in (RUNS, KEPT):
            with contextlib.suppress(OSError), self._opened(name) as folder:
                for entry in os.listdir(folder):
                    if not _OURS.fullmatch(entry) or entry.rpartition(".")[0] in names:
                        continue
                    with contextlib.suppress(OSError):
                        if _may_be_replaced(folder, entry):
                            os.unlink(entry, dir_fd=folder)
                            removed += name == RUNS
        return removed


def _may_be_replaced(folder: int, name: str) -> bool:
    """Nothing is there, or what we wrote: by its first lines. Raises OSError."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    begin = _content(folder, name, _HEAD)
    if begin is None:
        return False
    return name == MARKER or _MARKS[name.rpartition(".")[2]] in begin


def _content(folder: int, name: str, most: int) -> bytes | None:
    """None of what is no plain file: a link leads elsewhere, a FIFO would be waited for. Raises OSError."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read(most) if stat.S_ISREG(os.fstat(handle).st_mode) else None


def cannot(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"{path} cannot be written: {error.strerror}", "check permissions and free space there"
    )
