"""The sample sheet: where it stands, what waits for it, and that no sheet is ever lost to another."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, touch_later

OUTSIDE, OWN = b"[Data]\nfrom the laboratory\n", b"[Data]\nfrom the instrument\n"
SHEET, KEPT = "R/SampleSheet.csv", "R/SampleSheet.instrument.csv"


def give_sheet(folder: pathlib.Path, content: bytes = OUTSIDE, name: str = "R.csv") -> None:
    path = folder / name
    there = path.exists()
    path.write_bytes(content)
    if there:
        touch_later(path)


def test_data_is_carried_and_the_marker_waits_for_the_sheet(scene: Scene) -> None:
    sheets = scene.sheets()
    scene.make_run("R")
    first = scene.run()
    assert "waiting for R.csv in the sample sheet folder" in first.stderr
    assert "R/Data/one.bcl" in scene.etags() and not scene.is_published("R")
    jobs = scene.azcopy_jobs()
    scene.run()
    give_sheet(sheets, name="r.CSV")
    scene.run()
    assert scene.get(SHEET) == OUTSIDE and scene.azcopy_jobs() == jobs
    _, rows, receipt, _ = scene.documents("R")
    scene.check_sums("R")
    [row] = [row for row in rows if row["path"] == "SampleSheet.csv"]
    assert row["evidence"] == "validated" and row["source"] == "sheet"
    assert receipt["sample_sheet"] == {"from": "sample sheet folder", "instrument_sheet_kept_as": None}

    before = scene.etags()
    scene.run()
    touch_later(sheets / "r.CSV")
    scene.run()
    scene.lose_ledger()
    scene.run("--thorough")
    assert scene.etags() == before, "only touched: nothing is written"

    give_sheet(sheets, b"[Data]\nanother\n", "r.CSV")
    assert "SampleSheet.instrument.csv" not in scene.run().stderr, "the run has none of its own"
    assert scene.get(SHEET) == b"[Data]\nanother\n" and scene.documents("R")[2]["generation"] == 2
    scene.check_sums("R")


def test_an_own_different_sheet_is_kept_beside(scene: Scene) -> None:
    give_sheet(scene.sheets())
    scene.make_run("R", {"SampleSheet.csv": OWN})
    told = scene.run().stderr
    assert "is kept as SampleSheet.instrument.csv" in told
    assert (scene.get(SHEET), scene.get(KEPT)) == (OUTSIDE, OWN)
    scene.check_sums("R")
    receipt = scene.documents("R")[2]
    assert receipt["sample_sheet"]["instrument_sheet_kept_as"] == "SampleSheet.instrument.csv"
    before = scene.etags()
    scene.lose_ledger()
    scene.run("--thorough")
    assert scene.etags() == before


def test_an_own_sheet_that_is_the_same_is_one_blob(scene: Scene) -> None:
    give_sheet(scene.sheets())
    scene.make_run("R", {"SampleSheet.csv": OUTSIDE})
    scene.run()
    assert KEPT not in scene.etags() and scene.get(SHEET) == OUTSIDE
    give_sheet(scene.sheets(), b"[Data]\ncorrected\n")
    scene.run()
    assert (scene.get(SHEET), scene.get(KEPT)) == (b"[Data]\ncorrected\n", OUTSIDE)
    scene.check_sums("R")


def test_a_sheet_after_publishing_also_when_the_source_is_gone(scene: Scene) -> None:
    """First the instrument's is kept aside, then the other takes its place."""
    sheets = scene.sheets()
    scene.config["sheet-optional"] = "true"
    scene.config["exclude"] = "*.tmp"
    for name in ("R", "S"):
        scene.make_run(name, {"SampleSheet.csv": OWN, "x.tmp": "excluded"})
    scene.run()
    assert scene.get(SHEET) == OWN and scene.is_published("R") and scene.is_published("S")
    shutil.rmtree(scene.main / "S")
    give_sheet(sheets)
    give_sheet(sheets, name="S.csv")
    scene.run()
    for run in ("R", "S"):
        assert scene.get(f"{run}/SampleSheet.csv") == OUTSIDE
        assert scene.get(f"{run}/SampleSheet.instrument.csv") == OWN
        scene.check_sums(run)
        assert scene.documents(run)[2]["not_uploaded"]["counts"] == {"excluded": 1}, run
    give_sheet(sheets, b"[Data]\nonce more\n", "S.csv")
    scene.lose_ledger()
    scene.run()
    assert scene.get("S/SampleSheet.csv") == b"[Data]\nonce more\n"
    assert scene.get("S/SampleSheet.instrument.csv") == OWN
    assert scene.documents("S")[2]["not_uploaded"]["counts"] == {"excluded": 1}
    scene.check_sums("S")
    before = scene.etags()
    scene.run()
    assert scene.etags() == before


