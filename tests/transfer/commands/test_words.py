"""Operator override: hold, ignore, retry, accept, release; each with the real command, and killed at each point."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import signal
import typing

import pytest

from tests.conftest import LONG
from tests.passes import kill_points
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, eventually, touch_later, tree


@pytest.fixture(autouse=True)
def native(scene: Scene) -> None:
    """0.5 s a pass."""
    scene.config["uploader"] = "native"


def say(scene: Scene, *words: object, expect: int = 0, **options: typing.Any) -> str:
    outcome = scene.run(*words, expect=expect, **options)
    assert "Traceback" not in outcome.output
    return str(outcome.output)


def word(scene: Scene, run: str) -> tuple[str, str, str] | None:
    rows = scene.sql("SELECT action, by, reason FROM override WHERE key = ? AND ended IS NULL", run)
    return rows[0] if rows else None


def snapshots(scene: Scene, name: str) -> list[bytes]:
    """The bytes that are kept of a blob, oldest first."""
    kept = [blob for blob in scene.container.list_blobs(name, include=["snapshots"]) if blob.snapshot]
    return [
        scene.container.get_blob_client(name, snapshot=blob.snapshot).download_blob().readall()
        for blob in kept
        if blob.name == name
    ]


def publish_and_change(scene: Scene) -> pathlib.Path:
    """R is published; then RunInfo.xml becomes another at the source, and that is told."""
    run = scene.make_run("R")
    scene.run()
    (run / "RunInfo.xml").write_text("<changed/>")
    touch_later(run / "RunInfo.xml")
    touch_later(run)
    scene.run(expect=1)
    return run


# hold, ignore, release


def test_a_held_run_is_left_alone_until_it_is_released(scene: Scene) -> None:
    scene.make_run("R")
    scene.make_run("S")
    said = say(scene, "hold", "R", "--reason", "swapped flowcell")
    assert "R is held" in said
    passed = scene.run()
    assert scene.is_published("S") and not scene.is_published("R")
    assert not [name for name in scene.etags() if name.startswith("R")]
    assert "held by" in passed.stderr and "swapped flowcell" in passed.stderr
    found = word(scene, "R")
    assert found is not None and found[0] == "hold" and "@" in found[1] and found[2] == "swapped flowcell"
    assert "R is released" in say(scene, "release", "R")
    scene.run()
    _, _, receipt, _ = scene.documents("R")
    assert [(each["action"], each["reason"]) for each in receipt["overrides"]] == [
        ("hold", "swapped flowcell"),
        ("release", ""),
    ]
    assert all("@" in each["by"] and each["at"].endswith("+00:00") for each in receipt["overrides"])
    assert receipt["outcome"] == "finished"


def test_a_held_run_is_not_removed(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    say(scene, "hold", "R", "--reason", "look at it")
    scene.config["remove-source"] = "true"
    scene.run()
    assert len(tree(run)) == 3
    say(scene, "release", "R")
    scene.run()
    assert not run.exists()


def test_an_ignored_run_is_told_to_nobody(scene: Scene) -> None:
    publish_and_change(scene)
    say(scene, "ignore", "R")
    passed = scene.run("--thorough")
    assert "R:" not in passed.stderr and "R " not in passed.stdout and "0 problems" in passed.stderr
    say(scene, "release", "R")
    assert "1 files changed" in scene.run().stderr


def test_a_word_before_the_run_comes_wants_to_be_sure_of_the_name(scene: Scene) -> None:
    scene.make_run("260101_A")
    scene.run()
    refused = say(scene, "hold", "260101_B", expect=2)
    assert "no run 260101_B is on record" in refused and "did you mean 260101_A?" in refused
    assert "--expected" in refused
    assert "applies once it appears" in say(scene, "hold", "260101_B", "--expected", "--reason", "test run")
    scene.make_run("260101_B")
    scene.run()
    assert not scene.is_published("260101_B")
    say(scene, "release", "260101_B")
    scene.run()
    assert scene.is_published("260101_B")


@pytest.mark.parametrize("words", [("retry", "R"), ("release", "R"), ("accept", "R"), ("ignore", "R")])
def test_a_word_on_nothing(scene: Scene, words: tuple[str, ...]) -> None:
    assert "no run R is on record" in say(scene, *words, expect=2)
    assert not [name for name in os.listdir(scene.folder) if name.startswith("ledger.sqlite")] or not word(
        scene, "R"
    )


def test_a_word_given_while_the_run_is_carried(scene: Scene, proxy: Proxy) -> None:
    """The ledger takes it at once; what is under way stops before anything is published."""
    scene.make_run("R")
    scene.through(proxy)

    def stall(method: str, path: str) -> typing.Any:
        if method == "PUT" and f"/R/{FLAG}" in path:
            proxy.wait_for_release()

    proxy.before = stall
    running = scene.start()
    assert eventually(lambda: any(f"/R/{FLAG}" in path for _, path in proxy.seen))
    assert "R is held" in say(scene, "hold", "R", "--reason", "wait")
    proxy.hold.set()
    _, stderr = running.communicate(timeout=LONG)
    assert running.returncode == 0, stderr
    assert "an operator override changed" in stderr and not scene.is_published("R")
    proxy.reset()
    say(scene, "release", "R")
    scene.run()
    scene.check_sums("R")


# retry


def test_retry_forgets_the_flag_and_looks_thoroughly(scene: Scene) -> None:
    run = scene.make_run("R")
    (run / "link").symlink_to("/etc/passwd")
    assert "cannot be uploaded" in scene.run(expect=1).stderr
    scene.run(expect=0)
    say(scene, "retry", "R", "--reason", "mended")
    scene.run(expect=1)
    assert word(scene, "R") is None, "once"
    (run / "link").unlink()
    scene.run()
    assert scene.is_published("R")
    scene.container.delete_blob("R/RunInfo.xml")
    scene.run()
    assert "R/RunInfo.xml" not in scene.etags(), "the cheap look asks the storage nothing"
    say(scene, "retry", "R")
    scene.run()
    assert scene.get("R/RunInfo.xml") == b"<run/>"
    scene.check_sums("R")


# accept: a run that never finished


def test_an_unfinished_run_is_accepted(scene: Scene) -> None:
    run = scene.make_run("R")
    (run / FLAG).unlink()
    scene.run()
    assert scene.state("R") == ("waiting", "flag-missing")
    asked = say(scene, "accept", "R", expect=2)
    assert FLAG in asked and "--yes" in asked and word(scene, "R") is None
    scene.config["completion-delay"] = 100
    say(scene, "accept", "R", "--yes", "--reason", "aborted at cycle 80, wanted all the same")
    scene.run()
    assert scene.state("R") == ("waiting", "not-quiet-yet"), "the quiet time holds"
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    scene.run()
    _, _, receipt, _ = scene.documents("R")
    assert receipt["outcome"] == "accepted unfinished"
    explained = " ".join(scene.run("explain", "R").stdout.split())
    assert f"[no] {FLAG} is missing" in explained and "was complete" not in explained
    assert "it is published; later files are added once they are unchanged" in explained
    [said] = receipt["overrides"]
    assert said["accepted"] == "unfinished" and said["flags"] == [FLAG] and "cycle 80" in said["reason"]
    assert word(scene, "R") is None
    (run / "late.txt").write_text("late")
    scene.config["completion-delay"] = 0
    scene.lose_ledger()
    scene.run()
    assert scene.state("R") == ("waiting", "flag-missing"), "the word was in the ledger"
    say(scene, "accept", "R", "--yes", "--reason", "again")
    scene.run()
    again = scene.documents("R")[2]
    assert again["generation"] == 2 and again["outcome"] == "accepted unfinished"
    assert [each["reason"] for each in again["overrides"]] == [
        said["reason"],
        "again",
    ], "the receipt remembers"


def test_two_words_of_one_second_are_both_remembered(scene: Scene) -> None:
    """Also when the first is known from the receipt alone, in which anything may stand."""
    run = scene.make_run("R")
    (run / FLAG).unlink()
    scene.run()
    say(scene, "accept", "R", "--yes", "--reason", "first")
    scene.run()
    receipt = scene.documents("R")[2]
    [first] = receipt["overrides"]
    odd = {"action": ["of", "somebody", "else"], "at": {}}
    changed = receipt | {"overrides": [first, odd], "replaced": [{"path": ["odd"]}]}
    scene.put("R.json", json.dumps(changed).encode())
    (run / "late.txt").write_text("late")
    scene.lose_ledger()
    scene.run()
    say(scene, "accept", "R", "--yes", "--reason", "second")
    scene.sql("UPDATE override SET at = ?", datetime.datetime.fromisoformat(first["at"]).timestamp())
    scene.run()
    receipt = scene.documents("R")[2]
    assert receipt["replaced"] == changed["replaced"]
    before, kept, now = receipt["overrides"]
    assert (before, kept) == (first, odd) and (now["reason"], now["at"]) == ("second", first["at"])


def test_nothing_waits_to_be_accepted(scene: Scene) -> None:
    scene.make_run("R")
    scene.run()
    assert "nothing of R waits to be accepted: it is published" in say(
        scene, "accept", "R", "--yes", expect=2
    )


# accept: changed files


def test_changed_files_are_accepted(scene: Scene) -> None:
    run = publish_and_change(scene)
    before = scene.documents("R")[2]
    asked = say(scene, "accept", "R", expect=2)
    assert "1 of 3 files of R" in asked and "RunInfo.xml: 6 B published, 10 B now" in asked
    assert scene.get("R/RunInfo.xml") == b"<run/>" and word(scene, "R") is None
    say(scene, "accept", "R", "--yes", "--reason", "corrected by hand")
    assert "its marker is withdrawn" in scene.run().stderr
    assert tree(scene.download("R/") / "R") == tree(run)
    scene.check_sums("R")
    _, rows, receipt, _ = scene.documents("R")
    assert receipt["generation"] == 2
    assert receipt["times"]["first_published"] == before["times"]["first_published"]
    [replaced] = receipt["replaced"]
    assert replaced["path"] == "RunInfo.xml" and replaced["size"] == 6 and replaced["by_generation"] == 2
    old = scene.container.get_blob_client("R/RunInfo.xml", snapshot=replaced["snapshot"])
    assert old.download_blob().readall() == b"<run/>"
    assert scene.state("R") == ("published", None) and word(scene, "R") is None
    assert scene.run().stderr.count("R:") == 0
    assert len(rows) == 3


def test_what_changes_after_it_was_accepted_is_told_anew(scene: Scene) -> None:
    run = publish_and_change(scene)
    before = scene.etags()
    say(scene, "accept", "R", "--yes")
    (run / "Data" / "one.bcl").write_text("ONE")
    touch_later(run / "Data" / "one.bcl")
    told = scene.run(expect=1).stderr
    assert "files differ from those that were accepted" in told and "one.bcl" in told
    assert scene.etags() == before, "the marker stands, nothing is sent"
    assert "2 of 3 files" in say(scene, "accept", "R", "--yes")
    scene.run()
    assert tree(scene.download("R/") / "R") == tree(run)
    scene.check_sums("R")


def test_an_acceptance_is_taken_back_before_anything_happened(scene: Scene) -> None:
    publish_and_change(scene)
    before = scene.etags()
    say(scene, "accept", "R", "--yes")
    say(scene, "release", "R")
    scene.run()
    assert scene.etags() == before and scene.state("R") == ("flagged", "changed-after-verification")


@pytest.mark.parametrize("refused, code", [("DELETE", "withdraw-refused"), ("SNAPSHOT", "snapshot-refused")])
def test_a_role_that_may_not(scene: Scene, proxy: Proxy, refused: str, code: str) -> None:
    """Nothing changes at the destination; when the right is there, it heals by itself."""
    publish_and_change(scene)
    before = scene.etags()
    say(scene, "accept", "R", "--yes")
    scene.through(proxy)

    def refuse(method: str, path: str) -> typing.Any:
        if method == refused or (refused == "SNAPSHOT" and "comp=snapshot" in path):
            return 403
        return None

    proxy.before = refuse
    # Another endpoint is another flow: the ledger's rows are moved to it.
    rename_flow(scene)
    told = scene.run(expect=1).stderr
    assert "nothing was changed" in told and scene.state("R") == ("flagged", code)
    assert scene.etags() == before
    scene.run(expect=0)
    proxy.reset()
    scene.run()
    assert scene.get("R/RunInfo.xml") == b"<changed/>"
    scene.check_sums("R")


def rename_flow(scene: Scene) -> None:
    from sync_to_azure.transfer.ledger import Flow

    flow = Flow(
        str(scene.config["main-folder"]),
        str(scene.config["blob-endpoint"]),
        str(scene.config["container-name"]),
        "",
    )
    scene.sql("UPDATE flow SET endpoint = ?, key = ?", flow.endpoint, flow.key)


POINTS = {
    "asking whether the marker may go": ("DELETE /devstoreaccount1/{container}/R.sync", 1),
    "keeping the old bytes": ("PUT /devstoreaccount1/{container}/R/RunInfo.xml?comp=snapshot", 1),
    "withdrawing": ("DELETE /devstoreaccount1/{container}/R.sync", 2),
    "sending": ("PUT /devstoreaccount1/{container}/R/RunInfo.xml?st=", 1),
    "before .files.jsonl": ("PUT /devstoreaccount1/{container}/R.files.jsonl", 1),
    "before .md5": ("PUT /devstoreaccount1/{container}/R.md5", 1),
    "before .json": ("PUT /devstoreaccount1/{container}/R.json", 1),
    "before .sync": ("PUT /devstoreaccount1/{container}/R.sync", 1),
}


def kill(scene: Scene, step: str, fragment: str, number: int) -> None:
    fragment = fragment.format(container=scene.container.container_name)
    killed = scene.start(
        environment=kill_points.environment(scene.folder, "http.client.send", fragment, number)
    )
    output = "".join(killed.communicate(timeout=LONG))
    assert killed.returncode == -signal.SIGKILL, f"never came to this point: {step}\n{output}"
    nothing_is_claimed_or_lost(scene)


def nothing_is_claimed_or_lost(scene: Scene) -> None:
    if scene.is_published("R"):
        scene.check_sums("R")
    now = scene.get("R/RunInfo.xml")
    assert now == b"<run/>" or b"<run/>" in snapshots(scene, "R/RunInfo.xml"), "the old bytes are lost"


def test_killed_within_each_step_of_an_acceptance(scene: Scene) -> None:
    run = publish_and_change(scene)
    say(scene, "accept", "R", "--yes")
    for step, point in POINTS.items():
        kill(scene, step, *point)
    scene.run()
    assert tree(scene.download("R/") / "R") == tree(run)
    scene.check_sums("R")
    receipt = scene.documents("R")[2]
    assert [each["path"] for each in receipt["replaced"]] == ["RunInfo.xml"]
    assert snapshots(scene, "R/RunInfo.xml") == [b"<run/>"], "kept once, not with every try"
    assert word(scene, "R") is None
    before = scene.etags()
    scene.run("--thorough")
    assert scene.etags() == before


@pytest.mark.parametrize("step", POINTS)
def test_killed_and_the_ledger_lost(scene: Scene, step: str) -> None:
    """Nobody's word is known any more: what the lake says counts, and it is asked for anew."""
    run = publish_and_change(scene)
    say(scene, "accept", "R", "--yes")
    kill(scene, step, *POINTS[step])
    scene.lose_ledger()
    (run / "Data" / "one.bcl").write_text("ENCRYPTED")
    told = scene.run(expect=1)
    nothing_is_claimed_or_lost(scene)
    assert scene.get("R/Data/one.bcl") == b"one", "sent over a published file without a word"
    assert scene.state("R")[0] == "flagged", told.stderr
    (run / "Data" / "one.bcl").write_text("one")
    scene.run()
    if scene.state("R")[0] == "flagged":
        say(scene, "accept", "R", "--yes")
        scene.run()
    assert tree(scene.download("R/") / "R") == tree(run)
    scene.check_sums("R")
    assert scene.state("R") == ("published", None)


