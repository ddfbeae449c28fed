"""The port behind which uploaders stand; tests/uploaders/test_contract holds each of them to it.

**An uploader** is prepared once, and opens sessions. **A session** outlives one job: what it needs (threads, lines, a
login, a folder for logs) it opens once, and uses for many jobs and single files, until it is closed.

**What is written.** A job writes ``destination/blob`` for each file that it is given, a single file its one name, and
nothing else. Nothing is deleted, no symlink followed, the source never touched. Native: every commit has a condition
(an ETag that may be replaced, or nothing), and no file is committed that changed while it was read. AzCopy knows no
condition and opens files by itself: it is given only names that the listing does not show, and the listing decides.

**What is claimed.** Never more than was proved. A job yields a ``Sent`` for each file that it believes it sent, with
the evidence that it can give; what it skips or fails is left out. It may be called again with what is still missing. A
single file comes back as a ``Proof``, or an error comes out.

**The end.** When the iterator of a job is closed, or an exception comes out of it or of a single file, everything that
it started has ended: no request of it is on its way (a single thread that hangs on a dead share is left behind, and
sends nothing any more). The session, and what others do with it, goes on. When the session is closed, no thread,
process, descriptor or line of it is left, and what was under way has failed with UploadFailed, whatever thread it was
in.

**Errors** (core.errors): UploadFailed when trying again may help, Overtaken when somebody else wrote there;
AccessRefused, StorageUnavailable, SourceUnavailable, StateUnavailable and ToolUnavailable when it will not soon;
BlobRefused when the service refuses a name for good; RunChanged (single files) when the file changed while it was read.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Protocol

from sync_to_azure.files.folder import Place
from sync_to_azure.core.model import Evidence, FileToSend, Sent


class JobRecord(Protocol):
    """Where a program that writes to the destination by itself is put on record."""

    def begin(self, nonce: str, expires: float, token_life: float) -> None:
        """Before it starts. ``nonce``: what it writes into each blob's metadata; the rest as ``azcopy_expiry`` of an
        identity says it."""

    def end(self, nonce: str) -> None:
        """It reported its end, or never started: it sends nothing any more."""


class NoRecord:
    """For a job outside of all runs (the probe of ``check``)."""

    def begin(self, nonce: str, expires: float, token_life: float) -> None:
        pass

    def end(self, nonce: str) -> None:
        pass


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """``source``: the run folder; ``destination``: blob name prefix without a slash at its end (DEST/RUN);
    ``files`` is walked once; ``count`` and ``bytes`` say how many they will be."""

    run: str
    source: Place
    destination: str
    files: Iterable[FileToSend]
    count: int
    bytes: int
    record: JobRecord = NoRecord()


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """Files and bytes that are through, so far."""

    files: int
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class FileAt:
    """A file by its path below a folder: opened through no link, in any part of the path."""

    place: Place
    path: bytes

    @property
    def shown(self) -> bytes:
        """The whole path, for messages."""
        return os.path.join(self.place.path, self.path)


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """What is proved of one file that was uploaded. ``etag``: of the answer to our own request, or, with ``listed``, of
    what was found under the name after that answer was lost: same size and MD5. ``size`` and ``digests`` (``md5``
    always) are of the very bytes that were sent; the times, in ns, the file's before its first byte was read.

    ``evidence``: ``validated``: the service compared every byte as it came; ``read-back``: they were read again from
    this ETag, and all digests agree; ``listed``: nobody compared them.
    """

    name: str
    etag: str
    size: int
    digests: Mapping[str, bytes]
    evidence: Evidence
    mtime_ns: int
    ctime_ns: int


class UploadSession(Protocol):
    @property
    def computes_md5(self) -> bool:
        """True if every Sent comes with the MD5 of the bytes that were sent: then nobody else need read the file."""

    @property
    def sends_single_files(self) -> bool:
        """False where ``upload_file`` cannot give a proof: it raises ToolUnavailable then, and the session of another
        uploader takes the file."""

    def can_carry(self, file: FileToSend) -> bool:
        """False for a file whose name, mapping or size this uploader cannot take, or that replaces a blob, which it
        cannot do under a condition; another one takes it."""

    def carry(self, job: Job, tick: Callable[[Tick], None]) -> Iterator[Sent]:
        """Send. ``tick`` is called several times a second with how far it is."""

    def upload_file(
        self,
        source: "FileAt | int",
        name: str,
        replaces: str | None = None,
        digests: Collection[str] = (),
        read_back: bool = False,
    ) -> Proof:
        """Send one file outside of all runs, and wait for its proof. May be called from several threads at once.

        ``source``: where it is, or a handle that is open for reading: it is read from its beginning, and neither closed
        nor moved. ``name``: of the blob, whole. ``replaces``: the ETag of the blob that may be replaced, None if none
        may be there. ``digests``: of files.digests, beside the MD5, from the same read. ``read_back``: read it from the
        service again, for the strongest evidence.

        A blob of the same size and MD5 that is there already counts as our own whose answer was lost, and comes back as
        ``listed``. Raises RunChanged (size, mtime or ctime are others after the last byte than before the first;
        nothing is written), Overtaken, BlobRefused, RunError (the file cannot be read), UploadFailed, also where it
        was written but not read back.
        """

    def close(self) -> None:
        """See the module. May be called from any thread, and again."""

    def __enter__(self) -> "UploadSession": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Uploader(Protocol):
    @property
    def described(self) -> str:
        """What it is, in words, once it is prepared."""

    def prepare(self) -> None:
        """Is everything there that is needed? Raises ToolUnavailable. Called once, before the first session."""

    def open(self) -> UploadSession: ...