def test_cut_off_between_keeping_aside_and_replacing(scene: Scene, proxy: Proxy) -> None:
    """Both blobs are written and the ledger knows of neither: it must not stand still there for ever."""
    sheets = scene.sheets()
    scene.config["sheet-optional"] = "true"
    scene.through(proxy).make_run("R", {"SampleSheet.csv": OWN})
    scene.run()
    shutil.rmtree(scene.main / "R")
    scene.make_run("S")
    give_sheet(sheets)

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/R/SampleSheet.csv"):
            process.kill()
            process.wait()

    proxy.after = kill
    process = scene.start()
    process.communicate(timeout=LONG)
    assert process.returncode == -9
    assert (scene.get(SHEET), scene.get(KEPT)) == (OUTSIDE, OWN)
    proxy.reset()
    scene.run()
    assert (scene.get(SHEET), scene.get(KEPT)) == (OUTSIDE, OWN)
    scene.check_sums("R")
    assert scene.documents("R")[2]["generation"] == 2


def test_own_sheet_is_not_lost_when_the_outside_one_is_withdrawn(scene: Scene, proxy: Proxy) -> None:
    """The outside sheet was carried, the pass was cut off before it published, and then the sheet is taken away."""
    sheets = scene.sheets()
    give_sheet(sheets)
    scene.through(proxy).make_run("R", {"SampleSheet.csv": OWN})

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/R.md5"):
            process.kill()
            process.wait()

    proxy.before = kill
    process = scene.start()
    process.communicate(timeout=LONG)
    proxy.reset()
    (sheets / "R.csv").unlink()
    scene.run()
    assert (scene.get(SHEET), scene.get(KEPT)) == (OUTSIDE, OWN)
    named = {row["path"] for row in scene.documents("R")[1]}
    assert named >= {"SampleSheet.csv", "SampleSheet.instrument.csv"}
    scene.check_sums("R")


def test_a_flagged_run_keeps_the_sheet_that_its_manifest_names(scene: Scene) -> None:
    sheets = scene.sheets()
    give_sheet(sheets)
    run = scene.make_run("R")
    scene.run()
    (run / "dangling").symlink_to("/nowhere")
    give_sheet(sheets, b"[Data]\nchanged\n")
    scene.run(expect=1)
    scene.check_sums("R")
    (run / "dangling").unlink()
    scene.run()
    assert scene.get(SHEET) == b"[Data]\nchanged\n"
    scene.check_sums("R")


def test_an_own_sheet_that_comes_late_is_carried_too(scene: Scene) -> None:
    sheets = scene.sheets()
    give_sheet(sheets)
    run = scene.make_run("R")
    scene.run()
    (sheets / "R.csv").unlink()
    (run / "SampleSheet.csv").write_bytes(OWN)
    scene.run()
    assert (scene.get(SHEET), scene.get(KEPT)) == (OUTSIDE, OWN)
    scene.check_sums("R")


def test_a_lost_sheet_blob_is_healed_from_the_sheet_or_flagged(scene: Scene) -> None:
    sheets = scene.sheets()
    give_sheet(sheets)
    run = scene.make_run("R")
    scene.run()
    scene.put(SHEET, b"broken")
    scene.run("--thorough")
    assert scene.get(SHEET) == OUTSIDE
    scene.check_sums("R")
    (sheets / "R.csv").unlink()
    scene.container.delete_blob(SHEET)
    (run / "late.txt").write_text("late")
    told = scene.run("--thorough", expect=1).stderr
    assert "SampleSheet.csv" in told
    assert "R/late.txt" not in {f"R/{row['path']}" for row in scene.documents("R")[1]}
    scene.run("--thorough", expect=0)
    give_sheet(sheets)
    scene.run("--thorough")
    scene.check_sums("R")
    assert "late.txt" in {row["path"] for row in scene.documents("R")[1]}


