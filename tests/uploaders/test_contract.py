"""The promises of ``sync_to_azure.uploaders``, kept by each uploader against the real Azurite."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import gc
import hashlib
import os
import pathlib
import threading
import time
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import (
    AccessRefused,
    Interrupted,
    StorageUnavailable,
    SyncError,
    ToolUnavailable,
    UploadFailed,
)
from sync_to_azure.stores.login import AccountKey
from sync_to_azure.core.model import Evidence
from sync_to_azure.settings.for_stores import login_config
from sync_to_azure.transfer.configs import upload_config
from sync_to_azure.files.folder import place_of
from sync_to_azure.uploaders import FileAt, Job, Tick, Uploader
from sync_to_azure.uploaders.azcopy import AzCopyUploader
from tests.passes.scene import eventually
from tests.uploaders.wire import (
    MEBIBYTE,
    ODD_NAMES,
    Settings,
    carried,
    job_for,
    job_of,
    native,
    right,
    stored,
)

BOUND = 14 * MEBIBYTE
"""Of AzCopy's Put Blob with the buffers that it gets here."""


@pytest.fixture(params=["azcopy", "native"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AZCOPY_BUFFER_GB", "0.02")
    return str(request.param)


Make = collections.abc.Callable[..., Uploader]


@pytest.fixture
def make(
    kind: str, azurite: Azurite, container: ContainerClient, azcopy: pathlib.Path, tmp_path: pathlib.Path
) -> Make:
    def made(**changes: typing.Any) -> Uploader:
        values = {"blob_endpoint": azurite.endpoint, "container_name": container.container_name} | changes
        settings = Settings(azcopy=str(azcopy), **values)
        if kind == "native":
            return native(settings)
        anyway = typing.cast(typing.Any, settings)
        uploader = AzCopyUploader(
            upload_config(anyway), AccountKey(login_config(anyway)), Clock(), tmp_path / "jobs", 3
        )
        uploader.prepare()
        return uploader

    return made


def facts(folder: pathlib.Path) -> dict[str, tuple[object, ...]]:
    """Everything below the folder but the times of access."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino, content)
    return found


def test_files_arrive_byte_for_byte_with_evidence_that_is_true(
    kind: str, make: Make, container: ContainerClient, run: pathlib.Path
) -> None:
    sizes = (0, 1, 50_000, MEBIBYTE, MEBIBYTE + 1, 8 * MEBIBYTE, 8 * MEBIBYTE + 1, 20 * MEBIBYTE)
    contents = {name: name.encode() * 3 for name in ODD_NAMES} | {f"size {s}": os.urandom(s) for s in sizes}
    job = job_of(run, contents)
    (run / "not asked for").write_text("x")
    (run / "link").symlink_to("size 1")
    container.upload_blob("dest/run/an extra", b"extra")
    container.upload_blob("dest/elsewhere", b"extra")
    before = facts(run)
    ticks: list[Tick] = []
    sent, error = carried(make(), job, ticks.append)
    assert error is None and facts(run) == before
    found = stored(container)
    assert found.pop("an extra")[0] == found.pop("dest/elsewhere")[0] == b"extra"
    assert found == right(contents)
    assert set(sent) == set(contents)
    for name, each in sent.items():
        checked = kind == "native" or len(contents[name]) <= BOUND
        assert each.evidence is (Evidence.VALIDATED if checked else Evidence.LISTED), name
        if kind == "native":
            assert each.md5 == hashlib.md5(contents[name]).digest()
    assert [(t.files, t.bytes) for t in ticks] == sorted((t.files, t.bytes) for t in ticks)
    assert ticks[-1] == Tick(len(contents), sum(map(len, contents.values())))


@pytest.mark.parametrize("kind", ["native"], indirect=True)
def test_names_that_no_list_can_hold(make: Make, container: ContainerClient, run: pathlib.Path) -> None:
    contents = {name: name.encode() for name in ("line\nbreak", "carriage\rreturn", "\ufeffmark", "{")}
    uploader = make()
    job = job_of(run, contents)
    files = list(job.files)
    with uploader.open() as session:
        assert all(map(session.can_carry, files))
    assert carried(uploader, job_for(run, contents))[1] is None
    # Azurite's XML gives a carriage return back as a line feed: the names are asked for one by one.
    for name, content in contents.items():
        assert container.download_blob(f"dest/run/{name}").readall() == content


def test_what_changed_before_it_is_read_never_stands_with_bytes_that_its_md5_denies(
    kind: str, make: Make, container: ContainerClient, run: pathlib.Path
) -> None:
    names = ["grown", "truncated", "rewritten", "gone", "folder", "link", "fifo", "good"]
    job = job_of(run, {name: b"12345" for name in names})
    (run / "grown").write_bytes(b"123456")
    (run / "truncated").write_bytes(b"1234")
    status = (run / "rewritten").stat()
    (run / "rewritten").write_bytes(b"54321")
    os.utime(run / "rewritten", ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    for name in ("gone", "folder", "link", "fifo"):
        (run / name).unlink()
    (run / "folder").mkdir()
    (run / "folder" / "inner").write_text("x")
    (run / "link").symlink_to("/etc/hostname")
    os.mkfifo(run / "fifo")
    sent, error = carried(make(), job)
    found = stored(container)
    assert found["good"][0] == b"12345"
    assert set(found) <= {"grown", "truncated", "rewritten", "good"}
    for name, (content, md5) in found.items():
        assert md5 == hashlib.md5(content).digest(), name
    if kind == "native":
        assert error is None and set(sent) == set(found) == {"good"}
    else:
        # It yields all that it was given; what it skipped is a finding, and the listing decides.
        assert isinstance(error, UploadFailed)


def test_called_again_with_what_is_missing(make: Make, container: ContainerClient, run: pathlib.Path) -> None:
    contents = {name: name.encode() for name in ("a", "b", "c")}
    job_of(run, contents)
    with make().open() as session:
        for names in (["a"], ["b", "c"], []):
            assert sorted(each.blob for each in session.carry(job_for(run, names), _go_on)) == names
    assert stored(container) == right(contents)


def test_trouble_in_one_job_leaves_the_session_as_it_was(
    make: Make, container: ContainerClient, run: pathlib.Path
) -> None:
    contents = {str(number): os.urandom(300_000) for number in range(20)}
    job_of(run, contents)
    with make().open() as session:
        for trouble in (_stop, _interrupt):
            with pytest.raises((ZeroDivisionError, Interrupted)):
                list(session.carry(job_for(run, contents), trouble))
            with contextlib.suppress(StopIteration):
                next(session.carry(job_for(run, contents, container), _go_on))
        (run / "0").unlink()
        (run / "0").symlink_to("/etc/hostname")
        with contextlib.suppress(SyncError):
            list(session.carry(job_for(run, ["0"]), _go_on))
        (run / "0").unlink()
        job_of(run, {"0": contents["0"], "new": b"1"})
        assert [each.blob for each in session.carry(job_for(run, ["new"]), _go_on)] == ["new"]
    assert stored(container)["new"][0] == b"1"


def test_closed_while_a_job_is_under_way_in_another_thread(make: Make, run: pathlib.Path) -> None:
    contents = {str(number): bytes(3_000_000) for number in range(60)}
    job_of(run, contents)
    errors: list[SyncError] = []
    began = threading.Event()
    session = make().open()

    def carry() -> None:
        try:
            for _ in session.carry(job_for(run, contents), lambda tick: began.set()):
                pass
        except SyncError as error:
            errors.append(error)

    thread = threading.Thread(target=carry)
    thread.start()
    assert began.wait(60)
    session.close()
    thread.join(60)
    assert not thread.is_alive() and [type(error) for error in errors] == [UploadFailed]
    assert _open()[1] == 0, "no AzCopy"
    with pytest.raises(UploadFailed, match="closed"):
        list(session.carry(job_for(run, contents), _go_on))
    session.close()


def test_a_single_file_comes_with_a_proof_or_is_refused(
    make: Make, container: ContainerClient, run: pathlib.Path
) -> None:
    job_of(run, {"a": b"12345"})
    source = FileAt(place_of(os.fsencode(run)), b"a")
    with make().open() as session:
        if not session.sends_single_files:
            with pytest.raises(ToolUnavailable, match="native"):
                session.upload_file(source, "single")
            assert not container.get_blob_client("single").exists()
            return
        proof = session.upload_file(source, "single", digests=["sha256"])
    found = container.get_blob_client("single").get_blob_properties()
    assert (proof.etag, proof.size, proof.evidence) == (str(found.etag).strip('"'), 5, Evidence.VALIDATED)
    assert proof.digests["sha256"] == hashlib.sha256(b"12345").digest()


def test_nothing_is_left_when_it_ends_or_is_left(kind: str, make: Make, run: pathlib.Path) -> None:
    contents = {f"{number}": bytes(300_000) for number in range(40)}
    job_of(run, contents)
    gc.collect()
    before = _open()
    session = make().open()
    list(session.carry(job_for(run, contents), _go_on))
    gc.collect()
    settled = _open()
    for number in range(50 if kind == "native" else 2):
        # Where nothing stands: else the lake is asked what does, with lines that stay open.
        job = dataclasses.replace(job_for(run, contents), destination=f"dest/{number}")
        iterator: typing.Any = iter(session.carry(job, _stop if number % 2 else _go_on))
        try:
            next(iterator)
        except ZeroDivisionError:
            pass
        iterator.close()
    assert eventually(lambda: _is_settled(settled)), (_open(), settled)
    session.close()
    assert eventually(lambda: _is_settled(before)), (_open(), before)


def _is_settled(before: tuple[int, int, int]) -> bool:
    """The lake's own lines are few and stay open; one a repeat would be fifty."""
    gc.collect()
    threads, children, descriptors = _open()
    return threads <= before[0] and children <= before[1] and descriptors <= before[2] + 5


def _go_on(tick: Tick) -> None:
    pass


def _stop(tick: Tick) -> None:
    raise ZeroDivisionError


def _interrupt(tick: Tick) -> None:
    raise Interrupted(15)


def _open() -> tuple[int, int, int]:
    """Threads, children, and descriptors that are open."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    mine = 0
    for each in children:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            mine += b"--list-of-files" in pathlib.Path(f"/proc/{each}/cmdline").read_bytes()
    return threading.active_count(), mine, len(os.listdir("/proc/self/fd"))


def _problem(uploader: Uploader, job: Job) -> SyncError:
    began = time.monotonic()
    sent, error = carried(uploader, job)
    assert error is not None and time.monotonic() - began < 100, "no try after try"
    for each in ("sig=", "d3Jvbmc="):
        assert each not in str(error)
    return error


def test_a_container_that_is_gone(kind: str, make: Make, run: pathlib.Path) -> None:
    job = job_of(run, {"a": b"1", "b": bytes(9 * MEBIBYTE)})
    assert isinstance(_problem(make(container_name="no-such-container"), job), StorageUnavailable)


def test_a_refusal(make: Make, run: pathlib.Path) -> None:
    assert isinstance(_problem(make(secret="d3Jvbmc="), job_of(run, {"a": b"1"})), AccessRefused)
