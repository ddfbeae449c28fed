"""A session of the native uploader: what it keeps from one job to the next, and what an end in the middle leaves."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import threading
import typing

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.core.errors import SyncError, UploadFailed
from sync_to_azure.files.folder import place_of
from sync_to_azure.uploaders import FileAt, Job, Tick
from sync_to_azure.uploaders.crew import Crew
from sync_to_azure.uploaders.gate import FixedGate
from sync_to_azure.uploaders.native import NativeSession, NativeUploader
from sync_to_azure.uploaders.under_way import UnderWay
from tests.passes.scene import eventually
from tests.uploaders.wire import (
    LARGE,
    Answer,
    Request,
    Settings,
    Wire,
    first,
    job_for,
    job_of,
    native,
    right,
    stored,
)


@pytest.fixture
def others() -> set[threading.Thread]:
    return set(threading.enumerate())


def ours(others: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of crews."""

    def works_for(thread: threading.Thread) -> str:
        return str(getattr(getattr(thread, "_target", None), "__qualname__", ""))

    new = set(threading.enumerate()) - others
    return [thread for thread in new if works_for(thread).startswith("Crew.")]


def sent(session: NativeSession, job: Job) -> set[str]:
    return {each.blob for each in session.carry(job, lambda tick: None)}


class InThread:
    """Something that is done in a thread of its own, and the error with which it ended."""

    def __init__(self, what: collections.abc.Callable[[], object]) -> None:
        self.result: object = None
        self.error: SyncError | None = None

        def run() -> None:
            try:
                self.result = what()
            except SyncError as error:
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def ended(self) -> "InThread":
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self


def test_lines_and_threads_serve_job_after_job(
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    others: set[threading.Thread],
) -> None:
    contents = {str(number): os.urandom(1000) for number in range(30)} | {"large": os.urandom(LARGE)}
    job_of(run, contents)
    with native(through).open() as session:
        assert ours(others) == [], "nothing is started before there is work"
        for name in contents:
            assert sent(session, job_for(run, [name])) == {name}
        kept = ours(others)
        assert 0 < len(kept) <= through.concurrency + through.source_readers
        assert sent(session, job_for(run, contents, container)) == set(contents)
        assert set(kept) <= set(ours(others))
    assert ours(others) == [] and stored(container) == right(contents)


@pytest.mark.parametrize("size", [1000, 200_000, LARGE])
def test_a_job_that_is_broken_off_leaves_the_session_as_it_was(
    size: int,
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    others: set[threading.Thread],
) -> None:
    contents = {str(number): os.urandom(size) for number in range(6)}
    job_of(run, contents)
    held, release = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        held.set()
        release.wait(60)

    wire.act = first("PUT block" if size == LARGE else "PUT blob", hold, 4)

    def tick(at: Tick) -> None:
        if held.is_set():
            raise ZeroDivisionError

    with native(through).open() as session:
        with pytest.raises(ZeroDivisionError):
            list(session.carry(job_for(run, contents), tick))
        before, threads = len(wire.seen), ours(others)
        release.set()
        assert sent(session, job_for(run, contents, container)) == set(contents)
        assert set(threads) <= set(ours(others)), "no thread hung, so none is replaced"
        assert len(wire.seen) > before
    assert ours(others) == []
    assert stored(container) == right(contents)