def test_changed_after_all_but_the_marker(scene: Scene) -> None:
    """What was accepted is verified, and claimed by its receipt: it is published, and the later change is told."""
    run = publish_and_change(scene)
    say(scene, "accept", "R", "--yes")
    kill(scene, "before .sync", *POINTS["before .sync"])
    (run / "RunInfo.xml").write_text("<again changed/>")
    touch_later(run / "RunInfo.xml")
    assert "files differ from those that were accepted" in scene.run(expect=1).stderr
    assert scene.get("R/RunInfo.xml") == b"<changed/>"
    scene.check_sums("R")
    assert [each["path"] for each in scene.documents("R")[2]["replaced"]] == ["RunInfo.xml"]


@pytest.mark.parametrize("step", ["sending", "before .md5"])
def test_released_or_changed_half_way(scene: Scene, step: str) -> None:
    run = publish_and_change(scene)
    say(scene, "accept", "R", "--yes")
    kill(scene, step, *POINTS[step])
    (run / "RunInfo.xml").write_text("<again changed/>")
    touch_later(run / "RunInfo.xml")
    assert "files differ from those that were accepted" in scene.run(expect=1).stderr
    assert not scene.is_published("R") and scene.get("R/RunInfo.xml") != b"<again changed/>"
    (run / "RunInfo.xml").unlink()
    scene.run()
    assert "not at the source any more" in say(scene, "accept", "R", "--yes", expect=2)
    say(scene, "release", "R")
    scene.run(expect=1 if step != "sending" else 0)
    if step == "sending":  # nothing was written over yet: the first publication stands again
        scene.check_sums("R")
        assert scene.documents("R")[2]["generation"] == 2
        assert scene.get("R/RunInfo.xml") == b"<run/>"
    else:
        assert scene.state("R") == ("flagged", "blob-lost") and not scene.is_published("R")
    (run / "RunInfo.xml").write_text("<run/>")
    scene.run()
    scene.check_sums("R")
    assert scene.get("R/RunInfo.xml") == b"<run/>"
    assert scene.state("R") == ("published", None)


