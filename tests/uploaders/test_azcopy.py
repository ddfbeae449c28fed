"""AzCopy behind the uploader port: the real one against Azurite, and stand-ins where it cannot be made to misbehave."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import time
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import AccessRefused, StateUnavailable, ToolUnavailable, UploadFailed
from sync_to_azure.stores.login import AccountKey
from sync_to_azure.files.folder import place_of
from sync_to_azure.core.model import NONCE_KEY, Evidence, FileToSend, Sent
from sync_to_azure.settings.for_stores import login_config
from sync_to_azure.transfer.configs import upload_config
from sync_to_azure.uploaders import Job, Tick, UploadSession, azcopy_jobs, azcopy_words
from sync_to_azure.uploaders.azcopy import AzCopyUploader
from tests.passes.scene import tree
from tests.uploaders.wire import ODD_NAMES


@dataclasses.dataclass
class Settings:
    """The settings that uploaders and the identity ask for."""

    azcopy: str | None
    blob_endpoint: str = "http://127.0.0.1:9/devstoreaccount1"
    container_name: str = "container"
    azcopy_log_level: str = "INFO"
    cap_mbps: float | None = None
    access_tier: str | None = None
    timeout: float = 300.0
    retry_times: int = 4
    concurrency: int = 8
    block_check: str = "auto"
    source_readers: int = 3
    auth: str = "account-key"
    tenant_id: str | None = None
    application_id: str | None = None
    authority_host: str | None = None
    storage_account: str = Azurite.account
    secret: str = Azurite.key

    @property
    def destination(self) -> "Settings":
        return self

    upload = identity = destination
    """One flat object plays all groups of settings."""


class Moved(Clock):
    """The real clock, moved by some seconds."""

    def __init__(self, by: float) -> None:
        self.by = by

    def now(self) -> float:
        return time.time() + self.by


@pytest.fixture
def jobs(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "jobs"


@pytest.fixture
def stand_in(tmp_path: pathlib.Path) -> collections.abc.Callable[[str], Settings]:
    """Settings that name a script in AzCopy's place; it has ``wanted`` (the listed names) and ``say(kind, …)``."""

    def write(body: str, **values: typing.Any) -> Settings:
        script = tmp_path / "azcopy"
        lines = [
            f"#!{sys.executable} -u",
            "import json, os, signal, sys, time",
            "if '--version' in sys.argv: print('azcopy version 10.32.2'); sys.exit(0)",
            "listed = [a.split('=', 1)[1] for a in sys.argv if a.startswith('--list-of-files=')][0]",
            "wanted = open(listed, 'rb').read().splitlines()",
            "def say(kind, **content):",
            "    print(json.dumps({'MessageType': kind, 'MessageContent': json.dumps(content)}))",
            "def end(status='Completed', **content):",
            "    say('EndOfJob', JobStatus=status, **{'TransfersCompleted': len(wanted), **content})",
            body,
        ]
        script.write_text("\n".join(lines) + "\n")
        script.chmod(0o755)
        return Settings(str(script), **values)

    return typing.cast("collections.abc.Callable[[str], Settings]", write)


def uploader(settings: Settings, jobs: pathlib.Path, clock: Clock | None = None) -> UploadSession:
    anyway = typing.cast(typing.Any, settings)
    made = AzCopyUploader(upload_config(anyway), AccountKey(login_config(anyway)), clock or Clock(), jobs, 3)
    made.prepare()
    return made.open()


def job_of(folder: pathlib.Path, contents: dict[str, bytes]) -> Job:
    files = []
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(FileToSend(name.encode(), name, len(content), path.stat().st_mtime_ns))
    size = sum(file.size for file in files)
    return Job("a run/ü", place_of(os.fsencode(folder)), "dest/run 1", iter(files), len(files), size)


@pytest.fixture
def two(tmp_path: pathlib.Path) -> Job:
    return job_of(tmp_path / "run", {"a": b"1", "b/c": b"2"})


def carried(made: UploadSession, job: Job) -> tuple[list[Sent], UploadFailed | None]:
    sent: list[Sent] = []
    try:
        for each in made.carry(job, lambda tick: None):
            sent.append(each)
    except UploadFailed as error:
        return sent, error
    return sent, None


def failed(made: UploadSession, job: Job) -> str:
    sent, error = carried(made, job)
    # What it may have sent is told all the same: the listing decides.
    assert [each.blob for each in sent] == ["a", "b/c"]
    assert error is not None
    return str(error)


