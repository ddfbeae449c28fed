"""One pass at a time, between real processes."""

from __future__ import annotations

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from embedded.tools import PROJECT
from sync_to_azure.core.errors import LockLost, StateUnavailable
from sync_to_azure.transfer.ledger import Lock

HOLD = """
import pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.transfer.ledger import Lock
with Lock(pathlib.Path(sys.argv[2])) as lock:
    child = subprocess.Popen(["sleep", "600"], close_fds=False) if lock.take() else None
    print(child.pid if child else 0, flush=True)
    sys.stdin.read()
"""


def hold(path: pathlib.Path) -> "tuple[subprocess.Popen[str], int]":
    """A process that takes the lock and starts a child that inherits whatever may be inherited: (process, child)."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(PROJECT), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_another_process_is_kept_out_until_the_first_is_killed_and_its_child_does_not_hold_on(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "new folder" / "lock"
    process, child = hold(path)
    try:
        assert child
        lock = Lock(path)
        assert not lock.take()
        process.kill()
        process.wait()
        os.kill(child, 0)
        ends = time.monotonic() + 60
        while not lock.take():
            assert time.monotonic() < ends
            time.sleep(0.01)
        other, its_child = hold(path)
        other.communicate()
        assert its_child == 0
        lock.release()
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_it_is_free_again_after_a_release_and_leaks_nothing(tmp_path: pathlib.Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    for _ in range(3):
        assert first.take()
        assert not second.take()
        first.release()
        first.release()
    with second:
        assert second.take()
    assert first.take()
    first.release()
    assert len(os.listdir("/proc/self/fd")) <= before, "of others before us, some may be closed meanwhile"


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_lock_whose_file_is_deleted_or_replaced_is_lost(how: str, tmp_path: pathlib.Path) -> None:
    """Another pass can lock the new file: the kernel locks files, not names."""
    path = tmp_path / "lock"
    with Lock(path) as lock, Lock(path) as other:
        assert lock.take()
        lock.must_hold()
        path.unlink()
        if how == "replaced":
            assert other.take()
            other.must_hold()
        with pytest.raises(LockLost):
            lock.must_hold()


def test_a_file_that_is_replaced_while_the_lock_is_taken_is_not_the_one_that_counts(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, somebody deletes the file and a second pass locks the new one."""
    path, real, other = tmp_path / "lock", fcntl.flock, Lock(tmp_path / "lock")
    met: list[bool] = []

    def meanwhile(handle: int, operation: int) -> None:
        if not met:
            met.append(True)
            path.unlink()
            met.append(other.take())
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    with Lock(path) as lock, other:
        assert not lock.take()
        assert met == [True, True]
        other.must_hold()


@pytest.mark.parametrize("kind", ["text", "link", "fifo"])
def test_a_file_of_others_under_a_locks_name_is_left_alone(kind: str, tmp_path: pathlib.Path) -> None:
    path, other = tmp_path / "lock", tmp_path / "other"
    if kind == "text":
        path.write_text("thesis")
    elif kind == "link":
        path.symlink_to(other)
    else:
        os.mkfifo(path)
    with pytest.raises(StateUnavailable, match="lock file"):
        Lock(path).take()
    assert os.path.lexists(path) and not other.exists()
    assert kind != "text" or path.read_text() == "thesis"


def test_a_lock_that_cannot_be_made_is_a_matter_of_state(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable):
        Lock(tmp_path / "file" / "lock").take()
    with pytest.raises(StateUnavailable):
        Lock(tmp_path).take()
