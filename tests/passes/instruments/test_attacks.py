"""What went wrong once: runs that come late, fail late, are accepted twice, or hold what means harm."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from embedded import layouts
from embedded.runs import write_miseq
from tests.passes.instruments.test_passes import NOVASEQ, failed_novaseq, instrument
from tests.passes.scene import Scene, eventually

HOUR = 3600


def test_a_folder_that_is_recognised_late_is_no_news(scene: Scene) -> None:
    """The folder comes first, and RunInfo.xml ten minutes later; an empty folder is nobody's fault for ever."""
    folder = scene.main / "Project X"
    folder.mkdir()
    scene.run()
    assert scene.state("Project X") == ("waiting", "no-profile")
    scene.age("Project X", 30 * 24 * HOUR)
    scene.run()
    (folder / "notes.txt").write_text("soon")
    assert "no family of instruments writes such a folder" in scene.run(expect=1).stderr
    scene.run()
    layouts.write_layout(scene.main, "Project X", layouts.novaseq_6000())
    scene.run()
    assert scene.is_published("Project X")


def test_a_family_that_is_lost_again_is_told_again(scene: Scene) -> None:
    run = write_miseq(scene.main, complete=False)
    folder = run.folder.rename(scene.main / "renamed")
    for name in ("RunInfo.xml", "runParameters.xml"):
        (folder / name).rename(scene.folder / name)
    scene.run()
    scene.age("renamed", HOUR)
    scene.run(expect=1)
    (scene.folder / "RunInfo.xml").rename(folder / "RunInfo.xml")
    scene.run()
    assert scene.state("renamed") == ("waiting", "flag-missing")
    (folder / "RunInfo.xml").unlink()
    assert "no family of instruments" in scene.run(expect=1).stderr


def test_a_failure_that_comes_to_light_later_is_told(scene: Scene) -> None:
    """It lacked files, which was told; that it failed is news all the same."""
    name = "220923_A01934_0008_BHLL3GDRX2"
    run = layouts.write_layout(scene.main, name, layouts.novaseq_6000())
    (run / "Data/Intensities/BaseCalls/L001/C3.1/L001_1.cbcl").unlink()
    assert "files that its instrument announced are missing" in scene.run().stderr
    (run / "RunCompletionStatus.xml").write_bytes(layouts.run_status("RunErrored", "X", "pump"))
    assert "its instrument reported that it failed" in scene.run(expect=1).stderr
    scene.run()


def test_a_pass_that_was_killed_after_the_marker_still_tells_that_the_run_failed(scene: Scene) -> None:
    failed_novaseq(scene)
    scene.run(expect=1)
    scene.sql("DELETE FROM reported")
    scene.sql("UPDATE run SET state = 'uploading', remote_state_current = 0, folder_mtime_ns = NULL")
    before = scene.etags()
    assert "its instrument reported that it failed" in scene.run(expect=1).stderr
    assert scene.etags() == before
    scene.run()


def test_who_accepts_an_unfinished_run_accepts_how_it_ended(scene: Scene) -> None:
    """A run that broke off seldom gets its last flag. One word is enough, and says what it is about."""
    run = failed_novaseq(scene)
    (run / "CopyComplete.txt").unlink()
    scene.config |= {"failed-runs": "hold", "stale-after": 1 / HOUR}
    words = "CopyComplete.txt is missing; its instrument reported that it failed (RunCompletionStatus.xml: RunErrored"
    assert words in scene.run().stderr
    assert eventually(lambda: scene.run_command(config=scene.config).returncode == 1)
    assert scene.state(NOVASEQ) == ("flagged", "stalled")
    assert "its instrument reported that it failed" in scene.run("explain", NOVASEQ).stdout
    scene.run("accept", NOVASEQ, "--reason", "half of it is good", "--yes")
    scene.run(expect=1)
    assert scene.is_published(NOVASEQ)
    assert instrument(scene, NOVASEQ)["outcome"] == "failed"


def test_a_lost_ledger_does_not_hold_what_is_published(scene: Scene) -> None:
    failed_novaseq(scene)
    scene.config["failed-runs"] = "hold"
    scene.run(expect=1)
    scene.run("accept", NOVASEQ, "--reason", "we want it", "--yes")
    scene.run(expect=1)
    before = scene.etags()
    scene.lose_ledger()
    assert "not uploaded" not in scene.run(expect=1).output
    assert scene.state(NOVASEQ) == ("published", None) and scene.etags() == before


