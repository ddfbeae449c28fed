"""Whole passes over runs of several families: when they are carried, what is told of their end, what is removed."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing

import pytest

from embedded import layouts
from embedded.runs import write_miseq, write_proteomics
from tests.passes.scene import FLAG, Scene, eventually

NOVASEQ = "20230418_LH00130_0003_B223YTFLT3"
NANOPORE = "20250603_1201_3E_PAA12345_e05460c6"
PACBIO = "r84028_20230214_022129"


def receipt(scene: Scene, run: str) -> dict[str, typing.Any]:
    return scene.documents(run)[2]


def instrument(scene: Scene, run: str) -> dict[str, typing.Any]:
    about: dict[str, typing.Any] = receipt(scene, run)["instrument"]
    return about


def status(scene: Scene, run: str) -> dict[str, typing.Any]:
    [about] = json.loads(scene.run("status", "--json", run).stdout)["runs"]
    return typing.cast(dict[str, typing.Any], about)


def failed_novaseq(scene: Scene) -> pathlib.Path:
    error = layouts.run_status("RunErrored", "RecipeExecutionFailed", "I/O data integrity check failed")
    files = layouts.novaseq_x() | {"RunCompletionStatus.xml": error}
    return layouts.write_layout(scene.main, NOVASEQ, files)


def test_one_main_folder_holds_runs_of_several_families(scene: Scene, shared_runs: pathlib.Path) -> None:
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    layouts.write_layout(scene.main, NANOPORE, layouts.nanopore())
    layouts.write_layout(scene.main, PACBIO, layouts.pacbio())
    hiseq, waiting = "151005_ST-00295_0022_BHH5VTCCXX", "130417_M00146_0021_000000000-A2WDF"
    for name in (hiseq, waiting):
        shutil.copytree(shared_runs / "runs" / name, scene.main / name)
    scene.run()
    profiles = {run: instrument(scene, run)["profile"] for run in (NOVASEQ, NANOPORE, PACBIO, hiseq)}
    assert profiles == {NOVASEQ: "novaseq-x", NANOPORE: "nanopore", PACBIO: "pacbio", hiseq: "hiseq"}
    assert scene.state(waiting) == ("waiting", "flag-missing")
    assert status(scene, waiting)["reason"]["text"] == "waiting: RTAComplete.txt is missing"

    about = instrument(scene, NOVASEQ)
    assert about["recognised_by"] == "RunParameters.xml says NovaSeqXPlus"
    assert (about["outcome"], about["outcome_detail"]) == (
        "completed",
        "RunCompletionStatus.xml: RunCompleted",
    )
    assert (about["complete"], about["completeness"]["expected"]) == (True, 40)
    assert about["run"]["flowcell"] == "223YTFLT3" and about["run"]["instrument"] == "LH00130"
    assert about["run"]["reads"] == [
        {"cycles": 3, "index": False},
        {"cycles": 2, "index": True},
        {"cycles": 2, "index": True},
        {"cycles": 3, "index": False},
    ]
    assert instrument(scene, hiseq)["outcome"] == "unknown"
    assert instrument(scene, hiseq)["complete"] is False


def test_a_folder_of_no_family_waits_and_says_so_once(scene: Scene) -> None:
    run = scene.make_run("backup")
    scene.run()
    scene.age("backup", 3600)
    outcome = scene.run(expect=1)
    assert "backup: waiting: completion-flag is not set" in outcome.stderr
    assert "set completion-flag or profile" in outcome.stderr
    assert scene.state("backup") == ("waiting", "no-profile") and not scene.is_published("backup")
    assert "ERROR" not in scene.run().stderr
    (scene.main / "loose.raw").touch()
    (scene.main / "linked").symlink_to(scene.folder)
    scene.age("backup", 24 * 3600)
    words = (
        "backup: cannot tell when it is finished: completion-flag is not set, and no family of instruments"
    )
    assert words in scene.run(expect=1).stderr
    assert scene.state("backup") == ("flagged", "unjudged")
    assert "ERROR" not in scene.run().stderr
    about = json.loads(scene.run("status", "--json").stdout)
    assert about["not_uploaded"] == {"of_no_family": 1, "files": 1, "links": 1}
    told = scene.run("status").stdout
    assert "1 folder not uploaded: no known instrument family, and completion-flag is not set." in told
    assert "1 file and 1 link in the main folder itself are not uploaded: only folders are." in told
    told = " ".join(scene.run("check").stdout.split())
    assert (
        "1 file and 1 link in the main folder itself, not uploaded: linked, loose.raw → only folders are"
        in told
    )
    scene.config["profile"] = "generic"
    scene.run()
    assert scene.is_published("backup") and run.is_dir()
    assert instrument(scene, "backup")["profile"] == "generic"


def test_a_flag_that_a_person_names_is_the_last_word(scene: Scene) -> None:
    """RTAComplete.txt is not the last file of a NovaSeq X; who names it wants it so. What it is, is told even so."""
    files = {path: content for path, content in layouts.novaseq_x().items() if path != "CopyComplete.txt"}
    layouts.write_layout(scene.main, NOVASEQ, files)
    scene.run()
    assert scene.state(NOVASEQ) == ("waiting", "flag-missing")
    scene.config["completion-flag"] = "RTAComplete.txt"
    scene.run()
    assert instrument(scene, NOVASEQ)["outcome"] == "completed"
    (scene.main / "other").mkdir()
    (scene.main / "other" / "RTAComplete.txt").touch()
    (scene.main / "other" / "a").write_text("a")
    scene.run()
    assert instrument(scene, "other")["profile"] == "unknown"


def test_each_family_has_a_completion_flag_of_its_own(scene: Scene) -> None:
    """One main folder serves several: what a person says of one family counts for its runs alone."""
    novaseq = layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    layouts.write_layout(scene.main, PACBIO, layouts.pacbio())
    scene.config["[family novaseq-x]\ncompletion-flag"] = "demultiplexed.txt"
    scene.run()
    assert scene.state(NOVASEQ) == ("waiting", "flag-missing") and scene.is_published(PACBIO)
    assert "[no]  demultiplexed.txt is missing" in scene.run("explain", NOVASEQ).stdout
    told = " ".join(scene.run("check").stdout.split())
    assert "no run of novaseq-x holds demultiplexed.txt ([family novaseq-x])" in told
    (novaseq / "Demultiplexed.txt").touch()
    (novaseq / "CopyComplete.txt").unlink()
    scene.run()
    assert scene.is_published(NOVASEQ) and instrument(scene, NOVASEQ)["profile"] == "novaseq-x"
    assert "1 of 1 runs of novaseq-x hold demultiplexed.txt" in " ".join(scene.run("check").stdout.split())
    assert scene.run("settings").stdout.splitlines()[-1].split() == [
        "completion-flag",
        "demultiplexed.txt",
        "[family",
        "novaseq-x]",
    ]


def test_a_failed_run_is_published_with_its_outcome_told_once_and_never_removed(scene: Scene) -> None:
    run = failed_novaseq(scene)
    scene.config["remove-source"] = "true"
    outcome = scene.run(expect=1)
    words = (
        f"{NOVASEQ}: its instrument reported that it failed (RunCompletionStatus.xml: RunErrored:"
        " RecipeExecutionFailed: I/O data integrity check failed); it is published like that, and"
        " its source is not removed by itself"
    )
    assert words in outcome.stderr
    assert instrument(scene, NOVASEQ)["outcome"] == "failed"
    scene.check_sums(NOVASEQ)
    before = scene.etags()
    for arguments in ((), ("--thorough",), ()):
        assert "failed" not in scene.run(*arguments).stderr
    scene.lose_ledger()
    scene.run(expect=1)
    assert run.is_dir() and scene.etags() == before
    about = status(scene, NOVASEQ)["instrument"]
    assert (about["outcome"], about["profile"]) == ("failed", "novaseq-x")
    told = " ".join(scene.run("explain", NOVASEQ).stdout.split())
    assert (
        "It ended: failed (RunCompletionStatus.xml: RunErrored" in told
        and "It is never removed by itself" in told
    )


def test_what_needs_a_person_stays_so_while_the_storage_refuses(scene: Scene) -> None:
    """Else it would be news once more when the storage is back."""
    failed_novaseq(scene)
    scene.config |= {"failed-runs": "hold", "keep-events": 30}
    scene.run(expect=1)
    layouts.write_layout(scene.main, "20230417_LH00130_0002_B223YTFLT2", layouts.novaseq_x())
    credentials = pathlib.Path(scene.config["credentials"])
    key = credentials.read_text()
    credentials.write_text("d3Jvbmc=")
    scene.run(expect=3)
    assert scene.state(NOVASEQ) == ("flagged", "failed-held")
    credentials.write_text(key)
    scene.run()
    shown = scene.run("events", "--json").stdout
    attention = [
        each["data"] for each in map(json.loads, shown.splitlines()) if each["type"] == "run.needs_attention"
    ]
    assert [(each["run"], each["code"]) for each in attention] == [
        (NOVASEQ, "failed-held")
    ] and "run.published" in shown


@pytest.mark.parametrize("profile", ["auto", "generic", "nanopore"])
def test_a_failed_run_is_known_to_have_failed_whatever_its_family(scene: Scene, profile: str) -> None:
    run = scene.make_run("new-instrument")
    (run / "RunCompletionStatus.xml").write_bytes(layouts.run_status("RunErrored", "Pump", "pressure"))
    scene.config |= {"remove-source": "true", "completion-flag": FLAG, "profile": profile}
    scene.config["failed-runs"] = "hold"
    scene.run(expect=1)
    assert scene.state("new-instrument") == ("flagged", "failed-held") and not scene.is_published(
        "new-instrument"
    )
    scene.config["failed-runs"] = "upload"
    assert "its instrument reported that it failed" in scene.run(expect=1).stderr
    assert instrument(scene, "new-instrument")["outcome"] == "failed"
    assert run.is_dir() and "It is never removed by itself" in scene.run("explain", "new-instrument").stdout


def test_a_run_that_somebody_ended_early_lacks_cycles_and_is_carried_all_the_same(scene: Scene) -> None:
    files = layouts.novaseq_x() | {"RunCompletionStatus.xml": layouts.completion_status("UserEndedEarly")}
    files = {
        path: content for path, content in files.items() if "/C9.1/" not in path and "/C10.1/" not in path
    }
    run = layouts.write_layout(scene.main, NOVASEQ, files)
    scene.config["remove-source"] = "true"
    assert "ended early" in scene.run(expect=1).stderr
    about = instrument(scene, NOVASEQ)
    assert about["outcome"] == "ended-early" and about["complete"] is False
    assert (about["completeness"]["found"], about["completeness"]["expected"]) == (32, 40)
    assert run.is_dir()


def test_a_failed_run_is_held_where_that_is_wanted(scene: Scene) -> None:
    failed_novaseq(scene)
    scene.config["failed-runs"] = "hold"
    outcome = scene.run(expect=1)
    assert "not uploaded (failed-runs = hold): its instrument reported that it failed" in outcome.stderr
    assert scene.state(NOVASEQ) == ("flagged", "failed-held") and scene.etags() == {}
    scene.run()
    assert scene.etags() == {}
    scene.run("accept", NOVASEQ, "--reason", "we want it", "--yes")
    scene.run(expect=1)
    assert instrument(scene, NOVASEQ)["outcome"] == "failed"


def test_a_run_that_lacks_files_is_carried_and_not_removed(scene: Scene) -> None:
    run = layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    (run / "Data/Intensities/BaseCalls/L001/C3.1/L001_2.cbcl").unlink()
    whole = write_miseq(scene.main)
    scene.config["remove-source"] = "true"
    outcome = scene.run()
    assert (
        "39 of 40 files (one .cbcl a lane, surface and cycle); missing: lane 1 cycle 3 (1 of 2)"
        in outcome.stderr
    )
    assert scene.is_published(NOVASEQ) and run.is_dir() and not whole.folder.exists()
    assert "39 of 40" not in scene.run().stderr
    # It comes late: the run is whole now, is published again, and goes.
    (run / "Data/Intensities/BaseCalls/L001/C3.1/L001_2.cbcl").write_bytes(b"cbcl")
    scene.run("--thorough")
    assert not run.exists() and instrument(scene, NOVASEQ)["complete"] is True


def test_a_run_that_an_older_version_published_is_looked_at_before_it_is_removed(scene: Scene) -> None:
    run = failed_novaseq(scene)
    scene.run(expect=1)
    scene.sql("UPDATE run SET outcome = NULL, outcome_detail = NULL, complete = NULL, completeness = NULL")
    scene.sql("DELETE FROM reported")
    scene.config["remove-source"] = "true"
    scene.run(expect=1)
    assert run.is_dir()


def test_an_unfinished_run_that_stands_still_is_flagged_once(scene: Scene) -> None:
    run = write_miseq(scene.main, complete=False)
    scene.config["stale-after"] = 1 / 3600
    scene.run()
    assert scene.state(run.name) == ("waiting", "flag-missing")
    assert eventually(lambda: scene.run_command(config=scene.config).returncode == 1)
    assert scene.state(run.name) == ("flagged", "stalled")
    for _ in range(2):
        assert "ERROR" not in scene.run().stderr
    about = status(scene, run.name)["reason"]
    assert about["text"].startswith("unfinished: RTAComplete.txt is missing, and nothing has changed since ")
    (run.folder / "RTAComplete.txt").touch()
    scene.run()
    assert scene.is_published(run.name)


def test_an_unfinished_run_that_moves_is_not_stalled(scene: Scene) -> None:
    run = write_miseq(scene.main, complete=False)
    scene.config["stale-after"] = 1 / 3600
    for number in range(4):
        (run.folder / f"{number}.log").write_text("still at work")
        (
            scene.sql("SELECT 1")
            if number == 0
            else scene.sql("UPDATE run SET still_since = still_since - 2, still_looked = 0")
        )
        scene.run()
        assert scene.state(run.name) == ("waiting", "flag-missing")


def test_stale_after_0_never_looks(scene: Scene) -> None:
    run = write_miseq(scene.main, complete=False)
    scene.config["stale-after"] = 0
    scene.run()
    assert scene.sql("SELECT still_looked FROM run WHERE key = ?", run.name) == [(None,)]


def test_a_status_that_cannot_be_read_is_unknown_and_holds_nothing_up(scene: Scene) -> None:
    files = layouts.novaseq_x() | {"RunCompletionStatus.xml": b"<RunCompletionStatus><RunStatus>RunErr"}
    layouts.write_layout(scene.main, NOVASEQ, files)
    scene.config["failed-runs"] = "hold"
    scene.run()
    about = instrument(scene, NOVASEQ)
    assert about["outcome"] == "unknown" and "is no well-formed XML" in about["outcome_detail"]


def test_what_would_break_demultiplexing_is_told_without_names(scene: Scene) -> None:
    files = layouts.novaseq_x() | {
        "SampleSheet.csv": layouts.sheet_v2(["1,Mustermann,AT,GC", "1,Musterfrau,AT,GC"])
    }
    layouts.write_layout(scene.main, NOVASEQ, files)
    outcome = scene.run()
    assert (
        "its sample sheet may not demultiplex: 2 samples with an index that another sample" in outcome.stderr
    )
    sheet = instrument(scene, NOVASEQ)["sample_sheet"]
    assert (sheet["version"], sheet["samples"]) == (2, 2)
    assert [(each["code"], each["count"]) for each in sheet["findings"]] == [("duplicate-index", 2)]
    assert "Muster" not in scene.get(f"{NOVASEQ}.json").decode() + outcome.output


def test_names_of_samples_on_request(scene: Scene) -> None:
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    scene.config["sample-names"] = "true"
    scene.run()
    assert instrument(scene, NOVASEQ)["sample_sheet"]["names"] == ["S1", "S2"]


def test_the_laboratorys_sheet_is_the_one_that_counts(scene: Scene) -> None:
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    (scene.sheets() / f"{NOVASEQ}.csv").write_bytes(layouts.sheet_v2(["9,S1,AT,GC"]))
    scene.run()
    sheet = instrument(scene, NOVASEQ)["sample_sheet"]
    assert receipt(scene, NOVASEQ)["sample_sheet"]["from"] == "sample sheet folder" and sheet["samples"] == 1
    assert [each["code"] for each in sheet["findings"]] == ["wrong-lane"]


def test_a_thermo_project_stands_still_for_a_day(scene: Scene) -> None:
    run = write_proteomics(scene.main)
    scene.run()
    assert scene.state(run.name) == ("waiting", "not-quiet-yet")
    scene.sql("UPDATE run SET quiet_since = quiet_since - 86401")
    scene.run()
    assert instrument(scene, run.name)["profile"] == "thermo"


def test_what_is_known_outlives_the_source(scene: Scene) -> None:
    run = layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    scene.config["sheet-optional"] = "true"
    sheets = scene.sheets()
    scene.run()
    before = instrument(scene, NOVASEQ)
    shutil.rmtree(run)
    write_miseq(scene.main)
    (sheets / f"{NOVASEQ}.csv").write_bytes(layouts.sheet_v2(["1,S9,AT,GC"]))
    scene.run()
    after = instrument(scene, NOVASEQ)
    assert before.pop("sample_sheet")["samples"] == 2 and after.pop("sample_sheet")["samples"] == 1
    assert after == before
    assert receipt(scene, NOVASEQ)["generation"] == 2


def test_what_goes_from_the_source_later_changes_nothing_of_how_it_ended(scene: Scene) -> None:
    """Without its status file the source would say nothing any more; the receipt does, also to a new ledger."""
    run = failed_novaseq(scene)
    scene.run(expect=1)
    (run / "RunCompletionStatus.xml").unlink()
    (run / "RunParameters.xml").unlink()
    scene.config["remove-source"] = "true"
    scene.run("--thorough")
    assert scene.sql("SELECT profile, outcome, complete FROM run") == [("novaseq-x", "failed", 1)]
    scene.lose_ledger()
    scene.run(expect=1)
    assert run.is_dir() and scene.sql("SELECT outcome, complete FROM run") == [("failed", 1)]


def test_files_that_go_after_publishing_do_not_make_a_complete_run_incomplete(scene: Scene) -> None:
    run = layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    scene.run()
    (run / "Data/Intensities/BaseCalls/L001/C3.1/L001_2.cbcl").unlink()
    (run / "late.txt").write_text("an addition")
    scene.run()
    about = instrument(scene, NOVASEQ)
    assert receipt(scene, NOVASEQ)["generation"] == 2
    assert about["complete"] is True and about["completeness"]["found"] == 40


def test_a_name_that_is_not_utf_8_is_told_and_stops_nothing_else(scene: Scene) -> None:
    files = layouts.nanopore()
    odd = layouts.write_layout(scene.main, NANOPORE, files)
    summary = next(odd.glob("final_summary*"))
    summary.rename(os.path.join(odd, os.fsdecode(b"final_summary_\xff.txt")))
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    outcome = scene.run(expect=1)
    assert "internal error" not in outcome.output
    assert scene.state(NANOPORE) == ("flagged", "uncarried") and scene.is_published(NOVASEQ)
