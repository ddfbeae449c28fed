"""A store in a folder, where it is more than the contract: real files, others who write there, crashes."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import typing

import pytest

from sync_to_azure.core.errors import (
    AccessRefused,
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    StorageUnavailable,
)
from sync_to_azure.stores import local as module
from sync_to_azure.stores.local import LocalStore
from sync_to_azure.stores.local_facts import Facts, FactsFolder
from sync_to_azure.stores.local_names import OWN_FOLDER
from tests.conftest import LONG, PROJECT
from tests.contract.stores.bench import LocalBench, md5, put


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> LocalBench:
    folder = tmp_path / "store"
    folder.mkdir()
    return LocalBench(folder)


def test_objects_are_ordinary_files(bench: LocalBench) -> None:
    bench.put("run/sub/file.txt", b"content")
    assert (bench.folder / "run" / "sub" / "file.txt").read_bytes() == b"content"


def test_an_object_and_a_folder_of_one_name(bench: LocalBench) -> None:
    bench.put("run/file", b"x")
    for name in ("run", "run/file/below"):
        with pytest.raises(BlobRefused):
            bench.put(name, b"y")
    assert bench.store.stat("run") is None and bench.store.stat("run/file/below") is None
    assert bench.store.get("run/file") == b"x"


def test_links_lead_nowhere(bench: LocalBench, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (bench.folder / "folder").symlink_to(outside)
    (bench.folder / "file").symlink_to(outside / "secret")
    for name in ("folder/secret", "file"):
        assert bench.store.stat(name) is None and bench.store.get(name) is None
        with pytest.raises(BlobMissing):
            bench.store.snapshot(name)
        with pytest.raises(BlobRefused):
            bench.put(name, b"over it")
    with pytest.raises(BlobRefused):
        bench.put("folder/new", b"x")
    assert list(bench.store.list("")) == [] and os.listdir(outside) == ["secret"]


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../out", "..", ".", "a//b", "a/", "/"])
def test_no_name_leads_out(bench: LocalBench, tmp_path: pathlib.Path, name: str) -> None:
    bench.put(name, b"x")
    assert bench.store.get(name) == b"x" and [each.name for each in bench.store.list("")] == [name]
    assert sorted(os.listdir(tmp_path)) == ["store"]


def test_what_others_change(bench: LocalBench) -> None:
    """Another size or mtime: it is theirs now, and nothing is claimed of it."""
    etag = bench.put("x", b"ours")
    with (bench.folder / "x").open("r+b") as file:
        file.write(b"them")
    now = bench.store.stat("x")
    assert now is not None and now.etag != etag and now.md5 is None
    with pytest.raises(BlobReplaced):
        list(bench.store.read("x", etag))
    with pytest.raises(BlobReplaced):
        bench.put("x", b"again", etag)


def test_what_others_change_while_it_is_read(bench: LocalBench) -> None:
    etag = bench.put("x", bytes(9_000_000))
    chunks = bench.store.read("x", etag)
    next(chunks)
    with (bench.folder / "x").open("r+b") as file:
        file.seek(8_000_000)
        file.write(b"x")
    with pytest.raises(BlobReplaced):
        list(chunks)


def test_facts_that_cannot_be_read_claim_nothing(bench: LocalBench) -> None:
    bench.put("x", b"ours")
    [facts] = (bench.folder / OWN_FOLDER / "facts").glob("*/*")
    for text in (b"{", b"[]", b'{"name": "x", "versions": [{}]}', b'{"name": "y", "versions": []}', b"\xff"):
        facts.write_bytes(text)
        now = bench.store.stat("x")
        assert now is not None and now.md5 is None and bench.store.get("x") == b"ours"
        assert [blob.etag for blob in bench.store.list("")] == [now.etag]
    bench.put("x", b"again", now.etag)
    now = bench.store.stat("x")
    assert now is not None and now.md5 == md5(b"again")


def test_a_clock_that_was_set_back(bench: LocalBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size and mtime tell versions apart: no two have the same."""
    etag, times = None, []
    monkeypatch.setattr(module.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    for number in range(5):
        etag = bench.put("x", b"%d" % number, etag)
        times.append((bench.folder / "x").stat().st_mtime_ns)
        assert bench.store.get("x") == b"%d" % number and bench.store.stat("x").etag == etag  # type: ignore[union-attr]
    assert all(before != after for before, after in zip(times, times[1:]))


def test_a_copy_of_the_folder_is_the_same_store(bench: LocalBench, tmp_path: pathlib.Path) -> None:
    etag = bench.put("a/x", b"ours", metadata={"of": "it"})
    subprocess.run(["cp", "-a", str(bench.folder), str(tmp_path / "copy")], check=True)
    now = LocalStore(tmp_path / "copy").stat("a/x")
    assert now is not None and (now.etag, now.md5, dict(now.metadata)) == (etag, md5(b"ours"), {"of": "it"})


CHILD = """
import hashlib, os, pathlib, signal, sys
from sync_to_azure.stores.local import LocalStore
store, at = LocalStore(pathlib.Path(sys.argv[1])), int(sys.argv[2])
seen = 0
def count(event, arguments):
    global seen
    if event in ("os.rename", "os.mkdir", "os.utime", "os.remove", "os.link", "open"):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
now = store.stat("run/x")
sys.addaudithook(count)
{action}
print(seen)
"""
PUT = 'store.put("run/x", b"after", 5, hashlib.md5(b"after").digest(), "text/plain", now.etag)'
APPEND = (
    'store.append("run/x", now.etag, [block for block, _ in store.committed_blocks("run/x")[1]], b"after", 5)'
)
SNAPSHOT = 'store.snapshot("run/x", now.etag)'


def killed_at(folder: pathlib.Path, action: str, at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD.replace("{action}", action), str(folder), str(at)],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONG,
    )