def test_the_quiet_time_holds_for_accepted_files(scene: Scene) -> None:
    publish_and_change(scene)
    scene.config["completion-delay"] = 100
    say(scene, "accept", "R", "--yes")
    scene.run()
    assert scene.get("R/RunInfo.xml") == b"<run/>" and scene.is_published("R")
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    scene.run()
    assert scene.get("R/RunInfo.xml") == b"<changed/>"
    scene.check_sums("R")


# accept: what somebody else published


def beside_another_tool(scene: Scene) -> pathlib.Path:
    run = scene.make_run("R")
    for name, content in tree(run).items():
        scene.put(f"R/{name}", content)
    scene.put("R/RunInfo.xml", b"<other/>")
    scene.put("R.sync", b"2020-01-01T00:00:00")
    return run


def test_other_bytes_of_another_tool_are_accepted(scene: Scene) -> None:
    run = beside_another_tool(scene)
    scene.sheets()
    (scene.folder / "sheets" / "R.csv").write_text("sheet")
    scene.put("R/SampleSheet.csv", b"another sheet")
    assert "2 blobs that another writer published differ" in scene.run(expect=1).stderr
    asked = say(scene, "accept", "R", "--yes", "--reason", "the old tool cut it off")
    assert "2 files of R that another writer published" in asked and "RunInfo.xml: 8 B published" in asked
    scene.run()
    scene.check_sums("R")
    assert scene.get("R/SampleSheet.csv") == b"sheet"
    assert scene.get("R/RunInfo.xml") == (run / "RunInfo.xml").read_bytes()
    receipt = scene.documents("R")[2]
    assert {each["path"] for each in receipt["replaced"]} == {"RunInfo.xml", "SampleSheet.csv"}
    assert snapshots(scene, "R/RunInfo.xml") == [b"<other/>"]
    assert scene.state("R") == ("published", None) and word(scene, "R") is None


