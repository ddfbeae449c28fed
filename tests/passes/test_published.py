"""Published is frozen: what is proved at the destination is not replaced by what the source became."""

from __future__ import annotations

import json
import os

from tests.passes.scene import DOCUMENTS, FLAG, Scene, touch_later, tree


def test_a_changed_file_never_reaches_the_lake(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    before = scene.etags()
    (run / "RunInfo.xml").write_text("<RUN/>")
    touch_later(run / "RunInfo.xml")
    touch_later(run)
    told = scene.run("--thorough", expect=1).stderr
    assert "1 files changed after they were verified" in told and "RunInfo.xml" in told
    scene.run("--thorough", expect=0)
    assert scene.etags() == before

    scene.lose_ledger()
    assert "RunInfo.xml" in scene.run(expect=1).stderr, "without the ledger, the published manifest counts"
    assert scene.etags() == before

    (run / "RunInfo.xml").write_text("<run/>")
    assert "what was flagged is solved" in scene.run().stderr, "another time, but the same bytes"
    assert scene.state("R") == ("published", None)
    assert scene.etags() == before


def test_the_manifest_grows_and_never_shrinks(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    before = scene.etags()
    first = scene.documents("R")
    (run / "Data" / "one.bcl").unlink()
    (run / "late.txt").write_text("late")
    scene.run()
    scene.check_sums("R")
    _, rows, receipt, _ = scene.documents("R")
    assert {row["path"] for row in rows} == {"Data/one.bcl", "RunInfo.xml", FLAG, "late.txt"}
    assert (
        receipt["generation"] == 2
        and receipt["times"]["first_published"] == first[2]["times"]["first_published"]
    )
    changed = {name for name, etag in scene.etags().items() if before.get(name) != etag}
    assert changed == {"R/late.txt", *(f"R{suffix}" for suffix in DOCUMENTS)}

    (run / FLAG).unlink()
    (run / "later.txt").write_text("later")
    scene.config["completion-delay"] = 100
    assert "new files are there, quiet since" in scene.run().stderr
    assert "R/later.txt" not in scene.etags()
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    scene.run()
    assert scene.documents("R")[2]["files"] == 5, "an addition needs no flag any more"


def test_thorough_heals_exactly_what_went_wrong_behind_our_back(scene: Scene) -> None:
    run = scene.make_run("R", {f"f{number}.txt": f"content {number}" for number in range(5)})
    scene.run()
    before = scene.etags()
    scene.put("R/f1.txt", b"CONTENT 1")
    scene.container.delete_blob("R/f2.txt")
    scene.put("R/f3.txt", b"")
    scene.run()
    assert scene.get("R/f1.txt") == b"CONTENT 1", "the cheap look asks the storage nothing"
    scene.run("--thorough")
    after = scene.etags()
    assert {name for name in before if before[name] != after[name]} == {
        "R/f1.txt",
        "R/f2.txt",
        "R/f3.txt",
        *(f"R{suffix}" for suffix in DOCUMENTS),
    }
    assert tree(scene.download("R") / "R") == tree(run)
    scene.check_sums("R")


def test_a_wrong_blob_is_not_healed_from_a_source_that_became_another(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    (run / "RunInfo.xml").write_text("<RUN/>")
    (run / "Data" / "one.bcl").unlink()
    scene.put("R/RunInfo.xml", b"broken")
    scene.container.delete_blob("R/Data/one.bcl")
    before = scene.etags()
    told = scene.run("--thorough", expect=1).stderr
    assert "2 blobs are missing or wrong" in told and "RunInfo.xml" in told and "one.bcl" in told
    assert scene.etags() == before
    scene.run("--thorough", expect=0)
    (run / "RunInfo.xml").write_text("<run/>")
    (run / "Data" / "one.bcl").write_text("one")
    scene.run("--thorough")
    scene.check_sums("R")


def test_evidence_falls_with_another_etag(scene: Scene) -> None:
    """The same MD5 in the listing, other bytes below it: only the listing vouches for that blob now."""
    run = scene.make_run("R")
    scene.config["verify"] = "listed"
    scene.run()
    scene.put("R/RunInfo.xml", b"<rum/>", md5_of=b"<run/>")
    (run / "late.txt").write_text("late")
    scene.run("--thorough")
    _, rows, receipt, _ = scene.documents("R")
    evidence = {row["path"]: row["evidence"] for row in rows}
    assert evidence == {
        "RunInfo.xml": "listed",
        "late.txt": "validated",
        "Data/one.bcl": "validated",
        FLAG: "validated",
    }
    assert receipt["weakest_evidence"] == "listed"
    # Asked for more than the listing's word, the pass reads it back, finds other bytes, and sends the good ones.
    del scene.config["verify"]
    assert "RunInfo.xml holds other bytes than its MD5 says" in scene.run("--thorough").stderr
    assert scene.get("R/RunInfo.xml") == b"<run/>"
    assert scene.documents("R")[2]["weakest_evidence"] == "validated"


def test_extras_and_folder_stubs_never_block_and_are_counted(scene: Scene) -> None:
    scene.make_run("R")
    scene.put("R/left by somebody.txt", b"extra")
    scene.put("R/Data/other.bcl", b"extra")
    scene.put("Rx/not of this run.txt", b"neighbour")
    for stub in ("R", "R/Data", "R/Data/one.bcl"):
        scene.container.upload_blob(stub, b"", metadata={"hdi_isfolder": "true"})
    scene.run()
    assert scene.documents("R")[2]["extras"] == 2
    assert scene.get("R/Data/one.bcl") == b"one"


def test_a_run_of_another_main_folder_is_refused(scene: Scene) -> None:
    scene.make_run("R")
    scene.run()
    before = scene.etags()
    other = scene.folder / "other"
    other.mkdir()
    scene.main = other
    scene.config["main-folder"] = other
    scene.make_run("R", {"RunInfo.xml": "<other/>"})
    scene.make_run("S")
    told = scene.run(expect=1).stderr
    assert str(scene.folder / "main") in told and "another flow published" in told
    assert {name: etag for name, etag in scene.etags().items() if name[0] == "R"} == before
    assert scene.is_published("S")
    scene.run(expect=0)


def test_blobs_of_the_tool_before_are_recognised_and_never_overwritten(scene: Scene) -> None:
    run = scene.make_run("SAME")
    scene.make_run("OTHER")
    scene.make_run("PART", {"extra.txt": "not yet there"})
    for name, content in tree(run).items():
        scene.put(f"SAME/{name}", content)
        scene.put(f"OTHER/{name}", content)
        scene.put(f"PART/{name}", content)
    scene.put("OTHER/RunInfo.xml", b"<Run/>")
    for name in ("SAME", "OTHER", "PART"):
        scene.put(f"{name}.sync", b"2020-01-01T00:00:00")
    before = scene.etags()
    told = scene.run(expect=1).stderr
    after = scene.etags()
    assert "1 blobs that somebody else published differ" in told and "RunInfo.xml" in told
    replaced = {name for name in before if before[name] != after[name]}
    assert replaced == {"SAME.sync", "PART.sync"}
    assert scene.azcopy_jobs() == 1, "only the file that was missing is sent"
    _, rows, receipt, _ = scene.documents("SAME")
    assert {row["evidence"] for row in rows} == {"read-back"} and receipt["weakest_evidence"] == "read-back"
    assert {row["path"]: row["evidence"] for row in scene.documents("PART")[1]}["extra.txt"] == "validated"
    scene.check_sums("PART")
    assert scene.get("OTHER.sync") == b"2020-01-01T00:00:00" and "OTHER.json" not in after
    scene.run(expect=0)
    assert scene.etags() == after


def test_receipts_that_are_not_ours_are_each_one_runs_trouble(scene: Scene) -> None:
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
        scene.make_run(f"R{number}")
        scene.put(f"R{number}.json", receipt)
        scene.put(f"R{number}.sync", b"2020-01-01T00:00:00")
    scene.make_run("S")
    before = scene.etags()
    outcome = scene.run(expect=1)
    assert "Traceback" not in outcome.output
    for number in range(len(receipts)):
        assert f"R{number}.json" in outcome.stderr
    assert scene.is_published("S")
    assert {name: etag for name, etag in scene.etags().items() if name[0] == "R"} == before


def test_lost_documents_are_written_again(scene: Scene) -> None:
    scene.make_run("R")
    scene.run()
    data = {name: etag for name, etag in scene.etags().items() if name.startswith("R/")}
    for suffix in DOCUMENTS:
        scene.container.delete_blob(f"R{suffix}")
        scene.run("--thorough")
        scene.check_sums("R")
        scene.documents("R")
    assert {name: etag for name, etag in scene.etags().items() if name.startswith("R/")} == data


def test_a_tampered_manifest_is_not_believed_over_the_receipt(scene: Scene) -> None:
    """With the ledger lost: what the receipt's checksum does not cover is checked against source and listing."""
    run = scene.make_run("R")
    scene.run()
    lines = scene.get("R.files.jsonl").splitlines()
    scene.put("R.files.jsonl", b"\n".join(line for line in lines if b"RunInfo" not in line) + b"\n")
    (run / "late.txt").write_text("late")
    os.utime(run)
    scene.lose_ledger()
    scene.run()
    assert {row["path"] for row in scene.documents("R")[1]} == set(tree(run))
    assert json.loads(scene.get("R.json"))["generation"] == 2
