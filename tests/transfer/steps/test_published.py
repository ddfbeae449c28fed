"""Published is frozen: what is proved at the destination is not replaced by what the source became. (What needs a real
service, and one of these by the whole command: tests/passes/test_published.py.)"""

from __future__ import annotations

import json
import os

from tests.passes.scene import DOCUMENTS, FLAG, touch_later, tree
from tests.transfer.steps.local_scene import LocalScene


def test_a_changed_file_never_reaches_the_lake(local_scene: LocalScene) -> None:
    run = local_scene.make_run("R")
    local_scene.run()
    before = local_scene.etags()
    (run / "RunInfo.xml").write_text("<RUN/>")
    touch_later(run / "RunInfo.xml")
    touch_later(run)
    told = local_scene.run("--thorough", expect=1).stderr
    assert "1 files changed after they were verified" in told and "RunInfo.xml" in told
    local_scene.run("--thorough", expect=0)
    assert local_scene.etags() == before

    local_scene.lose_ledger()
    assert (
        "RunInfo.xml" in local_scene.run(expect=1).stderr
    ), "without the ledger, the published manifest counts"
    assert local_scene.etags() == before

    (run / "RunInfo.xml").write_text("<run/>")
    assert "what was flagged is solved" in local_scene.run().stderr, "another time, but the same bytes"
    assert local_scene.state("R") == ("published", None)
    assert local_scene.etags() == before


def test_the_manifest_grows_and_never_shrinks(local_scene: LocalScene) -> None:
    run = local_scene.make_run("R")
    local_scene.run()
    before = local_scene.etags()
    first = local_scene.documents("R")
    (run / "Data" / "one.bcl").unlink()
    (run / "late.txt").write_text("late")
    local_scene.run()
    local_scene.check_sums("R")
    _, rows, receipt, _ = local_scene.documents("R")
    assert {row["path"] for row in rows} == {"Data/one.bcl", "RunInfo.xml", FLAG, "late.txt"}
    assert (
        receipt["generation"] == 2
        and receipt["times"]["first_published"] == first[2]["times"]["first_published"]
    )
    changed = {name for name, etag in local_scene.etags().items() if before.get(name) != etag}
    assert changed == {"R/late.txt", *(f"R{suffix}" for suffix in DOCUMENTS)}

    (run / FLAG).unlink()
    (run / "later.txt").write_text("later")
    local_scene.config["completion-delay"] = 100
    assert "new files found, unchanged since" in local_scene.run().stderr
    assert "R/later.txt" not in local_scene.etags()
    local_scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    local_scene.run()
    assert local_scene.documents("R")[2]["files"] == 5, "an addition needs no flag any more"


def test_thorough_heals_exactly_what_went_wrong_behind_our_back(local_scene: LocalScene) -> None:
    run = local_scene.make_run("R", {f"f{number}.txt": f"content {number}" for number in range(5)})
    local_scene.run()
    before = local_scene.etags()
    local_scene.put("R/f1.txt", b"CONTENT 1")
    local_scene.delete("R/f2.txt")
    local_scene.put("R/f3.txt", b"")
    local_scene.run()
    assert local_scene.get("R/f1.txt") == b"CONTENT 1", "the cheap look asks the storage nothing"
    local_scene.run("--thorough")
    after = local_scene.etags()
    assert {name for name in before if before[name] != after[name]} == {
        "R/f1.txt",
        "R/f2.txt",
        "R/f3.txt",
        *(f"R{suffix}" for suffix in DOCUMENTS),
    }
    assert tree(local_scene.download("R") / "R") == tree(run)
    local_scene.check_sums("R")


def test_a_wrong_blob_is_not_healed_from_a_source_that_became_another(local_scene: LocalScene) -> None:
    run = local_scene.make_run("R")
    local_scene.run()
    (run / "RunInfo.xml").write_text("<RUN/>")
    (run / "Data" / "one.bcl").unlink()
    local_scene.put("R/RunInfo.xml", b"broken")
    local_scene.delete("R/Data/one.bcl")
    before = local_scene.etags()
    told = local_scene.run("--thorough", expect=1).stderr
    assert "2 blobs are missing or wrong" in told and "RunInfo.xml" in told and "one.bcl" in told
    assert local_scene.etags() == before
    local_scene.run("--thorough", expect=0)
    (run / "RunInfo.xml").write_text("<run/>")
    (run / "Data" / "one.bcl").write_text("one")
    local_scene.run("--thorough")
    local_scene.check_sums("R")


def test_evidence_falls_with_another_etag(local_scene: LocalScene) -> None:
    """The same MD5 in the listing, other bytes below it: only the listing vouches for that blob now."""
    run = local_scene.make_run("R")
    local_scene.config["verify"] = "listed"
    local_scene.run()
    local_scene.put("R/RunInfo.xml", b"<rum/>", md5_of=b"<run/>")
    (run / "late.txt").write_text("late")
    local_scene.run("--thorough")
    _, rows, receipt, _ = local_scene.documents("R")
    evidence = {row["path"]: row["evidence"] for row in rows}
    assert evidence == {
        "RunInfo.xml": "listed",
        "late.txt": "validated",
        "Data/one.bcl": "validated",
        FLAG: "validated",
    }
    assert receipt["weakest_evidence"] == "listed"
    # Asked for more than the listing's word, the pass reads it back, finds other bytes, and sends the good ones.
    del local_scene.config["verify"]
    assert "RunInfo.xml contains other bytes than its MD5" in local_scene.run("--thorough").stderr
    assert local_scene.get("R/RunInfo.xml") == b"<run/>"
    assert local_scene.documents("R")[2]["weakest_evidence"] == "validated"


