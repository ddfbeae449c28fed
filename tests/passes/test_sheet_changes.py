"""Encrypting software changes all sample sheets at once, also those of runs that were removed: nothing published is
replaced, no marker is written, the runs are flagged, and one command accepts what was meant."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, touch_later

RUNS = [f"R{number}" for number in range(10)]
GONE, REMOVED = RUNS[:3], RUNS[3:6]
CODES = {"sheet-is-none", "sheets-at-once"}


def sheet(run: str, more: str = "") -> bytes:
    return f"[Header]\nExperiment Name,{run}\n[Data]\nSample_ID,index\ns1,ACGT\n{more}".encode()


def change(scene: Scene, run: str, content: bytes) -> None:
    path = scene.folder / "sheets" / f"{run}.csv"
    path.write_bytes(content)
    touch_later(path)


@pytest.fixture
def published(scene: Scene, proxy: Proxy) -> Scene:
    """Ten published runs with their sheets; three folders are gone, three were removed by us."""
    sheets = scene.sheets()
    scene.through(proxy).config["uploader"] = "native"
    for run in RUNS:
        scene.make_run(run)
        (sheets / f"{run}.csv").write_bytes(sheet(run))
    scene.run()
    assert all(scene.is_published(run) for run in RUNS)
    for run in GONE:
        shutil.rmtree(scene.main / run)
    for run in REMOVED:
        scene.run("--remove-source", "--only-run", run)
    scene.run()
    assert {scene.state(run)[0] for run in REMOVED} == {"removed"}
    return scene


def kept(scene: Scene, run: str) -> list[bytes]:
    blobs = scene.container.list_blobs(f"{run}/SampleSheet.csv", include=["snapshots"])
    names = [blob.snapshot for blob in blobs if blob.snapshot]
    return [
        scene.container.get_blob_client(f"{run}/SampleSheet.csv", snapshot=name).download_blob().readall()
        for name in sorted(map(str, names))
    ]


def states(scene: Scene, runs: list[str] = RUNS) -> set[tuple[str, str | None]]:
    return {scene.state(run) for run in runs}


@pytest.mark.parametrize("ledger_is_lost", [False, True])
def test_an_encrypted_folder_replaces_no_sheet(published: Scene, proxy: Proxy, ledger_is_lost: bool) -> None:
    scene = published
    before = scene.etags()
    for run in RUNS:
        change(scene, run, os.urandom(200))
    if ledger_is_lost:
        scene.lose_ledger()
    told = scene.run(expect=1).stderr
    assert scene.etags() == before
    assert states(scene) == {("flagged", "sheet-is-none")}
    assert "sync_to_azure accept --sheets --config-file" in told
    proxy.reset()
    scene.run(expect=0)
    listed = [path for _, path in proxy.seen if "comp=list" in path]
    assert (
        scene.etags() == before and len(listed) <= 1
    ), "known trouble is no news, and nothing is asked of the lake"

    for run in RUNS:
        change(scene, run, sheet(run))
    scene.run(expect=0)
    assert scene.etags() == before, "the sheets were put back"
    assert {state for state, _ in states(scene)} <= {"published", "removed", "gone"}
    if not ledger_is_lost:
        assert states(scene, REMOVED) == {("removed", None)}


def test_many_sheets_that_change_at_once_wait_for_a_person(published: Scene) -> None:
    """They are sheets still: what was done to them is a person's to judge, all of them by one command."""
    scene = published
    before = scene.etags()
    for run in RUNS:
        change(scene, run, sheet(run, "s2,TTTT\n"))
    scene.run(expect=1)
    assert scene.etags() == before and states(scene) == {("flagged", "sheets-at-once")}
    change(scene, "R9", sheet("R9", "s3,CCCC\n"))
    scene.run(expect=0)
    assert scene.etags() == before, "one more that changes on the same day is one of them"

    scene.run("hold", "R8")
    said = scene.run("accept", "--sheets", "--yes", "--reason", "new index kit").stdout
    assert "new sample sheets of 9 runs" in said and "R8 is left out" in said
    scene.run()
    assert states(scene, GONE) == {("gone", "not-there")} and states(scene, REMOVED) == {("removed", None)}
    for run in RUNS:
        more = {"R8": "", "R9": "s3,CCCC\n"}.get(run, "s2,TTTT\n")
        assert scene.get(f"{run}/SampleSheet.csv") == sheet(run, more)
        assert kept(scene, run) == ([] if run == "R8" else [sheet(run)])
        scene.check_sums(run)
    words = scene.documents("R0")[2]["overrides"]
    assert [(each["action"], each["accepted"], each["reason"]) for each in words] == [
        ("accept", "sheet", "new index kit")
    ]
    after = scene.etags()
    scene.run()
    assert scene.etags() == after
    scene.run("release", "R8")
    scene.run("accept", "R8", "--yes")
    scene.run()
    assert scene.get("R8/SampleSheet.csv") == sheet("R8", "s2,TTTT\n")
    assert "no sample sheet waits to be accepted" in scene.run("accept", "--sheets", "--yes", expect=2).stderr


