"""What an attack by somebody with fresh eyes found, each with the real command: writers of the container and of the
share, and requests of our own that arrive late."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import signal
import threading
import time
import zlib

import pytest
from azure.storage.blob import BlobBlock, ContentSettings

from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, write

BLOB = "R/Data/one.bcl"


@pytest.mark.parametrize("size", [9_000_000, 200_000], ids=["blocks", "one request"])
def test_a_late_block_under_an_id_that_another_tool_chose(size: int, scene: Scene, proxy: Proxy) -> None:
    """Short ids that another tool left name no bytes: a block of a killed pass that arrives late would be committed."""
    scene.config |= {"uploader": "native", "timeout": 60}
    scene.container.get_blob_client(BLOB).stage_block("0" * 32, b"left by another tool")
    run = scene.make_run("R", {"Data/one.bcl": b"O" * size})
    held, release, arrived = threading.Event(), threading.Event(), threading.Event()

    def before(method: str, path: str) -> None:
        if method != "PUT" or BLOB not in path:
            return
        if "comp=block&" in path + "&" and not held.is_set():
            held.set()
            release.wait(LONG)
        elif "comp=blocklist" in path and held.is_set():
            release.set()
            arrived.wait(20)
            threading.Event().wait(0.5)

    def after(method: str, path: str) -> None:
        if release.is_set() and "comp=block&" in path + "&" and BLOB in path:
            arrived.set()

    proxy.before, proxy.after = before, after
    process = scene.through(proxy).start()
    assert held.wait(LONG)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (run / "Data" / "one.bcl").write_bytes(b"N" * size)
    scene.config["remove-source"] = "true"
    scene.run()
    assert release.is_set() and arrived.is_set()
    assert scene.get(BLOB) == b"N" * size and not run.exists()
    scene.check_sums("R")


def put_encoded(scene: Scene, name: str, content: bytes, md5_of: bytes) -> None:
    blob = scene.container.get_blob_client(name)
    blob.stage_block("AAAA", content)
    settings = ContentSettings(content_encoding="gzip", content_md5=bytearray(hashlib.md5(md5_of).digest()))
    blob.commit_block_list([BlobBlock("AAAA")], content_settings=settings)


def test_reading_back_goes_by_what_is_stored_whatever_its_encoding(scene: Scene) -> None:
    """gzip of the file, filled up to its size, with the MD5 of the file: unpacked, it is the file."""
    scene.config["uploader"] = "native"
    content = b"data " * 20_000
    run = scene.make_run("R", {"Data/one.bcl": content})
    scene.run()
    packed = gzip.compress(content)
    put_encoded(scene, BLOB, packed + b"\0" * (len(content) - len(packed)), md5_of=content)
    scene.config |= {"remove-source": "true", "verify": "read-back"}
    assert "contained other bytes than their MD5" in scene.run(expect=1).stderr
    scene.run()
    assert not run.exists()
    stored = scene.container.download_blob(BLOB, decompress=False).readall()
    assert stored == content


def peak(process_id: int) -> int:
    """Kilobytes resident at most, so far."""
    try:
        text = pathlib.Path(f"/proc/{process_id}/status").read_text("utf-8")
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), default=0)


def test_a_document_that_unpacks_to_gigabytes_stays_as_small_as_it_is(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    scene.make_run("A")
    scene.make_run("B")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * (16 << 20)) for _ in range(24)) + packer.flush()
    put_encoded(scene, "A.json", bomb, md5_of=bomb)
    process = scene.start(cold=True)
    most = 0
    while process.poll() is None:
        most = max(most, peak(process.pid))
        time.sleep(0.02)
    process.communicate()
    assert 0 < most < 200_000
    assert process.returncode == 1 and scene.is_published("B") and not scene.is_published("A")


def test_who_was_overtaken_asks_again_whose_run_it_is(scene: Scene, proxy: Proxy) -> None:
    """While A uploads, a person gives the run to B, which verifies all. A must not write over that."""
    scene.config |= {"uploader": "native", "timeout": 200}
    scene.make_run("R")
    write(scene.folder / "b" / "R", {"Data/one.bcl": "BBB", "RunInfo.xml": "<b/>", FLAG: ""})
    through = {"blob-endpoint": proxy.endpoint}
    a = scene.config | through
    b = a | {"main-folder": scene.folder / "b", "state-file": scene.folder / "b.sqlite"}
    a_held, a_go, b_verified, b_go = (threading.Event() for _ in range(4))

    def before(method: str, path: str) -> None:
        name = path.partition("?")[0]
        if method == "PUT" and name.endswith(f"/{BLOB}") and not a_held.is_set():
            a_held.set()
            a_go.wait(LONG)
        if method == "PUT" and name.endswith("/R.files.jsonl") and not b_verified.is_set():
            b_verified.set()
            b_go.wait(LONG)

    proxy.before = before
    first = scene.start_command(config=a)
    assert a_held.wait(LONG)
    assert scene.run_command(config=b).returncode == 1
    assert scene.run_command("accept", "R", "--reason", "A is retired", "--yes", config=b).returncode == 0
    second = scene.start_command(config=b)
    assert b_verified.wait(LONG)
    a_go.set()
    _, told = first.communicate()
    b_go.set()
    second.communicate()
    assert first.returncode == 1 and "another one by now" in told
    assert second.returncode == 0 and scene.is_published("R") and scene.get(BLOB) == b"BBB"
    scene.check_sums("R")


def forge(scene: Scene, drop: str | None = None, **changes: str) -> None:
    """Manifests and receipt of R that agree with each other."""
    lines = [json.loads(line) for line in scene.get("R.files.jsonl").splitlines()]
    lines = [line for line in lines if line["path"] != drop]
    for line in lines:
        if line["path"] == "Data/one.bcl":
            line.update(changes)
    manifest = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    sums = b"".join(f"{line['md5']}  R/{line['path']}\n".encode() for line in lines)
    receipt = json.loads(scene.get("R.json"))
    receipt |= {"files": len(lines), "bytes": sum(line["size"] for line in lines)}
    receipt["sha256"] = {
        "R.md5": hashlib.sha256(sums).hexdigest(),
        "R.files.jsonl": hashlib.sha256(manifest).hexdigest(),
    }
    scene.put("R.files.jsonl", manifest)
    scene.put("R.md5", sums)
    scene.put("R.json", json.dumps(receipt).encode())


def test_documents_that_only_agree_with_each_other_are_written_again_before_a_removal(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    scene.run()
    forge(scene, drop="Data/one.bcl")
    scene.config["remove-source"] = "true"
    scene.run()
    scene.run()
    assert not run.exists()
    assert b"Data/one.bcl" in scene.get("R.files.jsonl") and b"Data/one.bcl" in scene.get("R.md5")
    scene.check_sums("R")


@pytest.mark.parametrize("generation", [1, 2])
def test_an_audit_finds_forged_documents_of_a_removed_run(generation: int, scene: Scene) -> None:
    scene.config |= {"uploader": "native", "remove-source": "true"}
    scene.make_run("R")
    scene.run()
    assert scene.run_command("audit", config=scene.config).returncode == 0
    scene.put(BLOB, b"bad")
    etag = str(scene.container.get_blob_client(BLOB).get_blob_properties().etag).strip('"')
    forge(scene, md5=hashlib.md5(b"bad").hexdigest(), etag=etag)
    if generation == 2:
        scene.put("R.json", json.dumps(json.loads(scene.get("R.json")) | {"generation": 2}).encode())
    done = scene.run_command("audit", config=scene.config)
    assert done.returncode == 1 and "R.json is not the receipt that was published" in done.output


def test_a_forged_receipt_above_the_destination_stops_no_flow_that_was_there_before(scene: Scene) -> None:
    scene.config |= {"uploader": "native", "destination": "lab/seq"}
    scene.make_run("R")
    scene.run()
    destination = {"container": scene.container.container_name, "prefix": ""}
    scene.put("lab.json", json.dumps({"schema": 1, "run": "lab", "destination": destination}).encode())
    scene.make_run("S")
    done = scene.run(expect=1)
    assert "is inside run lab" in done.stderr and scene.is_published("lab/seq/S")
    # Reported once.
    scene.make_run("T")
    scene.run()


def test_a_withdrawal_that_was_held_back_takes_no_later_marker_away(scene: Scene, proxy: Proxy) -> None:
    scene.config |= {"uploader": "native", "timeout": 60}
    scene.through(proxy)
    run = scene.make_run("R")
    scene.run()
    (run / "Data" / "one.bcl").write_bytes(b"another")
    scene.run("--thorough", expect=1)
    scene.run("accept", "R", "--reason", "x", "--yes")
    deletes: list[str] = []
    held, release, done = threading.Event(), threading.Event(), threading.Event()

    def before(method: str, path: str) -> None:
        if method == "DELETE":
            deletes.append(path)
            # The first one only asks whether it may.
            if len(deletes) == 2:
                held.set()
                release.wait(LONG)

    def after(method: str, path: str) -> None:
        if method == "DELETE" and release.is_set():
            done.set()

    proxy.before, proxy.after = before, after
    process = scene.start()
    assert held.wait(LONG)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    scene.run()
    assert scene.is_published("R") and scene.get(BLOB) == b"another"
    release.set()
    assert done.wait(LONG)
    assert scene.is_published("R")
    scene.check_sums("R")


def test_a_claim_with_a_number_far_above_all_others_is_no_claim(scene: Scene) -> None:
    """After it there would be no number left."""
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.put(".sync_to_azure-claims/R/999999999", os.urandom(10))
    scene.run()
    assert scene.is_published("R")


def test_a_generation_after_which_no_other_can_be_read_is_none(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.run()
    receipt = json.loads(scene.get("R.json"))
    scene.put("R.json", json.dumps(receipt | {"generation": 2**31}).encode())
    # Not taken over: the documents are written again, one generation later.
    scene.run("--thorough")
    assert json.loads(scene.get("R.json"))["generation"] == 2
    scene.check_sums("R")
