"""Publishing, adopting and vouching, step by step on a local store: what somebody else does between two of our writes
can be placed exactly."""

from __future__ import annotations

import json

import pytest

from sync_to_azure.core.model import Evidence
from tests.passes.scene import DOCUMENTS, tree
from tests.transfer.steps.local_scene import LocalScene


def test_the_documents_come_in_their_order_and_the_marker_last(local_scene: LocalScene) -> None:
    local_scene.make_run("R")
    written: list[str] = []
    local_scene.before_put = written.append
    local_scene.run()
    assert written == [f"R{suffix}" for suffix in DOCUMENTS]
    local_scene.documents("R")
    local_scene.check_sums("R")


@pytest.mark.parametrize("there", [False, True], ids=["at the first publishing", "at a later one"])
@pytest.mark.parametrize("suffix", DOCUMENTS)
def test_what_somebody_else_writes_just_then_stays(local_scene: LocalScene, suffix: str, there: bool) -> None:
    run = local_scene.make_run("R")
    if there:
        local_scene.run()
        (run / "late.txt").write_text("late")

    def they_come(name: str) -> None:
        if name == f"R{suffix}":
            local_scene.put(name, b"theirs\n")

    local_scene.before_put = they_come
    told = local_scene.run("--thorough", expect=1).stderr
    assert "was published by another writer during the upload" in told
    assert local_scene.get(f"R{suffix}") == b"theirs\n"
    assert local_scene.state("R")[0] == "failing" or there


def test_a_document_that_goes_just_then_is_not_vouched_for(local_scene: LocalScene) -> None:
    """The receipt is written only while both manifests are still the ones that we wrote."""
    local_scene.make_run("R")

    def it_goes(name: str) -> None:
        if name == "R.json":
            local_scene.delete("R.md5")

    local_scene.before_put = it_goes
    local_scene.run(expect=1)
    assert "R.sync" not in local_scene.etags()
    local_scene.before_put = lambda name: None
    local_scene.run()
    local_scene.documents("R")
    local_scene.check_sums("R")


def test_checksums_that_are_missing_when_the_ledger_is_lost(local_scene: LocalScene) -> None:
    local_scene.make_run("R")
    local_scene.run()
    before = local_scene.etags()
    local_scene.delete("R.md5")
    local_scene.lose_ledger()
    local_scene.run()
    local_scene.documents("R")
    local_scene.check_sums("R")
    after = local_scene.etags()
    assert {name for name in before if after[name] != before[name]} <= {f"R{suffix}" for suffix in DOCUMENTS}


@pytest.mark.parametrize("cut", DOCUMENTS)
def test_cut_off_before_a_document(local_scene: LocalScene, cut: str) -> None:
    """The next pass finishes it, with the ledger and without, and sends nothing again."""
    for number, lose in enumerate((False, True)):
        name = f"R{number}"
        local_scene.make_run(name)

        def cut_off(document: str) -> None:
            if document == f"{name}{cut}":
                raise OSError(5, "cut off")

        local_scene.before_put = cut_off
        local_scene.run(expect=1)
        assert f"{name}.sync" not in local_scene.etags()
        data = {key: etag for key, etag in local_scene.etags().items() if key.startswith(f"{name}/")}
        local_scene.before_put = lambda document: None
        if lose:
            local_scene.lose_ledger()
        local_scene.run()
        local_scene.documents(name)
        local_scene.check_sums(name)
        after = {key: etag for key, etag in local_scene.etags().items() if key.startswith(f"{name}/")}
        assert after == data and tree(local_scene.download(name) / name) == tree(local_scene.main / name)


def evidence(scene: LocalScene, run: str) -> set[Evidence]:
    query = "SELECT DISTINCT evidence FROM file JOIN run ON run.id = file.run_id WHERE run.key = ?"
    return {Evidence(value) for (value,) in scene.sql(query, run)}


def test_adopted_with_the_evidence_that_our_key_vouches_for(local_scene: LocalScene) -> None:
    local_scene.make_run("R")
    local_scene.run()
    assert evidence(local_scene, "R") == {Evidence.VALIDATED}
    before = local_scene.etags()
    local_scene.lose_ledger()
    assert "confirmed by the evidence-key" in local_scene.run().stderr
    assert evidence(local_scene, "R") == {Evidence.VALIDATED}

    receipt = json.loads(local_scene.get("R.json"))
    local_scene.put("R.json", json.dumps(receipt | {"files": 4}).encode())
    local_scene.lose_ledger()
    assert "its files count as listed" in local_scene.run().stderr
    assert evidence(local_scene, "R") == {Evidence.LISTED}
    assert {name for name, etag in local_scene.etags().items() if before[name] != etag} == {"R.json"}


def test_a_blob_with_the_right_md5_and_other_bytes_is_found(local_scene: LocalScene) -> None:
    """The listing shows size and MD5 as they should be: only reading back tells."""
    local_scene.make_run("R")
    local_scene.put("R/RunInfo.xml", b"<rum/>", md5_of=b"<run/>")
    told = local_scene.run().stderr
    assert "RunInfo.xml contains other bytes than its MD5" in told
    assert local_scene.get("R/RunInfo.xml") == b"<run/>"
    assert "R/RunInfo.xml" in local_scene.sent
