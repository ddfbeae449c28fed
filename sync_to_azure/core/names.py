"""Names: which folders are runs, what is junk, which path becomes which blob, and how names are written in RUN.md5."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

SHEET_BLOB = "SampleSheet.csv"
INSTRUMENT_SHEET_BLOB = "SampleSheet.instrument.csv"

PUBLISHED_SUFFIXES = (".md5", ".files.jsonl", ".json", ".sync")
"""The four blobs beside DEST/RUN/, in the order in which they are written; the marker comes last."""

OURS_PREFIX = ".sync_to_azure"
"""Every name that we give beside runs, at the source or at the destination, begins so, and no run's name does."""

ASIDE_PREFIX = f"{OURS_PREFIX}-removing-"
"""A run that is being removed is renamed to this and its name, in the main folder."""

CLAIMS_FOLDER = f"{OURS_PREFIX}-claims"
"""Beside the runs at the destination: which flow uploads which run (steps/claims.py)."""

NEVER_RUNS = frozenset(
    name.casefold()
    for name in (
        ".snapshot",
        "~snapshot",
        "#snapshot",
        ".zfs",
        "$RECYCLE.BIN",
        "RECYCLER",
        "#recycle",
        "@Recycle",
        ".Trash",
        "System Volume Information",
        "@eaDir",
        "lost+found",
    )
)
"""Folders that servers and desktops put beside the runs."""

PART_SUFFIX = ".sync_to_azure.part"
"""How the name of a file ends that ``restore`` has not proved yet."""

JUNK = ("Thumbs.db", ".nfs*", "~$*", ".DS_Store", f"*{PART_SUFFIX}")
"""Leftovers: Windows thumbnails, NFS's deleted-but-open files, Office's lock files, the Finder's notes, and what our
own ``restore`` had not finished: a run can be brought back into its main folder."""

MAXIMUM_BLOB_NAME = 1024
MAXIMUM_SEGMENTS = 254

# XML 1.0 cannot hold these, and a listing is XML: one such name makes Azurite's whole listing fail with 500 (tried).
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_JUNK_PATTERN = re.compile("|".join(fnmatch.translate(pattern.casefold()) for pattern in JUNK))


def is_ours(name: str) -> bool:
    """Is this a name that only we give: a folder moved aside, a probe, a claim, a part? No run is uploaded under it.
    Case does not count: many shares know none."""
    return name.casefold().startswith(OURS_PREFIX)


def is_never_a_run(folder: str) -> bool:
    return folder.casefold() in NEVER_RUNS or folder.startswith((ASIDE_PREFIX, ".Trash-"))


def is_junk(file_name: str) -> bool:
    return _JUNK_PATTERN.match(file_name.casefold()) is not None


def shown(raw: bytes) -> str:
    """Bytes of a name as a person may read them; what is not UTF-8 becomes ``\\xff``."""
    return raw.decode("utf-8", "backslashreplace")


def blob_name(path: bytes, prefix: str = "") -> tuple[str | None, str]:
    """The blob name of a path below a run, or None and the reason why it cannot have one.

    ``prefix`` (DEST/RUN/) counts for the limits of Azure: 1,024 characters and 254 segments.
    """
    try:
        name = path.decode("utf-8")
    except UnicodeDecodeError:
        return None, "the name is not UTF-8"
    if "\\" in name:
        return None, "the name holds a backslash, which Azure takes for a slash"
    if _NOT_IN_XML.search(name):
        return None, "the name holds a control character that a listing cannot show"
    if name.endswith(".") or "./" in name:
        # The service takes "a." for "a" (Microsoft: no part of a name should end with a dot), Azurite does not: sent,
        # it would be missing in every listing, or stand over the file that really has the name.
        return None, "a part of the name ends in a dot, which Azure drops"
    whole = prefix + name
    if len(whole.encode("utf-16-le")) // 2 > MAXIMUM_BLOB_NAME:
        return None, f"the blob name would be longer than {MAXIMUM_BLOB_NAME} characters"
    if whole.count("/") + 1 > MAXIMUM_SEGMENTS:
        return None, f"the blob name would have more than {MAXIMUM_SEGMENTS} parts"
    return name, ""


def run_name_problem(folder: bytes) -> str:
    """Why a folder cannot be carried as a run under its name, or an empty string."""
    name, reason = blob_name(folder)
    if name is None:
        return reason
    if "\n" in name or "\r" in name:
        return "the name holds a line break"
    if is_ours(name):
        return f"the name begins with {OURS_PREFIX}, as only names of sync_to_azure's own do"
    for suffix in PUBLISHED_SUFFIXES:
        if name.endswith(suffix):
            return f"the name ends in {suffix}, which is the name of a document written next to a run"
    return ""


def md5_line(md5: bytes, name: str) -> str:
    """A line of RUN.md5 as md5sum writes it: a name with a line feed, a carriage return (``md5sum -c`` drops one at the
    end of a line) or a backslash is escaped and marked by a backslash before the sum."""
    if any(character in name for character in "\\\n\r"):
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{md5.hex()}  {escaped}\n"
    return f"{md5.hex()}  {name}\n"


class ExcludeRules:
    """``--exclude`` patterns. One without a slash matches the name of a file or folder at any depth; one with a slash
    matches the path below the run, or a folder above it. ``*`` also matches ``/``. Case counts."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [
            ("/" in pattern.rstrip("/"), pattern, re.compile(fnmatch.translate(pattern.strip("/"))))
            for pattern in patterns
        ]

    def rule_for(self, path: str) -> str | None:
        """The first pattern that excludes this path (relative, with ``/``), or None."""
        if not self._rules:
            return None
        parts = path.split("/")
        for whole, pattern, compiled in self._rules:
            if whole:
                above = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
                if any(compiled.match(candidate) for candidate in above):
                    return pattern
            elif any(compiled.match(part) for part in parts):
                return pattern
        return None
