"""A tree as a stream of entries, each as it is."""

from __future__ import annotations

import os
import pathlib
import socket
import tracemalloc

import pytest

from sync_to_azure.core.errors import FilesChanged, SourceUnavailable
from sync_to_azure.core.model import Entry, Kind
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.files.folder import Folder, place_of
from sync_to_azure.files.walk import scan_folder, walk


def scanned(folder: pathlib.Path) -> dict[bytes, Entry]:
    entries = list(scan_folder(place_of(os.fsencode(folder))))
    found = {entry.path: entry for entry in entries}
    assert len(found) == len(entries), "each entry once"
    return found


def test_every_entry_is_what_it_is(tmp_path: pathlib.Path) -> None:
    """Names too that a run would leave out, or that no blob can have."""
    top = tmp_path / "top"
    names = [
        b"a/b/file",
        b"Thumbs.db",
        b".DS_Store",
        b"a/not \xff UTF-8",
        b"back\\slash",
        b"dot.",
        b"line\nbreak",
    ]
    for name in names:
        path = pathlib.Path(os.fsdecode(os.fsencode(top) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    (top / "empty").mkdir()
    (top / "inside").symlink_to("a/b/file")
    (top / "outside").symlink_to("/etc")
    os.mkfifo(top / "fifo")
    found = scanned(top)
    for name in names:
        status = os.stat(os.fsencode(top) + b"/" + name)
        entry = found.pop(name)
        assert (entry.kind, entry.size) == (Kind.FILE, len(name))
        assert (entry.mtime_ns, entry.ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)
    kinds = {path: entry.kind for path, entry in found.items()}
    assert kinds == {
        b"empty": Kind.EMPTY_FOLDER,
        b"inside": Kind.SYMLINK,
        b"outside": Kind.SYMLINK_OUTSIDE,
        b"fifo": Kind.SPECIAL,
    }
    judged = {entry.kind for entry in walk(place_of(os.fsencode(top)), ExcludeRules(["dot."]))}
    assert {Kind.JUNK, Kind.BAD_NAME, Kind.EXCLUDED} <= judged, "as before for runs"


def test_sockets_and_a_name_longer_than_a_blob_may_have(tmp_path: pathlib.Path) -> None:
    deep = tmp_path
    for _ in range(6):
        deep = deep / ("x" * 200)
        deep.mkdir()
    (deep / "file").write_bytes(b"1")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        found = scanned(tmp_path)
    assert found[b"s"].kind is Kind.SPECIAL
    assert [entry.kind for path, entry in found.items() if path.endswith(b"/file")] == [Kind.FILE]


def test_a_root_that_is_gone_or_a_link(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "file").write_text("x")
    for name in ("missing", "link", "file"):
        with pytest.raises(FilesChanged, match=name):
            scanned(tmp_path / name)


def test_a_folder_that_becomes_a_link_is_not_entered(tmp_path: pathlib.Path) -> None:
    (tmp_path / "top" / "a").mkdir(parents=True)
    (tmp_path / "top" / "b").mkdir()
    for name in "ab":
        (tmp_path / "top" / name / "file").write_text("x")
    entries = scan_folder(place_of(os.fsencode(tmp_path / "top")))
    first = next(entries).path
    other = b"b" if first.startswith(b"a") else b"a"
    path = os.path.join(os.fsencode(tmp_path / "top"), other)
    os.rename(path, os.fsencode(tmp_path / "moved"))
    os.symlink("/etc", path)
    assert list(entries) == []


def test_a_share_that_fails_in_the_middle_is_no_empty_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mock: a share cannot be made to fail here."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")

    def fails(self: Folder) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Folder, "entries", fails)
    with pytest.raises(SourceUnavailable, match="Input/output error"):
        scanned(tmp_path)


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: pathlib.Path) -> None:
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(1000):
            (tmp_path / str(folder) / f"a file with a name {number}").touch()
    place = place_of(os.fsencode(tmp_path))
    tracemalloc.start()
    try:
        count = sum(1 for _ in scan_folder(place))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A list of 10,000 entries takes 2 MB.
    assert count == 10_000 and peak < 200_000