def test_a_lost_ledger_does_not_ask_again_for_what_was_accepted(scene: Scene) -> None:
    run = write_miseq(scene.main, complete=False)
    scene.config["stale-after"] = 1 / HOUR
    scene.run()
    assert eventually(lambda: scene.run_command(config=scene.config).returncode == 1)
    scene.run("accept", run.name, "--reason", "half of it is good", "--yes")
    scene.run()
    before = scene.etags()
    scene.lose_ledger()
    scene.run()
    assert scene.state(run.name) == ("waiting", "flag-missing")
    assert eventually(lambda: scene.state(run.name) != ("waiting", "flag-missing") or not scene.run(), 30)
    assert scene.state(run.name) == ("published", None) and scene.etags() == before


def test_more_acquisitions_than_are_looked_into_are_no_failure(scene: Scene) -> None:
    files: layouts.Files = {"notes.txt": b"the only one that is carried: a thousand would take their time"}
    scene.config["exclude"] = "*.d/**"
    for number in range(501):
        files |= {f"{number:04}.d/analysis.tdf": b"-", f"{number:04}.d/analysis.tdf_bin": b"-"}
    layouts.write_layout(scene.main, "project", files)
    scene.run()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 86401")
    scene.run()
    about = instrument(scene, "project")
    assert (about["outcome"], about["complete"]) == ("unknown", None)
    assert about["outcome_detail"] == "it has more .d folders than are looked into"


def test_a_receipt_is_json_whatever_files_are_named(scene: Scene) -> None:
    run = layouts.write_layout(scene.main, "project", layouts.bruker())
    os.rename(
        os.path.join(os.fsencode(run), b"20250114_sample 01_S1-A1_1_0001.d"),
        os.path.join(os.fsencode(run), b"\xff.d"),
    )
    os.unlink(os.path.join(os.fsencode(run), b"\xff.d/analysis.tdf_bin"))
    scene.config["exclude"] = ["*.d/**"]
    scene.run()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 86401")
    (run / "notes.txt").write_text("so that something is carried")
    scene.run()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 86401")
    scene.run()
    missing = instrument(scene, "project")["completeness"]["missing"]
    assert missing == ["\\udcff.d/analysis.tdf_bin"]


def test_a_sheet_that_no_demultiplexer_reads_is_told_once(scene: Scene) -> None:
    sheet = layouts.sheet_v2().replace(b",", b";")
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x() | {"SampleSheet.csv": sheet})
    words = "its sample sheet separates its cells by semicolons instead of commas"
    assert words in scene.run().stderr
    assert instrument(scene, NOVASEQ)["sample_sheet"] == {"problem": words.removeprefix("its sample sheet ")}
    assert "semicolons" not in scene.run("--thorough").stderr


@pytest.mark.parametrize("kind", ["cycles", "lanes", "digits", "symlink", "fifo", "folder"])
def test_what_means_harm_stops_nothing_else(scene: Scene, kind: str) -> None:
    files = layouts.novaseq_x()
    sheet = b"[Header]\n[Data]\nLane,Sample_ID,index\n"
    if kind == "cycles":
        files["RunInfo.xml"] = files["RunInfo.xml"].replace(b'NumCycles="3"', b'NumCycles="999999999"')
    if kind == "lanes":
        files["SampleSheet.csv"] = (
            sheet + b",A\n" * 24_000 + b"".join(b"%d,\n" % lane for lane in range(24_000))
        )
    if kind == "digits":
        files["SampleSheet.csv"] = sheet + b"9" * 5000 + b",A,A\n"
    run = layouts.write_layout(scene.main, NOVASEQ, files)
    path = run / "RunInfo.xml"
    if kind in ("symlink", "fifo", "folder"):
        path.unlink()
        if kind == "symlink":
            path.symlink_to("/etc/hostname")
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
    other = write_miseq(scene.main)
    carried = kind not in ("symlink", "fifo")
    outcome = scene.run(expect=0 if carried else 1)
    assert "Traceback" not in outcome.output and scene.is_published(other.name)
    assert scene.is_published(NOVASEQ) == carried
    if carried and kind in ("cycles", "folder"):
        assert instrument(scene, NOVASEQ)["complete"] is None


CANARY = "Mustermann-19510203"


