"""`restore`: bring a run back from the lake, each file proved against the published manifest before it has its name.

Works from the lake alone: neither the ledger nor the main folder is needed, unless that is where it is brought back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import logging
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import Clock
from sync_to_azure.transfer.commands.restore_hold import hold_if_removed
from sync_to_azure.transfer.commands.target import FileNotWritten, RestoreTarget, TargetUnavailable
from sync_to_azure.core.errors import BlobMissing, BlobRefused, BlobReplaced, ConfigurationError, OutOfRange
from sync_to_azure.core.model import Progress
from sync_to_azure.core.names import shown
from sync_to_azure.manifest.publication import NoManifest, Publication, PublishedFile, runs_in
from sync_to_azure.stores.opening import open_login, open_store
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.transfer.session import PassSession
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import how_many, human_size
from sync_to_azure.core.workers import in_order

if TYPE_CHECKING:
    from sync_to_azure.stores.store import Store
    from sync_to_azure.settings import Settings

_log = logging.getLogger(__name__)

THREADS = 8
"""Files that are brought back at once; each holds a chunk or two of 4 MiB."""
_NAMED = 20
"""So many files of one trouble are named, the rest is counted."""
_LARGE = 64 * 1024 * 1024

_TROUBLES = {
    "archived": "archived: have them rehydrated (az storage blob set-tier --tier Cool, takes hours), then start again",
    "differs": "there already with other bytes, left as they are: move them away, or give --overwrite",
    "missing": "without a blob at the destination: soft delete or versions of the container may have them",
    "wrong": "whose blobs differ from the manifest, nothing was written: soft delete or versions of the"
    " container may have the good ones",
    "refused": "whose blobs cannot be read",
    "unwritten": "that cannot be written here",
}


@dataclasses.dataclass(frozen=True, slots=True)
class RestoredFile:
    """What became of one file: ``restored``, ``kept``, or a key of _TROUBLES."""

    kind: str
    detail: str = ""


class _Restoring:
    """One run on its way back. ``bring`` is called by several threads."""

    def __init__(
        self, lake: "Store", publication: Publication, target: RestoreTarget, overwrite: bool
    ) -> None:
        self._lake = lake
        self._publication = publication
        self._target = target
        self._overwrite = overwrite
        self._count = threading.Lock()
        self.bytes_read = 0

    def bring(self, file: PublishedFile) -> RestoredFile:
        try:
            there = self._target.matches(file.target, file.size, file.md5, file.mtime_ns)
            if there:
                return RestoredFile("kept")
            if there is False and not self._overwrite:
                return RestoredFile("differs")
            if file.archived:
                return RestoredFile("archived")
            if not file.listed_etag:
                return RestoredFile("missing")
            good = self._target.write(
                file.target,
                file.size,
                file.md5,
                file.mtime_ns,
                lambda offset: self._chunks(file, offset),
                replace=self._overwrite,
            )
            return RestoredFile("restored" if good else "wrong")
        except FileNotWritten as error:
            return RestoredFile("unwritten", str(error))
        except BlobMissing:
            return RestoredFile("missing")
        except (BlobReplaced, BlobRefused) as error:
            return RestoredFile("refused", error.message)

    def _chunks(self, file: PublishedFile, offset: int) -> Iterator[bytes]:
        # Of the version that was listed: one that is written again in between would be a mixture.
        # A part that is longer than the blob is none of it: then there is nothing behind its end.
        with contextlib.suppress(OutOfRange):
            for chunk in self._lake.read(f"{self._publication.base}/{file.blob}", file.listed_etag, offset):
                with self._count:
                    self.bytes_read += len(chunk)
                yield chunk


def run(settings: "Settings", run: str, files: Sequence[str], to: str | None, overwrite: bool) -> int:
    """Exit code 0 if all that was asked for is there and proved, 1 if something is not."""
    if not run.strip("/") or "/" in run.strip("/") or run.strip("/") in (".", ".."):
        raise ConfigurationError(f"{run!r} is no run's name: give the name alone, as in RUN.sync")
    folder = Path(to) if to is not None else Path.cwd()
    with PassSession(settings, Clock(), "start again: restored files are kept") as session:
        lake = open_store(store_config(settings), open_login(login_config(settings)))
        destination = settings.destination.destination
        name = run.strip("/")
        base = f"{destination}/{name}" if destination else name
        with Publication(lake, base, Path(tempfile.gettempdir())) as publication:
            _read(publication, lake, destination)
            doubtful = False
            for document, problem in publication.problems:
                _log.warning("%s: %s %s", name, document, problem)
                # The other two are not needed to believe what is brought back.
                doubtful |= not document.endswith((".md5", ".sync"))
            publication.take_listing(lambda count: session.show(Progress(name, "listing", count)))
            wanted = _Wanted(publication, files)
            target = RestoreTarget(folder)
            try:
                held = hold_if_removed(settings, folder, name, (publication.receipt or {}).get("source"))
                code = _bring_all(session, lake, publication, target, wanted, overwrite)
            finally:
                target.close()
            if held is not None:
                session.print(f"  {plain(str(held))}")
            if doubtful:
                session.print(f"  its manifest {base}.files.jsonl is not confirmed by a receipt, see above")
            return 1 if doubtful else code


def _read(publication: Publication, lake: "Store", destination: str) -> None:
    """Raises NoManifest with the name that was meant, if one is near."""
    try:
        publication.read()
    except NoManifest as error:
        import difflib

        near = difflib.get_close_matches(publication.run, sorted(runs_in(lake, destination)), 1)
        if near and near[0] != publication.run:
            error.advice = f"did you mean {near[0]}?"
        raise


class _Wanted:
    """The files that were asked for: all, or those that a path, a folder or a pattern names."""

    def __init__(self, publication: Publication, asked: Sequence[str]) -> None:
        self._publication = publication
        self._asked = [each.strip("/") for each in asked]
        self.count = self.bytes = 0
        found: set[str] = set()
        for file in publication.files():
            by = self._asked_by(file)
            if self._asked and not by:
                continue
            found.update(by)
            self.count += 1
            self.bytes += file.size
        without = [each for each in self._asked if each not in found]
        if without:
            raise ConfigurationError(
                [f"{publication.run} has no file {each!r}" for each in without],
                f"its files are the lines of {publication.base}.md5; put patterns in quotes",
            )

    def files(self) -> Iterator[PublishedFile]:
        for file in self._publication.files():
            if not self._asked or self._asked_by(file):
                yield file

    def _asked_by(self, file: PublishedFile) -> list[str]:
        names = {file.blob, file.target, file.target.removeprefix(f"{self._publication.run}/")}
        return [
            each
            for each in self._asked
            if any(name == each or name.startswith(each + "/") for name in names)
            or any(fnmatch.fnmatchcase(name, each) for name in names)
        ]


def _bring_all(
    session: PassSession,
    lake: "Store",
    publication: Publication,
    target: RestoreTarget,
    wanted: _Wanted,
    overwrite: bool,
) -> int:
    name = publication.run
    _look_at_space(target, wanted)
    restoring = _Restoring(lake, publication, target, overwrite)
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    started = session.clock.monotonic()

    def show() -> None:
        seconds = max(session.clock.monotonic() - started, 0.001)
        done, read = sum(counts.values()), restoring.bytes_read
        rate = read / seconds
        session.show(Progress(name, "restoring", done, wanted.count, read, wanted.bytes, rate))

    for file, outcome in in_order(restoring.bring, wanted.files(), THREADS, show):
        counts[outcome.kind] += 1
        sizes[outcome.kind] += file.size
        show()
        if outcome.kind in _TROUBLES and counts[outcome.kind] <= _NAMED:
            detail = f": {outcome.detail}" if outcome.detail else ""
            _log.error("%s: %s%s", file.target, outcome.kind, detail)
        elif outcome.kind == "restored" and file.size >= _LARGE:
            _log.info("%s: %s, proved", file.target, human_size(file.size))
    target.settle()
    return _tell(session, publication, target.folder, counts, sizes)


def _look_at_space(target: RestoreTarget, wanted: _Wanted) -> None:
    """Better to be told now than in the night: what is there already is looked at only if it is near."""
    free = target.free()
    if wanted.bytes <= free:
        return
    needed = sum(
        file.size for file in wanted.files() if not file.archived and target.size_of(file.target) != file.size
    )
    if needed > free:
        raise TargetUnavailable(
            f"{target.folder} has {human_size(free)} free; {human_size(needed)} are to be restored",
            "free some, name another folder with --to, or name single files",
        )


def _tell(
    session: PassSession, publication: Publication, folder: Path, counts: Counter[str], sizes: Counter[str]
) -> int:
    kept = f"; there already: {how_many(counts['kept'], 'file')}" if counts["kept"] else ""
    lines = [
        f"{publication.run}: {how_many(counts['restored'], 'file')}, {human_size(sizes['restored'])}, restored"
        f" into {shown(os.path.abspath(os.fsencode(folder)))} and proved{kept}"
    ]
    for kind, words in _TROUBLES.items():
        if counts[kind]:
            lines.append(f"  {how_many(counts[kind], 'file')}, {human_size(sizes[kind])}, {words}")
    session.print("\n".join(plain(line) for line in lines))
    return 1 if any(counts[kind] for kind in _TROUBLES) else 0
