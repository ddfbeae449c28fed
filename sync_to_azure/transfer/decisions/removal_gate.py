"""May this run be removed? Pure: what was seen again, the manifest and a listing in, the fate of each entry out.

Nothing is unlinked unless every entry of the folder, seen again after it was moved aside, is in the published manifest
with the same size, mtime and ctime, and its blob stands there with the evidence ``validated`` or stronger under the
same ETag, which was told us in answer to our own upload or reading.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
from collections.abc import Iterable

from sync_to_azure.manifest.rows import FileRow
from sync_to_azure.core.model import Blob, Entry, Evidence, Kind
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.transfer.decisions import removal_clocks

DAY = 86400.0
REMOVAL_DUE, CREDENTIALS, CLOCKS = "removal-due", "removal-after-credentials", "clocks-differ"
"""Codes of reasons."""

_TOLD = 20

# What a client leaves of a file that is deleted while somebody has it open, until that handle is closed: NFS (Linux,
# fs/nfs/unlink.c), SMB (Linux 6.18, CIFS_SILLYNAME_PREFIX in fs/smb/client/cifsfs.h).
_HELD_OPEN = re.compile(rb"(?:.*/)?\.(?:nfs[0-9a-f]{8,}|__smbfile_silly[^/]*)", re.DOTALL)


class Fate(enum.Enum):
    GOES = "goes"
    """Is unlinked."""
    FOLDER = "folder"
    """Is empty: rmdir, which removes nothing that holds anything."""
    WAITS = "waits"
    """In the way for now: it goes by itself, or cannot be looked at in this moment."""
    BLOCKS = "blocks"
    """Not proved to be in the lake."""


@dataclasses.dataclass(frozen=True, slots=True)
class EntryState:
    """One entry as it was seen again, its row of the manifest, and that row's blob in the listing taken last."""

    entry: Entry
    row: FileRow | None = None
    blob: Blob | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RemovalRules:
    """``exclude``: what is not carried; with ``remove_excluded`` it goes with the run, and so does junk."""

    exclude: ExcludeRules
    remove_excluded: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedRun:
    """The run as a whole. ``published``: seconds since 1970, None if nobody can say; ``marker``: when the service saw
    the marker written last, None if it is not there; ``after``: seconds for which it must have been published;
    ``never``: why it is never removed by itself, or empty; ``credentials``: when every credential that AzCopy was given
    for it has expired (until then, a request of AzCopy's may still overwrite a blob), 0 if none was. ``now``: by our
    clock; ``service_now``: by the service's at that moment, None if it did not say.
    """

    marker: float | None
    published: float | None
    now: float
    after: float = 0.0
    wrong: int = 0
    unpublished: int = 0
    mounts: tuple[str, ...] = ()
    never: str = ""
    credentials: float = 0.0
    service_now: float | None = None

    @property
    def time(self) -> float:
        """What ``remove-after`` goes by: neither clock alone can end the wait."""
        return removal_clocks.earlier(self.now, self.service_now)


@dataclasses.dataclass(slots=True)
class RemovalDecision:
    """``objection``: why the run as a whole may not be removed; ``clocks``: why the clocks cannot be believed. Counts
    of what goes; what is in the way, up to 20."""

    objection: str = ""
    clocks: str = ""
    files: int = 0
    bytes: int = 0
    uncarried: int = 0
    folders: int = 0
    blocked: int = 0
    waiting: int = 0
    in_the_way: list[str] = dataclasses.field(default_factory=list)

    @property
    def may_begin(self) -> bool:
        return not (self.objection or self.clocks or self.blocked or self.waiting)

    @property
    def only_waits(self) -> bool:
        return not (self.objection or self.blocked or self.may_begin)

    @property
    def why(self) -> str:
        """In words; empty where nothing is in the way."""
        if self.objection or self.clocks or self.may_begin:
            return self.objection or self.clocks
        count = self.blocked + self.waiting
        more = f" and {count - 5} more" if count > 5 else ""
        return "in its way: " + ", ".join(self.in_the_way[:5]) + more