def test_no_name_of_a_sample_stands_anywhere_but_in_its_own_files(scene: Scene) -> None:
    """In every cell that people fill; then receipt, log, status, explain, report, metrics and ledger are searched."""
    files = layouts.novaseq_x()
    rows = [f"1,{CANARY},AT,GC", f"1,{CANARY}-2,AT,GC", f"9,{CANARY} 3,{CANARY},GC"]
    files["SampleSheet.csv"] = layouts.sheet_v2(rows).replace(b"MyRun", CANARY.encode())
    experiment = b"<ExperimentName>training</ExperimentName>"
    assert experiment in files["RunParameters.xml"]
    named = experiment.replace(b"training", CANARY.encode()) + f"<UserName>{CANARY}</UserName>".encode()
    files["RunParameters.xml"] = files["RunParameters.xml"].replace(experiment, named)
    layouts.write_layout(scene.main, NOVASEQ, files)
    metrics, pages = scene.folder / "metrics.prom", scene.folder / "report"
    scene.config |= {"log-file": scene.folder / "pass.log", "metrics-file": metrics}
    told = [scene.run().output, scene.run("explain", NOVASEQ).output, scene.run("status", "--json").output]
    told.append(scene.run("report", "--output", pages).output)
    told += [
        scene.get(f"{NOVASEQ}{suffix}").decode() for suffix in (".json", ".md5", ".files.jsonl", ".sync")
    ]
    places = [metrics, scene.folder / "pass.log", *scene.folder.glob("ledger.sqlite*")]
    places += [path for path in pages.rglob("*") if path.is_file()]
    told += [path.read_bytes().decode("latin-1") for path in places]
    assert len(places) > 6 and not [text for text in told if "Mustermann" in text]
    scene.config["sample-names"] = "true"
    (scene.main / NOVASEQ / "late.txt").write_text("an addition")
    scene.run()
    about = instrument(scene, NOVASEQ)
    assert about["run"]["experiment"] == CANARY and CANARY in about["sample_sheet"]["names"]


def test_a_page_tells_how_much_is_missing_and_no_names_of_files(scene: Scene, tmp_path: pathlib.Path) -> None:
    files = {path.replace("sample", CANARY): content for path, content in layouts.bruker().items()}
    files = {path: content for path, content in files.items() if not path.endswith("0002.d/analysis.tdf_bin")}
    layouts.write_layout(scene.main, "project", files)
    scene.run()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 86401")
    assert CANARY in scene.run().stderr
    for names in (False, True):
        pages = tmp_path / f"report-{names}"
        scene.run("report", "--output", pages, *(["--sample-names"] if names else []))
        text = "".join(path.read_text("utf-8") for path in sorted(pages.rglob("*")) if path.is_file())
        assert "3 of 4 files" in text and (CANARY in text) == names


def test_status_as_json_has_what_was_told(scene: Scene) -> None:
    run = failed_novaseq(scene)
    (run / "CopyComplete.txt").unlink()
    scene.run()
    [about] = json.loads(scene.run("status", "--json", NOVASEQ).stdout)["runs"]
    assert about["reason"]["text"].startswith(
        "waiting: CopyComplete.txt is missing; its instrument reported that it failed"
    )


def test_runs_that_lie_two_levels_down_are_told_and_no_names_on_the_way(scene: Scene) -> None:
    """MinKNOW's own layout below its data folder: GROUP/SAMPLE/RUN."""
    layouts.write_layout(
        scene.main / "Group 1" / CANARY, "20250603_1201_3E_PAA12345_e05460c6", layouts.nanopore()
    )
    layouts.write_layout(scene.main / "2023", NOVASEQ, layouts.novaseq_x())
    (scene.main / "backup").mkdir()
    (scene.main / "backup" / "notes.txt").touch()
    write_miseq(scene.main)
    scene.config["incremental"] = "true"
    scene.run()
    for run in ("Group 1", "2023", "backup"):
        scene.age(run, HOUR)
    told = scene.run(expect=1).output + scene.run("explain", "Group 1").output
    words = (
        "waiting: not a run itself: runs of Oxford Nanopore are two levels below it (set main-folder to the"
    )
    assert f"Group 1: {words} folder that contains the runs" in told
    assert "2023: waiting: not a run itself: runs of NovaSeq X are one level below it" in told
    assert scene.state("Group 1") == ("waiting", "runs-below") and CANARY not in told
    assert not [name for name in scene.etags() if name.startswith(("Group 1", "2023", "backup"))]
    assert "ERROR" not in scene.run().stderr


def test_check_tells_which_folders_nobody_can_judge(scene: Scene) -> None:
    for number in range(2):
        (scene.main / f"backup {number}").mkdir()
        (scene.main / f"backup {number}" / "notes.txt").touch()
    (scene.main / "new").mkdir()
    layouts.write_layout(
        scene.main / "Group 1" / CANARY, "20250603_1201_3E_PAA12345_e05460c6", layouts.nanopore()
    )
    write_miseq(scene.main)
    layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    told = " ".join(scene.run("check").stdout.split())
    assert "recognised are 1 MiSeq, 1 NovaSeq X" in told
    nobodys = "2 cannot be judged and would not be uploaded, backup 0, backup 1: completion-flag is not set"
    assert (
        f"{nobodys}, and no family of instruments writes such a folder → set completion-flag or profile"
        in told
    )
    below = "1 cannot be judged and would not be uploaded, Group 1: not a run itself: runs of Oxford Nanopore"
    assert f"{below} are two levels below it → set main-folder to the folder that contains the runs" in told
    assert CANARY not in told and "all checks passed" in told
    scene.config["profile"] = "generic"
    assert "cannot be judged" not in scene.run("check").stdout
