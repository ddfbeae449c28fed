"""What was told when a run was published stays true, whatever goes from its source and whoever writes into the lake; no
secret stands in what is told, wherever an instrument's file had it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import typing

import pytest

from embedded import layouts
from embedded.azurite import Azurite
from embedded.runs import write_miseq
from tests.conftest import LONG
from tests.passes.instruments.test_passes import (
    NANOPORE,
    NOVASEQ,
    PACBIO,
    failed_novaseq,
    instrument,
    receipt,
)
from tests.passes.scene import Scene
from tests.passes.secrets.hunt import Hunt


def test_what_it_was_recognised_by_may_go_from_its_source(scene: Scene) -> None:
    run = write_miseq(scene.main)
    folder = run.folder.rename(scene.main / "renamed")
    scene.run()
    before = instrument(scene, "renamed")
    for name in ("RunInfo.xml", "runParameters.xml"):
        (folder / name).unlink()
    (folder / "late.txt").write_text("an addition")
    scene.run()
    after = instrument(scene, "renamed")
    assert receipt(scene, "renamed")["generation"] == 2
    assert before["run"]["flowcell"] == "000000000-97CKD" and after["run"] == before["run"]
    assert (after["profile"], after["recognised_by"]) == (before["profile"], before["recognised_by"])
    assert after["completeness"] == before["completeness"] and after["complete"] is True


def test_a_run_that_lacked_files_is_known_to_by_its_receipt(scene: Scene) -> None:
    """Its instrument says nothing of its end, and what says how much there must be is gone: only the receipt knows."""
    name = "220923_A01934_0008_BHLL3GDRX2"
    run = layouts.write_layout(scene.main, name, layouts.novaseq_6000())
    (run / "Data/Intensities/BaseCalls/L001/C3.1/L001_1.cbcl").unlink()
    scene.run()
    (run / "RunInfo.xml").unlink()
    scene.lose_ledger()
    scene.config["remove-source"] = "true"
    assert "files that its instrument announced are missing" in scene.run().stderr
    scene.run("--thorough")
    assert run.is_dir()


@pytest.mark.parametrize(
    "hostile",
    [
        {"outcome": ["completed"], "outcome_detail": {}, "complete": "yes", "run": [1], "completeness": 3},
        {"outcome": {"a": 1}, "complete": 7, "run": "x", "sample_sheet": [1, 2]},
        [1],
        "text",
    ],
)
def test_a_receipt_that_somebody_else_wrote_stops_nothing(scene: Scene, hostile: typing.Any) -> None:
    run = write_miseq(scene.main)
    scene.run()
    values = receipt(scene, run.name)
    values["instrument"] = hostile
    scene.put(f"{run.name}.json", json.dumps(values).encode())
    scene.lose_ledger()
    (run.folder / "late.txt").write_text("an addition")
    outcome = scene.run()
    assert "Traceback" not in outcome.output
    about = instrument(scene, run.name)
    assert (about["profile"], about["outcome"], about["complete"]) == ("miseq", "unknown", True)
    assert (
        receipt(scene, run.name)["sha256"][f"{run.name}.md5"]
        == hashlib.sha256(scene.get(f"{run.name}.md5")).hexdigest()
    )


def test_a_secret_in_an_instruments_file_is_told_nowhere(scene: Scene) -> None:
    """The files themselves are carried as they are; what is read from them goes through the redactor."""
    run = failed_novaseq(scene)
    for name, there in (
        ("RunInfo.xml", "<Instrument>LH00130"),
        ("RunParameters.xml", "NovaSeqXPlus"),
        ("RunCompletionStatus.xml", "I/O data"),
    ):
        text = (run / name).read_text("utf-8")
        assert there in text
        (run / name).write_text(text.replace(there, f"{there} {Azurite.key}"), "utf-8")
    files = layouts.nanopore()
    for name in [name for name in files if name.startswith(("final_summary", "output_hash"))]:
        files[name] = files[name].replace(
            b"processing_stopped=", b"processing_stopped=" + Azurite.key.encode()
        )
        if name.startswith("output_hash"):
            files[name] += f"e05460c6,PAA12345,,{Azurite.key}/gone.pod5\n".encode()
    layouts.write_layout(scene.main, NANOPORE, files)
    scene.config |= {"log-file": scene.folder / "pass.log", "metrics-file": scene.folder / "metrics.prom"}
    hunt = Hunt({"account key": Azurite.key})
    for arguments, code in (
        ((), 1),
        (("explain", NOVASEQ), 0),
        (("explain", NANOPORE), 0),
        (("status", "--json"), 0),
        (("report", "--sample-names", "--output", scene.folder / "pages"), 0),
    ):
        hunt.look(f"output of {arguments}", scene.run(*arguments, expect=code).output)
    for name in (NOVASEQ, NANOPORE):
        assert "***" in scene.get(f"{name}.json").decode()
        hunt.look(f"receipt of {name}", scene.get(f"{name}.json"))
    given = {path for path in scene.main.rglob("*") if path.is_file()} | {scene.folder / "account.key"}
    hunt.look_into(scene.folder, but=given)
    assert any("pages" in place for place in hunt.looked_at)
    hunt.assert_nothing()


LATE = """
import pathlib, sys
from sync_to_azure import cli
from sync_to_azure.transfer.steps import scan