@pytest.mark.parametrize("action", [PUT, APPEND, SNAPSHOT], ids=["put", "append", "snapshot"])
def test_killed_at_any_point(bench: LocalBench, action: str) -> None:
    """All of the one or all of the other, with the facts of just that; and what comes next works."""
    at = 0
    while True:
        at += 1
        folder = bench.folder / f"{at}"
        folder.mkdir()
        store = LocalStore(folder)
        before = store.append("run/x", None, [], b"before", 6, md5=md5(b"before"))
        ended = killed_at(folder, action, at)
        now = LocalStore(folder).stat("run/x")
        assert now is not None
        content = store.get("run/x")
        if now.etag == before.etag:
            assert (content, now.size, now.md5) == (b"before", 6, md5(b"before"))
        else:
            assert action != SNAPSHOT
            whole = b"after" if action == PUT else b"beforeafter"
            assert (content, now.size) == (whole, len(whole)) and not now.etag.startswith("file-")
            assert now.md5 == (md5(whole) if action == PUT else None)
        assert [blob.name for blob in store.list("")] == ["run/x"]
        put(store, "run/x", b"next", now.etag)
        assert store.get("run/x") == b"next"
        if ended.returncode == 0:
            assert action == SNAPSHOT or now.etag != before.etag
            break
        assert ended.returncode == -signal.SIGKILL
    assert at > 4


def test_what_a_killed_process_left_is_tidied_later(bench: LocalBench) -> None:
    left = bench.folder / OWN_FOLDER / "temporary" / "left"
    left.write_bytes(b"x")
    bench.open()
    assert left.exists(), "somebody may still write it"
    os.utime(left, (1, 1))
    bench.open()
    assert not left.exists()


