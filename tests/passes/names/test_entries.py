"""Entries that are no ordinary files, and files at the edges of what a file may be, through whole passes."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tests.passes.scene import FLAG, Scene, tree

MEBIBYTE = 1024 * 1024


def test_every_kind_of_entry_is_accounted_for(carrying: Scene) -> None:
    """Carried: files, twice where two names lead to one, sparse ones whole. Noted: what loses nothing."""
    run = carrying.make_run("R", {"zero.bin": b"", "a/linked.txt": b"one file, two names"})
    os.link(run / "a/linked.txt", run / "other name.txt")
    with open(run / "sparse.raw", "wb") as handle:
        handle.seek(9 * MEBIBYTE)
        handle.write(b"end")
    (run / "Empty" / "er").mkdir(parents=True)
    for link, target in (
        ("to-file", "a/linked.txt"),
        ("to-folder", "a"),
        ("to-itself", "to-itself"),
        ("to-b", "to-c"),
        ("to-c", "to-b"),
        ("a/up", ".."),
        ("a/whole", str(run)),
        ("to-nothing-inside", "a/never"),
    ):
        (run / link).symlink_to(target)
    carrying.run()
    assert tree(carrying.download("R") / "R") == tree(run)
    _, rows, receipt, _ = carrying.documents("R")
    assert {row["path"]: row["size"] for row in rows} == {
        "zero.bin": 0,
        "a/linked.txt": 19,
        "other name.txt": 19,
        "sparse.raw": 9 * MEBIBYTE + 3,
        "Data/one.bcl": 3,
        "RunInfo.xml": 6,
        FLAG: 0,
    }
    assert receipt["not_uploaded"]["counts"] == {"empty-folder": 1, "symlink": 8}


def test_what_would_be_lost_holds_the_run_up(carrying: Scene) -> None:
    run = carrying.make_run("R", {"a/x": b"1"})
    (carrying.folder / "secret.txt").write_text("not part of the run")
    os.mkfifo(run / "fifo")
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(run)  # a socket's address holds 107 bytes
    listening.bind("socket")
    os.chdir(here)
    (run / "leaves").symlink_to(carrying.folder / "secret.txt")
    (run / "a/climbs").symlink_to("../../../secret.txt")
    (run / "leaves-by-loop").symlink_to("/proc/self/cwd")
    # As if it were inside: only the beginning of its path is the run's.
    (carrying.main / "R-neighbour").mkdir()
    (carrying.main / "R-neighbour" / "y").write_text("y")
    (run / "neighbour").symlink_to("../R-neighbour/y")
    special = {"fifo", "socket"}
    outside = {"leaves", "a/climbs", "leaves-by-loop", "neighbour"}
    try:
        outcome = carrying.run(expect=1)
    finally:
        listening.close()
    found = {path.decode(): kind for path, kind in carrying.sql("SELECT path, kind FROM uncarried")}
    assert found == dict.fromkeys(special, "special-file") | dict.fromkeys(outside, "symlink-outside")
    assert all(name in outcome.stderr for name in special | outside)
    assert set(carrying.etags()) == {"R/a/x", "R/Data/one.bcl", "R/RunInfo.xml", f"R/{FLAG}"}
    for name in special | outside:
        (run / name).unlink()
    carrying.run()
    assert carrying.is_published("R")


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_times_far_off_are_kept_and_are_no_change(scene: Scene, uploader: str) -> None:
    """Before 1970, 1970 itself, 2038, 2100, with and without fractions of a second."""
    scene.config["uploader"] = uploader
    times = {
        "before.txt": -86_400_000_000_001,
        "zero.txt": 0,
        "one.txt": 1,
        "year-2038.txt": 2**31 * 10**9 + 999_999_999,
        "year-2100.txt": 4_102_444_800_123_456_789,
    }
    run = scene.make_run("R", dict.fromkeys(times, b"x"))
    for name, nanoseconds in times.items():
        os.utime(run / name, ns=(0, nanoseconds))
    os.utime(run, ns=(0, -1))
    assert "future" in scene.run().stderr
    _, rows, _, _ = scene.documents("R")
    kept = {row["path"]: row["mtime"] for row in rows}
    assert kept["before.txt"] == "1969-12-30T23:59:59.999999999Z" and kept["zero.txt"].startswith(
        "1970-01-01T00"
    )
    assert kept["year-2100.txt"] == "2100-01-01T00:00:00.123456789Z"
    before = scene.etags()
    scene.lose_ledger()
    scene.run("--thorough")
    scene.run("--thorough")
    assert scene.etags() == before and scene.state("R") == ("published", None)
    for name, nanoseconds in times.items():
        assert (run / name).stat().st_mtime_ns == nanoseconds, "the source is only read"


def test_as_deep_and_as_long_as_a_blobs_name_may_be(carrying: Scene) -> None:
    run = carrying.make_run("R")
    prefix = "R/"
    deepest = "/".join(["d"] * 253)
    assert len((prefix + deepest).split("/")) == 254
    longest = "/".join(["l" * 250] * 4) + "/" + "l" * (1024 - len(prefix) - 4 * 251)
    assert len(prefix + longest) == 1024
    # Two of the service's characters, four bytes: 1,024 characters are 2,048 bytes here.
    widest = "/".join(["😀" * 63] * 8) + "/" + "😀" * 3
    assert len((prefix + widest).encode("utf-16-le")) // 2 == 1024
    good = {deepest, longest, widest}
    bad = {
        "deep/" + "/".join(["d"] * 253): "more than 254 parts",
        "m" + longest.removeprefix("l") + "l": "longer than 1024 characters",
        "m/" + widest: "longer than 1024 characters",
        "/".join(["n" * 200] * 12): "longer than 1024 characters",
    }
    for name in good | set(bad):
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name[-20:])
    carrying.run(expect=1)
    found = {path.decode(): detail for path, detail in carrying.sql("SELECT path, detail FROM uncarried")}
    assert set(found) == set(bad)
    assert all(words in found[name] for name, words in bad.items())
    assert {name for name in carrying.etags() if len(name) > 100} == {prefix + name for name in good}
    for name in bad:
        (run / name).unlink()
    carrying.run()
    assert tree(carrying.download("R") / "R") == tree(run)
    receipt = json.loads(carrying.get("R.json"))
    assert receipt["files"] == len(good) + 3
