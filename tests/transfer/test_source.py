"""The main folder, the sheet folder, and the mount they lie on."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from embedded.tools import PROJECT
from sync_to_azure.core.errors import ConfigurationError, SourceUnavailable
from sync_to_azure.core.names import ASIDE_PREFIX
from sync_to_azure.files.folder import place_of
from sync_to_azure.files.mounts import Mount, mount_numbered, mount_of
from sync_to_azure.transfer.source import (
    RunFolder,
    find_runs,
    find_sheets,
    names_alike,
    sheets_for,
    top_level_files,
)


def test_runs_strays_aside_and_what_is_never_a_run(main_folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in (
        "b run",
        "a run",
        ".snapshot",
        "$RECYCLE.BIN",
        "@eaDir",
        ASIDE_PREFIX + "c run",
        ".Trash-1000",
    ):
        (main_folder / name).mkdir()
    (main_folder / "notes.txt").write_text("x")
    (main_folder / "link to a folder").symlink_to(tmp_path)
    (main_folder / "dangling").symlink_to("nowhere")
    found = find_runs(main_folder)
    assert [run.key for run in found.runs] == ["a run", "b run"]
    assert found.runs[0].path == os.fsencode(main_folder / "a run")
    assert found.runs[0].mtime_ns == (main_folder / "a run").stat().st_mtime_ns
    assert found.aside == (os.fsencode(ASIDE_PREFIX + "c run"),)
    assert found.strays == ("dangling", "link to a folder", "notes.txt")
    assert found.links == ("dangling", "link to a folder")


def test_a_run_whose_name_is_not_utf_8_has_a_key_that_can_be_kept(main_folder: pathlib.Path) -> None:
    os.mkdir(os.fsencode(main_folder) + b"/a\xff")
    (run,) = find_runs(main_folder).runs
    assert run.name == b"a\xff"
    assert run.key == "a\\xff"


def test_the_mtime_of_a_run_is_held_within_64_bits() -> None:
    folder = pathlib.Path("/dev/shm") / f"source-{os.getpid()}"
    (folder / "run").mkdir(parents=True)
    try:
        os.utime(folder / "run", ns=(0, 253402300800 * 10**9))
        (run,) = find_runs(folder).runs
        assert run.mtime_ns == 2**63 - 1
    finally:
        (folder / "run").rmdir()
        folder.rmdir()


def test_a_main_folder_that_is_not_there_or_a_link_to_an_unmounted_share(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SourceUnavailable):
        find_runs(tmp_path / "missing")
    (tmp_path / "link").symlink_to(tmp_path / "share" / "runs")
    with pytest.raises(SourceUnavailable):
        find_runs(tmp_path / "link")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(SourceUnavailable):
        find_runs(tmp_path / "circle")


def test_a_main_folder_that_is_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError):
        find_runs(tmp_path / "file")


def test_sheets_by_their_stem_without_case(tmp_path: pathlib.Path) -> None:
    for name in (
        "Run1.csv",
        "RUN1.CSV",
        "run2.Csv",
        ".hidden.csv",
        "~$open.csv",
        "notes.txt",
        "no-extension",
    ):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.csv").mkdir()
    sheets = find_sheets(tmp_path)
    assert {stem: sorted(sheet.stem for sheet in fitting) for stem, fitting in sheets.items()} == {
        "run1": ["RUN1", "Run1"],
        "run2": ["run2"],
    }
    assert [sheet.stem for sheet in sheets_for("Run1", sheets, ())] == ["Run1"]
    assert sorted(sheet.stem for sheet in sheets_for("rUN1", sheets, ())) == ["RUN1", "Run1"]
    assert [sheet.path.name for sheet in sheets_for("RUN2", sheets, ())] == ["run2.Csv"]
    assert sheets_for("run3", sheets, ()) == sheets_for("un1", sheets, ()) == []
    alike = names_alike(["rUN1", "Run1", "RUN2"])
    assert alike == {"run1"}
    assert sheets_for("rUN1", sheets, alike) == [], "its name is another run's, too"
    assert [sheet.stem for sheet in sheets_for("Run1", sheets, alike)] == ["Run1"]
    (sheet,) = sheets["run2"]
    status = (tmp_path / "run2.Csv").stat()
    assert (sheet.size, sheet.mtime_ns) == (1, status.st_mtime_ns)


def test_no_sheet_folder_means_no_sheets_and_a_missing_one_is_unavailable(tmp_path: pathlib.Path) -> None:
    assert find_sheets(None) == {}
    with pytest.raises(SourceUnavailable):
        find_sheets(tmp_path / "missing")


def test_odd_sheets_do_not_end_the_pass(tmp_path: pathlib.Path) -> None:
    """Links and pipes are listed, so that whoever made them hears that they are not read."""
    (tmp_path / "circle.csv").symlink_to("circle.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    (tmp_path / "good.csv").write_text("x")
    (tmp_path / "linked.csv").symlink_to("good.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert set(find_sheets(tmp_path)) == {"circle", "dangling", "good", "linked", "pipe"}


def test_a_sheet_whose_name_is_not_utf_8_has_a_stem_that_the_ledger_can_keep(tmp_path: pathlib.Path) -> None:
    with open(os.fsencode(tmp_path) + b"/M\xfcller.csv", "wb") as handle:
        handle.write(b"x")
    ((sheet,),) = find_sheets(tmp_path).values()
    assert sheet.stem == "M\\xfcller"
    assert sheet.path.read_bytes() == b"x"


def test_flags_are_plain_files_at_the_top(tmp_path: pathlib.Path) -> None:
    (tmp_path / "RTAComplete.txt").touch()
    (tmp_path / "CopyComplete.txt").mkdir()
    (tmp_path / "link").symlink_to("RTAComplete.txt")
    run = RunFolder(b"run", place_of(os.fsencode(tmp_path)), 0)
    assert top_level_files(run) == ["RTAComplete.txt"]
    assert top_level_files(RunFolder(b"x", place_of(os.fsencode(tmp_path / "gone")), 0)) == []


MOUNTINFO = (
    rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /mnt/run\040data rw shared:1 master:2 - cifs //server/run\040data\134x rw,vers=3.0
31 30 0:41 / /mnt/run\040data rw - tmpfs tmpfs rw
32 27 0:42 / /empty rw - fuse.x  rw
33 27 0:43 / /latin rw - nfs server:/M"""
    + b"\xfc"
    + rb"""ller rw
3 27 0:43 / /odd rw
"""
)


