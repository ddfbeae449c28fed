"""Nobody trusts a backup that they have not restored: byte for byte, with times and sheets, and never outside."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import typing

import pytest

from embedded.azurite import Azurite
from sync_to_azure.transfer.commands.target import part_name
from tests.passes.bad_input.faults import small_disk, told
from tests.line import DRIP, Line
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, eventually, tree

ODD = {
    "a b/c d.txt": "blanks",
    "ä/日本 é.txt": "letters",
    "100%20 #?&+.txt": "signs",
    "quote'\"[x]*.txt": "quotes",
    "new\nline.txt": "a line break",
    "empty": "",
    "deep/" * 20 + "file": "deep",
    "n" * 250: "a long name",
    "big.bcl": os.urandom(9_000_000),
}


@pytest.fixture
def native(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    return scene


def restore(scene: Scene, *arguments: object, expect: int = 0, **options: typing.Any) -> typing.Any:
    """From a machine that has neither the main folder nor the ledger."""
    kept = {
        key: value
        for key, value in scene.config.items()
        if key in ("blob-endpoint", "container-name", "credentials", "auth", "destination")
    }
    outcome = scene.run_command("restore", *arguments, config=kept, **options)
    assert outcome.returncode == expect, f"exit code {outcome.returncode}\n{outcome.output}"
    return outcome


def times(folder: pathlib.Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


def change_manifest(scene: Scene, base: str, **values: object) -> None:
    """The first line says something else, as whoever may write to the container could have it."""
    lines = scene.get(base + ".files.jsonl").splitlines(keepends=True)
    first = json.loads(lines[0]) | values
    scene.put(base + ".files.jsonl", json.dumps(first).encode() + b"\n" + b"".join(lines[1:]))


def test_a_run_comes_back_byte_for_byte_with_times_and_odd_names(
    native: Scene, tmp_path: pathlib.Path
) -> None:
    native.config["destination"] = "/deep/er"
    run = native.make_run("R 1", ODD)
    os.utime(run / "empty", ns=(0, 1_234_567_890_123_456_789))
    os.utime(run / "big.bcl", ns=(0, -5_000_000_001))
    native.run()
    said = restore(native, "R 1", "--to", tmp_path / "back").stdout
    assert tree(tmp_path / "back" / "R 1") == tree(run)
    assert times(tmp_path / "back" / "R 1") == times(run)
    assert f"{len(tree(run))} files" in said and "and proved" in said
    assert sorted(os.listdir(tmp_path / "back")) == ["R 1"]


def test_both_sheets_come_back_under_their_own_names(native: Scene, tmp_path: pathlib.Path) -> None:
    run = native.make_run("R", {"SampleSheet.csv": "the instrument's"})
    sheet = native.sheets() / "R.csv"
    sheet.write_text("the laboratory's")
    os.utime(sheet, ns=(0, 1_600_000_000_000_000_007))
    native.run()
    restore(native, "R", "--to", tmp_path / "back")
    assert tree(tmp_path / "back" / "R") == tree(run)
    assert (tmp_path / "back" / "R.csv").read_text() == "the laboratory's"
    assert (tmp_path / "back" / "R.csv").stat().st_mtime_ns == sheet.stat().st_mtime_ns


def test_single_files_folders_and_patterns(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R", {"Data/two.bcl": "two", "Data/deep/three.bcl": "three", "odd[1].txt": "odd"})
    native.run()
    back = tmp_path / "back"
    restore(native, "R", "RunInfo.xml", "R/odd[1].txt", "--to", back)
    assert set(tree(back / "R")) == {"RunInfo.xml", "odd[1].txt"}
    restore(native, "R", "Data/deep/", "--to", back)
    assert "Data/deep/three.bcl" in tree(back / "R") and "Data/two.bcl" not in tree(back / "R")
    restore(native, "R", "*two*", "--to", back)
    assert "Data/two.bcl" in tree(back / "R")
    told(restore(native, "R", "Dta", "RunInfo.xml", "--to", back, expect=2), 2, "R has no file 'Dta'")


def test_started_again_it_keeps_what_is_right_and_refuses_to_write_over_what_is_not(
    native: Scene, tmp_path: pathlib.Path
) -> None:
    run = native.make_run("R")
    native.run()
    back = tmp_path / "back"
    restore(native, "R", "--to", back)
    inode = (back / "R" / FLAG).stat().st_ino
    os.utime(back / "R" / FLAG, ns=(0, 0))
    (back / "R" / "RunInfo.xml").write_text("mine!!")
    outcome = restore(native, "R", "--to", back, expect=1)
    told(outcome, 1, "there already: 2 files", "R/RunInfo.xml: differs", "--overwrite")
    assert (back / "R" / "RunInfo.xml").read_text() == "mine!!"
    assert (back / "R" / FLAG).stat().st_ino == inode
    restore(native, "R", "--to", back, "--overwrite")
    assert tree(back / "R") == tree(run) and times(back / "R") == times(run)


def test_a_part_is_taken_up_again_and_a_wrong_one_is_begun_anew(
    native: Scene, proxy: Proxy, tmp_path: pathlib.Path
) -> None:
    content = os.urandom(10_000_000)
    native.make_run("R", {"big": content, "wrong": content[::-1]})
    native.run()
    md5 = {row["path"]: bytes.fromhex(row["md5"]) for row in native.documents("R")[1]}
    back = tmp_path / "back" / "R"
    back.mkdir(parents=True)
    (back / os.fsdecode(part_name(b"big", md5["big"]))).write_bytes(content[:6_000_000])
    (back / os.fsdecode(part_name(b"wrong", md5["wrong"]))).write_bytes(os.urandom(6_000_000))
    read: list[str] = []
    proxy.before = lambda method, path: read.append(path) if path.endswith("/R/big") else None
    native.through(proxy)
    restore(native, "R", "--to", tmp_path / "back")
    assert (back / "big").read_bytes() == content
    assert (back / "wrong").read_bytes() == content[::-1]
    assert len(read) == 1, "4 MB are one piece"
    assert not [name for name in os.listdir(back) if name.endswith(".part")]


def test_a_part_that_is_longer_than_the_blob_by_now(native: Scene, tmp_path: pathlib.Path) -> None:
    """Somebody wrote a shorter one there: nothing is behind its end, and what comes is proved to be wrong."""
    content = os.urandom(10_000)
    native.make_run("R", {"one": content, "two": b"2"})
    native.run()
    md5 = {row["path"]: bytes.fromhex(row["md5"]) for row in native.documents("R")[1]}
    native.put("R/one", b"short")
    back = tmp_path / "back" / "R"
    back.mkdir(parents=True)
    (back / os.fsdecode(part_name(b"one", md5["one"]))).write_bytes(content[:6000])
    outcome = restore(native, "R", "--to", tmp_path / "back", expect=1)
    assert "Traceback" not in outcome.output
    assert (back / "two").read_bytes() == b"2"
    assert not [name for name in os.listdir(back) if "one" in name.split(".")]


def test_a_part_that_is_no_part_of_ours_is_left_alone(native: Scene, tmp_path: pathlib.Path) -> None:
    """A second name of somebody's file, or one that is longer than what it would become."""
    native.make_run("R", {"one": b"1" * 100, "two": b"2" * 100})
    native.run()
    md5 = {row["path"]: bytes.fromhex(row["md5"]) for row in native.documents("R")[1]}
    back, thesis = tmp_path / "back" / "R", tmp_path / "thesis"
    back.mkdir(parents=True)
    thesis.write_bytes(b"thesis")
    (back / os.fsdecode(part_name(b"one", md5["one"]))).hardlink_to(thesis)
    long = back / os.fsdecode(part_name(b"two", md5["two"]))
    long.write_bytes(b"thesis" * 100)
    outcome = restore(native, "R", "--to", tmp_path / "back", expect=1)
    assert outcome.stderr.count("is not from an earlier restore and is not changed") == 2
    assert thesis.read_bytes() == b"thesis" and long.read_bytes() == b"thesis" * 100


