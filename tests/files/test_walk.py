"""Walking real trees: every entry accounted for; the fingerprint changes with every path, size and time."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import socket
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies

from embedded.tools import PROJECT
from sync_to_azure.core.errors import FilesChanged, RunError
from sync_to_azure.files.folder import place_of
from sync_to_azure.core.model import Entry, Kind
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.files.walk import FingerprintBuilder, walk

NO_RULES = ExcludeRules([])


def found(root: pathlib.Path, *patterns: str, prefix: str = "") -> dict[bytes, Entry]:
    entries = list(walk(place_of(os.fsencode(root)), ExcludeRules(patterns), prefix))
    by_path = {entry.path: entry for entry in entries}
    assert len(by_path) == len(entries), "an entry came twice"
    return by_path


def kinds(root: pathlib.Path, *patterns: str) -> dict[bytes, Kind]:
    return {path: entry.kind for path, entry in found(root, *patterns).items()}


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "main" / "run"
    folder.mkdir(parents=True)
    return folder


def test_files_with_size_and_time_in_any_depth(run: pathlib.Path) -> None:
    deep = run / "Data" / "Intensities"
    deep.mkdir(parents=True)
    (deep / "a.cbcl").write_bytes(b"12345")
    os.utime(deep / "a.cbcl", ns=(1, 1_600_000_000_123_456_700))
    (run / "RunInfo.xml").write_bytes(b"")
    entries = found(run)
    assert set(entries) == {b"Data/Intensities/a.cbcl", b"RunInfo.xml"}
    assert entries[b"Data/Intensities/a.cbcl"] == Entry(
        b"Data/Intensities/a.cbcl", Kind.FILE, 5, 1_600_000_000_123_456_700
    )


def test_every_other_kind_is_told(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "outside").write_text("x")
    (run / "file").write_text("x")
    (run / "empty").mkdir()
    (run / "inside").symlink_to("file")
    (run / "inside absolute").symlink_to(run / "file")
    (run / "to the run itself").symlink_to(".")
    (run / "outside").symlink_to(tmp_path / "outside")
    (run / "up").symlink_to("..")
    (run / "sibling").symlink_to(run.parent / "run2")
    (run / "dangling inside").symlink_to("nothing")
    (run / "dangling outside").symlink_to("/nowhere/at/all")
    (run / "loop").symlink_to("loop")
    (run / "chain").symlink_to("outside")
    os.mkfifo(run / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(run)
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
    (run / "Thumbs.db").write_text("x")
    (run / ".nfs00001").write_text("x")
    (run / "skip.tmp").write_text("x")
    (run / "back\\slash").write_text("x")
    (pathlib.Path(os.fsdecode(os.fsencode(run) + b"/\xff"))).write_text("x")
    assert kinds(run, "*.tmp") == {
        b"file": Kind.FILE,
        b"empty": Kind.EMPTY_FOLDER,
        b"inside": Kind.SYMLINK,
        b"inside absolute": Kind.SYMLINK,
        b"to the run itself": Kind.SYMLINK,
        b"outside": Kind.SYMLINK_OUTSIDE,
        b"up": Kind.SYMLINK_OUTSIDE,
        b"sibling": Kind.SYMLINK_OUTSIDE,
        b"dangling inside": Kind.SYMLINK,
        b"dangling outside": Kind.SYMLINK_OUTSIDE,
        b"loop": Kind.SYMLINK,
        b"chain": Kind.SYMLINK_OUTSIDE,
        b"fifo": Kind.SPECIAL,
        b"socket": Kind.SPECIAL,
        b"Thumbs.db": Kind.JUNK,
        b".nfs00001": Kind.JUNK,
        b"skip.tmp": Kind.EXCLUDED,
        b"back\\slash": Kind.BAD_NAME,
        b"\xff": Kind.BAD_NAME,
    }
    entries = found(run)
    assert (entries[b"fifo"].detail, entries[b"socket"].detail) == ("fifo", "socket")
    assert entries[b"outside"].detail == f"to {tmp_path / 'outside'}"


def test_a_link_to_a_folder_is_not_walked_into(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    (run / "link").symlink_to(tmp_path / "other")
    assert kinds(run) == {b"link": Kind.SYMLINK_OUTSIDE}


def test_a_run_below_a_linked_main_folder_knows_its_inside(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path / "main")
    (run / "file").write_text("x")
    (run / "link").symlink_to(run / "file")
    assert kinds(tmp_path / "linked" / "run")[b"link"] is Kind.SYMLINK


def test_every_byte_that_linux_allows_comes_out_of_a_walk(run: pathlib.Path) -> None:
    root = os.fsencode(run)
    names = {bytes([byte]) + b"x" for byte in range(1, 256) if byte != ord("/")}
    for name in names:
        with open(os.path.join(root, name), "wb"):
            pass
    entries = found(run)
    assert set(entries) == names
    for path, entry in entries.items():
        assert entry.kind in (Kind.FILE, Kind.BAD_NAME)
        assert bool(entry.detail) is (entry.kind is Kind.BAD_NAME)


def test_paths_too_deep_for_azure_are_told_and_too_deep_for_linux_too(run: pathlib.Path) -> None:
    here = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    depth = 0
    # 30 x 200 bytes is longer than one path of Linux may be (4,096): built and removed from within.
    for depth in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        if depth == 10:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(here)
        here = below
    os.close(here)
    entries = list(walk(place_of(os.fsencode(run)), NO_RULES))
    assert sorted(entry.kind for entry in entries) == sorted([Kind.BAD_NAME, Kind.UNREADABLE])
    assert all(entry.detail and entry.kind.holds_up for entry in entries)


@pytest.mark.parametrize(
    "year_in_seconds", [2**34 - 2**31 - 1, 10_000_000_000, -(2**31), 253402300800, 10**12]
)
def test_times_far_off_are_held_within_what_the_ledger_keeps(year_in_seconds: int) -> None:
    # tmpfs keeps any time, ext4 those up to the year 2446; a clock that is far off writes them.
    folder = pathlib.Path("/dev/shm") / f"walk-{os.getpid()}-{abs(year_in_seconds)}"
    folder.mkdir()
    try:
        (folder / "file").touch()
        os.utime(folder / "file", ns=(0, year_in_seconds * 10**9))
        (entry,) = walk(place_of(os.fsencode(folder)), NO_RULES)
        assert -(2**63) <= entry.mtime_ns < 2**63
        builder = FingerprintBuilder()
        builder.add(entry)
        assert builder.result().entries == 1
    finally:
        (folder / "file").unlink()
        folder.rmdir()


def test_entries_that_vanish_while_they_are_looked_at_are_left_out(run: pathlib.Path) -> None:
    for folder in "abcd":
        (run / folder).mkdir()
        for number in range(200):
            (run / folder / f"{number}").touch()
    seen = []
    for entry in walk(place_of(os.fsencode(run)), NO_RULES):
        seen.append(entry)
        if len(seen) == 10:
            for folder in "abcd":
                for file in (run / folder).iterdir():
                    file.unlink()
                (run / folder).rmdir()
    assert {entry.kind for entry in seen} <= {Kind.FILE, Kind.EMPTY_FOLDER}
    assert 10 <= len(seen) < 800


def test_a_root_that_is_gone_means_that_the_run_changed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FilesChanged, match="gone"):
        list(walk(place_of(os.fsencode(tmp_path / "missing")), NO_RULES))


def test_a_rule_that_is_not_utf_8_can_be_kept(run: pathlib.Path) -> None:
    pathlib.Path(os.fsdecode(os.fsencode(run) + b"/\xff.tmp")).touch()
    (entry,) = walk(place_of(os.fsencode(run)), ExcludeRules([os.fsdecode(b"\xff*")]))
    assert entry.kind is Kind.EXCLUDED
    assert entry.detail.encode("utf-8") == b"\\xff*"


def test_a_rule_covers_empty_folders_links_and_special_files(run: pathlib.Path) -> None:
    (run / "cache").mkdir()
    (run / "cache" / "empty").mkdir()
    os.mkfifo(run / "cache" / "fifo")
    (run / "cache" / "link").symlink_to("/etc")
    (run / "cache" / "a\\b").touch()
    assert set(kinds(run, "cache").values()) == {Kind.EXCLUDED}


AS_NOBODY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.core.errors import SyncError
from sync_to_azure.files.folder import place_of
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.files.walk import walk
rules = ExcludeRules(sys.argv[3:])
try:
    entries = [(os.fsdecode(e.path), e.kind, e.detail) for e in walk(place_of(os.fsencode(sys.argv[2])), rules)]
except SyncError as error:
    entries = [type(error).__name__]
print(json.dumps(entries))
"""


