"""MD5s of real files: right, or with the reason why there is none."""

from __future__ import annotations

import collections.abc
import hashlib
import os
import pathlib
import socket
import threading
import time

from sync_to_azure.files.folder import place_of
from sync_to_azure.files.hashing import Hashed, Hasher, hash_file
from sync_to_azure.core.model import FileToSend
from tests.passes.scene import eventually


def made(folder: pathlib.Path, name: str, content: bytes) -> FileToSend:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return file_at(folder, name)


def file_at(folder: pathlib.Path, name: str) -> FileToSend:
    status = (folder / name).stat()
    return FileToSend(name.encode(), name, status.st_size, status.st_mtime_ns)


def descriptors() -> int:
    """What others before us left behind may be closed meanwhile."""
    return len(os.listdir("/proc/self/fd"))


def readers(others: set[threading.Thread]) -> set[threading.Thread]:
    return set(threading.enumerate()) - others


def test_the_md5_of_files_of_all_sizes(tmp_path: pathlib.Path) -> None:
    for size in (0, 1, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 1):
        content = os.urandom(size)
        file = made(tmp_path, f"deep/{size}", content)
        ctime = (tmp_path / f"deep/{size}").stat().st_ctime_ns
        hashed = hash_file(place_of(os.fsencode(tmp_path)), file)
        assert hashed == Hashed(file, hashlib.md5(content).digest(), ctime_ns=ctime)


def test_what_is_not_as_it_was_seen_has_no_md5(tmp_path: pathlib.Path) -> None:
    root = place_of(os.fsencode(tmp_path))
    file = made(tmp_path, "file", b"12345")
    path = tmp_path / "file"
    os.utime(path, ns=(0, file.mtime_ns + 1))
    assert hash_file(root, file).problem == "changed"
    path.write_bytes(b"1234")
    os.utime(path, ns=(0, file.mtime_ns))
    assert hash_file(root, file).problem == "changed"
    path.unlink()
    assert hash_file(root, file).problem == "changed"
    (tmp_path / "other").write_bytes(b"12345")
    os.utime(tmp_path / "other", ns=(0, file.mtime_ns))
    path.symlink_to("other")
    assert hash_file(root, file).problem == "changed"
    path.unlink()
    path.mkdir()
    assert hash_file(root, file).problem == "changed"


def test_what_took_its_place_neither_blocks_nor_counts_as_a_share_that_is_gone(
    tmp_path: pathlib.Path,
) -> None:
    root = place_of(os.fsencode(tmp_path))
    file = made(tmp_path, "file", b"")
    (tmp_path / "file").unlink()
    os.mkfifo(tmp_path / "file")
    assert hash_file(root, file).problem == "changed"
    (tmp_path / "file").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "file"))
        assert hash_file(root, file).problem == "changed"
    assert hash_file(root, FileToSend(b"file/below", "x", 0, 0)).problem == "changed"