def test_stopped_and_started_again(native: Scene, proxy: Proxy, tmp_path: pathlib.Path) -> None:
    run = native.make_run("R", {f"{number:02}": os.urandom(1000) for number in range(40)})
    native.run()
    back = tmp_path / "back"

    def hold(method: str, path: str) -> None:
        if path.endswith("/R/30"):
            proxy.wait_for_release()

    proxy.before = hold
    native.through(proxy)
    config = dict(native.config)
    process = native.start_command("restore", "R", "--to", back, config=config)
    assert eventually(lambda: (back / "R" / "29").exists())
    process.send_signal(signal.SIGINT)
    _, told_then = process.communicate(timeout=50)
    assert process.returncode == 130 and "start again" in told_then, told_then
    proxy.reset()
    assert not (back / "R" / "30").exists()
    restore(native, "R", "--to", back)
    assert tree(back / "R") == tree(run)


def test_wrong_bytes_never_get_a_name(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R", {"good": "good"})
    native.run()
    native.put("R/RunInfo.xml", b"<rum/>", md5_of=b"<run/>")
    native.container.delete_blob("R/Data/one.bcl")
    back = tmp_path / "back"
    outcome = restore(native, "R", "--to", back, expect=1)
    told(outcome, 1, "R/RunInfo.xml: wrong", "R/Data/one.bcl: missing", "blobs differ from the manifest")
    assert tree(back / "R") == {"good": b"good", FLAG: b""}


def test_what_is_archived_is_told_and_the_rest_comes_back(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R")
    native.run()
    native.container.get_blob_client("R/RunInfo.xml").set_standard_blob_tier("Archive")
    back = tmp_path / "back"
    told(restore(native, "R", "--to", back, expect=1), 1, "1 file, 6 B, archived", "rehydrated")
    assert set(tree(back / "R")) == {"Data/one.bcl", FLAG}
    native.container.get_blob_client("R/RunInfo.xml").set_standard_blob_tier("Hot")
    restore(native, "R", "--to", back)
    assert (back / "R" / "RunInfo.xml").read_text() == "<run/>"


@pytest.mark.parametrize("path", ["../../evil", "/evil", "a/../../evil", "a//b", ".", "x\0y"])
def test_a_hostile_manifest_writes_nothing(native: Scene, tmp_path: pathlib.Path, path: str) -> None:
    native.make_run("R")
    native.run()
    for values in ({"source_path": path}, {"path": path}):
        change_manifest(native, "R", **values)
        back = tmp_path / "a" / "b" / "back"
        told(restore(native, "R", "--to", back, expect=1), 1, "R.files.jsonl line 1 is no line of a manifest")
        assert not (tmp_path / "a").exists()


def test_a_manifest_that_names_a_file_twice(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R")
    native.run()
    change_manifest(native, "R", source_path="RunInfo.xml")
    told(restore(native, "R", "--to", tmp_path / "back", expect=1), 1, "lists a file twice")


def test_a_manifest_that_its_receipt_does_not_vouch_for(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R")
    native.run()
    change_manifest(native, "R", evidence="read-back")
    outcome = restore(native, "R", "--to", tmp_path / "back", expect=1)
    told(outcome, 1, "does not have the checksum in its receipt", "3 files", "not confirmed by a receipt")


def test_nothing_is_written_through_a_symlink(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R", {"Link/file": "x", "plain": "y"})
    native.run()
    outside, back = tmp_path / "outside", tmp_path / "back"
    outside.mkdir()
    (outside / "victim").write_text("victim")
    (back / "R").mkdir(parents=True)
    (back / "R" / "Link").symlink_to(outside)
    (back / "R" / "RunInfo.xml").symlink_to(outside / "victim")
    (back / "R" / FLAG).mkdir()
    os.mkfifo(back / "R" / "plain")
    outcome = restore(native, "R", "--to", back, "--overwrite", expect=1)
    told(outcome, 1, "R/Link/file: unwritten", "nothing is written through it", "R/RunInfo.xml: unwritten")
    told(outcome, 1, "R/plain: unwritten", f"R/{FLAG}: unwritten", "not a regular file")
    assert tree(outside) == {"victim": b"victim"}
    assert (back / "R" / "Data" / "one.bcl").read_text() == "one"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "R").symlink_to(outside)
    restore(native, "R", "--to", elsewhere, expect=1)
    assert tree(outside) == {"victim": b"victim"}


def test_a_full_disk_is_told_and_leaves_no_half_file(
    native: Scene, proxy: Proxy, tmp_path: pathlib.Path
) -> None:
    run = native.make_run("R", {"a": os.urandom(100_000), "b": os.urandom(900_000), "c": os.urandom(300_000)})
    native.run()
    with small_disk(tmp_path / "small", 700) as small:
        told(restore(native, "R", "--to", small, expect=3), 3, "free;", "are to be restored")
        assert not tree(small)

        def fill(method: str, path: str) -> None:
            if path.endswith("/R/c"):
                (small / "hog").write_bytes(os.urandom(450_000))

        proxy.before = fill
        native.through(proxy)
        told(restore(native, "R", "a", "c", "--to", small, expect=3), 3, "no space is left in", "start again")
        assert "c" not in tree(small / "R")
        proxy.reset()
        (small / "hog").unlink()
        restore(native, "R", "a", "c", "--to", small)
        assert tree(small / "R") == {"a": (run / "a").read_bytes(), "c": (run / "c").read_bytes()}


def test_what_is_asked_for_is_not_there(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R")
    native.run()
    told(restore(native, "S", "--to", tmp_path / "back", expect=1), 1, "no run of this name is published")
    told(restore(native, "R_", "--to", tmp_path / "back", expect=1), 1, "did you mean R?")
    told(restore(native, "../R", expect=2), 2, "is no run's name")
    native.put("P.sync", b"2020-01-01\n")
    told(restore(native, "P", "--to", tmp_path / "back", expect=1), 1, "published by another tool")
    assert not (tmp_path / "back").exists()
    (tmp_path / "file").write_text("")
    told(restore(native, "R", "--to", tmp_path / "file", expect=3), 3, "cannot be used", "--to")
    native.config["container-name"] = "absent"
    told(restore(native, "R", expect=3), 3, "container absent is not there")


def test_into_the_main_folder_a_damaged_run_is_healed(native: Scene) -> None:
    run = native.make_run("R")
    native.run()
    good = tree(run), times(run)
    (run / "RunInfo.xml").write_text("<RUN/>")
    native.run("--thorough", expect=1)
    said = native.run("restore", "R", "RunInfo.xml", "--to", native.main, "--overwrite").output
    assert "held" not in said, "nothing removes it there"
    (run / f"left{'.0123456789ab.sync_to_azure.part'}").write_text("of a restore that was stopped")
    assert "what was flagged is solved" in native.run("--thorough").stderr
    (run / f"left{'.0123456789ab.sync_to_azure.part'}").unlink()
    assert (tree(run), times(run)) == good
    assert native.state("R") == ("published", None)


def test_a_blob_that_drips_ends_it_and_it_goes_on_later(
    native: Scene, azurite: Azurite, tmp_path: pathlib.Path
) -> None:
    """The other files come; what is there is kept."""
    run = native.make_run("R", {"big.bcl": os.urandom(9_000_000), "other.bcl": "x"})
    native.run()
    with Line(azurite.port) as wire:
        native.config["blob-endpoint"] = wire.endpoint
        wire.act = lambda request: DRIP if request.blob == "R/big.bcl" and request.method == "GET" else None
        slow = restore(native, "R", "--to", tmp_path / "back", "--timeout", 5, expect=3)
        told(slow, 3, "answers too slowly while reading R/big.bcl: not in full within 5 s")
        assert slow.seconds < 300
        wire.act = lambda request: None
        restore(native, "R", "--to", tmp_path / "back")
    assert tree(tmp_path / "back" / "R") == tree(run)
