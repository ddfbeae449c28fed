"""A pass is killed before the marker, and the next one does not come to it either: it is written all the same."""

from __future__ import annotations

from tests.passes.cut import killed_at
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene


def test_the_marker_comes_though_a_file_moved_in_the_pass_after_the_kill(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).config["uploader"] = "native"
    run = scene.make_run("R1")
    killed_at(scene, proxy, "R1.sync")
    (run / "new").write_text("new")

    def rewrite(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("R1/new"):
            (run / "new").write_text("written to")

    proxy.before = rewrite
    scene.run()
    proxy.reset()
    assert scene.state("R1") == ("published", "changed-meanwhile") and not scene.is_published("R1")
    (run / "new").unlink()
    scene.run()
    assert scene.is_published("R1")
