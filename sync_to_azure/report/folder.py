"""The folder of a report: known by a file of ours, written file by file and each at once, what is old goes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

from sync_to_azure.errors import ConfigurationError, SurroundingsError

INDEX, RUNS, KEPT = "index.html", "runs", "kept"
MARKER = ".sync_to_azure-report"
_OURS = re.compile(r".*-[0-9a-f]{8}\.(html|json)")
_PART = ".part"


class CannotWrite(SurroundingsError):
    pass


def page_name(run: str) -> str:
    """A file name for a run of any name, the same each time; no two runs share one, also where case does not count."""
    digest = hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', run).lstrip('.-')[:80] or 'run'}-{digest}"


class Folder:
    """Open with ``take``. Raises CannotWrite where the disk does not want."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def take(cls, path: Path, flow_key: str) -> "Folder":
        """Make it, or find it as we left it. Raises ConfigurationError for a folder that is not a report's: what stands
        in it is somebody's, and pages of ours are removed when they are old."""
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            entries = os.listdir(path)
            if entries and MARKER not in entries:
                raise ConfigurationError(
                    f"--output {path} holds other things and no report of ours",
                    "name an empty or a new folder",
                )
            if entries and (path / MARKER).read_text("utf-8").split()[:1] != [flow_key]:
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

    def write(self, name: str, text: str) -> None:
        """At once: whoever opens it meanwhile sees the old or the new page, never half of one. Pages are for everybody;
        what is kept for later ones may hold names of samples, and is for us."""
        path = self.path / name
        try:
            handle, part = tempfile.mkstemp(prefix=".", suffix=_PART, dir=path.parent)
            try:
                with os.fdopen(
                    handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
                ) as file:
                    file.write(text)
                    os.fchmod(file.fileno(), 0o600 if name.startswith(f"{KEPT}/") else 0o644)
                os.replace(part, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part)
                raise
        except OSError as error:
            raise cannot(path, error) from error

    def read(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def prune(self, names: set[str]) -> int:
        """Remove pages (and what was kept for them) of other runs than ``names``; how many. What is not ours stays."""
        removed = 0
        for folder in (RUNS, KEPT):
            for entry in os.listdir(self.path / folder):
                if _OURS.fullmatch(entry) and entry.rpartition(".")[0] not in names:
                    with contextlib.suppress(OSError):
                        os.unlink(self.path / folder / entry)
                        removed += folder == RUNS
        return removed


def cannot(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"{path} cannot be written: {error.strerror}", "check permissions and free space there"
    )
