"""The real command with each uploader: whole passes, levels of evidence, a kill in the middle of a large file."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import typing

import pytest

from embedded.azurite import Azurite
from sync_to_azure.uploaders import blocks
from tests.conftest import LONG
from tests.passes.bad_input.faults import assert_no_secret, blobs, told, write_run
from tests.passes.identity.conftest import CLIENT_SECRET, TokenEndpoint
from tests.passes.scene import FLAG, Scene, eventually, tree
from tests.uploaders.wire import CUT, MEBIBYTE, Request, Wire

BOTH = pytest.mark.parametrize("uploader", ["azcopy", "native"])
SMALL_BUFFERS = {"AZCOPY_BUFFER_GB": "0.02"}
"""AzCopy's Put Blob goes up to 14 MiB then."""


def evidence(scene: Scene) -> dict[str, int]:
    return dict(scene.sql("SELECT blob, evidence FROM file"))


def test_real_runs_and_odd_names(scene: Scene, shared_runs: pathlib.Path) -> None:
    scene.config |= {"uploader": "native"}
    del scene.config["azcopy"]  # nothing of it is needed
    run = next(iter(sorted((shared_runs / "runs").iterdir())))
    shutil.copytree(run, scene.main / "real")
    (scene.main / "real" / FLAG).touch()
    scene.make_run("odd", {name: name for name in ("new\nline", "a b/ü", "100%25", "q?#&+", "-x", "dot.x")})
    scene.run()
    for name in ("real", "odd"):
        assert scene.is_published(name)
        sums = {row["path"]: row["md5"] for row in scene.documents(name)[1]}
        expected = {
            path: hashlib.md5(content).hexdigest() for path, content in tree(scene.main / name).items()
        }
        assert {path: sums[path] for path in sums if path in expected} == sums
        assert len(sums) > 3
        for path in sums:
            assert hashlib.md5(scene.get(f"{name}/{path}")).hexdigest() == sums[path]
    assert set(evidence(scene).values()) == {2}
    assert not scene.azcopy_jobs()


@BOTH
@pytest.mark.parametrize("level", ["listed", "validated", "read-back"])
def test_a_blob_with_a_lying_md5(uploader: str, level: str, scene: Scene) -> None:
    """Right size, right MD5 in the listing, wrong bytes: as blocks without checksums leave it."""
    scene.config |= {"uploader": uploader, "verify": level}
    scene.make_run("A", {"lies": b"right bytes", "small": "1"})
    scene.put("A/lies", b"wrong bytes", md5_of=b"right bytes")
    outcome = scene.run()
    assert scene.is_published("A")
    if level == "listed":
        assert scene.get("A/lies") == b"wrong bytes"
        assert evidence(scene)["lies"] == 1
        return
    assert scene.get("A/lies") == b"right bytes"
    assert "blob lies contains other bytes than its MD5" in outcome.output
    assert set(evidence(scene).values()) <= ({2, 3} if level == "validated" else {3})


@BOTH
def test_before_the_source_is_removed_a_lying_blob_is_found(uploader: str, scene: Scene) -> None:
    scene.config |= {"uploader": uploader, "verify": "listed"}
    scene.make_run("A", {"lies": b"right bytes"})
    scene.put("A/lies", b"wrong bytes", md5_of=b"right bytes")
    scene.run()
    assert scene.get("A/lies") == b"wrong bytes"
    scene.expire_credentials()
    scene.config["remove-source"] = "true"
    for _ in range(3):
        outcome = scene.run_command(config=scene.config)
        assert outcome.returncode in (0, 1), outcome.output
    assert scene.get("A/lies") == b"right bytes"
    assert not (scene.main / "A").exists()


def test_what_azcopy_leaves_unchecked_is_read_back_and_says_so(scene: Scene) -> None:
    scene.make_run("A", {"above": os.urandom(15 * MEBIBYTE), "below": os.urandom(9 * MEBIBYTE)})
    outcome = scene.run(environment=SMALL_BUFFERS)
    assert (
        "1 files" in outcome.output
        and "are read back" in outcome.output
        and "--uploader native" in outcome.output
    )
    assert {name: evidence(scene)[name] for name in ("above", "below")} == {"above": 3, "below": 2}