@pytest.mark.parametrize(
    "step", ["asking whether the marker may go", "withdrawing", "sending", "before .sync"]
)
def test_killed_while_another_tools_blobs_are_replaced(scene: Scene, step: str) -> None:
    run = beside_another_tool(scene)
    scene.run(expect=1)
    say(scene, "accept", "R", "--yes")
    fragment, number = POINTS[step]
    point = kill_points.environment(
        scene.folder,
        "http.client.send",
        fragment.format(container=scene.container.container_name),
        number,
    )
    killed = scene.start(environment=point)
    assert killed.communicate(timeout=LONG) and killed.returncode == -signal.SIGKILL, step
    assert scene.get("R/RunInfo.xml") == b"<other/>" or b"<other/>" in snapshots(scene, "R/RunInfo.xml")
    scene.run()
    assert tree(scene.download("R/") / "R") == tree(run)
    scene.check_sums("R")


def test_a_file_of_ours_beside_another_tools_heals(scene: Scene) -> None:
    """What we sent beside a predecessor's marker is ours: it may be sent anew when the source changes."""
    run = beside_another_tool(scene)
    (run / "ours.txt").write_text("first")
    scene.run(expect=1)
    assert scene.get("R/ours.txt") == b"first"
    (run / "ours.txt").write_text("second")
    scene.run()
    assert scene.get("R/ours.txt") == b"second" and scene.get("R/RunInfo.xml") == b"<other/>"
    assert json.loads(scene.sql("SELECT reason_parameters FROM run WHERE key = 'R'")[0][0])["names"] == [
        "RunInfo.xml"
    ]


