"""`explain RUN`: everything about one run, in plain words."""

from __future__ import annotations

import glob
import os
import re
import shlex
import typing

import pytest

from sync_to_azure.transfer.ledger.reader import LedgerEvent
from sync_to_azure.core.reasons import EVENTS
from sync_to_azure.transfer.report.lines import happened
from tests.passes.scene import FLAG, Scene, touch_later


@pytest.fixture(autouse=True)
def native(scene: Scene) -> None:
    scene.config["uploader"] = "native"


def explain(scene: Scene, *run: str, expect: int = 0, **options: typing.Any) -> str:
    outcome = scene.run("explain", *run, expect=expect, **options)
    assert "Traceback" not in outcome.output
    return " ".join(outcome.output.split())


def test_a_run_that_waits(scene: Scene) -> None:
    scene.config |= {"completion-delay": 3600, "completion-flag": f"{FLAG}, CopyComplete.txt"}
    run = scene.make_run("R")
    scene.run()
    told = explain(scene, "R")
    assert f"[yes] {FLAG} is there, of 20" in told and "[no] CopyComplete.txt is missing" in told
    assert "unchanged for 1 h: not counted yet" in told
    assert "Next: uploaded when CopyComplete.txt exists" in told
    (run / "CopyComplete.txt").touch()
    assert "[yes] CopyComplete.txt is there" in explain(scene, "R"), "asked of the folder, not of the ledger"
    scene.run()
    told = explain(scene, "R")
    assert "[no] unchanged for 1 h: since 20" in told and "waiting:not" not in told
    assert re.search(r"\b(1 h|59 min( \d+ s)?) left", told.partition("since 20")[2])
    assert "Waits until it is published" not in told and "Off (remove-source is not set)" in told


def test_a_run_that_waits_for_its_sheet(scene: Scene) -> None:
    """Each condition stands there before it is the reason, asked of the folders and not of the ledger."""
    sheets = scene.sheets()
    (scene.make_run("R") / FLAG).unlink()
    missing = "[no] its sample sheet R.csv is missing: it is uploaded, and published when the sheet exists"
    assert missing in explain(scene, "R"), "no pass has looked yet"
    scene.run()
    assert missing in explain(scene, "R")
    scene.config["sheet-optional"] = "yes"
    assert "[yes] its sample sheet R.csv is missing, and sheet-optional: it is published without" in explain(
        scene, "R"
    )
    del scene.config["sheet-optional"]
    (sheets / "R.CSV").write_text("[Header]\n")
    assert "[yes] its sample sheet R.CSV is there, of 20" in explain(scene, "R")
    (sheets / "r.csv").write_text("[Header]\n")
    (sheets / "R.CSV").rename(sheets / "R.cSV")
    (scene.main / "R" / FLAG).touch()
    scene.run()
    assert scene.is_published("R") and "sample sheet" not in explain(scene, "R")
    scene.make_run("Q")
    for name in ("q.csv", "Q.csv.csv", "q.CSV"):
        (sheets / name).write_text("[Header]\n")
    assert "[no] two sample sheets fit it: q.CSV, q.csv; keep one" in explain(scene, "Q")
    sheets.rename(scene.folder / "elsewhere")
    assert "[?] sample sheet folder" in explain(scene, "Q")


def test_a_published_run(scene: Scene) -> None:
    run = scene.make_run("R")
    (run / "Thumbs.db").write_text("junk")
    scene.run()
    told = explain(scene, "R")
    assert "safe: published" in told and "3 files, 9 B: validated: the service checked every byte" in told
    assert "generation 1, published 20" in told and "R/…, R.md5, R.files.jsonl, R.json, R.sync" in told
    assert "Thumbs.db: junk" in told
    assert "published" in told.partition("History")[2] and "UTC" in told
    scene.config["remove-source"] = "true"
    assert "Waits: 1 entries in it are not uploaded." in explain(scene, "R")
    (run / "Thumbs.db").unlink()
    scene.run()
    told = explain(scene, "R")
    assert "safe: removed" in told and "their rows are kept in the published manifest only" in told
    assert "Done." in told


def test_a_history_in_words(scene: Scene) -> None:
    """Of a manifest that was read anew, and of a second publishing."""
    run = scene.make_run("R")
    scene.run()
    scene.run("retry", "R")
    (run / "late.txt").write_text("late")
    scene.run()
    history = explain(scene, "R").partition("History")[2]
    assert "UTC published manifest read from the container" in history and "adopted" not in history
    assert history.endswith("UTC published again")
    for code, words in EVENTS.items():
        assert happened(LedgerEvent(0.0, code, {}), names=True) == words


