"""Reading back after the ledger was lost: only for a removal, file by file, within a limit, nothing archived."""

from __future__ import annotations

import pathlib

import pytest

from sync_to_azure.core.names import CLAIMS_FOLDER
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree


@pytest.fixture
def lost(scene: Scene, proxy: Proxy) -> Scene:
    """R and S are published; the ledger is lost, and so is the key that vouched for them."""
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.make_run("S")
    scene.through(proxy).run()
    scene.lose_ledger()
    pathlib.Path(f"{scene.config['credentials']}.evidence-key").unlink()
    scene.run()
    proxy.reset()
    return scene


def read(proxy: Proxy) -> list[str]:
    """Files of runs that were downloaded since the last time."""
    paths = [path for method, path in proxy.seen if method == "GET" and "comp=" not in path]
    proxy.seen.clear()
    return sorted(
        {
            path.partition("?")[0].rpartition("/R/")[2]
            for path in paths
            if "/R/" in path and CLAIMS_FOLDER not in path
        }
    )


@pytest.mark.parametrize("verify", ["validated", "read-back"])
def test_a_late_file_downloads_nothing(lost: Scene, proxy: Proxy, verify: str) -> None:
    lost.config["verify"] = verify
    (lost.main / "R" / "late").write_text("late")
    lost.run()
    late = ["late"] if verify == "read-back" else []
    assert read(proxy) == late
    assert lost.get("R/late") == b"late"
    # What is claimed of the others is what is known of them.
    rows = lost.documents("R")[1]
    assert {row["path"]: row["evidence"] for row in rows} == {
        "Data/one.bcl": "listed",
        "RunInfo.xml": "listed",
        FLAG: "listed",
        "late": verify,
    }
    lost.run("--thorough")
    assert read(proxy) == []
    lost.run("audit", "--read-back")
    assert len(read(proxy)) == 4


def test_a_limit_of_a_pass_is_resumed_file_by_file(lost: Scene, proxy: Proxy) -> None:
    lost.config |= {"remove-source": "yes", "read-back-limit": "0.000000001"}
    assert (
        "9 B, would be read back first, at most 1 B in a pass (read-back-limit)"
        in lost.run("--dry-run").stderr
    )
    assert read(proxy) == []
    lost.run()
    assert read(proxy) == ["Data/one.bcl"]
    assert tree(lost.main / "R") and tree(lost.main / "S")
    assert lost.state("R") == lost.state("S") == ("published", "removal-read-back")
    assert "at most 1 B in a pass" in lost.run("check").stdout
    proxy.seen.clear()
    told = lost.run().stderr
    assert read(proxy) == [FLAG, "RunInfo.xml"]
    assert not (lost.main / "R").exists() and tree(lost.main / "S")
    assert "S: published; 3 files, 9 B, must be read back before it is removed" in told
    assert not any("/S" in path for _, path in proxy.seen), "nothing is asked when the limit is reached"
    for _ in range(2):
        lost.run()
    assert not (lost.main / "S").exists()


def test_a_folder_that_stands_aside_goes_back_when_the_limit_is_reached(lost: Scene, proxy: Proxy) -> None:
    lost.config |= {"remove-source": "yes", "read-back-limit": "0.000000001"}
    (lost.main / "R").rename(lost.main / ".sync_to_azure-removing-R")
    lost.run()
    assert len(tree(lost.main / "R")) == 3
    for _ in range(3):
        lost.run()
    assert list(lost.main.iterdir()) == []


def test_archived_blobs_are_not_read_and_hold_the_removal(lost: Scene, proxy: Proxy) -> None:
    blob = lost.container.get_blob_client("R/Data/one.bcl")
    blob.set_standard_blob_tier("Archive")
    lost.config["remove-source"] = "yes"
    assert "R: would not be removed: published, not removed: 1 blobs, 3 B" in lost.run("--dry-run").stderr
    told = lost.run(expect=1).stderr
    assert "1 blobs, 3 B, must be read back first, and are archived: Data/one.bcl (rehydrate them" in told
    assert read(proxy) == [] and tree(lost.main / "R") and not (lost.main / "S").exists()
    assert lost.state("R") == ("published", "removal-archived")
    lost.run()
    assert not any("/R/" in path or "prefix=R" in path for _, path in proxy.seen), "listed again a day later"
    blob.set_standard_blob_tier("Hot")
    lost.run("--thorough")
    assert not (lost.main / "R").exists()


def test_what_our_own_answers_prove_is_removed_though_it_is_archived(scene: Scene, proxy: Proxy) -> None:
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.through(proxy).run()
    for path in ("Data/one.bcl", "RunInfo.xml", FLAG):
        scene.container.get_blob_client(f"R/{path}").set_standard_blob_tier("Archive")
    proxy.reset()
    scene.config["remove-source"] = "yes"
    scene.run()
    assert read(proxy) == [] and not (scene.main / "R").exists()


def test_what_an_audit_found_is_read_back_and_healed_after_the_ledger_was_lost(
    scene: Scene, proxy: Proxy
) -> None:
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.through(proxy).run()
    scene.put("R/Data/one.bcl", b"ONE", md5_of=b"one")
    scene.lose_ledger()
    scene.run()
    scene.run("audit", "--read-back", expect=1)
    read(proxy)
    scene.run("--thorough")
    assert scene.get("R/Data/one.bcl") == b"one"
    scene.run("audit", "--read-back")
