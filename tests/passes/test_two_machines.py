"""Two machines with a ledger each publish one run at the same moment: what stands belongs together, at every moment."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import DOCUMENTS, Scene


def together(scene: Scene) -> None:
    """A receipt vouches for the manifests that stand, or there is none; a marker has a receipt."""
    etags = scene.etags()
    assert "R.sync" not in etags or "R.json" in etags
    if "R.json" in etags:
        receipt = json.loads(scene.get("R.json"))
        assert receipt["sha256"] == {
            name: hashlib.sha256(scene.get(name)).hexdigest() for name in ("R.md5", "R.files.jsonl")
        }


@pytest.mark.parametrize("published", [False, True], ids=["first", "grown"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_other_one_cuts_in_before_a_document(
    document: str, published: bool, scene: Scene, proxy: Proxy
) -> None:
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    other = scene.config | {"state-file": scene.folder / "other-machine.sqlite"}
    if published:
        scene.run()
        scene.run_command(config=other)
        (run / "late.txt").write_text("late")
    scene.through(proxy)
    codes: list[int] = []

    def before(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith(f"/R{document}") and not codes:
            codes.append(-1)
            codes.append(scene.run_command(config=other).returncode)

    proxy.before = before
    ours = scene.run_command(config=scene.config)
    assert codes[1:] and codes[1] in (0, 1) and ours.returncode in (0, 1)
    together(scene)
    proxy.reset()
    for config in (scene.config, other, scene.config):
        scene.run_command("--thorough", config=config)
    together(scene)
    assert scene.is_published("R")
    scene.check_sums("R")
    scene.run()
    assert scene.run_command(config=other).returncode == 0