def test_two_days_without_sheet_or_run_are_told_once(scene: Scene) -> None:
    sheets = scene.sheets()
    scene.make_run("NOSHEET")
    give_sheet(sheets, name="NORUN.csv")
    first = scene.run()
    assert "48 h" not in first.output
    scene.age("NOSHEET", 48 * 3600)
    scene.age("NORUN", 48 * 3600)
    told = scene.run(expect=1).stderr
    assert "NOSHEET has been without its sample sheet for 48 h" in told
    assert "NORUN.csv has been waiting for its run for 48 h" in told
    assert "48 h" not in scene.run(expect=0).output
    scene.make_run("norun", {FLAG: ""})
    give_sheet(sheets, name="NOSHEET.csv")
    scene.run()
    assert scene.is_published("norun") and scene.is_published("NOSHEET")
    assert scene.get("norun/SampleSheet.csv") == OUTSIDE
    assert not scene.is_published("NORUN")
    assert "48 h" not in scene.run().output


def test_sheets_that_cannot_be_used_hold_the_marker_and_are_told(scene: Scene) -> None:
    sheets = scene.sheets()
    scene.make_run("R")
    give_sheet(sheets, b"", "R.csv")
    scene.make_run("TWO")
    give_sheet(sheets, b"a", "two.csv")
    give_sheet(sheets, b"b", "Two.csv")
    told = scene.run(expect=1).stderr
    assert "R.csv cannot be read: it is empty" in told and "two sample sheets fit this run" in told
    assert not scene.is_published("R") and not scene.is_published("TWO")
    scene.run(expect=0)
    give_sheet(sheets, OUTSIDE, "R.csv")
    (sheets / "Two.csv").unlink()
    scene.run()
    assert scene.get(SHEET) == OUTSIDE and scene.get("TWO/SampleSheet.csv") == b"a"


def test_the_sheet_of_the_tool_before_is_not_replaced(scene: Scene) -> None:
    give_sheet(scene.sheets())
    run = scene.make_run("R")
    for path in run.rglob("*"):
        if path.is_file():
            scene.put(f"R/{path.relative_to(run)}", path.read_bytes())
    scene.put(SHEET, b"what pipelines have read for years")
    scene.put("R.sync", b"2020-01-01T00:00:00")
    before = scene.etags()
    told = scene.run(expect=1).stderr
    assert "SampleSheet.csv" in told
    assert scene.etags() == before


def test_a_second_sheet_for_a_published_run_is_told_once(scene: Scene) -> None:
    sheets = scene.sheets()
    (sheets / "r.csv").write_text("sheet")
    scene.make_run("R")
    scene.run()
    assert scene.is_published("R")
    (sheets / "r.CSV").write_text("another")
    assert "two sample sheets fit this run" in scene.run(expect=1).stderr
    assert "two sample sheets" not in scene.run().stderr
    assert scene.get("R/SampleSheet.csv") == b"sheet"


def test_a_sheet_belongs_to_the_run_of_exactly_its_name(scene: Scene) -> None:
    """Neither to one whose name it only begins, nor to one that differs in case, where each has its own."""
    sheets = scene.sheets()
    names = ("RUN", "RUN_b", "RUN_1", "RUN_10", "run")
    for name in names:
        scene.make_run(name)
    give_sheet(sheets, b"[Data]\nRUN\n", "RUN.csv")
    give_sheet(sheets, b"[Data]\nRUN_1\n", "RUN_1.csv")
    scene.run()
    published = {name for name in names if scene.is_published(name)}
    assert published == {"RUN", "RUN_1"}
    assert scene.get("RUN/SampleSheet.csv") == b"[Data]\nRUN\n"
    assert scene.get("RUN_1/SampleSheet.csv") == b"[Data]\nRUN_1\n"
    assert scene.state("run") == ("verified", "no-sheet-yet")


