"""Opening below a folder, by both roads: openat2 and, where there is none, part by part."""

from __future__ import annotations

import collections.abc
import ctypes
import errno
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from embedded.tools import PROJECT
from sync_to_azure.files import openat2
from sync_to_azure.files.folder import Folder, NotRegular, Place, is_gone_or_replaced, open_folder, place_of
from tests.conftest import LONG


@pytest.fixture(params=[True, False], ids=["openat2", "part by part"])
def folder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Folder:
    """``run``, beside a ``secret``. The main folder is reached by a link: that is allowed, somebody configured it."""
    if request.param and not openat2.is_available():
        pytest.skip("no openat2 here")
    (tmp_path / "main/run/Data/L001").mkdir(parents=True)
    (tmp_path / "main/run/Data/L001/1.bcl").write_bytes(b"of the run")
    (tmp_path / "main/secret").mkdir()
    (tmp_path / "main/secret/1.bcl").write_bytes(b"secret")
    (tmp_path / "link to main").symlink_to(tmp_path / "main")
    main = open_folder(os.fsencode(tmp_path / "link to main"), whole_paths=request.param)
    return Place(main, b"run").open()


def content(folder: Folder, path: bytes) -> bytes:
    handle, status = folder.file(path)
    with open(handle, "rb") as file:
        found = file.read()
    assert len(found) == status.st_size
    return found


def refused(folder: Folder, path: bytes) -> None:
    with pytest.raises(OSError) as raised:
        folder.file(path)
    assert is_gone_or_replaced(raised.value), raised.value


def test_what_is_below_is_opened(folder: Folder, tmp_path: pathlib.Path) -> None:
    run = tmp_path / "main/run"
    (run / os.fsdecode(b"odd \xff")).mkdir()
    (run / os.fsdecode(b"odd \xff/..\n")).write_bytes(b"odd")
    assert content(folder, b"Data/L001/1.bcl") == b"of the run"
    assert content(folder, b"odd \xff/..\n") == b"odd"
    with folder.folder(b"Data") as data, data.entries() as entries:
        assert [entry.name for entry in entries] == ["L001"]
        assert data.path == os.fsencode(tmp_path / "link to main/run/Data")
    with folder.folder(b"") as same, same.entries() as entries:
        assert len(list(entries)) == 2
    assert folder.stat(b"Data/L001/1.bcl").st_size == len(b"of the run")


LINKS: dict[str, collections.abc.Callable[[pathlib.Path], None]] = {
    "the file": lambda run: replaced(run / "Data/L001/1.bcl", "../../../secret/1.bcl"),
    "its folder": lambda run: replaced(run / "Data/L001", str(run.parent / "secret")),
    "its folder, to a folder within": lambda run: (
        shutil.copytree(run / "Data/L001", run / "copy"),
        replaced(run / "Data/L001", "../copy"),
    )[-1],
    "the folder above": lambda run: (
        shutil.move(run / "Data/L001", run.parent / "secret/L001"),
        replaced(run / "Data", "../secret"),
    )[-1],
}


def replaced(path: pathlib.Path, target: str) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("change", LINKS.values(), ids=LINKS)
def test_no_link_is_followed_in_any_part(
    folder: Folder, tmp_path: pathlib.Path, change: collections.abc.Callable[[pathlib.Path], None]
) -> None:
    change(tmp_path / "main/run")
    refused(folder, b"Data/L001/1.bcl")


def test_a_file_that_took_a_folders_place_and_paths_that_lead_out(folder: Folder) -> None:
    for path in (
        b"Data/L001/1.bcl/x",
        b"Data/../../secret/1.bcl",
        b"../secret/1.bcl",
        b"gone",
        b"Data/gone/1.bcl",
    ):
        refused(folder, path)
    with pytest.raises(OSError):
        folder.file(b"/etc/hostname")
    with pytest.raises(OSError):
        folder.file(b"Data/L001/1.bcl\0.txt")
    with pytest.raises(OSError):
        folder.folder(b"..")


def test_only_regular_files_and_nothing_blocks(folder: Folder, tmp_path: pathlib.Path) -> None:
    run = tmp_path / "main/run"
    os.mkfifo(run / "fifo")
    for path in (b"fifo", b"Data"):
        with pytest.raises(NotRegular):
            folder.file(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(run / "socket"))
        refused(folder, b"socket")
    if os.geteuid() == 0:
        os.mknod(run / "device", 0o600 | 0o020000, os.makedev(1, 5))
        with pytest.raises(NotRegular):
            folder.file(b"device")


