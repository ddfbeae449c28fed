"""The evidence key as passes use it: refused where others can read it, made when there is something to publish."""

from __future__ import annotations

from tests.passes.scene import Scene


def test_one_that_others_can_read_is_refused(scene: Scene) -> None:
    key = scene.folder / "key"
    key.write_text("ab" * 32)
    key.chmod(0o640)
    scene.config |= {"uploader": "native", "evidence-key": key}
    scene.make_run("R")
    told = scene.run(expect=2).stderr
    assert "evidence-key" in told and "can be read by others (mode 0640)" in told and "chmod 600" in told
    assert scene.etags() == {}
    key.chmod(0o600)
    scene.run()
    assert "hmac_sha256" in scene.documents("R")[2]
    assert key.read_text() == "ab" * 32


def test_without_a_place_for_it_runs_are_published_and_it_is_said_once(scene: Scene) -> None:
    scene.config |= {"uploader": "native", "evidence-key": scene.folder / "absent" / "key"}
    scene.make_run("R")
    assert "receipts are written without an HMAC" in scene.run().stderr
    assert "hmac_sha256" not in scene.documents("R")[2]
    scene.make_run("S")
    assert "HMAC" not in scene.run().stderr
    checked = scene.run("check").stdout
    assert "is not there, and" in checked and "openssl rand -hex 32" in checked
    (scene.folder / "absent").mkdir()
    scene.make_run("T")
    scene.run()
    assert "hmac_sha256" in scene.documents("T")[2]
    assert "back it up" in scene.run("check").stdout


def test_a_dry_run_makes_none(scene: Scene) -> None:
    scene.config |= {"uploader": "native"}
    scene.make_run("R")
    scene.run("--dry-run")
    assert not list(scene.folder.glob("*.evidence-key"))


def test_one_that_we_may_not_read_stops_a_pass_and_no_look(scene: Scene) -> None:
    key = scene.folder / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    scene.config |= {"uploader": "native", "evidence-key": key}
    scene.make_run("R")
    scene.run()
    key.chmod(0)
    scene.make_run("S")
    told = scene.run(expect=2, unprivileged=True).stderr
    assert f"{key} cannot be read: Permission denied" in told and "Traceback" not in told
    scene.run("status", unprivileged=True)
    key.chmod(0o600)
    scene.run()
    assert "hmac_sha256" in scene.documents("S")[2]


def test_documents_of_another_destination_vouch_for_nothing(scene: Scene) -> None:
    """The same account, container, run and key: only the destination is another."""
    scene.config |= {"uploader": "native", "destination": "/one"}
    scene.make_run("R")
    scene.run()
    for name in list(scene.etags()):
        scene.put("two" + name.removeprefix("one"), scene.get(name))
    scene.config["destination"] = "/two"
    told = scene.run().stderr
    assert "its receipt was not written with this evidence-key" in told
    scene.lose_ledger()
    scene.config["destination"] = "/one"
    assert "confirmed by the evidence-key" in scene.run().stderr