def test_the_folder_is_gone(bench: LocalBench) -> None:
    """Not there is another thing than empty: a share that is not mounted must not look like a store without objects."""
    bench.put("x", b"x")
    bench.folder.rename(bench.folder.with_name("elsewhere"))
    calls: list[typing.Callable[[], object]] = [
        lambda: bench.store.check(""),
        lambda: bench.store.stat("absent"),
        lambda: bench.store.get("absent"),
        lambda: list(bench.store.list("")),
        lambda: list(bench.store.list_level("")),
        bench.open,
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="store"):
            call()
    bench.folder.mkdir()
    for call in calls[:-1]:
        with pytest.raises(StorageUnavailable, match="was replaced by another one"):
            call()
    shutil.rmtree(bench.folder)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EACCES, AccessRefused), (errno.EROFS, AccessRefused), (errno.ENOSPC, StorageUnavailable)]
    + [(errno.EIO, StorageUnavailable), (errno.ESTALE, StorageUnavailable)],
)
def test_what_the_file_system_answers(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    """A stand-in for a disk that is full or fails: neither can be had in a test."""
    bench.put("x", b"x")

    def fail(*arguments: object, **options: object) -> typing.NoReturn:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(expected, match=os.strerror(number)):
            put(bench.store, "new", b"y")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        with pytest.raises(expected, match=os.strerror(number)):
            bench.store.stat("x")
    assert bench.store.stat("new") is None and bench.store.get("x") == b"x"


def test_without_the_right_to_write(bench: LocalBench) -> None:
    bench.put("run/x", b"x")
    (bench.folder / "run").chmod(0o555)
    code = """
import hashlib, pathlib, sys
from sync_to_azure.core.errors import AccessRefused
from sync_to_azure.stores.local import DeletingLocalStore
store = DeletingLocalStore(pathlib.Path(sys.argv[1]))
now = store.stat("run/x")
for call in (
    lambda: store.put("run/x", b"y", 1, hashlib.md5(b"y").digest(), "", now.etag),
    lambda: store.put("run/y", b"y", 1, hashlib.md5(b"y").digest(), "", None),
    lambda: store.may_delete("run/x"),
    lambda: store.delete("run/x", now.etag),
):
    try:
        call()
    except AccessRefused as error:
        assert error.advice
    else:
        sys.exit("it was not refused")
assert store.get("run/x") == b"x"
"""
    command = [sys.executable, "-c", code, str(bench.folder)]
    if os.geteuid() == 0:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--", *command]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=True, timeout=LONG)


def test_somebody_who_knows_no_lock_is_not_written_over(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their file comes between our look and our writing."""
    write = FactsFolder.write

    def they_come(self: FactsFolder, name: str, versions: list[Facts]) -> None:
        write(self, name, versions)
        bench.write_outside(name, b"theirs")

    monkeypatch.setattr(FactsFolder, "write", they_come)
    with pytest.raises(BlobReplaced):
        put(bench.store, "run/x", b"ours")
    monkeypatch.undo()
    now = bench.store.stat("run/x")
    assert now is not None and now.md5 is None and bench.store.get("run/x") == b"theirs"
    assert os.listdir(bench.folder / OWN_FOLDER / "temporary") == []


def test_two_processes_raise_a_counter(bench: LocalBench) -> None:
    code = """
import hashlib, pathlib, sys
from sync_to_azure.core.errors import BlobReplaced
from sync_to_azure.stores.local import LocalStore
store, left = LocalStore(pathlib.Path(sys.argv[1])), 40
while left:
    now = store.get_dated("counter", 100)
    text = b"%d by %s" % (int(now.content.split()[0]) + 1, sys.argv[2].encode())
    try:
        store.put("counter", text, len(text), hashlib.md5(text).digest(), "", now.etag)
        left -= 1
    except BlobReplaced:
        pass
"""
    bench.put("counter", b"0 by nobody")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(bench.folder), f"{number}"],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        for number in range(3)
    ]
    assert [process.wait(LONG) for process in started] == [0, 0, 0]
    assert (bench.store.get("counter") or b"").split()[0] == b"120"


def test_the_facts_are_of_one_version_each(bench: LocalBench) -> None:
    etag = None
    for number in range(5):
        etag = bench.put("x", b"%d" % number, etag)
    [facts] = (bench.folder / OWN_FOLDER / "facts").glob("*/*")
    assert len(json.loads(facts.read_text())["versions"]) == 2
