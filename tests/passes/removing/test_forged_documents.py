"""Somebody who may write to the container, and nothing else, wants the source to be unlinked without a good copy.

He may write any blob and any document, and copy documents from one place to another; he has neither our ledger nor our
key. Whatever he writes, the bytes at the source stay until the same bytes were proved to be in the lake.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree
from tests.passes.removing.test_read_back import read

FILES = {"Data/one.bcl": b"one", "RunInfo.xml": b"<run/>", FLAG: b""}


@pytest.fixture
def native(scene: Scene, proxy: Proxy) -> Scene:
    """R is published, and stays at the source for now."""
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.through(proxy).run()
    proxy.reset()
    return scene


def key_of(scene: Scene) -> pathlib.Path:
    credentials = pathlib.Path(str(scene.config["credentials"]))
    return credentials.with_name(f"{credentials.name}.evidence-key")


def forge(scene: Scene, how: dict[str, dict[str, typing.Any]], **receipt: typing.Any) -> None:
    """Manifests and receipt that agree with each other and with the blobs. ``how``: changes of lines by path."""
    _, rows, true, _ = scene.documents("R")
    rows = [row | how.get(row["path"], {}) for row in rows]
    documents = {
        "R.md5": "".join(f"{row['md5']}  R/{row['path']}\n" for row in rows).encode(),
        "R.files.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in documents.items()}
    documents["R.json"] = json.dumps(true | {"sha256": digests, **receipt}).encode()
    for name, content in documents.items():
        scene.put(name, content)


def replaced(scene: Scene, path: str, content: bytes, md5_of: bytes) -> dict[str, typing.Any]:
    """Another blob under the name of a published one, and a line of the manifest that swears to it."""
    scene.put(f"R/{path}", content, md5_of=md5_of)
    etag = scene.etags()[f"R/{path}"].strip('"')
    return {"etag": etag, "evidence": "read-back", "own_etag": True, "md5": hashlib.md5(md5_of).hexdigest()}


@pytest.mark.parametrize("ledger", ["kept", "lost"])
@pytest.mark.parametrize("receipt", ["as it was", "a later one", "forged HMAC"])
def test_a_manifest_that_swears_to_another_blob(native: Scene, ledger: str, receipt: str) -> None:
    """Zeros under the published MD5 during ``remove-after``, with a manifest that says read-back of the new ETag."""
    line = replaced(native, "Data/one.bcl", bytes(3), md5_of=b"one")
    if receipt == "as it was":
        lines = [json.loads(each) for each in native.get("R.files.jsonl").splitlines()]
        lines = [each | (line if each["path"] == "Data/one.bcl" else {}) for each in lines]
        native.put("R.files.jsonl", "".join(json.dumps(each) + "\n" for each in lines).encode())
    else:
        hmac = {"hmac_sha256": "00" * 32} if receipt == "forged HMAC" else {}
        forge(native, {"Data/one.bcl": line}, generation=7, evidence={"read-back": 3}, **hmac)
    if ledger == "lost":
        native.lose_ledger()
    native.config["remove-source"] = "yes"
    native.run_command(config=native.config)
    native.run_command(config=native.config)
    here = tree(native.main / "R")
    for path, content in FILES.items():
        assert here.get(path) == content or native.get(f"R/{path}") == content, path
    # The blob was read back, and sent again from the source that still has it.
    assert native.get("R/Data/one.bcl") == b"one"


def test_genuine_documents_spare_reading_back(native: Scene, proxy: Proxy) -> None:
    assert json.loads(native.get("R.json"))["hmac_sha256"]
    native.lose_ledger()
    native.config["remove-source"] = "yes"
    assert "confirmed by the evidence-key" in native.run().stderr
    assert read(proxy) == [] and not (native.main / "R").exists()


def test_evidence_of_genuine_documents_stays_in_the_next_ones(native: Scene, proxy: Proxy) -> None:
    native.lose_ledger()
    (native.main / "R" / "late").write_text("late")
    native.run()
    assert {row["evidence"] for row in native.documents("R")[1]} == {"validated"}
    assert read(proxy) == []
    native.check_sums("R")


def test_only_what_stands_under_its_etag_is_spared(native: Scene, proxy: Proxy) -> None:
    native.put("R/RunInfo.xml", b"<run/>")
    native.lose_ledger()
    native.config["remove-source"] = "yes"
    native.run()
    assert read(proxy) == ["RunInfo.xml"] and not (native.main / "R").exists()


@pytest.mark.parametrize("how", ["no key", "another key", "no HMAC", "another run's", "another layout"])
def test_what_our_key_does_not_vouch_for_is_read_back(native: Scene, proxy: Proxy, how: str) -> None:
    native.config["remove-source"] = "yes"
    receipt = json.loads(native.get("R.json"))
    expected = sorted(FILES)
    match how:
        case "no key":
            key_of(native).unlink()
            key_of(native).parent.chmod(0o755)
        case "another key":
            key_of(native).write_text("ab" * 32)
        case "no HMAC":
            del receipt["hmac_sha256"]
            native.put("R.json", json.dumps(receipt).encode())
        case "another run's":
            # R's documents and blobs under another name: they vouch for nothing there.
            run = native.make_run("S")
            for path, content in FILES.items():
                native.put(f"S/{path}", content)
            etags = native.etags()
            rows = [json.loads(line) for line in native.get("R.files.jsonl").splitlines()]
            lines = [row | {"etag": etags[f"S/{row['path']}"].strip('"')} for row in rows]
            assert lines and run.is_dir()
            for suffix in (".md5", ".files.jsonl", ".json", ".sync"):
                native.put(f"S{suffix}", native.get(f"R{suffix}"))
        case "another layout":
            # Not a forgery: the same values.
            native.put("R.json", json.dumps(receipt, indent=7, sort_keys=True).encode())
            expected = []
    native.lose_ledger()
    outcome = native.run_command(config=native.config)
    assert outcome.returncode in (0, 1) and "Traceback" not in outcome.output
    if how == "another run's":
        assert "S: published before" in outcome.stderr
        assert outcome.stderr.count("confirmed by the evidence-key") == 1
        assert native.get("S/Data/one.bcl") == b"one"
        return
    assert read(proxy) == expected and not (native.main / "R").exists()
    assert ("confirmed by the evidence-key" in outcome.stderr) is (how == "another layout")


def test_an_older_generation_put_back_proves_only_what_it_proved(native: Scene, proxy: Proxy) -> None:
    """A replay: the documents of the first publishing, after a blob was replaced."""
    old = {suffix: native.get(f"R{suffix}") for suffix in (".md5", ".files.jsonl", ".json")}
    (native.main / "R" / "late").write_text("late")
    native.run()
    native.put("R/Data/one.bcl", bytes(3), md5_of=b"one")
    for suffix, content in old.items():
        native.put(f"R{suffix}", content)
    native.lose_ledger()
    native.config["remove-source"] = "yes"
    for _ in range(2):
        native.run_command(config=native.config)
    here = tree(native.main / "R")
    for path, content in {**FILES, "late": b"late"}.items():
        assert here.get(path) == content or native.get(f"R/{path}") == content, path


def test_azcopys_own_files_are_read_back_all_the_same(any_scene: Scene, proxy: Proxy) -> None:
    """Their evidence is a nonce that everybody can read: good for publishing, not for removing."""
    any_scene.make_run("R")
    any_scene.through(proxy).run()
    assert not any("own_etag" in row for row in any_scene.documents("R")[1])
    any_scene.lose_ledger()
    any_scene.config["remove-source"] = "yes"
    proxy.reset()
    # By the receipt, then by the nonces of the listing, which the new ledger does not know.
    for _ in range(2):
        any_scene.run()
        any_scene.expire_credentials()
    any_scene.run()
    assert read(proxy) == sorted(FILES) and not (any_scene.main / "R").exists()
