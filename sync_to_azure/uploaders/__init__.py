"""The port behind which uploaders stand.

Promises of an uploader: it writes ``destination/blob`` for each file it is given, and nothing else; it deletes nothing,
follows no symlink, and never touches the source. It yields a ``Sent`` for each file that it believes it sent, with the
evidence that it can give; what it skips or fails is left out, and the listing decides. It may be called again with what
is still missing. It calls ``tick`` several times a second with how far it is. When its iterator is closed or an
exception comes out of it, everything that it started has ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from sync_to_azure.files.folder import Place
from sync_to_azure.core.model import FileToSend, Sent


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


class Uploader(Protocol):
    @property
    def computes_md5(self) -> bool:
        """True if every Sent comes with the MD5 of the bytes that were sent: then nobody else need read the file."""

    @property
    def described(self) -> str:
        """What it is, in words, once it is prepared."""

    def prepare(self) -> None:
        """Is everything there that is needed? Raises ToolUnavailable. Called once a pass, before the first job."""

    def can_carry(self, file: FileToSend) -> bool:
        """False for a file whose name, mapping or size this uploader cannot take, or that replaces a blob, which it
        cannot do under a condition; another one takes it."""

    def carry(self, job: Job, tick: Callable[[Tick], None]) -> Iterator[Sent]:
        """Send. Raises UploadFailed when trying again may help; AccessRefused and the like when it will not."""
