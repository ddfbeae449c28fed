"""A real ledger, and short ways to say what a walk saw and what a listing shows."""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import pathlib

import pytest

from sync_to_azure.transfer.ledger import Files, Flow, Ledger, Run
from sync_to_azure.core.model import Blob, Entry, Evidence, FileToSend, Kind, Sent, State

PREFIX = "dest/run/"
FLOW = Flow("/main", "https://account.blob.core.windows.net", "container", "dest")


def md5(text: str) -> bytes:
    return hashlib.md5(text.encode()).digest()


@dataclasses.dataclass
class Bench:
    """One run in an open ledger. Files are given as name: content; the content's MD5 and length are its facts."""

    ledger: Ledger
    files: Files
    run: Run

    def walk(self, files: dict[str, str], mtime_ns: int = 1, others: tuple[Entry, ...] = ()) -> None:
        entries = [Entry(name.encode(), Kind.FILE, len(text), mtime_ns) for name, text in files.items()]
        self.files.scratch.take_walk([*entries, *others], {})

    def manifest(self, files: dict[str, str], mtime_ns: int = 1, others: tuple[Entry, ...] = ()) -> None:
        """Walked, merged and hashed."""
        self.walk(files, mtime_ns, others)
        self.files.plan.merge_walk(self.run)
        self.hash(files, mtime_ns)

    def hash(self, files: dict[str, str], mtime_ns: int = 1) -> None:
        self.files.set_md5s(
            self.run,
            [
                (FileToSend(name.encode(), name, len(text), mtime_ns), md5(text), 3)
                for name, text in files.items()
            ],
        )

    def list(self, blobs: dict[str, str], etag: str = "1", others: tuple[Blob, ...] = ()) -> None:
        found = [Blob(PREFIX + name, len(text), md5(text), etag) for name, text in blobs.items()]
        self.files.scratch.take_listing([*found, *others], PREFIX)

    def send(
        self,
        names: collections.abc.Iterable[str],
        evidence: Evidence = Evidence.VALIDATED,
        etag: str | None = None,
    ) -> None:
        """``etag``: of the answer to our own request, where it is known."""
        self.files.scratch.sent(Sent(name, evidence, etag=etag) for name in names)

    def planned(self) -> list[str]:
        names = [file.blob for file in self.files.plan.each_to_send(self.run)]
        assert self.files.plan.to_send(self.run)[0] == len(names)
        return names

    def evidence(self) -> dict[str, Evidence]:
        return {row.blob: row.evidence for row in self.files.rows(self.run)}

    def own(self) -> set[str]:
        """Blobs whose evidence rests on an answer to our own request."""
        return {row.blob for row in self.files.rows(self.run) if row.etag_is_own}

    def rows(self) -> dict[str, tuple[int, int, bytes, int]]:
        return {
            row.blob: (row.size, row.mtime_ns, row.md5, row.generation) for row in self.files.rows(self.run)
        }


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: pathlib.Path) -> collections.abc.Iterator[Ledger]:
    opened = Ledger.open(path, FLOW)
    yield opened
    opened.close()


@pytest.fixture
def bench(ledger: Ledger) -> collections.abc.Iterator[Bench]:
    files = Files(ledger)
    yield Bench(ledger, files, ledger.add_run("run", State.SEEN, 1.0))
    files.close()