@pytest.mark.parametrize(
    ("number", "mount"),
    [
        (b"27", Mount("ext4", "/dev/vda")),
        (b"30", Mount("cifs", "//server/run data\\x")),
        (b"31", Mount("tmpfs", "tmpfs")),
        (b"32", Mount("fuse.x", "")),
        (b"33", Mount("nfs", "server:/M\\xfcller")),
        (b"3", Mount("unknown", "unknown")),
        (b"99", Mount("unknown", "unknown")),
    ],
)
def test_mountinfo(number: bytes, mount: Mount) -> None:
    assert mount_numbered(number, MOUNTINFO.splitlines(keepends=True)) == mount


def test_the_mount_of_a_real_folder_agrees_with_df(tmp_path: pathlib.Path) -> None:
    for folder in (tmp_path, pathlib.Path("/dev/shm"), pathlib.Path("/proc")):
        done = subprocess.run(
            ["stat", "--file-system", "--format", "%T", str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        kind = mount_of(folder).kind
        assert kind[:3] in done.stdout, (kind, done.stdout)
    assert mount_of(tmp_path / "missing") == Mount("unknown", "unknown")


SHOW = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.files.mounts import mount_of
mount = mount_of(pathlib.Path(sys.argv[2]))
print(f"{mount.kind}:{mount.source}")
"""


def in_namespace(script: str, folder: pathlib.Path) -> str:
    """Run shell commands with mounts of their own; ``show`` prints the mount of the folder named after it."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, "--mount", "sh", "-ec", 'show() { "$PY" -c "$SHOW" "$PROJECT" "$1"; }; ' + script],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"SHOW": SHOW, "PROJECT": str(PROJECT), "PY": sys.executable},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mounts_with_spaces_stacked_and_hidden(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a b" / "deep").mkdir(parents=True)
    shown = in_namespace(
        """
        mount -t tmpfs 'share one' 'a b/deep'; show 'a b/deep'
        mount -t tmpfs 'share two' 'a b/deep'; show 'a b/deep'
        mount -t tmpfs 'share over both' 'a b'; mkdir 'a b/deep'; show 'a b/deep'; show 'a b'
        """,
        tmp_path,
    )
    assert shown.splitlines() == [
        "tmpfs:share one",
        "tmpfs:share two",
        "tmpfs:share over both",
        "tmpfs:share over both",
    ]