def test_a_sheet_that_is_named_otherwise_is_named(scene: Scene) -> None:
    """As Excel saves it, as Windows names it where it hides endings."""
    sheets = scene.sheets()
    for name in ("run.csv.txt", "RUN.xlsx", "run - Copy.csv", "run2.csv.txt", "run_b.xlsx", "~$run.xlsx"):
        (sheets / name).write_text("x")
    scene.make_run("run")
    scene.run()
    assert scene.state("run") == ("verified", "sheet-named-otherwise")
    told = " ".join(scene.run("explain", "run").stdout.split())
    assert "the folder has RUN.xlsx, run - Copy.csv, run.csv.txt: if that is it, save it as run.csv" in told
    (sheets / "run.csv").write_text("[Data]\n")
    scene.run()
    assert scene.is_published("run")


def pass_quiet_time(scene: Scene) -> None:
    """As if each sheet had been found as it is before."""
    scene.sql("UPDATE sheet SET since = since - 101")


def test_a_half_written_sheet_is_not_published(scene: Scene) -> None:
    """Found in two looks 100 s apart; each look that sees it grow begins again, whatever its own time says."""
    sheets = scene.sheets()
    scene.config |= {"sheet-optional": "true", "uploader": "native"}
    scene.make_run("R", {"SampleSheet.csv": OWN})
    scene.run()
    scene.make_run("S", {"SampleSheet.csv": OWN})
    for run in ("R", "S"):
        give_sheet(sheets, OUTSIDE[:9], f"{run}.csv")
        os.utime(sheets / f"{run}.csv", (1, 1))
    scene.config["completion-delay"] = 100
    scene.run()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101 WHERE key = 'S'")
    for content in (OUTSIDE[:9], OUTSIDE[:12], OUTSIDE):
        for run in ("R", "S"):
            (sheets / f"{run}.csv").write_bytes(content)
            os.utime(sheets / f"{run}.csv", (1, 1))
        scene.run()
        assert scene.get(SHEET) == OWN and not scene.is_published("S")
        assert scene.state("S") == ("verified", "sheet-not-quiet")
        pass_quiet_time(scene)
    scene.run()
    assert scene.get(SHEET) == OUTSIDE and scene.get("S/SampleSheet.csv") == OUTSIDE
    for run in ("R", "S"):
        assert scene.get(f"{run}/SampleSheet.instrument.csv") == OWN
        scene.check_sums(run)


def test_a_sheet_of_a_removed_run_is_quiet_first(scene: Scene) -> None:
    sheets = scene.sheets()
    scene.make_run("S")
    give_sheet(sheets)
    run = scene.make_run("R")
    give_sheet(sheets, name="S.csv")
    scene.run()
    shutil.rmtree(run)
    scene.run()
    scene.config["completion-delay"] = 100
    give_sheet(sheets, OUTSIDE + b"cor")
    scene.run()
    pass_quiet_time(scene)
    give_sheet(sheets, OUTSIDE + b"corrected\n")
    scene.run()
    assert scene.get(SHEET) == OUTSIDE
    pass_quiet_time(scene)
    scene.run()
    assert scene.get(SHEET) == OUTSIDE + b"corrected\n"
    scene.check_sums("R")


def test_a_sheet_that_is_corrected_during_the_upload_is_published_corrected_only(
    scene: Scene, proxy: Proxy
) -> None:
    sheets = scene.sheets()
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    give_sheet(sheets)
    sent = []

    def correct(method: str, path: str) -> None:
        if method == "PUT" and ".bcl" in path and not sent:
            sent.append(path)
            give_sheet(sheets, OUTSIDE + b"corrected\n")

    proxy.before = correct
    scene.run()
    proxy.reset()
    assert sent and SHEET not in scene.etags() and not scene.is_published("R")
    assert scene.state("R") == ("verified", "sheet-not-quiet")
    scene.run()
    assert scene.get(SHEET) == OUTSIDE + b"corrected\n" and scene.is_published("R")
    assert scene.documents("R")[2]["generation"] == 1
    scene.check_sums("R")