def test_a_flagged_run_and_what_a_person_can_do(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    (run / "RunInfo.xml").write_text("<changed/>")
    touch_later(run)
    scene.run(expect=1)
    told = explain(scene, "R")
    assert "needs attention: flagged (needs a decision by the operator)" in told
    assert "What to do: put the verified files back" in told
    assert "RunInfo.xml: 6 B published, 10 B now, of 20" in told
    assert "sync_to_azure accept R --config-file" in told
    scene.run("accept", "R", "--yes", "--reason", "corrected")
    told = explain(scene, "R")
    assert "accept (changed, 1 files) by" in told and "corrected" in told and "release R" in told
    assert "operator override: accept by" in told.partition("History")[2]


def test_a_run_that_fails(scene: Scene) -> None:
    run = scene.make_run("R", {"secret": "x"})
    os.chmod(run / "secret", 0)
    scene.run(expect=1, unprivileged=True)
    told = explain(scene, "R")
    assert "secret: unreadable" in told and "What to do: rename, repair or exclude them" in told
    assert "retry R" in told


def test_runs_that_are_not_on_record(scene: Scene) -> None:
    assert "no run R is on record" in explain(scene, "R", expect=2)
    scene.make_run("260101_M1_R")
    assert "no pass has scanned it yet" in explain(scene, "260101_M1_R")
    scene.run()
    told = explain(scene, "260101_M1_Q", expect=2)
    assert "did you mean 260101_M1_R?" in told
    assert "did you mean 260101_M1_R?" in explain(scene, "m1_r", expect=2), "a part of its name is enough"
    scene.run("hold", "260102_M1_S", "--expected", "--reason", "to come")
    assert "to come" in explain(scene, "260102_M1_S")


@pytest.mark.parametrize("name", ["-rf", "--help", "[a-z]", "a*b c", "it's $HOME"])
def test_the_commands_that_are_advised_can_be_typed(scene: Scene, name: str) -> None:
    """As they are told, by a shell: of this run, and of no other that a pattern or an option could mean."""
    run = scene.make_run(name)
    for other in ("x", "a-b c"):
        scene.make_run(other)
    scene.run()

    def typed(told: str, begin: str, end: str) -> typing.Any:
        """What is told from ``begin`` to before ``end``, as a shell takes it. (It may be folded, here within the long
        path of the config, which ``run_command`` gives as well.)"""
        told = re.sub(r" --config-file .*?\.cfg", "", " ".join(told.split()))
        words = shlex.split(told[told.index(begin) :].partition(end)[0])
        return scene.run_command(*words[words[0] == "sync_to_azure" :], config=scene.config)

    def line(outcome: typing.Any) -> str:
        [error] = [each for each in outcome.stderr.splitlines() if " ERROR " in each]
        return f"{error} END"

    audited = typed(explain(scene, "--", name), "sync_to_azure audit", " compares it")
    assert audited.returncode == 0 and "1 run audited, 3 files" in audited.stdout
    assert "Not yet" not in explain(scene, "--", name)
    for each in (name, "x"):
        scene.container.delete_blob(f"{each}/RunInfo.xml")
    wrong = scene.run("audit", f"--run={glob.escape(name)}", expect=1)
    healed = typed(line(wrong), "--thorough --only-run", " uploads it again")
    assert healed.returncode == 0, healed.output
    assert f"{name}/RunInfo.xml" in scene.etags() and "x/RunInfo.xml" not in scene.etags()
    (run / "RunInfo.xml").write_text("<changed/>")
    touch_later(run)
    flagged = scene.run("--only-run", glob.escape(name), expect=1)
    told = typed(line(flagged), "sync_to_azure explain", " END")
    assert told.returncode == 0 and "RunInfo.xml: 6 B published, 10 B now" in told.stdout, told.output
    asked = typed(told.stdout, "sync_to_azure accept", " RunInfo.xml: ")
    assert asked.returncode == 2 and "1 of 3 files of " in asked.output, asked.output


@pytest.mark.parametrize("name", ["", ".", "..", "../main", "a/b", "\x1b[31m"])
def test_names_that_are_none(scene: Scene, name: str) -> None:
    told = explain(scene, name, expect=2)
    assert "is on record" in told and "\x1b" not in told


def test_the_share_is_away(scene: Scene) -> None:
    """The ledger is enough."""
    scene.make_run("R")
    scene.run()
    scene.main.rename(scene.folder / "elsewhere")
    told = explain(scene, "R")
    assert "safe: published" in told and "Its folder no longer exists" in told