def objection(facts: PublishedRun) -> str:
    """Why nothing of this run may be removed, or an empty string."""
    if facts.never:
        return facts.never
    if facts.marker is None:
        return "its marker is not at the destination"
    if facts.wrong:
        return f"{facts.wrong} blobs are missing or wrong"
    if facts.unpublished:
        return f"{facts.unpublished} files are not published"
    if facts.mounts:
        return f"something is mounted inside it: {', '.join(facts.mounts[:5])}"
    if due_at(facts) > facts.time:
        return "it has not been published for as long as remove-after requires"
    if facts.credentials > facts.time:
        return "credentials that AzCopy was given for it have not expired"
    return ""


def waits(facts: PublishedRun) -> tuple[str, float] | None:
    """(code of the reason, from when on it may be removed) where only time has to pass, or None."""
    due = due_at(facts)
    if max(due, facts.credentials) <= facts.time:
        return None
    return (REMOVAL_DUE, due) if due >= facts.credentials else (CREDENTIALS, facts.credentials)


def due_at(facts: PublishedRun) -> float:
    """From when on it may be removed, in seconds since 1970; 0 where ``remove-after`` is not used. Of two times that
    differ (a ledger set back, a receipt that lies, a marker written again) the later one counts: never earlier than
    proved."""
    if not facts.after:
        return 0.0
    known = [time for time in (facts.marker, facts.published) if time is not None]
    return max(known, default=facts.now) + facts.after


def fate(standing: EntryState, rules: RemovalRules) -> tuple[Fate, str]:
    """What becomes of one entry, and why it does not go."""
    entry, row = standing.entry, standing.row
    if entry.kind is Kind.EMPTY_FOLDER:
        return Fate.FOLDER, ""
    if _HELD_OPEN.fullmatch(entry.path):
        return Fate.WAITS, "deleted, but still open somewhere"
    if entry.kind is Kind.UNREADABLE:
        return Fate.WAITS, f"cannot be accessed: {entry.detail}"
    if row is not None:
        why = _unproved(entry, row, standing.blob)
        return (Fate.BLOCKS, why) if why else (Fate.GOES, "")
    excluded = rules.exclude.rule_for(os.fsdecode(entry.path)) is not None
    if rules.remove_excluded and (excluded or entry.kind is Kind.JUNK):
        return Fate.GOES, ""
    if excluded:
        return Fate.BLOCKS, "excluded"
    return Fate.BLOCKS, "not in the manifest" if entry.kind is Kind.FILE else entry.kind.value


def _unproved(entry: Entry, row: FileRow, blob: Blob | None) -> str:
    if entry.kind is not Kind.FILE:
        return entry.kind.value
    if row.origin != "run" or row.path != entry.path or row.generation < 1:
        return "not published"
    if (row.size, row.mtime_ns) != (entry.size, entry.mtime_ns):
        return "size or time changed"
    if row.ctime_ns != entry.ctime_ns:
        return "changed in some way since it was hashed (ctime)"
    if blob is None or blob.folder_stub:
        return "its blob is missing"
    if len(row.md5) != 16 or (blob.size, blob.md5) != (row.size, row.md5):
        return "its blob is another"
    if not row.etag or blob.etag != row.etag:
        return "its blob was written again since it was proved"
    if row.evidence < Evidence.VALIDATED:
        return "its blob is only listed, not validated or read back"
    if not row.etag_is_own:
        return "its blob was not proved by a request of sync_to_azure"
    return ""


def decide(facts: PublishedRun, standings: Iterable[EntryState], rules: RemovalRules) -> RemovalDecision:
    """The gate: ``may_begin`` says whether the first unlink may come."""
    decision = RemovalDecision(objection(facts), removal_clocks.problem(facts.now, facts.service_now))
    folders: set[bytes] = set()
    for standing in standings:
        entry = standing.entry
        what, why = fate(standing, rules)
        _add_folders(folders, entry.path if what is Fate.FOLDER else entry.path.rpartition(b"/")[0])
        if what is Fate.GOES:
            decision.files += 1
            decision.bytes += entry.size
            decision.uncarried += standing.row is None
        elif what is not Fate.FOLDER:
            decision.waiting += what is Fate.WAITS
            decision.blocked += what is Fate.BLOCKS
            if len(decision.in_the_way) < _TOLD:
                decision.in_the_way.append(f"{entry.path.decode('utf-8', 'backslashreplace')} ({why})")
    # And the run's own.
    decision.folders = len(folders) + 1
    return decision


def _add_folders(folders: set[bytes], path: bytes) -> None:
    while path and path not in folders:
        folders.add(path)
        path = path.rpartition(b"/")[0]