# The word itself


def test_who_said_it_behind_sudo_and_secrets_in_a_reason(scene: Scene) -> None:
    scene.make_run("R")
    key = pathlib.Path(str(scene.config["credentials"])).read_text().strip()
    say(scene, "hold", "R", "--reason", f"the key is {key}", environment={"SUDO_USER": "anna"})
    found = word(scene, "R")
    assert found is not None and found[1].startswith("anna (as ") and key not in found[2]
    for path in scene.folder.glob("ledger.sqlite*"):
        assert key.encode() not in path.read_bytes()


def test_a_ledger_that_may_not_be_written(scene: Scene) -> None:
    scene.make_run("R")
    scene.run()
    scene.ledger.chmod(0o400)
    scene.folder.chmod(0o500)
    try:
        told = say(scene, "hold", "R", expect=3, unprivileged=True)
    finally:
        scene.folder.chmod(0o700)
        scene.ledger.chmod(0o600)
    assert "cannot be written" in told and "sudo -u" in told


def test_a_hold_while_a_run_is_being_removed(scene: Scene) -> None:
    """Moved aside or half unlinked: what is left comes back under its name, and stays until it is released."""
    run = scene.make_run("R")
    scene.config["remove-source"] = "true"
    killed = scene.start(environment=kill_points.environment(scene.folder, "os.remove", "RunInfo.xml", 1))
    killed.communicate(timeout=LONG)
    assert killed.returncode == -signal.SIGKILL
    say(scene, "hold", "R", "--reason", "wait")
    [aside] = scene.main.iterdir()
    left = tree(aside)
    scene.run()
    assert tree(run) == left and left
    scene.run()
    assert tree(run) == left
    say(scene, "release", "R")
    scene.run()
    assert list(scene.main.iterdir()) == [] and scene.state("R") == ("removed", None)
    scene.check_sums("R")