def unprivileged(root: pathlib.Path, *patterns: str) -> list[list[str]]:
    """Walk without capabilities: root of a CI ignores modes."""
    command = [sys.executable, "-c", AS_NOBODY, str(PROJECT), str(root), *patterns]
    if os.geteuid() == 0:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: list[list[str]] = json.loads(done.stdout)
    return sorted(answer)


def test_what_may_not_be_read_is_told_by_name(run: pathlib.Path) -> None:
    (run / "file").touch(mode=0o000)
    (run / "closed").mkdir(mode=0o000)
    (run / "listed only").mkdir()
    (run / "listed only" / "inner").touch()
    (run / "listed only").chmod(0o400)
    (run / "good").touch(mode=0o600)
    try:
        assert [entry[:2] for entry in unprivileged(run)] == [
            ["closed", "unreadable"],
            ["file", "unreadable"],
            ["good", "file"],
            ["listed only/inner", "unreadable"],
        ]
        assert {kind for _, kind, _ in unprivileged(run, "closed", "file", "listed only")} == {
            "excluded",
            "file",
        }
    finally:
        for name in ("closed", "listed only"):
            (run / name).chmod(0o700)


def test_a_run_that_may_not_be_read_is_an_error_that_is_told(run: pathlib.Path) -> None:
    run.chmod(0o000)
    try:
        assert unprivileged(run) == [RunError.__name__]
    finally:
        run.chmod(0o700)


