"""Published is frozen: what is proved at the destination is not replaced by what the source became. By the whole
command, to Azurite; more of it by its steps: tests/transfer/steps/test_published.py."""

from __future__ import annotations

from tests.passes.scene import DOCUMENTS, Scene, tree


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