class Grower(threading.Event):
    """Asked after each block whether to stop, it makes the file longer than what was read: an instrument that writes
    as fast as we read, without the chance of threads."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.path = path
        self.times = 0

    def is_set(self) -> bool:
        self.times += 1
        with open(self.path, "ab") as handle:
            handle.write(b"x" * 2 * 1024 * 1024)
        return self.times > 50


def test_a_file_that_grows_as_fast_as_it_is_read_comes_to_an_end(tmp_path: pathlib.Path) -> None:
    file = made(tmp_path, "file", b"x" * 1024 * 1024)
    grower = Grower(tmp_path / "file")
    assert hash_file(place_of(os.fsencode(tmp_path)), file, grower).problem == "changed"
    assert grower.times <= 3


def test_times_beyond_64_bits_are_compared_as_the_walk_gave_them() -> None:
    folder = pathlib.Path("/dev/shm") / f"hashing-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "file").write_bytes(b"x")
        os.utime(folder / "file", ns=(0, 253402300800 * 10**9))
        file = FileToSend(b"file", "file", 1, 2**63 - 1)
        assert hash_file(place_of(os.fsencode(folder)), file).md5 == hashlib.md5(b"x").digest()
    finally:
        (folder / "file").unlink()
        folder.rmdir()


def everything(hasher: Hasher) -> dict[str, Hashed]:
    results: dict[str, Hashed] = {}
    ends = time.monotonic() + 120
    while not hasher.finished:
        assert time.monotonic() < ends, "the hasher hangs"
        for hashed in hasher.drain(0.1):
            assert hashed.file.blob not in results
            results[hashed.file.blob] = hashed
    return results


def test_a_hasher_returns_each_file_once(tmp_path: pathlib.Path) -> None:
    files = [made(tmp_path, f"{number}", b"%d" % number) for number in range(700)]
    (tmp_path / "5").unlink()
    root = place_of(os.fsencode(tmp_path))
    before = descriptors()
    with Hasher(root, iter(files), 3) as hasher:
        results = everything(hasher)
    assert len(results) == 700
    assert results["5"].problem == "changed"
    assert all(
        results[f"{number}"].md5 == hashlib.md5(b"%d" % number).digest()
        for number in range(700)
        if number != 5
    )
    assert eventually(lambda: descriptors() <= before)


def test_a_hasher_with_nothing_to_do_is_finished(tmp_path: pathlib.Path) -> None:
    with Hasher(place_of(os.fsencode(tmp_path)), iter(()), 2) as hasher:
        assert everything(hasher) == {}


def test_a_file_that_cannot_even_be_asked_for_ends_no_reader(tmp_path: pathlib.Path) -> None:
    good = made(tmp_path, "good", b"x")
    bad = FileToSend(b"a\0b", "bad", 1, 1)
    with Hasher(place_of(os.fsencode(tmp_path)), iter([bad, bad, good]), 1) as hasher:
        found = []
        ends = time.monotonic() + 120
        while not hasher.finished:
            assert time.monotonic() < ends, "a reader died"
            found += list(hasher.drain(0.1))
    assert [each.problem for each in found] == ["unreadable", "unreadable", ""]


def test_work_is_taken_only_as_it_is_done(tmp_path: pathlib.Path) -> None:
    file = made(tmp_path, "file", b"x")
    taken = 0

    def endless() -> collections.abc.Iterator[FileToSend]:
        nonlocal taken
        while True:
            taken += 1
            yield file

    with Hasher(place_of(os.fsencode(tmp_path)), endless(), 2) as hasher:
        next(iter(hasher.drain(120.0)))
        # A run of a million files is never in memory.
        assert taken < 3000


def test_more_readers_take_part_once_the_source_is_free(tmp_path: pathlib.Path) -> None:
    files = [made(tmp_path, f"{number}", b"%d" % number) for number in range(700)]
    root = place_of(os.fsencode(tmp_path))
    others, open_before = set(threading.enumerate()), descriptors()
    with Hasher(root, iter(files), 1) as hasher:
        assert len(readers(others)) == 1
        next(iter(hasher.drain(120.0)))
        hasher.grow(4)
        hasher.grow(2)
        assert len(readers(others)) == 4
        assert len(everything(hasher)) == 699
    assert eventually(lambda: not readers(others) and descriptors() <= open_before)


def test_leaving_in_the_middle_ends_the_readers(tmp_path: pathlib.Path) -> None:
    files = [made(tmp_path, f"{number}", b"x" * 100_000) for number in range(300)]
    root = place_of(os.fsencode(tmp_path))
    others, open_before = set(threading.enumerate()), descriptors()
    for _ in range(3):
        with Hasher(root, iter(files), 4) as hasher:
            next(iter(hasher.drain(120.0)))
    assert eventually(lambda: not readers(others) and descriptors() <= open_before)


def test_a_stop_ends_a_long_file(tmp_path: pathlib.Path) -> None:
    file = made(tmp_path, "file", b"x" * (3 * 1024 * 1024))
    stop = threading.Event()
    stop.set()
    assert hash_file(place_of(os.fsencode(tmp_path)), file, stop) == Hashed(file, None, "stopped")