ENTRIES = strategies.lists(
    strategies.builds(
        Entry,
        path=strategies.binary(min_size=1, max_size=8),
        kind=strategies.sampled_from(
            [Kind.FILE, Kind.SYMLINK, Kind.SPECIAL, Kind.BAD_NAME, Kind.EMPTY_FOLDER]
        ),
        size=strategies.integers(0, 2**62),
        mtime_ns=strategies.integers(-(2**63), 2**63 - 1),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda entry: entry.path,
)


def digest(entries: list[Entry]) -> str:
    builder = FingerprintBuilder()
    for entry in entries:
        builder.add(entry)
    return builder.result().digest


@hypothesis.given(ENTRIES, strategies.randoms(use_true_random=False))
def test_a_fingerprint_is_free_of_order(entries: list[Entry], order: random.Random) -> None:
    other = list(entries)
    order.shuffle(other)
    assert digest(entries) == digest(other)


@hypothesis.given(ENTRIES, strategies.integers(0, 7), strategies.integers(1, 1000))
def test_a_fingerprint_changes_with_every_path_size_and_time(entries: list[Entry], at: int, by: int) -> None:
    at %= len(entries)
    entry = entries[at]
    others = [dataclasses.replace(entry, path=entry.path + b"/x")]
    if entry.kind is not Kind.EMPTY_FOLDER:
        others.append(dataclasses.replace(entry, size=entry.size + by))
        others.append(
            dataclasses.replace(
                entry, mtime_ns=entry.mtime_ns - by if entry.mtime_ns > 0 else entry.mtime_ns + by
            )
        )
        others.append(dataclasses.replace(entry, kind=Kind.UNREADABLE))
    before = digest(entries)
    for other in others:
        assert digest([*entries[:at], other, *entries[at + 1 :]]) != before
    assert digest([*entries[:at], *entries[at + 1 :]]) != before
    assert digest([*entries, Entry(b"a new one, longer than all", Kind.FILE)]) != before


@hypothesis.given(ENTRIES)
def test_junk_and_what_is_excluded_do_not_disturb_the_quiet(entries: list[Entry]) -> None:
    noise = [Entry(b"Thumbs.db", Kind.JUNK, 1, 2), Entry(b"x.tmp", Kind.EXCLUDED, 3, 2**62)]
    assert digest(entries + noise) == digest(entries)


def test_the_times_of_empty_folders_do_not_count() -> None:
    assert digest([Entry(b"a", Kind.EMPTY_FOLDER, 0, 1)]) == digest([Entry(b"a", Kind.EMPTY_FOLDER, 0, 2)])


def test_two_entries_do_not_cancel_each_other_out() -> None:
    one, two = Entry(b"a", Kind.FILE, 1, 1), Entry(b"b", Kind.FILE, 2, 2)
    swapped = [dataclasses.replace(one, size=2, mtime_ns=2), dataclasses.replace(two, size=1, mtime_ns=1)]
    assert digest([one, two]) != digest(swapped)


def test_the_newest_time_is_known() -> None:
    builder = FingerprintBuilder()
    for mtime_ns in (5, 9, 7):
        builder.add(Entry(b"%d" % mtime_ns, Kind.FILE, 1, mtime_ns))
    assert builder.result().newest_ns == 9