walk = scan.into_ledger

def late(rooms, work, finished=False):
    pathlib.Path({path!r}).write_bytes({content!r})
    walk(rooms, work, finished)

scan.into_ledger = late
sys.exit(cli.main())
"""


def test_what_is_told_of_its_end_is_of_the_files_that_are_published(scene: Scene) -> None:
    """Without a quiet time: its end is written between the look at what it tells and the walk."""
    files = layouts.novaseq_x()
    status = files.pop("RunCompletionStatus.xml")
    run = layouts.write_layout(scene.main, NOVASEQ, files)
    failed = status.replace(b"RunCompleted", b"RunErrored")
    script = LATE.format(path=str(run / "RunCompletionStatus.xml"), content=failed)
    scene.config["remove-source"] = "true"
    done = subprocess.run(
        [sys.executable, "-c", script, "--config-file", scene.start_command._file(scene.config)],
        env=scene.start_command.clean_environment(),
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert "files changed during the upload" in done.stderr, done.stderr
    assert run.is_dir() and not scene.is_published(NOVASEQ)
    assert "its instrument reported that it failed" in scene.run(expect=1).stderr
    assert run.is_dir() and instrument(scene, NOVASEQ)["outcome"] == "failed"


def test_a_published_run_that_its_instrument_goes_on_with_is_not_removed(scene: Scene) -> None:
    """Another SMRT cell of a run that was published, and is still being transferred."""
    files = layouts.pacbio()
    second = {path: content for path, content in files.items() if path.startswith("1_B01")}
    first = {path: content for path, content in files.items() if path not in second}
    done = next(path for path in second if path.endswith(".transferdone"))
    run = layouts.write_layout(scene.main, PACBIO, first)
    scene.run()
    layouts.write_layout(scene.main, PACBIO, {path: second[path] for path in second if path != done})
    scene.config["remove-source"] = "true"
    words = "its instrument may go on with it: 1_B01/…transferdone is missing at the source"
    assert f"{PACBIO} is published but not removed: {words}" in scene.run(expect=1).stderr
    assert run.is_dir() and "may go on" not in scene.run().stderr
    assert f"would not be removed: {words}" in scene.run("--dry-run").stderr
    layouts.write_layout(scene.main, PACBIO, {done: second[done]})
    scene.run("--thorough")
    assert not run.exists()
    assert len([name for name in scene.etags() if name.startswith(f"{PACBIO}/")]) == len(files)


def test_names_that_were_asked_for_once_go_from_the_receipt_again(scene: Scene) -> None:
    """Its sheet and its parameters are not there any more: what was said of them stays, but for the names."""
    run = layouts.write_layout(scene.main, NOVASEQ, layouts.novaseq_x())
    sheet = scene.sheets() / f"{NOVASEQ}.csv"
    sheet.write_bytes(layouts.sheet_v2(["1,Mustermann,AT,GC"]))
    scene.config |= {"sample-names": "true", "sheet-optional": "true"}
    scene.run()
    about = instrument(scene, NOVASEQ)
    assert (about["sample_sheet"]["names"], about["run"]["experiment"]) == (["Mustermann"], "training")
    sheet.unlink()
    (run / "RunParameters.xml").unlink()
    (run / "late.txt").write_text("an addition")
    scene.config["sample-names"] = "false"
    scene.run()
    after = instrument(scene, NOVASEQ)
    assert "names" not in after["sample_sheet"] and after["sample_sheet"]["samples"] == 1
    assert "experiment" not in after["run"] and after["run"]["software"] == "control-software"
