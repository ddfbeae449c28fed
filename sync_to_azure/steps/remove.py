"""Freeing the source, only with ``remove-source``: a published run is moved aside, looked at once more, and then
exactly the manifest's files are unlinked, one by one; never a tree, never through a symlink, never across a mount.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Sequence

from sync_to_azure.clock import mtime_ns

from sync_to_azure.ledger.files import FileRow, Verdict
from sync_to_azure.model import Evidence, Kind, Progress, State
from sync_to_azure.names import ASIDE_PREFIX, INSTRUMENT_SHEET_BLOB
from sync_to_azure.reasons import Reason
from sync_to_azure.source import RunFolder
from sync_to_azure.steps import carry, look, publish, read_back
from sync_to_azure.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)


def objection(
    verdict: Verdict, unpublished: int, blocking: int, marker_stands: bool, weakest: Evidence
) -> str:
    """Why a run may not be removed, or an empty string. Pure: the gate before anything is touched."""
    if not marker_stands:
        return "its marker is not at the destination"
    if not verdict.is_verified:
        return f"{verdict.wrong_count} blobs are missing or wrong"
    if unpublished:
        return f"{unpublished} files are not published"
    if blocking:
        return f"{blocking} entries are not carried"
    if weakest < Evidence.VALIDATED:
        return "some files are only listed, not validated or read back"
    return ""


def wanted(rooms: Rooms, work: Work) -> bool:
    """Cheap: is there anything to try? What stands in the way is told once, without asking the storage."""
    if not rooms.settings.remove_source or work.folder is None or work.run.state is not State.PUBLISHED:
        return False
    if work.run.reason is not None and work.run.reason.code != "removal-later":
        # Not at rest: files that came later are not carried yet.
        return False
    main_folder = rooms.settings.main_folder
    if os.statvfs(main_folder).f_flag & os.ST_RDONLY:
        _tell(
            rooms, "read-only-source", f"{main_folder} is mounted read-only: remove-source cannot work there"
        )
        return False
    if not os.access(main_folder, os.W_OK | os.X_OK):
        _tell(
            rooms,
            "unwritable-source",
            f"{main_folder} may not be written by us: remove-source cannot work there",
        )
        return False
    count = _blocking(rooms, work)
    if count:
        _tell(
            rooms,
            f"not-removed:{work.key}",
            f"{work.key} is published but not removed: {count} entries in it are not carried (see its receipt)",
        )
        return False
    return True


def _tell(rooms: Rooms, key: str, text: str) -> None:
    if rooms.ledger.tell_once(key, rooms.clock.now()):
        rooms.trouble(key, text, exit_code=1, once=True)


def _blocking(rooms: Rooms, work: Work) -> int:
    counts = rooms.files.uncarried_counts(work.run)
    return sum(count for kind, count in counts.items() if kind != Kind.EMPTY_FOLDER.value)


def unproved(rooms: Rooms, work: Work) -> str:
    """Ask the lake once more, reading back what is only ``listed``: why nothing may be unlinked, or an empty string."""
    # What was sent for another run, or for this one before, says nothing of the blobs as they are now.
    rooms.files.clear_try()
    carry.take_listing(rooms, work)
    verdict = rooms.files.verdict(work.run)
    if verdict.is_verified:
        wrong = read_back.until(rooms, work, Evidence.VALIDATED, "before the source is removed")
        if wrong:
            _heal(rooms, work)
            return f"{len(wrong)} blobs held other bytes than their MD5 said; they were sent again"
        verdict = rooms.files.verdict(work.run)
    return objection(
        verdict,
        rooms.files.unpublished(work.run),
        _blocking(rooms, work),
        rooms.lake().exists(work.base + ".sync"),
        verdict.weakest,
    )


def _heal(rooms: Rooms, work: Work) -> None:
    """The source is still here: blobs that were read back wrong are sent again from it, if it matches the manifest."""
    work.renamed = _renamed(rooms, work)
    look.into_ledger(rooms, work)
    verdict = carry.until_verified(rooms, work, listed=True)
    if verdict.is_verified:
        publish.publish(rooms, work, verdict)


def remove(rooms: Rooms, work: Work) -> None:
    """Prove once more, move aside, look again, unlink. Whatever differs puts the folder back."""
    reason = unproved(rooms, work)
    if reason:
        _tell(rooms, f"not-removed:{work.key}", f"{work.key} is not removed: {reason}")
        return
    assert work.folder is not None
    aside = _aside_name(work.folder.name)
    main_folder = os.fsencode(rooms.settings.main_folder)
    rooms.set_state(work, State.REMOVING, Reason("moved-aside", {}))
    try:
        os.rename(work.folder.path, os.path.join(main_folder, aside))
    except OSError as error:
        reason_later = Reason("removal-later", {"problem": error.strerror or str(error)})
        rooms.set_state(work, State.PUBLISHED, reason_later)
        _tell(
            rooms,
            f"rename-refused:{work.key}:{error.errno}",
            f"{work.key} cannot be moved aside for removal ({error.strerror}); it is tried again in every pass",
        )
        return
    go_on(rooms, work, aside)


def _aside_name(name: bytes) -> bytes:
    return os.fsencode(ASIDE_PREFIX) + name


def go_on(rooms: Rooms, work: Work, aside: bytes) -> None:
    """From the folder moved aside to the end; also after a crash. Raises nothing for what can only wait."""
    main_folder = os.fsencode(rooms.settings.main_folder)
    folder = os.path.join(main_folder, aside)
    if not has_begun(work):
        if _differs(rooms, work, folder):
            put_back(rooms, work, folder, "it changed before it was removed")
            return
        rooms.set_state(work, State.REMOVING, Reason("unlinking", {}))
    else:
        _log.info("%s: its removal was interrupted and goes on", work.key)
    left, problem = _unlink_published(rooms, work, folder)
    problem = _remove_empty_folders(folder) or problem
    if not os.path.lexists(folder):
        _removed(rooms, work)
    elif problem and not left:
        _tell(
            rooms,
            f"unlink-refused:{work.key}",
            f"{work.key}: removal stopped: {problem}; it goes on next time",
        )
    else:
        put_back(rooms, work, folder, "entries in it are not in its manifest, or changed")


def has_begun(work: Work) -> bool:
    """Was the first file unlinked (or about to be)? From then on removal only goes forward."""
    reason = work.run.reason
    return work.run.state is State.REMOVING and reason is not None and reason.code == "unlinking"


def settle_absent(rooms: Rooms, work: Work) -> None:
    """A run that is being removed and has no folder of its own: its folder stands aside still, or the last of it went
    just before we were cut off."""
    aside = os.path.join(os.fsencode(rooms.settings.main_folder), _aside_name(work.key.encode()))
    if not os.path.lexists(aside):
        _removed(rooms, work)


def _removed(rooms: Rooms, work: Work) -> None:
    # The word that no rows are kept comes before they go: without it, none of them would look like all of them.
    rooms.set_state(work, State.REMOVED, None, rows_kept=0)
    rooms.files.forget(work.run)
    _log.info("%s: removed from the source", work.key)


def _differs(rooms: Rooms, work: Work, folder: bytes) -> bool:
    """Every entry again: path, size, mtime; nothing added; all on one file system."""
    aside = RunFolder(work.run.key.encode(), folder, 0)
    work.folder = aside
    kept = work.renamed
    work.renamed = _renamed(rooms, work)
    look.into_ledger(rooms, work)
    work.renamed = kept
    found = rooms.files.not_as_published(work.run)
    for path, what in found[:5]:
        _log.warning("%s: %s: %s", work.key, path, what)
    return bool(found)


def _renamed(rooms: Rooms, work: Work) -> dict[bytes, str]:
    row = rooms.files.get(work.run, INSTRUMENT_SHEET_BLOB)
    return {row.path: row.blob} if row is not None and row.path != row.blob.encode() else {}


def put_back(rooms: Rooms, work: Work, folder: bytes, why: str) -> None:
    """Under its own name the next pass treats it as any published run: new files are added, changed ones flagged."""
    home = os.path.join(os.fsencode(rooms.settings.main_folder), work.run.key.encode())
    try:
        if os.path.lexists(home):
            raise FileExistsError(errno.EEXIST, "a folder of that name is there again")
        os.rename(folder, home)
    except OSError as error:
        names = os.fsdecode(os.path.basename(folder))
        rooms.set_state(work, State.FLAGGED, Reason("left-behind", {"folder": names, "names": why}))
        _tell(
            rooms,
            f"left-behind:{work.key}",
            f"{work.key}: {why}, and {names} cannot be put back: {error.strerror}",
        )
        return
    rooms.set_state(work, State.PUBLISHED, None, event="put-back", folder_mtime_ns=None)
    _log.warning("%s: put back at the source: %s", work.key, why)


def _unlink_published(rooms: Rooms, work: Work, folder: bytes) -> tuple[int, str]:
    """Unlink the manifest's files below ``folder``: (how many were not as published and stay, what refused)."""
    left, problem = 0, ""
    with _Folders(folder) as folders:
        for number, row in enumerate(rooms.files.rows(work.run)):
            if row.origin != "run" or row.generation == 0:
                continue
            if number % 500 == 0:
                rooms.progress(work, Progress(work.key, "removing", number))
            parent, _, name = row.path.rpartition(b"/")
            try:
                handle = folders.open(parent)
                if not _as_published(os.stat(name, dir_fd=handle, follow_symlinks=False), row):
                    left += 1
                    continue
                os.unlink(name, dir_fd=handle)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
                    left += 1
                    continue
                problem = f"{row.blob}: {error.strerror}"
    return left, problem