def test_an_interrupted_reading_back_goes_on_where_it_was(scene: Scene, azurite: Azurite) -> None:
    scene.config |= {"uploader": "native", "verify": "read-back"}
    names = [f"f{number}" for number in range(6)]
    scene.make_run("A", {name: name for name in names})

    def act(request: Request) -> None:
        if request.kind == "GET blob" and "A/f3" in request.path and not wire.released.is_set():
            wire.released.wait(LONG)

    with Wire(azurite.port) as wire:
        wire.act = act
        scene.config["blob-endpoint"] = wire.endpoint
        process = scene.start()
        assert eventually(lambda: any("A/f3" in r.path and r.kind == "GET blob" for r in wire.seen))
        process.kill()
        process.wait()
        wire.released.set()
        wire.seen.clear()
        scene.run()
        read = [r.path.partition("?")[0].rpartition("/")[2] for r in wire.seen if r.kind == "GET blob"]
        assert scene.is_published("A") and set(evidence(scene).values()) == {3}
        assert "f3" in read and not {"f0", "f1", "f2"} & set(read)
        assert not [r for r in wire.seen if r.method == "PUT" and r.blob.startswith("A/")]


def test_a_kill_in_the_middle_of_a_large_file_costs_only_the_blocks_on_their_way(
    scene: Scene, azurite: Azurite
) -> None:
    scene.config |= {"uploader": "native", "concurrency": 2}
    count = 12
    content = os.urandom(count * blocks.BLOCK - 7)
    scene.make_run("A", {"large": content})

    def act(request: Request) -> str | None:
        """Half of the blocks go through; the others are on their way until the kill, and lost then."""
        if request.kind == "PUT block" and wire.answered.count(("PUT block", 201)) >= count // 2:
            wire.released.wait(LONG)
            return CUT
        return None

    with Wire(azurite.port) as wire:
        scene.config["blob-endpoint"] = wire.endpoint
        wire.act = act
        process = scene.start()
        assert eventually(lambda: wire.answered.count(("PUT block", 201)) >= count // 2)
        process.kill()
        process.wait()
        assert "A/large" not in scene.etags()
        wire.act = lambda request: None
        wire.released.set()
        wire.seen.clear()
        scene.run()
        assert 1 <= wire.kinds().count("PUT block") <= count // 2
    assert scene.get("A/large") == content
    scene.check_sums("A")


def test_a_file_that_the_lake_writes_and_that_changes_meanwhile_is_not_called_validated(
    scene: Scene, azurite: Azurite
) -> None:
    """Its MD5 was computed before: what came then stands under another's MD5."""
    name = "new\nline"
    run = scene.make_run("A", {name: b"1" * 9 * MEBIBYTE})

    def act(request: Request) -> None:
        if request.kind == "PUT block" and (run / name).read_bytes()[:1] == b"1":
            (run / name).write_bytes(b"2" * 9 * MEBIBYTE)

    with Wire(azurite.port) as wire:
        wire.act = act
        scene.config["blob-endpoint"] = wire.endpoint
        scene.run_command(config=scene.config)
        assert not scene.is_published("A")
        assert evidence(scene).get(name, 0) <= 1
        scene.run()
    assert scene.get(f"A/{name}") == b"2" * 9 * MEBIBYTE


@BOTH
def test_tiers(uploader: str, scene: Scene) -> None:
    scene.config["uploader"] = uploader
    scene.make_run("A")
    outcome = scene.run("--access-tier", "archive", expect=2)
    assert "neither read nor overwritten" in outcome.stderr
    scene.run("--access-tier", "cool")
    tiers = {blob.name: blob.blob_tier for blob in scene.container.list_blobs()}
    assert scene.is_published("A")
    assert {tiers[name] for name in tiers if name.startswith("A/")} == {"Cool"}


def test_a_service_principal_for_real(
    run_command: typing.Any,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
    secure_container: typing.Any,
    tmp_path: pathlib.Path,
) -> None:
    """HTTPS with a certificate of our own, and tokens that are due for renewal all the time."""
    token_endpoint.life = 301.0
    folder = write_run(main_folder, "run")
    (folder / "large").write_bytes(os.urandom(20 * MEBIBYTE))
    config = service_principal | {"uploader": "native", "log-file": tmp_path / "x.log", "log-level": "DEBUG"}
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 0, "run: published")
    assert {"run.sync", "run/large"} <= blobs(secure_container)
    assert secure_container.download_blob("run/large").readall() == (folder / "large").read_bytes()
    assert_no_secret(tmp_path, outcome, [CLIENT_SECRET, "not checked"], but=("client.secret",))


def test_a_certificate_that_nobody_vouches_for(
    run_command: typing.Any,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    secure_container: typing.Any,
) -> None:
    write_run(main_folder, "run")
    config = service_principal | {"uploader": "native", "retry-times": 1}
    environment = {
        name: value for name, value in trusting.items() if "BUNDLE" not in name and "SSL" not in name
    }
    outcome = run_command(config=config, environment=environment)
    assert outcome.returncode == 3 and not blobs(secure_container)