# The real one


def test_files_arrive_with_their_md5_and_the_evidence_that_can_be_given(
    azurite: Azurite,
    container: ContainerClient,
    azcopy: pathlib.Path,
    jobs: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contents = {name: name.encode() * 3 for name in (*ODD_NAMES, "plain", "--flag=1", "$HOME", "{")}
    monkeypatch.setenv("AZCOPY_BUFFER_GB", "0.02")  # a small bound, so that a small file is above it
    limit = azcopy_words.put_blob_mib(os.environ) * 1024 * 1024
    assert limit == 14 * 1024 * 1024
    contents |= {"empty": b"", "below": os.urandom(limit - 1), "above": os.urandom(limit + 1)}
    contents |= {"at the limit, where it panics": bytes(limit)}
    settings = Settings(str(azcopy), azurite.endpoint, container.container_name)
    made = uploader(settings, jobs)
    job = job_of(tmp_path / "run", contents)
    files = list(job.files)
    listable = [file for file in files if made.can_carry(file)]
    (tmp_path / "run" / "not asked for").write_text("x")
    sent, error = carried(made, dataclasses.replace(job, files=iter(listable), count=len(listable)))
    assert error is None
    assert {each.blob: each.evidence for each in sent} == {
        file.blob: Evidence.LISTED if file.blob == "above" else Evidence.VALIDATED for file in listable
    }
    blobs = {blob.name: blob for blob in container.list_blobs()}
    assert set(blobs) == {f"dest/run 1/{file.blob}" for file in listable}
    for file in listable:
        blob = blobs[f"dest/run 1/{file.blob}"]
        assert (blob.size, bytes(blob.content_settings.content_md5), blob.blob_type) == (
            file.size,
            hashlib.md5(contents[file.blob]).digest(),
            "BlockBlob",
        )
    left_out = {file.blob for file in files} - {file.blob for file in listable}
    assert left_out == {"{", "at the limit, where it panics"}
    assert list(jobs.glob("job-*")) == []


def test_it_keeps_no_core_busy_while_it_waits(
    azurite: Azurite, container: ContainerClient, azcopy: pathlib.Path, jobs: pathlib.Path, two: Job
) -> None:
    """With an input that has ended it reads that again and again: five million times in the 2 s that it takes, where
    two hundred reads are enough. How much processor time that is hangs on the machine, and on who else is at work.
    """
    made = uploader(Settings(str(azcopy), azurite.endpoint, container.container_name), jobs)
    reads: list[int] = []

    def look(tick: Tick) -> None:
        for each in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(jobs) in (each / "cmdline").read_bytes():
                    reads.extend(map(int, re.findall(r"syscr: (\d+)", (each / "io").read_text())))

    assert len(list(made.carry(two, look))) == 2
    assert 0 < max(reads) < 20_000


def test_a_listed_file_that_became_a_folder_or_a_link_is_a_finding_and_nothing_of_it_is_carried(
    azurite: Azurite,
    container: ContainerClient,
    azcopy: pathlib.Path,
    jobs: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    job = job_of(tmp_path / "run", {"folder": b"1", "link": b"2", "good": b"3"})
    for name in ("folder", "link"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "folder").mkdir()
    (tmp_path / "run" / "folder" / "inner").write_text("x")
    (tmp_path / "run" / "link").symlink_to("/etc/hostname")
    _, error = carried(uploader(Settings(str(azcopy), azurite.endpoint, container.container_name), jobs), job)
    assert error is not None
    assert [blob.name for blob in container.list_blobs()] == ["dest/run 1/good"]
    (folder,) = jobs.glob("job-*")
    assert not (folder / "plans").exists() and list((folder / "logs").iterdir())


def test_a_refused_signature_is_no_try(
    azurite: Azurite, container: ContainerClient, azcopy: pathlib.Path, jobs: pathlib.Path, two: Job
) -> None:
    settings = Settings(str(azcopy), azurite.endpoint, container.container_name, secret="d3Jvbmc=")
    with pytest.raises((AccessRefused, UploadFailed)) as caught:
        list(uploader(settings, jobs).carry(two, lambda tick: None))
    assert "d3Jvbmc=" not in str(caught.value) and "sig=" not in str(caught.value)


def test_what_another_writer_put_there_stays_and_is_a_finding(
    azurite: Azurite,
    container: ContainerClient,
    azcopy: pathlib.Path,
    jobs: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    """Since the listing; the listing decides what becomes of it."""
    job = job_of(tmp_path / "run", {"taken": b"ours", "free": b"3"})
    container.upload_blob("dest/run 1/taken", b"theirs")
    sent, error = carried(
        uploader(Settings(str(azcopy), azurite.endpoint, container.container_name), jobs), job
    )
    assert "1 files were skipped" in str(error)
    assert container.download_blob("dest/run 1/taken").readall() == b"theirs"
    nonces = {blob.name: blob.metadata.get(NONCE_KEY) for blob in container.list_blobs(include=["metadata"])}
    assert nonces == {"dest/run 1/free": sent[0].nonce, "dest/run 1/taken": None}


def test_what_the_listing_shows_is_not_for_it(azcopy: pathlib.Path, jobs: pathlib.Path) -> None:
    made = uploader(Settings(str(azcopy)), jobs)
    assert made.can_carry(FileToSend(b"a", "a", 1, 1))
    assert not made.can_carry(FileToSend(b"a", "a", 1, 1, etag="0x1"))


# Stand-ins: the real one cannot be made to do these


StandIn = collections.abc.Callable[..., Settings]


def test_all_well(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    body = "say('Progress', TransfersCompleted='1', TotalBytesTransferred='1')\ntime.sleep(0.5)\nend()"
    ticks: list[Tick] = []
    sent = list(uploader(stand_in(body), jobs).carry(two, ticks.append))
    [nonce] = {each.nonce for each in sent}
    assert nonce is not None
    assert sent == [Sent(name, Evidence.VALIDATED, nonce=nonce) for name in ("a", "b/c")]
    assert Tick(0, 0) in ticks or Tick(1, 1) in ticks
    assert ticks[-1].files == 2
    assert list(jobs.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("sys.exit(1)", "exit code 1 and no summary"),
        ("print('panic: runtime error'); print('goroutine 1'); sys.exit(2)", "(a panic)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "exit code -11"),
        ("end(TransfersCompleted=0)", "sent 0 of 2"),
        ("end(TransfersCompleted=1, TransfersSkipped=1)", "1 files were skipped"),
        (
            "end('CompletedWithErrors', TransfersFailed=1, FailedTransfers=[{'Src': '/x', 'ErrorCode': 500}])",
            "/x",
        ),
        ("end('Failed')", "ended as Failed"),
        ("end(); sys.exit(1)", "exit code 1"),
        ("print('WARN: {{{'); print(); print('x' * 3_000_000); print('[]'); sys.exit(3)", "exit code 3"),
        (
            "end('CompletedWithErrors', TransfersFailed=9, FailedTransfers=[{'Src': 'x' * 2_000_000}])",
            "9 transfers",
        ),
        ("say('Progress', TransfersCompleted='2')", "no summary"),
    ],
)
def test_what_went_wrong_is_told(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, body: str, word: str
) -> None:
    assert word in failed(uploader(stand_in(body), jobs), two)
    (folder,) = jobs.glob("job-*")
    assert sorted(each.name for each in folder.iterdir()) == [azcopy_jobs.MARK, "files.txt", "logs"]


def test_odd_lines_among_good_ones_disturb_nothing(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    body = "print('WARN: broken'); os.write(1, b'\\xff\\xfe\\n'); print('y' * 1_000_000); end(); print('bye')"
    assert carried(uploader(stand_in(body), jobs), two)[1] is None


def test_one_that_stands_still_is_ended(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, tmp_path: pathlib.Path
) -> None:
    body = f"""open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))
while True: say('Progress', TransfersCompleted='1'); time.sleep(0.1)"""
    # Within this time it must have said who it is, on a busy machine too.
    assert "no progress for 5 s" in failed(uploader(stand_in(body, timeout=5.0), jobs), two)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_moves_is_not_ended_by_the_timeout(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    body = "for n in range(60): say('Progress', TotalBytesTransferred=n); time.sleep(0.1)\nend()"
    assert carried(uploader(stand_in(body, timeout=5.0), jobs), two)[1] is None


def test_one_that_told_its_end_and_does_not_go_is_ended(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only to be quick: it may linger for 10 s.
    monkeypatch.setattr("sync_to_azure.uploaders.azcopy_session._LINGER", 0.3)
    began = time.monotonic()
    assert carried(uploader(stand_in("end()\ntime.sleep(100)"), jobs), two)[1] is None
    assert time.monotonic() - began < 60


def test_a_refusal_is_a_matter_of_access(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    body = "say('Error'); print('RESPONSE 403: AuthenticationFailed'); sys.exit(1)"
    with pytest.raises(AccessRefused):
        list(uploader(stand_in(body), jobs).carry(two, lambda tick: None))


def test_a_signature_that_runs_out_is_no_try(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    made = uploader(stand_in("time.sleep(100)"), jobs)
    made._identity = typing.cast(typing.Any, ShortLived())
    _, error = carried(made, two)
    assert error is not None and not error.is_try


class ShortLived:
    def azcopy_query(self) -> tuple[str, float]:
        return "sig=x", 1.0

    def azcopy_environment(self) -> dict[str, str]:
        return {}

    def azcopy_expiry(self, now: float) -> tuple[float, float]:
        return now + 1.0, 0.0


class Kept:
    """A record that keeps what it is told, and by then is on the disk."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.calls: list[str] = []

    def begin(self, nonce: str, expires: float, token_life: float) -> None:
        self.calls.append("begin")
        self.path.touch()
        assert expires > time.time() + 3600 and token_life == 0.0

    def end(self, nonce: str) -> None:
        self.calls.append("end")


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ("end()", ["begin", "end"]),
        ("end('CompletedWithErrors', TransfersFailed=1)", ["begin", "end"]),
        ("end('CompletedWithSkipped', TransfersSkipped=1)", ["begin", "end"]),
        ("end('Cancelled')", ["begin"]),
        ("say('Progress', TransfersCompleted=1); os.kill(os.getpid(), signal.SIGKILL)", ["begin"]),
        ("sys.exit(0)", ["begin"]),
    ],
)
def test_a_job_is_on_record_before_it_starts_and_ended_once_it_reported_its_end(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, tmp_path: pathlib.Path, body: str, calls: list[str]
) -> None:
    record = Kept(tmp_path / "begun")
    body = f"assert os.path.exists({str(record.path)!r})\n{body}"
    carried(uploader(stand_in(body), jobs), dataclasses.replace(two, record=record))
    assert record.calls == calls


def test_leaving_the_iterator_ends_it(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, tmp_path: pathlib.Path
) -> None:
    body = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print('x'); time.sleep(100)"

    def stop(tick: Tick) -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(uploader(stand_in(body), jobs).carry(two, stop))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_job_without_files_starts_nothing(
    stand_in: StandIn, jobs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert carried(uploader(stand_in("sys.exit(1)"), jobs), job_of(tmp_path / "run", {})) == ([], None)


def test_one_that_went_away_after_it_was_looked_at(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    settings = stand_in("end()")
    made = uploader(settings, jobs)
    pathlib.Path(settings.azcopy or "").unlink()
    record = Kept(jobs / "begun")
    with pytest.raises(ToolUnavailable, match="does not start"):
        list(made.carry(dataclasses.replace(two, record=record), lambda tick: None))
    assert record.calls == ["begin", "end"]


# Is it there?


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("#!/bin/sh\necho azcopy version 9.9.9\n", "9.9.9"),
        ("#!/bin/sh\necho libsecret-1.so.0: cannot open shared object file; exit 127\n", "libsecret"),
        ("#!/bin/sh\nexit 0\n", "no output"),
        ("#!/no/such/interpreter\n", "does not start"),
        ("not a program", "does not start"),
    ],
)
def test_a_tool_that_is_not_azcopy_10(
    tmp_path: pathlib.Path, jobs: pathlib.Path, text: str, word: str
) -> None:
    script = tmp_path / "azcopy"
    script.write_text(text)
    script.chmod(0o755)
    with pytest.raises(ToolUnavailable, match=word):
        uploader(Settings(str(script)), jobs)


def test_a_tool_that_is_missing_or_may_not_be_run(tmp_path: pathlib.Path, jobs: pathlib.Path) -> None:
    with pytest.raises(ToolUnavailable, match="missing"):
        uploader(Settings(str(tmp_path / "missing")), jobs)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(ToolUnavailable, match="plain"):
        uploader(Settings(str(tmp_path / "plain")), jobs)


def test_the_real_one_is_found_on_the_path(
    azcopy: pathlib.Path, jobs: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "azure-storage-azcopy").symlink_to(azcopy)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    uploader(Settings(None), jobs)


# Its folder


OF_AZCOPY = "a13af4ba-caf9-1a42-668e-e00c6c1abedf"


def failed_job(jobs: pathlib.Path, run: str, days: float = 20) -> pathlib.Path:
    """As a pass left it that many days ago, and was killed."""
    jobs.mkdir(exist_ok=True)
    made = azcopy_jobs.make(jobs, run, time.time() - days * 86400)
    folder = made.rename(jobs / made.name.replace(f"-{os.getpid()}-", "-4194305-"))
    (folder / azcopy_jobs.MARK).write_text(f"{folder.name}\n")
    (folder / "files.txt").write_text("a\n")
    (folder / "source").symlink_to(jobs)
    (folder / "plans" / f"{OF_AZCOPY}--00000.steV20").touch()
    (folder / "logs" / f"{OF_AZCOPY}-scanning.log").touch()
    age(folder, days)
    return folder


def age(folder: pathlib.Path, days: float) -> None:
    os.utime(folder, (time.time() - days * 86400,) * 2)


def test_old_folders_of_failed_jobs_go_and_nothing_else(stand_in: StandIn, jobs: pathlib.Path) -> None:
    old, young = failed_job(jobs, "old"), failed_job(jobs, "young", days=3)
    for name in ("job-20240101T000000-4194305-0-run", "not ours"):
        # A run in a main folder that is named for azcopy-logs, too.
        for file in ("plans/plan", "logs/log", f"plans/{OF_AZCOPY}.log", "files.txt"):
            path = jobs / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"one of a kind")
        age(jobs / name, 20)
    (jobs / "job-file").touch()
    age(jobs / "job-file", 20)
    before = tree(jobs)
    uploader(stand_in("end()"), jobs)
    assert not old.exists()
    assert not (young / "plans").exists() and (young / "logs" / f"{OF_AZCOPY}-scanning.log").exists()
    gone = {name for name in before if name.startswith(f"{old.name}/") or f"{young.name}/plans/" in name}
    assert tree(jobs) == {name: content for name, content in before.items() if name not in gone}


def test_what_others_put_into_a_folder_of_ours_stays(stand_in: StandIn, jobs: pathlib.Path) -> None:
    outside = jobs.parent / "outside"
    outside.mkdir()
    precious = outside / f"{OF_AZCOPY}.log"
    precious.touch()
    with_a_file, with_links = failed_job(jobs, "file"), failed_job(jobs, "links")
    renamed = failed_job(jobs, "kept").rename(jobs / "job-20240101T000000-4194305-0-kept-aside")
    (with_a_file / "logs" / "notes.txt").touch()
    for name in ("plans", "logs"):
        (with_links / name).rename(outside / name)
        (with_links / name).symlink_to(outside)
    link = jobs / "job-20240101T000000-4194305-0-link"
    link.symlink_to(with_links)
    for folder in (with_a_file, with_links, renamed):
        age(folder, 20)
    kept = tree(renamed)
    for _ in range(2):
        uploader(stand_in("end()"), jobs)
    assert tree(with_a_file) == {"logs/notes.txt": b"", azcopy_jobs.MARK: f"{with_a_file.name}\n".encode()}
    assert precious.exists() and len(tree(outside)) == 3
    assert link.is_symlink() and (with_links / "logs").is_symlink() and tree(renamed) == kept


def test_a_place_without_room_or_rights_is_a_matter_of_state(
    stand_in: StandIn, jobs: pathlib.Path, two: Job, tmp_path: pathlib.Path
) -> None:
    made = uploader(stand_in("end()"), jobs)
    with pytest.raises(StateUnavailable, match="MiB free"):
        list(made.carry(dataclasses.replace(two, count=10**12), lambda tick: None))
    (tmp_path / "file").touch()
    made = uploader(stand_in("end()"), tmp_path / "file")
    with pytest.raises(StateUnavailable, match="cannot be used"):
        list(made.carry(two, lambda tick: None))


def test_the_list_names_exactly_the_files_of_the_job(stand_in: StandIn, jobs: pathlib.Path, two: Job) -> None:
    body = "print(json.dumps([w.decode() for w in wanted])); sys.exit(5)"
    said = failed(uploader(stand_in(body), jobs), two)
    assert json.dumps(["a", "b/c"]) in said