def _as_published(status: os.stat_result, row: FileRow) -> bool:
    return stat.S_ISREG(status.st_mode) and (status.st_size, mtime_ns(status)) == (row.size, row.mtime_ns)


class _Folders:
    """Handles of folders below a root, opened part by part: no part may be a symlink or lie on another file system."""

    def __init__(self, root: bytes) -> None:
        self._flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._root = os.open(root, self._flags)
        self._device = os.fstat(self._root).st_dev
        self._path: Sequence[bytes] = ()
        self._handle = self._root

    def open(self, path: bytes) -> int:
        parts = tuple(path.split(b"/")) if path else ()
        if parts == self._path:
            return self._handle
        self._forget()
        for part in parts:
            opened = os.open(part, self._flags, dir_fd=self._handle)
            self._forget()
            self._handle = opened
            if os.fstat(opened).st_dev != self._device:
                raise OSError(errno.EXDEV, "another file system")
        self._path = parts
        return self._handle

    def _forget(self) -> None:
        if self._handle != self._root:
            os.close(self._handle)
        self._path, self._handle = (), self._root

    def __enter__(self) -> "_Folders":
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        os.close(self._root)


def _remove_empty_folders(folder: bytes) -> str:
    """``rmdir`` from below; it removes nothing that holds anything. Returns what refused for another reason."""
    problem = ""
    for parent, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                problem = f"{os.fsdecode(parent)}: {error.strerror}"
    return problem
