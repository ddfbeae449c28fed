"""Into the main folder beside removing passes: the run is held, or nothing is brought back there."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import subprocess

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, tree
from tests.passes.removing.conftest import ASIDE


@pytest.fixture
def removed(scene: Scene) -> Scene:
    """R is published and removed; S keeps the main folder from being empty."""
    scene.config |= {"uploader": "native", "remove-source": "true"}
    scene.make_run("R")
    scene.make_run("S", {"unfinished": ""}).joinpath("RTAComplete.txt").unlink()
    scene.run()
    assert not (scene.main / "R").exists()
    return scene


def same(scene: Scene) -> pathlib.Path:
    return scene.main


def linked(scene: Scene) -> pathlib.Path:
    link = scene.folder / "elsewhere"
    if not link.is_symlink():
        link.symlink_to(scene.main.parent)
    return link / "main"


@pytest.mark.parametrize("way", [same, linked])
def test_what_is_brought_back_stays(
    removed: Scene, way: collections.abc.Callable[[Scene], pathlib.Path]
) -> None:
    said = removed.run("restore", "R", "--to", way(removed)).stdout
    assert ", restored into" in said and "R is held, so that no pass removes it again" in said
    assert "release R --config-file" in said
    back = tree(removed.main / "R")
    assert back["Data/one.bcl"] == b"one"
    held = removed.run().stderr
    removed.run("--thorough")
    assert tree(removed.main / "R") == back and "R: held by" in held
    removed.run("restore", "R", "--to", way(removed))
    assert removed.sql("SELECT count(*) FROM override WHERE key = 'R'") == [(1,)], "it is held already"
    removed.run("release", "R")
    removed.run()
    assert not (removed.main / "R").exists(), "released, it goes again"


def test_through_another_mount_of_the_main_folder(removed: Scene) -> None:
    """Another path, the same folder."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    point = removed.folder / "bind"
    point.mkdir()
    mount = f"mount --bind '{removed.main}' '{point}'"
    done = removed.in_namespace(mount, "restore", "R", "--to", point)
    assert done.returncode == 0 and "R is held" in done.stdout, done.stdout + done.stderr
    removed.run()
    assert (removed.main / "R" / "RunInfo.xml").exists()


def test_into_another_folder_nothing_is_held(removed: Scene, tmp_path: pathlib.Path) -> None:
    said = removed.run("restore", "R", "--to", tmp_path / "back").output
    assert "held" not in said and removed.sql("SELECT count(*) FROM override") == [(0,)]


def test_below_a_run_that_run_is_held(removed: Scene) -> None:
    said = removed.run("restore", "R", "--to", removed.main / "S" / "old").stdout
    assert "S is held" in said and removed.sql("SELECT key FROM override") == [("S",)]


def test_around_the_main_folder_is_refused(removed: Scene) -> None:
    """Its folders would be runs."""
    removed.config["main-folder"] = removed.main / "R"
    (removed.main / "R").mkdir()
    said = removed.run("restore", "R", "--to", removed.main, expect=2).stderr
    assert "which holds the main folder" in said and tree(removed.main / "R") == {}


def test_where_it_cannot_be_held_nothing_is_brought_back(removed: Scene) -> None:
    removed.lose_ledger()
    removed.ledger.write_text("no database, but long enough to be taken for one" * 100)
    said = removed.run("restore", "R", "--to", removed.main, expect=3).stderr
    assert "cannot be held there" in said and "--to" in said
    assert not (removed.main / "R").exists()


def test_without_the_config_the_receipt_says_where_the_main_folder_is(
    removed: Scene, tmp_path: pathlib.Path
) -> None:
    keys = ("blob-endpoint", "container-name", "credentials", "auth", "destination")
    kept = {key: value for key, value in removed.config.items() if key in keys}
    refused = removed.run_command("restore", "R", "--to", removed.main, config=kept)
    assert refused.returncode == 2 and "is the main folder that R was published from" in refused.stderr
    assert not (removed.main / "R").exists()
    assert removed.run_command("restore", "R", "--to", tmp_path / "back", config=kept).returncode == 0


def test_not_while_it_is_removed(removed: Scene) -> None:
    """Its folder stands aside: what is brought back would be in the way of putting it back."""
    os.makedirs(removed.main / (ASIDE + "R"))
    removed.sql("UPDATE run SET state = 'removing' WHERE key = 'R'")
    said = removed.run("restore", "R", "--to", removed.main, expect=2).stderr
    assert "R is being removed" in said and not (removed.main / "R").exists()
    assert removed.sql("SELECT count(*) FROM override") == [(0,)]


def test_a_hold_that_comes_while_it_is_proved_comes_before_it_is_moved(scene: Scene, proxy: Proxy) -> None:
    """What restore writes into at that moment stays where it is."""
    scene.config |= {"uploader": "native", "remove-source": "false"}
    run = scene.through(proxy).make_run("R")
    scene.run()
    scene.config["remove-source"] = "true"

    def hold(method: str, path: str) -> None:
        if "prefix=R/" in path:
            proxy.after = lambda method, path: None
            scene.run("hold", "R")

    proxy.after = hold
    scene.run()
    assert "RunInfo.xml" in tree(run) and scene.state("R") == ("published", None)
    assert scene.sql("SELECT count(*) FROM event WHERE code LIKE 'removing%'") == [(0,)]