def test_a_run_of_another_main_folder_is_refused(local_scene: LocalScene) -> None:
    local_scene.make_run("R")
    local_scene.run()
    before = local_scene.etags()
    other = local_scene.folder / "other"
    other.mkdir()
    local_scene.main = other
    local_scene.config["main-folder"] = other
    local_scene.make_run("R", {"RunInfo.xml": "<other/>"})
    local_scene.make_run("S")
    told = local_scene.run(expect=1).stderr
    assert str(local_scene.folder / "main") in told and "another flow published" in told
    assert {name: etag for name, etag in local_scene.etags().items() if name[0] == "R"} == before
    assert local_scene.is_published("S")
    local_scene.run(expect=0)


def test_blobs_of_the_tool_before_are_recognised_and_never_overwritten(local_scene: LocalScene) -> None:
    run = local_scene.make_run("SAME")
    local_scene.make_run("OTHER")
    local_scene.make_run("PART", {"extra.txt": "not yet there"})
    for name, content in tree(run).items():
        local_scene.put(f"SAME/{name}", content)
        local_scene.put(f"OTHER/{name}", content)
        local_scene.put(f"PART/{name}", content)
    local_scene.put("OTHER/RunInfo.xml", b"<Run/>")
    for name in ("SAME", "OTHER", "PART"):
        local_scene.put(f"{name}.sync", b"2020-01-01T00:00:00")
    before = local_scene.etags()
    told = local_scene.run(expect=1).stderr
    after = local_scene.etags()
    assert "1 blobs that another writer published differ" in told and "RunInfo.xml" in told
    replaced = {name for name in before if before[name] != after[name]}
    assert replaced == {"SAME.sync", "PART.sync"}
    assert local_scene.sent == ["PART/extra.txt"], "only the file that was missing is sent"
    _, rows, receipt, _ = local_scene.documents("SAME")
    assert {row["evidence"] for row in rows} == {"read-back"} and receipt["weakest_evidence"] == "read-back"
    assert {row["path"]: row["evidence"] for row in local_scene.documents("PART")[1]}[
        "extra.txt"
    ] == "validated"
    local_scene.check_sums("PART")
    assert local_scene.get("OTHER.sync") == b"2020-01-01T00:00:00" and "OTHER.json" not in after
    local_scene.run(expect=0)
    assert local_scene.etags() == after


def test_receipts_that_are_not_ours_are_each_one_runs_trouble(local_scene: LocalScene) -> None:
    receipts = [
        b"",
        b"{",
        b"[]",
        b'{"schema": 99}',
        b'{"schema": 1, "source": "x"}',
        b"\xff" * 9,
        b"[" * 100_000,
    ]
    for number, receipt in enumerate(receipts):
        local_scene.make_run(f"R{number}")
        local_scene.put(f"R{number}.json", receipt)
        local_scene.put(f"R{number}.sync", b"2020-01-01T00:00:00")
    local_scene.make_run("S")
    before = local_scene.etags()
    outcome = local_scene.run(expect=1)
    assert "Traceback" not in outcome.stderr
    for number in range(len(receipts)):
        assert f"R{number}.json" in outcome.stderr
    assert local_scene.is_published("S")
    assert {name: etag for name, etag in local_scene.etags().items() if name[0] == "R"} == before


def test_lost_documents_are_written_again(local_scene: LocalScene) -> None:
    local_scene.make_run("R")
    local_scene.run()
    data = {name: etag for name, etag in local_scene.etags().items() if name.startswith("R/")}
    for suffix in DOCUMENTS:
        local_scene.delete(f"R{suffix}")
        local_scene.run("--thorough")
        local_scene.check_sums("R")
        local_scene.documents("R")
    assert {name: etag for name, etag in local_scene.etags().items() if name.startswith("R/")} == data


def test_a_tampered_manifest_is_not_believed_over_the_receipt(local_scene: LocalScene) -> None:
    """With the ledger lost: what the receipt's checksum does not cover is checked against source and listing."""
    run = local_scene.make_run("R")
    local_scene.run()
    lines = local_scene.get("R.files.jsonl").splitlines()
    local_scene.put("R.files.jsonl", b"\n".join(line for line in lines if b"RunInfo" not in line) + b"\n")
    (run / "late.txt").write_text("late")
    os.utime(run)
    local_scene.lose_ledger()
    local_scene.run()
    assert {row["path"] for row in local_scene.documents("R")[1]} == set(tree(run))
    assert json.loads(local_scene.get("R.json"))["generation"] == 2
