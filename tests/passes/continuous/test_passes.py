"""Projects that are never done, carried by the real command: what goes, what waits, what may change and what never."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import time

import pytest

from embedded.spectra import thermo_raw
from tests.conftest import LONG
from tests.passes.continuous.projects import DAY, HOUR, Projects
from tests.passes.cut import killed_at
from tests.passes.proxy import Proxy
from tests.passes.scene import eventually, tree

RAW = thermo_raw(5000)


def a_project(projects: Projects) -> None:
    projects.write("Prot12/a.raw", RAW)
    projects.write("Prot12/Blank_1.RAW", thermo_raw(3000, seed=2))
    projects.write("Prot12/top20.meth", "method")
    projects.write("Prot12/Sequence.sld", "sequence")
    projects.write("Prot12/Prot12_Results.xlsx", "results")
    projects.write("Prot12/Metadata.xlsx", "metadata")
    projects.write("Prot12/notes.txt", "notes")
    projects.write("Prot12/sub/b.raw", RAW)


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_a_project(uploader: str, proteomics: Projects) -> None:
    scene = proteomics.scene
    scene.config["uploader"] = uploader
    a_project(proteomics)
    proteomics.write("Misc/c.raw", RAW)
    scene.run()
    lake = proteomics.lake("PROT12")
    ready = lake.pop("results.ready").decode()
    assert lake == {
        "samples/a.raw": RAW,
        "blanks/Blank_1.RAW": thermo_raw(3000, seed=2),
        "other/top20.meth": b"method",
        "other/Sequence.sld": b"sequence",
        "results/prot12_results.xlsx": b"results",
        "metadata.xlsx": b"metadata",
    }
    assert set(scene.etags()) == {f"PROT12/{name}" for name in [*lake, "results.ready"]} | {
        "PROT12.md5",
        "PROT12.files.jsonl",
        "PROT12.json",
    }
    receipt = proteomics.receipt("PROT12")
    assert (receipt["outcome"], receipt["files"], receipt["weakest_evidence"]) == (
        "continuous",
        6,
        "validated",
    )
    assert receipt["ready"] == {"blob": "results.ready", "time": ready.strip()}
    written = datetime.datetime.fromisoformat(ready.strip()).timestamp()
    assert abs(os.stat(scene.ledger).st_mtime - written) < 60, "a time of now, whatever the zone"
    assert receipt["not_uploaded"]["counts"] == {"left": 2}
    assert receipt["sha256"]["PROT12.md5"] == hashlib.sha256(scene.get("PROT12.md5")).hexdigest()
    scene.check_sums("PROT12")
    assert scene.state("PROT12") == ("verified", "continuous")

    before = scene.etags()
    again = scene.run()
    assert scene.etags() == before
    assert "0 published, 0 waiting, 1 unchanged" in again.output


def test_the_real_project(proteomics: Projects, shared_runs: pathlib.Path) -> None:
    content = (shared_runs / "proteomics" / "Prot01" / "small.raw").read_bytes()
    proteomics.write("Prot01/small.raw", content)
    proteomics.scene.run()
    assert proteomics.lake("PROT01") == {"samples/small.raw": content}


def test_each_file_waits_for_its_own_age(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/old.raw", RAW, 25 * HOUR)
    young = proteomics.write("Prot1/young.raw", RAW, 23 * HOUR)
    first = scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/old.raw"}
    assert proteomics.waiting("PROT1") == {"young.raw": "written less than 1 d ago"}
    assert "continuous project: 1 files uploaded and verified, 1 waiting" in first.output
    [status] = json.loads(scene.run("status", "--json").stdout)["runs"]
    assert status["status"] == "waiting"
    os.utime(young, (time.time() - 25 * HOUR,) * 2)
    scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/old.raw", "samples/young.raw"}
    assert proteomics.receipt("PROT1")["generation"] == 2
    [status] = json.loads(scene.run("status", "--json").stdout)["runs"]
    assert status["status"] == "safe"


def test_the_least_age_is_the_users(proteomics: Projects) -> None:
    proteomics.scene.config["min-file-age"] = 2 * HOUR
    proteomics.write("Prot1/a.raw", RAW, 1 * HOUR)
    proteomics.write("Prot1/b.raw", RAW, 3 * HOUR)
    proteomics.scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/b.raw"}


def test_an_old_time_is_not_believed_before_our_own_looks_agree(proteomics: Projects) -> None:
    """A copy keeps the time of its original from the start."""
    scene = proteomics.scene
    scene.config["completion-delay"] = 3600
    path = proteomics.write("Prot1/a.raw", RAW)
    scene.run()
    assert proteomics.lake("PROT1") == {}
    assert proteomics.waiting("PROT1") == {"a.raw": "not seen unchanged for 1 h yet"}
    scene.sql("UPDATE stability SET since = since - 3500")
    path.write_bytes(RAW + b"more")
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    scene.run()
    scene.sql("UPDATE stability SET since = since - 3500")
    scene.run()
    assert proteomics.lake("PROT1") == {}
    scene.sql("UPDATE stability SET since = since - 200")
    scene.run()
    assert proteomics.lake("PROT1") == {"samples/a.raw": RAW + b"more"}


def test_a_time_in_the_future_holds_nothing_up_for_ever(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW, -30 * DAY)
    scene.run()
    assert proteomics.lake("PROT1") == {}
    scene.sql("UPDATE stability SET since = since - ?", 25 * HOUR)
    told = scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/a.raw"} and "is in the future" in told.output


def test_what_is_still_being_acquired_is_never_carried(proteomics: Projects) -> None:
    scene = proteomics.scene
    acquired = proteomics.write("Prot1/a.raw", thermo_raw(5000, acquiring=True), 60 * DAY)
    proteomics.write("Prot1/empty.raw", b"", 60 * DAY)
    proteomics.write("Prot1/done.raw", RAW)
    for _ in range(2):
        scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/done.raw"}
    assert proteomics.waiting("PROT1") == {
        "a.raw": "its header says that it is being acquired",
        "empty.raw": "it is empty: opened, and not written yet",
    }
    assert proteomics.receipt("PROT1")["not_uploaded"]["counts"] == {"waiting": 2}
    proteomics.write("Prot1/a.raw", RAW)
    acquired.touch()
    os.utime(acquired, (time.time() - 2 * DAY,) * 2)
    scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/done.raw", "samples/a.raw"}


def test_an_acquisition_that_broke_off_is_told_and_can_be_accepted(proteomics: Projects) -> None:
    scene = proteomics.scene
    broken = thermo_raw(5000, acquiring=True)
    proteomics.write("Prot1/a.raw", broken, 60 * DAY)
    proteomics.write("Prot1/b.raw", RAW)
    scene.run()
    scene.sql("UPDATE stability SET since = since - ?", 49 * HOUR)
    told = scene.run(expect=1)
    assert "1 .raw files are marked as still being acquired, and have not changed for long" in told.output
    assert "samples/a.raw" in told.output and scene.state("PROT1") == ("flagged", "never-ended")
    known = scene.run()
    assert "ERROR" not in known.output
    scene.run("accept", "PROT1", "--yes", "--reason", "the LC broke")
    scene.run()
    assert proteomics.lake("PROT1")["samples/a.raw"] == broken
    assert scene.state("PROT1") == ("verified", "continuous")
    assert proteomics.receipt("PROT1")["overrides"][0]["reason"] == "the LC broke"


def test_spectra_are_frozen_once_they_are_carried(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    proteomics.write("Prot12/a.raw", thermo_raw(5000, seed=9), 1)
    proteomics.write("Prot12/Blank_1.RAW", b"encrypted")
    proteomics.write("Prot12/Prot12_Results.xlsx", "encrypted, too")
    proteomics.write("Prot12/new.raw", RAW)
    told = scene.run(expect=1)
    assert "2 files changed after they were verified; the good copy was kept" in told.output
    lake = proteomics.lake("PROT12")
    assert lake["samples/a.raw"] == RAW and lake["blanks/Blank_1.RAW"] == thermo_raw(3000, seed=2)
    assert lake["samples/new.raw"] == RAW and lake["results/prot12_results.xlsx"] == b"results"
    assert scene.state("PROT12") == ("flagged", "changed-after-verification")
    before = scene.etags()
    assert "ERROR" not in scene.run().output
    scene.lose_ledger()
    scene.run(expect=1)
    assert scene.etags() == before

    scene.run("accept", "PROT12", "--yes")
    scene.run()
    lake = proteomics.lake("PROT12")
    assert lake["samples/a.raw"] == thermo_raw(5000, seed=9) and lake["blanks/Blank_1.RAW"] == b"encrypted"
    kept = {each["path"]: each["snapshot"] for each in proteomics.receipt("PROT12")["replaced"]}
    old = scene.container.get_blob_client("PROT12/samples/a.raw", snapshot=kept["samples/a.raw"])
    assert old.download_blob().readall() == RAW
    assert scene.state("PROT12") == ("verified", "continuous")
    assert lake["results/prot12_results.xlsx"] == b"encrypted, too"


def test_a_file_that_was_only_touched_is_no_change(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    before = scene.etags()
    for name in ("a.raw", "Prot12_Results.xlsx"):
        os.utime(scene.main / "Prot12" / name, (time.time() - 1.5 * DAY,) * 2)
    scene.run()
    assert scene.etags() == before


def test_results_and_metadata_may_change_and_start_the_pipelines_anew(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    proteomics.write("Prot1/Prot1.xlsx", "results")
    scene.run()
    assert proteomics.ready("PROT1") is None, "without metadata"
    proteomics.write("Prot1/metadata.xlsx", "metadata")
    scene.run()
    first = proteomics.ready("PROT1")
    assert first is not None
    time.sleep(1.1)
    proteomics.write("Prot1/b.raw", RAW)
    scene.run()
    assert proteomics.ready("PROT1") == first, "spectra alone start nothing"
    proteomics.write("Prot1/Prot1.xlsx", "better", 25 * HOUR)
    scene.run()
    second = proteomics.ready("PROT1")
    assert second is not None and second > first
    assert proteomics.lake("PROT1")["results/prot1.xlsx"] == b"better"
    assert proteomics.manifest("PROT1")["results/prot1.xlsx"]["md5"] == hashlib.md5(b"better").hexdigest()
    scene.check_sums("PROT1")
    time.sleep(1.1)
    proteomics.write("Prot1/METADATA.XLSX", "new", 1)
    (scene.main / "Prot1" / "metadata.xlsx").unlink()
    scene.run()
    assert proteomics.lake("PROT1")["metadata.xlsx"] == b"metadata", "too young"
    os.utime(scene.main / "Prot1" / "METADATA.XLSX", (time.time() - 25 * HOUR,) * 2)
    scene.run()
    third = proteomics.ready("PROT1")
    assert third is not None and third > second and proteomics.lake("PROT1")["metadata.xlsx"] == b"new"


def test_the_sign_comes_last(proteomics: Projects, proxy: Proxy) -> None:
    scene = proteomics.scene.through(proxy)
    a_project(proteomics)
    scene.run()
    written = [path.split("?")[0].partition("PROT12")[2] for method, path in proxy.seen if method == "PUT"]
    assert written[-4:] == [".files.jsonl", ".md5", ".json", "/results.ready"]


@pytest.mark.parametrize("ledger", ["kept", "lost"])
@pytest.mark.parametrize(
    "cut", [".files.jsonl", ".md5", ".json", "/results.ready", "/results/prot12_results.xlsx"]
)
def test_cut_off_at_each_write(cut: str, ledger: str, proteomics: Projects, proxy: Proxy) -> None:
    scene = proteomics.scene.through(proxy)
    a_project(proteomics)
    scene.run()
    first = proteomics.ready("PROT12")
    time.sleep(1.1)
    proteomics.write("Prot12/Prot12_Results.xlsx", "better", 25 * HOUR)
    proteomics.write("Prot12/late.raw", RAW, 25 * HOUR)
    killed_at(scene, proxy, f"PROT12{cut}")
    if ledger == "lost":
        scene.lose_ledger()
    scene.run()
    lake = proteomics.lake("PROT12")
    assert lake["results/prot12_results.xlsx"] == b"better" and lake["samples/late.raw"] == RAW
    ready = proteomics.ready("PROT12")
    assert ready is not None and first is not None and ready > first
    assert proteomics.receipt("PROT12")["ready"]["time"] == ready.strip()
    scene.check_sums("PROT12")
    before = scene.etags()
    scene.run()
    assert scene.etags() == before


def test_two_files_for_one_place(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    proteomics.write("Prot1/metadata.xlsx", "m")
    proteomics.write("Prot1/Prot1.xlsx", "one")
    proteomics.write("Prot1/PROT1.xlsx", "two")
    told = scene.run(expect=1)
    assert "2 entries cannot be uploaded" in told.output and "Prot1.xlsx" in told.output
    assert "another file falls on the blob results/prot1.xlsx" in told.output
    assert proteomics.lake("PROT1")["samples/a.raw"] == RAW, "what is not in doubt is safe"
    assert "results/prot1.xlsx" not in proteomics.lake("PROT1") and proteomics.ready("PROT1") is None
    (scene.main / "Prot1" / "PROT1.xlsx").unlink()
    scene.run()
    assert proteomics.lake("PROT1")["results/prot1.xlsx"] == b"one" and proteomics.ready("PROT1") is not None


def test_two_folders_for_one_project(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    proteomics.write("PROT1/b.raw", RAW)
    proteomics.write("Prot2/c.raw", RAW)
    told = scene.run(expect=1)
    assert "the folders PROT1 and Prot1 would both be PROT1 at the destination" in told.output
    assert proteomics.lake("PROT1") == {} and set(proteomics.lake("PROT2")) == {"samples/c.raw"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("remove-source", "true"),
        ("completion-flag", "RTAComplete.txt"),
        ("samplesheet-folder", "sheets"),
        ("incremental", "true"),
    ],
)
@pytest.mark.parametrize("profile", ["proteomics", "metabolomics"])
def test_what_makes_no_sense_is_refused_with_the_reason(
    profile: str, key: str, value: str, proteomics: Projects
) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.config |= {key: value, "profile": profile}
    before = tree(scene.main)
    refused = scene.run(expect=2)
    assert f"{key} does not go with profile = {profile}: " in refused.output
    assert tree(scene.main) == before and scene.etags() == {}


def test_keys_of_projects_without_their_profile_are_told(proteomics: Projects) -> None:
    scene = proteomics.scene
    scene.config |= {"profile": "auto", "project-glob": "prot*", "min-file-age": 5}
    told = scene.run()
    assert "project-glob means something only with profile = proteomics" in told.output
    assert "min-file-age means something only with profile = proteomics or metabolomics" in told.output


def test_a_project_that_the_tool_before_filled(proteomics: Projects) -> None:
    """Equal blobs count, spectra of somebody else are never written over, results may be."""
    scene = proteomics.scene
    a_project(proteomics)
    proteomics.write("Prot12/other.raw", RAW)
    theirs = {
        "PROT12/samples/a.raw": RAW,
        "PROT12/samples/other.raw": b"other bytes",
        "PROT12/results/prot12_results.xlsx": b"an older state",
        "PROT12/results.ready": b"2025-01-02T03:04:05.678901",
    }
    for name, content in theirs.items():
        scene.put(name, content)
    before = scene.etags()
    told = scene.run(expect=1)
    assert "1 blobs that another writer published differ from the source" in told.output
    lake = proteomics.lake("PROT12")
    assert scene.etags()["PROT12/samples/a.raw"] == before["PROT12/samples/a.raw"]
    assert lake["samples/other.raw"] == b"other bytes" and lake["results/prot12_results.xlsx"] == b"results"
    (scene.main / "Prot12" / "other.raw").unlink()
    scene.run()
    assert (proteomics.ready("PROT12") or "").startswith("20") and "678901" not in (
        proteomics.ready("PROT12") or ""
    )
    assert proteomics.lake("PROT12")["samples/other.raw"] == b"other bytes"


def test_taking_over_what_is_equal_starts_no_pipeline(proteomics: Projects) -> None:
    """The tool before this one wrote its sign after the results: nothing is new."""
    scene = proteomics.scene
    a_project(proteomics)
    proteomics.write("Prot12/late.raw", RAW)
    for name, content in {
        "PROT12/samples/a.raw": RAW,
        "PROT12/results/prot12_results.xlsx": b"results",
        "PROT12/metadata.xlsx": b"metadata",
        "PROT12/results.ready": b"2025-01-02T03:04:05.678901",
    }.items():
        scene.put(name, content)
    sign = scene.etags()["PROT12/results.ready"]
    for _ in range(2):
        scene.run()
        assert scene.etags()["PROT12/results.ready"] == sign
    assert "ready" not in proteomics.receipt("PROT12")
    scene.lose_ledger()
    scene.run("--thorough")
    assert scene.etags()["PROT12/results.ready"] == sign
    proteomics.write("Prot12/Prot12_Results.xlsx", "better", 30 * HOUR)
    scene.run()
    assert (proteomics.ready("PROT12") or "").endswith("+00:00\n")


def test_a_later_blob_of_somebody_else_is_not_written_over(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    scene.run()
    scene.put("PROT1/samples/b.raw", b"somebody else's")
    proteomics.write("Prot1/b.raw", RAW)
    scene.run(expect=1)
    assert proteomics.lake("PROT1")["samples/b.raw"] == b"somebody else's"
    scene.run("accept", "PROT1", "--yes")
    scene.run()
    assert proteomics.lake("PROT1")["samples/b.raw"] == RAW


def test_a_blob_that_went_wrong_is_healed(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    ready = proteomics.ready("PROT12")
    scene.put("PROT12/samples/a.raw", b"wrong")
    scene.container.delete_blob("PROT12/metadata.xlsx")
    scene.run("--thorough")
    lake = proteomics.lake("PROT12")
    assert lake["samples/a.raw"] == RAW and lake["metadata.xlsx"] == b"metadata"
    assert proteomics.ready("PROT12") == ready, "nothing changed at the source"


def test_files_that_left_the_source_stay_published(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    for name in ("a.raw", "Prot12_Results.xlsx"):
        (scene.main / "Prot12" / name).unlink()
    scene.run()
    proteomics.write("Prot12/new.raw", RAW)
    scene.run()
    assert {"samples/a.raw", "results/prot12_results.xlsx", "samples/new.raw"} <= set(
        proteomics.manifest("PROT12")
    )
    scene.check_sums("PROT12")


def test_audit_and_restore(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    assert "1 well, 0 wrong" in scene.run("audit", "--read-back").output
    target = scene.folder / "back"
    scene.run("restore", "PROT12", "--to", target)
    lake = proteomics.lake("PROT12")
    del lake["results.ready"]
    assert tree(target / "PROT12") == lake
    assert (target / "PROT12" / "samples" / "a.raw").stat().st_mtime == pytest.approx(
        (scene.main / "Prot12" / "a.raw").stat().st_mtime
    )
    scene.container.delete_blob("PROT12/samples/a.raw")
    assert "samples/a.raw" in scene.run("audit", expect=1).output


def test_explain_tells_what_waits(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    proteomics.write("Prot12/young.raw", RAW, HOUR)
    not_yet = scene.run("explain", "PROT12").output
    assert "It is a continuous project (profile = proteomics)" in not_yet
    scene.run()
    told = scene.run("explain", "PROT12").output
    assert "It is a continuous project (profile = proteomics)" in told and "1 d" in told
    assert "young.raw: waiting (written less than 1 d ago)" in told
    assert "PROT12.json" in told and "PROT12.sync" not in told
    assert "Never: it is a continuous project." in told


def test_a_dry_run_changes_nothing(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    told = scene.run("--dry-run")
    assert scene.etags() == {} and "would be uploaded: 6 files" in told.output


def test_a_link_out_of_the_project_is_told(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    outside = proteomics.write("elsewhere/b.raw", RAW)
    (scene.main / "Prot1" / "b.raw").symlink_to(outside)
    (scene.main / "Prot1" / "notes.txt").symlink_to(outside)
    told = scene.run(expect=1)
    assert "1 entries cannot be uploaded" in told.output and "b.raw (symlink-outside" in told.output


def test_a_link_to_what_has_no_place_is_told(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    proteomics.write("Prot1/sub/b.raw", RAW)
    (scene.main / "Prot1" / "b.raw").symlink_to("sub/b.raw")
    (scene.main / "Prot1" / "notes.txt").symlink_to("sub/b.raw")
    told = scene.run(expect=1)
    assert (
        "1 entries cannot be uploaded" in told.output
        and "b.raw (special-file: a symlink to sub/b.raw" in told.output
    )
    assert proteomics.lake("PROT1") == {"samples/a.raw": RAW}


@pytest.mark.parametrize("name", [b"\xff.raw", b"a\x01.raw", b"a\\b.raw"])
def test_odd_names_are_told_and_nothing_else_is_held_back(name: bytes, proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    path = os.path.join(os.fsencode(scene.main), b"Prot1", name)
    with open(path, "wb") as odd:
        odd.write(RAW)
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    scene.run(expect=1)
    assert proteomics.lake("PROT1")["samples/a.raw"] == RAW
    assert scene.state("PROT1") == ("flagged", "uncarried")


def test_a_file_that_moves_while_it_is_carried(proteomics: Projects, proxy: Proxy) -> None:
    scene = proteomics.scene.through(proxy)
    proteomics.write("Prot1/a.raw", RAW)
    moving = proteomics.write("Prot1/b.raw", thermo_raw(5000, seed=3))

    def rewrite(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("samples/a.raw"):
            moving.write_bytes(RAW)

    proxy.before = rewrite
    scene.run()
    assert "PROT1.json" not in scene.etags()
    proxy.reset()
    scene.run()
    assert set(proteomics.manifest("PROT1")) == {"samples/a.raw"}
    os.utime(moving, (time.time() - 2 * DAY,) * 2)
    scene.run()
    assert proteomics.lake("PROT1")["samples/b.raw"] == RAW
    scene.check_sums("PROT1")


def test_what_waits_may_move_while_others_are_carried(proteomics: Projects, proxy: Proxy) -> None:
    """An instrument writes into the folder all the time: that holds nothing up."""
    scene = proteomics.scene.through(proxy)
    proteomics.write("Prot1/a.raw", RAW)
    growing = proteomics.write("Prot1/growing.raw", b"", 1)
    proxy.before = lambda method, path: growing.write_bytes(os.urandom(100)) and None
    scene.run()
    assert set(proteomics.manifest("PROT1")) == {"samples/a.raw"}


def test_data_sets(metabolomics: Projects) -> None:
    scene = metabolomics.scene
    metabolomics.write("RawData_7/12/a.raw", RAW, 2 * HOUR)
    metabolomics.write("RawData_7/12/a.xml", "x", 2 * HOUR)
    metabolomics.write("RawData_7/13/b.mzML", "spectra", 2 * HOUR)
    metabolomics.write("RawData_7/13/deep/c.mzML", "left", 2 * HOUR)
    metabolomics.write("RawData_7/readme.txt", "left", 2 * HOUR)
    metabolomics.write("DataProcessingMethod_7/m.xml", "method", 2 * HOUR)
    metabolomics.write("DataProcessingMethod_7/sub/n.xml", "method", 2 * HOUR)
    metabolomics.write("RawData_8/1/a.raw", RAW, 2 * HOUR)
    metabolomics.write("Misc/z", "z", 2 * HOUR)
    told = scene.run()
    lake = metabolomics.lake("7")
    assert lake == {
        "12/raw/a.raw": RAW,
        "12/raw/a.xml": b"x",
        "12/m.xml": b"method",
        "12/sub/n.xml": b"method",
        "13/mzML/b.mzML": b"spectra",
        "13/m.xml": b"method",
        "13/sub/n.xml": b"method",
    }
    assert metabolomics.receipt("7")["not_uploaded"]["counts"] == {"left": 2}
    assert "7.sync" not in scene.etags() and metabolomics.lake("8") == {}
    scene.check_sums("7")
    assert "8: waiting: DataProcessingMethod_8 is missing from the main folder" in told.output
    assert "Misc in the main folder is skipped" in told.output
    before = scene.etags()
    again = scene.run()
    assert scene.etags() == before and "Misc" not in again.output
    target = scene.folder / "back"
    scene.run("restore", "7", "--to", target)
    assert tree(target / "7") == lake


def test_data_sets_methods_may_change_and_spectra_may_not(metabolomics: Projects) -> None:
    scene = metabolomics.scene
    metabolomics.write("RawData_7/12/a.raw", RAW)
    metabolomics.write("RawData_7/13/b.raw", RAW)
    metabolomics.write("DataProcessingMethod_7/m.xml", "method")
    scene.run()
    metabolomics.write("DataProcessingMethod_7/m.xml", "better", 2 * HOUR)
    metabolomics.write("RawData_7/14/c.raw", RAW, 0.5 * HOUR)
    scene.run()
    lake = metabolomics.lake("7")
    assert lake["12/m.xml"] == lake["13/m.xml"] == b"better" and "14/raw/c.raw" not in lake
    metabolomics.write("RawData_7/12/a.raw", b"changed")
    scene.run(expect=1)
    assert metabolomics.lake("7")["12/raw/a.raw"] == RAW


def test_data_sets_half_there(metabolomics: Projects) -> None:
    scene = metabolomics.scene
    metabolomics.write("RawData_7/12/a.raw", RAW)
    scene.run()
    assert scene.state("7") == ("waiting", "half-a-data-set")
    assert "ERROR" not in scene.run().output
    metabolomics.write("DataProcessingMethod_7/m.xml", "method")
    scene.run()
    assert set(metabolomics.lake("7")) == {"12/raw/a.raw", "12/m.xml"}


def test_the_main_folder_that_is_lost(metabolomics: Projects) -> None:
    scene = metabolomics.scene
    metabolomics.write("RawData_7/12/a.raw", RAW)
    metabolomics.write("DataProcessingMethod_7/m.xml", "method")
    scene.run()
    before = scene.etags()
    away = scene.main.rename(scene.folder / "away")
    scene.main.mkdir()
    told = scene.run(expect=3)
    assert "is empty, but 1 runs were there before" in told.output and scene.etags() == before
    scene.main.rmdir()
    away.rename(scene.main)
    scene.run()


def test_a_signal_in_the_middle(proteomics: Projects, proxy: Proxy) -> None:
    scene = proteomics.scene.through(proxy)
    a_project(proteomics)
    reached: list[str] = []

    def hold(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("samples/a.raw"):
            reached.append(path)
            proxy.wait_for_release()

    proxy.before = hold
    process: subprocess.Popen[str] = scene.start()
    assert eventually(lambda: reached)
    process.terminate()
    proxy.hold.set()
    assert process.wait(LONG) == 143
    proxy.reset()
    scene.run()
    assert proteomics.lake("PROT12")["samples/a.raw"] == RAW