def test_a_few_that_change_are_published_and_touched_ones_do_not_count(published: Scene) -> None:
    scene = published
    before = scene.etags()
    for run in RUNS:
        touch_later(scene.folder / "sheets" / f"{run}.csv")
    scene.run()
    assert scene.etags() == before
    few = ["R0", "R1", "R3", "R6", "R7"]
    for run in RUNS:
        change(scene, run, sheet(run, "s2,TTTT\n" if run in few else ""))
    scene.run()
    for run in RUNS:
        assert scene.get(f"{run}/SampleSheet.csv") == sheet(run, "s2,TTTT\n" if run in few else "")
        assert kept(scene, run) == ([sheet(run)] if run in few else [])
        scene.check_sums(run)
    assert {state for state, _ in states(scene)} == {"published", "removed", "gone"}


def test_those_that_are_quiet_wait_for_those_that_are_not(published: Scene) -> None:
    """It goes through the folder while passes run: the first three it changed are quiet when the others are not."""
    scene = published
    before = scene.etags()
    for run in RUNS[:3]:
        change(scene, run, sheet(run, "s2,TTTT\n"))
    scene.config["completion-delay"] = 100
    scene.run()
    scene.sql("UPDATE sheet SET since = since - 101")
    for run in RUNS[3:]:
        change(scene, run, sheet(run, "s2,TTTT\n"))
    told = scene.run().stderr
    assert "7 published runs are being modified" in told and scene.etags() == before
    scene.sql("UPDATE sheet SET since = since - 101")
    scene.run(expect=1)
    assert scene.etags() == before and states(scene) == {("flagged", "sheets-at-once")}


def test_a_sheet_that_is_none_any_more_and_was_one(published: Scene) -> None:
    scene = published
    before = scene.etags()
    for run, content in (("R0", b"text of another kind\n"), ("R9", os.urandom(100)), ("R3", b"[Data]\n\0")):
        change(scene, run, content)
    (scene.main / "R9/late.bcl").write_text("late")
    told = scene.run(expect=1).stderr
    assert "R0.csv changed and can no longer be read (begins with no section)" in told
    assert scene.state("R0") == scene.state("R9") == ("flagged", "sheet-is-none")
    after = scene.etags()
    assert after["R9/SampleSheet.csv"] == before["R9/SampleSheet.csv"] and "R9/late.bcl" in after
    assert {row["path"] for row in scene.documents("R9")[1]} >= {"late.bcl"}, "its late files are published"
    for run in ("R0", "R9"):
        scene.check_sums(run)
    scene.run("accept", "R0", "--yes")
    scene.run()
    assert scene.get("R0/SampleSheet.csv") == b"text of another kind\n" and kept(scene, "R0") == [sheet("R0")]
    change(scene, "R0", b"text of another kind, corrected\n")
    scene.run()
    assert scene.get("R0/SampleSheet.csv") == b"text of another kind, corrected\n"
    change(scene, "R0", os.urandom(100))
    scene.run(expect=1)
    assert scene.state("R0") == ("flagged", "sheet-is-none"), "it was a text"


def test_what_was_accepted_is_that_sheet_and_no_other(published: Scene) -> None:
    scene = published
    change(scene, "R9", b"none\n")
    scene.run(expect=1)
    scene.run("accept", "R9", "--yes")
    change(scene, "R9", b"none, too\n")
    scene.run(expect=0)
    assert scene.get("R9/SampleSheet.csv") == sheet("R9") and scene.state("R9")[0] == "flagged"


def test_emptied_and_deleted_sheets_and_links_change_nothing(published: Scene, proxy: Proxy) -> None:
    scene = published
    before, folder = scene.etags(), scene.folder / "sheets"
    for run in ("R0", "R3", "R9"):
        change(scene, run, b"")
    for run in ("R1", "R4", "R8"):
        (folder / f"{run}.csv").unlink()
    for run in ("R2", "R5", "R7"):
        (folder / f"{run}.csv").unlink()
        (folder / f"{run}.csv").symlink_to(pathlib.Path(str(scene.config["credentials"])))
    told = scene.run(expect=1).stderr
    assert told.count("cannot be read: it is empty") == 3 and told.count("it is a symlink") == 3
    assert scene.etags() == before
    proxy.reset()
    scene.run(expect=0)
    assert proxy.seen == [], "reported once, and nothing is asked of the lake"
    assert {state for state, _ in states(scene)} == {"published", "removed", "gone"}


def test_accept_wants_a_run_or_the_sheets(published: Scene) -> None:
    assert "either a run or --sheets" in published.run("accept", "--yes", expect=2).stderr
    assert "either a run or --sheets" in published.run("accept", "R0", "--sheets", expect=2).stderr
    assert "no sample sheet waits" in published.run("accept", "--sheets", "--yes", expect=2).stderr