@pytest.mark.parametrize("gone", [False, True])
def test_a_published_run_gets_no_sheet_that_changes_after_it_was_read(
    scene: Scene, proxy: Proxy, gone: bool
) -> None:
    sheets = scene.sheets()
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("S")
    give_sheet(sheets, name="S.csv")
    run = scene.make_run("R")
    give_sheet(sheets)
    scene.run()
    if gone:
        shutil.rmtree(run)
    before = scene.etags()
    give_sheet(sheets, OUTSIDE + b"0\n")

    def correct(method: str, path: str) -> None:
        """After it was read, with each listing, and before it is written."""
        if "comp=list" in path:
            give_sheet(sheets, (sheets / "R.csv").read_bytes() + b"and again\n")

    proxy.before = correct
    scene.run()
    proxy.reset()
    assert scene.etags() == before
    scene.run()
    assert scene.get(SHEET) == (sheets / "R.csv").read_bytes() and scene.etags() != before
    assert snapshots(scene) == [OUTSIDE]
    scene.check_sums("R")


def snapshots(scene: Scene) -> list[bytes]:
    """What is kept of SampleSheet.csv, the oldest first."""
    kept = [blob for blob in scene.container.list_blobs(SHEET, include=["snapshots"]) if blob.snapshot]
    return [
        scene.container.get_blob_client(SHEET, snapshot=blob.snapshot).download_blob().readall()
        for blob in sorted(kept, key=lambda blob: str(blob.snapshot))
    ]


@pytest.mark.parametrize("gone", [False, True])
def test_a_replaced_sheet_is_kept_as_a_snapshot(scene: Scene, gone: bool) -> None:
    sheets = scene.sheets()
    scene.make_run("S")
    give_sheet(sheets, name="S.csv")
    run = scene.make_run("R")
    give_sheet(sheets)
    scene.run()
    if gone:
        shutil.rmtree(run)
    assert snapshots(scene) == []
    give_sheet(sheets, OUTSIDE + b"corrected\n")
    scene.run()
    give_sheet(sheets, OUTSIDE + b"corrected again\n")
    scene.run()
    assert snapshots(scene) == [OUTSIDE, OUTSIDE + b"corrected\n"]
    replaced = scene.documents("R")[2]["replaced"]
    assert [(each["path"], each["size"], each["by_generation"]) for each in replaced] == [
        ("SampleSheet.csv", len(OUTSIDE), 2),
        ("SampleSheet.csv", len(OUTSIDE) + 10, 3),
    ]
    assert all(each["snapshot"] for each in replaced)
    scene.check_sums("R")


def test_a_sheet_is_not_replaced_where_it_cannot_be_kept(scene: Scene, proxy: Proxy) -> None:
    sheets = scene.sheets()
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    give_sheet(sheets)
    scene.run()
    before = scene.etags()
    give_sheet(sheets, OUTSIDE + b"corrected\n")
    proxy.before = lambda method, path: 403 if "comp=snapshot" in path else None
    told = scene.run(expect=1).stderr
    assert "cannot be kept as a snapshot, so it is not replaced" in told
    assert scene.state("R") == ("flagged", "sheet-not-kept") and scene.etags() == before
    scene.run(expect=0)
    assert scene.etags() == before
    proxy.reset()
    scene.run()
    assert scene.get(SHEET) == OUTSIDE + b"corrected\n" and snapshots(scene) == [OUTSIDE]
    assert scene.state("R") == ("published", None)


@pytest.mark.parametrize("when", ["comp=snapshot", "put"])
def test_a_sheet_that_another_writer_replaced_is_not_written_over(
    scene: Scene, proxy: Proxy, when: str
) -> None:
    """Between our look and the snapshot, and between that and our write."""
    sheets = scene.sheets()
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    give_sheet(sheets)
    scene.run()
    give_sheet(sheets, OUTSIDE + b"corrected\n")
    theirs = OUTSIDE + b"of another writer\n"

    def write(method: str, path: str) -> None:
        snapshot = "comp=snapshot" in path
        if method == "PUT" and f"/{SHEET}" in path and snapshot is (when != "put"):
            proxy.reset()
            scene.put(SHEET, theirs)

    proxy.before = write
    scene.run(expect=1)
    assert scene.get(SHEET) == theirs
    assert scene.documents("R")[2]["generation"] == 1
    scene.run()
    assert scene.get(SHEET) == OUTSIDE + b"corrected\n" and theirs in snapshots(scene)
    scene.check_sums("R")
