"""One pass at a time, between real processes."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from embedded.tools import PROJECT
from sync_to_azure.errors import StateUnavailable
from sync_to_azure.ledger import Lock

HOLD = """
import pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.ledger import Lock
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


def test_a_lock_that_cannot_be_made_is_a_matter_of_state(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable):
        Lock(tmp_path / "file" / "lock").take()
    with pytest.raises(StateUnavailable):
        Lock(tmp_path).take()
