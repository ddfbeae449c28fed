"""When the source goes, the manifest in the lake is the only one that stays: it must be the one that was written."""

from __future__ import annotations

import pathlib

import pytest

from tests.passes.scene import Scene, tree


@pytest.mark.parametrize("end", [".files.jsonl", ".md5", ".json"])
@pytest.mark.parametrize("how", ["deleted", "overwritten"])
def test_a_manifest_that_was_damaged_is_written_anew_before_the_source_goes(
    scene: Scene, tmp_path: pathlib.Path, end: str, how: str
) -> None:
    scene.config["remove-source"] = "false"
    expected = tree(scene.make_run("R", {"sub/data": "data"}))
    scene.run()
    if how == "deleted":
        scene.container.delete_blob(f"R{end}")
    else:
        scene.put(f"R{end}", b"{}\n")
    scene.config["remove-source"] = "yes"
    planned = scene.run("--dry-run").stderr
    assert "R: would not be removed: its manifest, receipt or checksums are written again first" in planned
    first = scene.run()
    assert (scene.main / "R").exists(), "the next pass removes it"
    assert "its manifest, receipt or checksums are written again" in first.stderr
    scene.documents("R")
    scene.run()
    assert not (scene.main / "R").exists()
    scene.run("audit")
    scene.run("restore", "R", "--to", tmp_path / "back")
    assert tree(tmp_path / "back" / "R") == expected


def test_a_marker_that_somebody_took_away_is_theirs_to_put_back(scene: Scene) -> None:
    """It may have been meant: only a thorough look writes it anew."""
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.run()
    scene.container.delete_blob("R.sync")
    scene.container.delete_blob("R.md5")
    scene.config["remove-source"] = "yes"
    assert "its marker is not at the destination" in scene.run(expect=1).stderr
    assert not {"R.sync", "R.md5"} & set(scene.etags()) and (scene.main / "R").exists()
