"""A run folder is looked at with few, bounded reads, whatever lies in it."""

from __future__ import annotations

import os
import pathlib
import time

import pytest

from embedded import layouts
from sync_to_azure.core.errors import RunError
from sync_to_azure.files.folder import place_of
from sync_to_azure.files.folder_view import _take, levels_down, take_view
from sync_to_azure.instruments.profiles import WANTED
from sync_to_azure.instruments.profiles.view import Wanted


def test_names_and_wanted_files_only(tmp_path: pathlib.Path) -> None:
    folder = layouts.write_layout(tmp_path, "r84028_20230214_022129", layouts.pacbio())
    view = take_view(place_of(os.fsencode(folder)), WANTED)
    assert view.name == "r84028_20230214_022129"
    assert (view.files, view.folders) == ((), ("1_A01", "1_B01"))
    assert sorted(view.small) == [
        "1_A01/metadata/m84028_230214_023001_s1.transferdone",
        "1_B01/metadata/m84028_230214_023002_s2.transferdone",
    ]


def test_a_large_file_is_not_read(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "RunInfo.xml").open("wb") as sparse:
        sparse.truncate(2**40)
    began = time.monotonic()
    view = take_view(place_of(os.fsencode(tmp_path)), WANTED)
    small = view.small["RunInfo.xml"]
    assert (small.size, small.content) == (2**40, None) and "is larger than" in small.problem
    # To read it would take many minutes.
    assert time.monotonic() - began < 60


def test_only_the_head_of_a_few(tmp_path: pathlib.Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.raw").write_bytes(bytes([number]) * 100)
    view = take_view(place_of(os.fsencode(tmp_path)), [Wanted("*.raw", 4, head=True, most_files=2)])
    assert [small.size for _, small in view.matching("*.raw")] == [100] * 5
    assert [small.content for _, small in view.matching("*.raw")] == [bytes(4), b"\1" * 4, None, None, None]


def test_links_pipes_and_folders_in_place_of_a_file_are_left_alone(tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not of this run")
    run = tmp_path / "run"
    (run / "RunParameters.xml").mkdir(parents=True)
    (run / "RunInfo.xml").symlink_to(secret)
    os.mkfifo(run / "RunCompletionStatus.xml")
    (run / "1_A01").symlink_to(tmp_path)
    view = take_view(place_of(os.fsencode(run)), WANTED)
    assert view.small == {} and view.files == () and view.folders == ("RunParameters.xml",)


def test_a_folder_that_is_gone_is_an_empty_view(tmp_path: pathlib.Path) -> None:
    view = take_view(place_of(os.fsencode(tmp_path / "gone")), WANTED)
    assert (view.files, view.folders, view.small) == ((), (), {})


def test_a_name_that_is_not_utf_8(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"Pr\xf6ben.raw")).write_bytes(b"\x01\xa1")
    view = take_view(place_of(os.fsencode(tmp_path)), WANTED)
    assert [path for path, _ in view.matching("*.raw")] == [os.fsdecode(b"Pr\xf6ben.raw")]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: pathlib.Path) -> None:
    """Not by its mode: that would not bind root. A name that is too long for the file system fails for everybody."""
    with pytest.raises(RunError, match="cannot be read: File name too long"):
        take_view(place_of(os.fsencode(tmp_path / ("x" * 300))), WANTED)


def test_what_took_the_place_of_a_file_is_none(tmp_path: pathlib.Path) -> None:
    """Between the look at its names and the reading of it: a folder, a pipe, nothing at all."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("folder")
    top = place_of(os.fsencode(tmp_path)).open()
    before = len(os.listdir("/proc/self/fd"))
    for name in ("folder", "pipe", "link", "gone"):
        assert _take(top, name, Wanted("*", 10), True) is None
    assert len(os.listdir("/proc/self/fd")) <= before, "of others before us, some may be closed meanwhile"


def what(name: str) -> str:
    return "a run" if name.startswith("run") else ""


def test_on_which_level_runs_lie_is_asked_of_a_few(tmp_path: pathlib.Path) -> None:
    path = place_of(os.fsencode(tmp_path))
    assert levels_down(path, what) is None
    (tmp_path / "a" / "b" / "run 1").mkdir(parents=True)
    assert levels_down(path, what) is None
    assert levels_down(place_of(os.fsencode(tmp_path / "a")), what) == (2, "a run")
    (tmp_path / "z" / "run 2").mkdir(parents=True)
    assert levels_down(path, what) == (2, "a run")
    for number in range(5):
        (tmp_path / f"m{number}").mkdir()
    assert levels_down(path, what) is None
    (tmp_path / "run 3").mkdir()
    assert levels_down(path, what) == (1, "a run")
    assert levels_down(place_of(os.fsencode(tmp_path / "gone")), what) is None


def test_a_folder_of_many_files_is_not_read_to_its_end(tmp_path: pathlib.Path) -> None:
    (tmp_path / "backup").mkdir()
    for number in range(1000):
        (tmp_path / "backup" / f"{number}").mkdir()
    asked: list[str] = []
    assert levels_down(place_of(os.fsencode(tmp_path)), lambda name: asked.append(name) or "") is None
    assert len(asked) == 201