def test_a_run_that_is_a_link_is_not_opened(folder: Folder, tmp_path: pathlib.Path) -> None:
    (tmp_path / "main/LINKED").symlink_to("secret")
    for name in (b"LINKED", b"..", b"run/Data"):
        with pytest.raises(OSError) as raised:
            Place(folder, name).open()
        assert is_gone_or_replaced(raised.value)
    main = open_folder(os.fsencode(tmp_path / "main"))
    with pytest.raises(OSError):
        Place(main, b"LINKED").open()
    with pytest.raises(OSError):
        place_of(os.fsencode(tmp_path / "main/LINKED")).open()


def test_a_main_folder_that_is_another_one_by_now_is_not_believed(tmp_path: pathlib.Path) -> None:
    """A share that was unmounted, or a link in its path that leads elsewhere: what was opened is not what it is now."""
    for name in ("one", "two"):
        (tmp_path / name / "run").mkdir(parents=True)
    (tmp_path / "main").symlink_to("one")
    place = Place(open_folder(os.fsencode(tmp_path / "main")), b"run")
    place.open().close()
    (tmp_path / "main").unlink()
    (tmp_path / "main").symlink_to("two")
    with pytest.raises(FileNotFoundError):
        place.open()


def test_handles_are_given_back(folder: Folder, tmp_path: pathlib.Path) -> None:
    """Where paths are opened part by part, those of the folders on the way are kept, but not of more than some."""
    for number in range(200):
        (tmp_path / f"main/run/{number}/a").mkdir(parents=True)
        (tmp_path / f"main/run/{number}/a/file").touch()
    before = len(os.listdir("/proc/self/fd"))

    def read() -> None:
        for number in range(200):
            content(folder, b"%d/a/file" % number)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(os.listdir("/proc/self/fd")) <= before + 70
    folder.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_kept_folders_serve_the_next_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for name in "12":
        (tmp_path / "a/b/c" / name).touch()
    folder = open_folder(os.fsencode(tmp_path), whole_paths=False)
    content(folder, b"a/b/c/1")
    kept = dict(folder._kept)
    content(folder, b"a/b/c/2")
    assert dict(folder._kept) == kept and set(kept) == {b"a", b"a/b", b"a/b/c"}


CALLS = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from tests.files.refusing import refuse_openat2
refuse_openat2(int(sys.argv[2]))
from sync_to_azure.files import openat2
from sync_to_azure.files.folder import open_folder
def read(whole):
    handle, status = open_folder(os.fsencode(sys.argv[3]), whole).file(b"folder/file")
    return os.read(handle, 100).decode()
found = [openat2.is_available(), read(None), read(True) if sys.argv[4] == "forced" else ""]
try:
    open_folder(os.fsencode(sys.argv[3])).file(b"link/file")
except OSError as error:
    found.append(type(error).__name__)
print(json.dumps(found))
"""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EAGAIN])
def test_a_kernel_that_refuses_openat2(tmp_path: pathlib.Path, number: int) -> None:
    """By a real filter. EAGAIN without end ends at the other road, too."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("content")
    (tmp_path / "link").symlink_to("folder")
    forced = "forced" if number == errno.EAGAIN else ""
    done = subprocess.run(
        [sys.executable, "-c", CALLS, str(PROJECT), str(number), str(tmp_path), forced],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [False, "content", "content" if forced else "", "NotADirectoryError"]


def test_eagain_and_an_interrupted_call_are_tried_again(tmp_path: pathlib.Path) -> None:
    """What the kernel answers while something is renamed cannot be had at will: here it is said by a stand-in."""
    (tmp_path / "file").write_text("content")
    answers = [errno.EAGAIN, errno.EINTR, errno.EAGAIN]

    def call(number: int, handle: int, path: bytes, how: int, size: int) -> int:
        if answers:
            ctypes.set_errno(answers.pop())
            return -1
        return os.open(path, os.O_RDONLY, dir_fd=handle)

    with open_folder(os.fsencode(tmp_path)) as folder:
        os.close(openat2.opener(os.O_RDONLY, call)(folder.handle, b"file"))
        answers = [errno.EAGAIN] * 1000
        with pytest.raises(BlockingIOError):
            openat2.opener(os.O_RDONLY, call)(folder.handle, b"file")
        assert len(answers) > 900