def test_a_broken_job_cuts_off_no_other(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    contents = {"one": os.urandom(1000), "other": os.urandom(1000)}
    job_of(run, contents)
    held, release, both = threading.Event(), threading.Event(), threading.Barrier(2)

    def hold(request: Request) -> None:
        both.wait(60)
        held.set()
        release.wait(60)

    wire.act = first("PUT blob", hold, 2)

    def stop(at: Tick) -> None:
        if held.is_set():
            raise ZeroDivisionError

    with native(through).open() as session:
        other = InThread(lambda: sent(session, job_for(run, ["other"])))
        with pytest.raises(ZeroDivisionError):
            list(session.carry(job_for(run, ["one"]), stop))
        release.set()
        assert other.ended().result == {"other"} and other.error is None
    assert wire.kinds().count("PUT blob") == 2, "the other one was not sent again"


@pytest.mark.parametrize("size", [1000, LARGE])
def test_closed_in_the_middle(
    size: int, wire: Wire, through: Settings, run: pathlib.Path, others: set[threading.Thread]
) -> None:
    contents = {str(number): os.urandom(size) for number in range(5)}
    job_of(run, contents)
    held, release = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        held.set()
        release.wait(60)

    wire.act = first("PUT block" if size == LARGE else "PUT blob", hold, 100)
    session = native(through).open()
    job = InThread(lambda: sent(session, job_for(run, contents)))
    file = InThread(lambda: session.upload_file(FileAt(place_of(os.fsencode(run)), b"0"), "dest/single"))
    assert held.wait(60)
    session.close()
    assert isinstance(job.ended().error, UploadFailed) and isinstance(file.ended().error, UploadFailed)
    assert eventually(lambda: not ours(others))
    release.set()
    session.close()
    with pytest.raises(UploadFailed, match="closed"):
        sent(session, job_for(run, contents))
    with pytest.raises(UploadFailed, match="closed"):
        session.upload_file(FileAt(place_of(os.fsencode(run)), b"0"), "dest/single")


def test_a_thread_that_hangs_is_left_behind_and_the_session_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    wire: Wire,
    through: Settings,
    container: ContainerClient,
    run: pathlib.Path,
    others: set[threading.Thread],
) -> None:
    """A share that hangs: a read that does not come back. The real one would need a server of files that stops."""
    contents = {"hangs": os.urandom(200_000), "good": os.urandom(200_000)}
    job_of(run, contents)
    through.source_readers = 1
    hangs, back = threading.Event(), threading.Event()
    real = os.preadv

    def preadv(handle: int, buffers: typing.Any, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{handle}").endswith("hangs") and not back.is_set():
            hangs.set()
            back.wait(100)
        return real(handle, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)

    def stop(at: Tick) -> None:
        if hangs.is_set():
            raise ZeroDivisionError

    with native(through).open() as session:
        with pytest.raises(ZeroDivisionError):
            list(session.carry(job_for(run, ["hangs"]), stop))
        assert sent(session, job_for(run, ["good"])) == {"good"}
        back.set()
    assert eventually(lambda: not ours(others))
    assert set(stored(container)) == {"good"}


def test_a_share_that_hangs_under_a_single_file(
    monkeypatch: pytest.MonkeyPatch, through: Settings, run: pathlib.Path
) -> None:
    job_of(run, {"hangs": bytes(5)})
    through.timeout = 0.5
    back = threading.Event()
    monkeypatch.setattr(os, "preadv", lambda *given: back.wait(100) and 0)
    with native(through).open() as session:
        with pytest.raises(UploadFailed, match="nothing moved"):
            session.upload_file(FileAt(place_of(os.fsencode(run)), b"hangs"), "dest/x")
        back.set()


def test_what_waits_behind_the_work_of_others_does_not_count_as_hanging() -> None:
    work = UnderWay(FixedGate(1))
    for _ in range(3):
        work.raise_if_still(0.0)
    work.took()
    work.raise_if_still(0.0)
    with pytest.raises(UploadFailed, match="nothing moved"):
        while True:
            work.raise_if_still(0.0)
    work.moved(0)
    work.raise_if_still(0.0)
    work.put_down()
    for _ in range(3):
        work.raise_if_still(0.0)


def test_a_storage_that_is_busy_for_a_while(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    contents = {str(number): os.urandom(1000) for number in range(20)}
    job_of(run, contents)
    wire.act = first("PUT blob", lambda request: Answer(503, "ServerBusy"), 10)
    with native(through).open() as session:
        assert sent(session, job_for(run, contents)) == set(contents)
    assert stored(container) == right(contents)


class _Gate(FixedGate):
    """What is reported to it."""

    def __init__(self) -> None:
        super().__init__(2)
        self.lock = threading.Lock()
        self.answers: list[tuple[int, int]] = []

    def answered(self, size: int, seconds: float, status: int) -> None:
        with self.lock:
            self.answers.append((size, status))


def test_a_gate_hears_of_each_answer(
    wire: Wire, through: Settings, container: ContainerClient, run: pathlib.Path
) -> None:
    contents = {str(number): os.urandom(1000) for number in range(40)}
    job_of(run, contents)
    wire.act = first("PUT blob", lambda request: Answer(503, "ServerBusy"))
    gate = _Gate()
    plain: typing.Any = native(through)
    uploader = NativeUploader(plain._config, plain._signer, plain._storage, lambda: gate)
    with uploader.open() as session:
        assert sent(session, job_for(run, contents)) == set(contents)
    assert sorted(gate.answers) == [(1000, 201)] * 40 + [(1000, 503)]


def test_tasks_of_a_crew_that_ends_come_to_their_end() -> None:
    crew = Crew(FixedGate(2), 1)
    done = threading.Semaphore(0)
    for _ in range(20):
        crew.send(done.release)
    crew.close()
    crew.send(done.release)
    crew.read(done.release)
    for _ in range(22):
        assert done.acquire(timeout=10)


def test_a_process_that_came_of_ours_cannot_use_it(through: Settings, run: pathlib.Path) -> None:
    """It has none of our threads, and would write between our requests."""
    job = job_of(run, {"a": b"1"})
    with native(through).open() as session:
        sent(session, job)
        child = os.fork()
        if not child:
            code = 1
            try:
                session.upload_file(FileAt(place_of(os.fsencode(run)), b"a"), "x")
            except UploadFailed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
