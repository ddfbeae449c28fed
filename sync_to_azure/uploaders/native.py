"""Our own uploader: one read of each file, every byte checked by the service as it comes, memory flat.

Files are read in the order of their names (a network share is read sequentially), never more than ``source-readers``
at once, and sent up to 8 MiB as one Put Blob, above as Put Blocks, each with its CRC64 or MD5; the file's own MD5 comes
from the same buffers. A file that is not as the walk saw it, before or after it was read, is not committed. Every
commit is conditional on what the plan's listing showed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from types import TracebackType

from sync_to_azure.core.errors import UploadFailed
from sync_to_azure.core.model import FileToSend, Sent
from sync_to_azure.files import digests as digests_of
from sync_to_azure.uploaders import FileAt, Job, Proof, Tick
from sync_to_azure.uploaders.upload_config import UploadConfig
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.gate import Gate, Gates
from sync_to_azure.uploaders.hot_calls import HotCalls, Signer, crc64_for
from sync_to_azure.uploaders.native_job import NativeJob
from sync_to_azure.uploaders.sending import FileSender, Storage
from sync_to_azure.uploaders.single_file import SingleFile, Upload, check_name
from sync_to_azure.uploaders.under_way import UnderWay

_LINGER = 2.0
"""Seconds that threads are waited for which work for what has to stop."""


MakeGate = Callable[[], Gate]
"""One a crew, of which a session can need several."""


class NativeUploader:
    """See the package's promises. Everything that it sent is ``validated``, and its MD5 known; ``listed`` is what
    is there by our own call whose answer was lost."""

    def __init__(
        self,
        config: UploadConfig,
        signer: Signer,
        storage: Storage,
        gates: MakeGate | None = None,
    ) -> None:
        self._config = config
        self._signer = signer
        self._storage = storage
        self._gates = gates or Gates(config.concurrency)

    def prepare(self) -> None:
        """Nothing to install, but what ``block-check`` asks for has to be there."""
        if self._config.block_check == "crc64":
            crc64_for(self._config.block_check)

    @property
    def described(self) -> str:
        number = self._config.concurrency
        return "our own" if number is None else f"our own, {number} requests at once"

    def open(self) -> "NativeSession":
        return NativeSession(self._config, self._signer, self._storage, self._gates)


class NativeSession:
    """Threads and lines are opened when they are first needed. Used by several threads at once; all of them share its
    threads, buffers and limits."""

    computes_md5 = True
    sends_single_files = True

    def __init__(self, config: UploadConfig, signer: Signer, storage: Storage, gates: MakeGate) -> None:
        self._config = config
        self._storage = storage
        self._gates = gates
        self._calls = HotCalls(config, signer)
        self._lock = threading.Lock()
        self._crew: Crew | None = None
        self._under_way: set[UnderWay] = set()
        self._is_closed = False
        self._process = os.getpid()

    def can_carry(self, file: FileToSend) -> bool:
        return True

    def carry(self, job: Job, tick: Callable[[Tick], None]) -> Iterator[Sent]:
        with self._user() as (crew, work):
            sender = FileSender(self._calls, self._storage, crew, work)
            sending = NativeJob(job, crew, sender, work, self._config.timeout)
            with self._ended(sending, crew, work):
                for file in job.files:
                    while not sending.offer(file):
                        yield from sending.results(0.1)
                        sending.tell(tick)
                    sending.tell(tick)
                sending.no_more()
                while not sending.finished:
                    yield from sending.results(0.2)
                    sending.tell(tick)
                tick(sending.at)
            sending.raise_what_failed()

    def upload_file(
        self,
        source: "FileAt | int",
        name: str,
        replaces: str | None = None,
        digests: Collection[str] = (),
        read_back: bool = False,
    ) -> Proof:
        digests_of.check(digests)
        check_name(name)
        upload = Upload(source, name, replaces, tuple(digests), read_back)
        with self._user() as (crew, work):
            sender = FileSender(self._calls, self._storage, crew, work)
            sending = SingleFile(upload, crew, sender, self._storage, work, self._config.timeout)
            with self._ended(sending, crew, work):
                return sending.sent()

    @contextlib.contextmanager
    def _user(self) -> Iterator[tuple[Crew, UnderWay]]:
        if self._process != os.getpid():
            # Threads do not come along, and lines would be shared.
            raise UploadFailed(
                "the uploader's session was opened by another process", "open one in each process"
            )
        with self._lock:
            if self._is_closed:
                raise UploadFailed("the uploader's session is closed")
            if self._crew is None:
                self._crew = Crew(self._gates(), self._config.source_readers)
            crew = self._crew
            crew.join()
            work = UnderWay(crew.gate)
            self._under_way.add(work)
        try:
            yield crew, work
        finally:
            with self._lock:
                self._under_way.discard(work)
            crew.leave()

    @contextlib.contextmanager
    def _ended(self, sending: "NativeJob | SingleFile", crew: Crew, work: UnderWay) -> Iterator[None]:
        """Nothing works for it any more afterwards, and nothing of it is on its way; others are not touched."""
        try:
            yield
        finally:
            work.stop.set()
            self._calls.cut(work)
            if not sending.end(_LINGER):
                self._retire(crew)

    def _retire(self, crew: Crew) -> None:
        """A thread of it hangs, maybe with a buffer: the next user gets another one."""
        with self._lock:
            crew.retire()
            if self._crew is crew:
                self._crew = None

    def close(self) -> None:
        """What is under way, in whatever thread, ends with UploadFailed."""
        with self._lock:
            self._is_closed = True
            crew, self._crew = self._crew, None
            for work in self._under_way:
                work.stop.set()
        self._calls.close()
        if crew is not None:
            crew.close()

    def __enter__(self) -> "NativeSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
