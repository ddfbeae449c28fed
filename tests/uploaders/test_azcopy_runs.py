"""Whole passes with the real AzCopy: what it must not replace, what proves that a blob is its own, what a killed one
leaves, and when its runs may be removed."""

from __future__ import annotations

import json
import threading

from tests.conftest import LONG
from tests.passes.scene import Scene, eventually
from tests.uploaders.wire import Answer, Request, Wire


def is_azcopys(request: Request) -> bool:
    return request.headers.get("User-Agent", "").startswith("AzCopy")


def test_another_writers_blob_is_not_replaced_by_azcopy(scene: Scene, wire: Wire) -> None:
    """It comes between our listing and AzCopy's look. AzCopy skips it and exits 0; it is listed and planned again."""
    scene.config["blob-endpoint"] = wire.endpoint
    scene.make_run("R")
    written: list[str] = []

    def act(request: Request) -> None:
        if (
            request.method == "HEAD"
            and request.blob == "R/Data/one.bcl"
            and is_azcopys(request)
            and not written
        ):
            written.append(request.blob)
            scene.put(request.blob, b"by another writer")

    wire.act = act
    outcome = scene.run()
    assert written and "1 files were skipped" in outcome.output and scene.azcopy_jobs() == 1
    writes = [request for request in wire.seen if request.writes and request.blob == "R/Data/one.bcl"]
    assert writes and not any(map(is_azcopys, writes))
    assert scene.is_published("R") and scene.get("R/Data/one.bcl") == b"one"


def test_only_the_nonce_of_its_job_makes_a_blob_validated(scene: Scene, wire: Wire) -> None:
    """Somebody writes the same bytes over one after AzCopy: it was not AzCopy's request that the service checked."""
    scene.config |= {"blob-endpoint": wire.endpoint, "verify": "listed"}
    scene.make_run("R")

    def change(request: Request, status: int, content: bytes) -> bytes:
        if request.writes and request.blob == "R/Data/one.bcl" and is_azcopys(request):
            scene.put(request.blob, b"one")
        return content

    wire.change = change
    scene.run()
    evidence = dict(scene.sql("SELECT blob, evidence FROM file"))
    assert evidence == {"Data/one.bcl": 1, "RunInfo.xml": 2, "RTAComplete.txt": 2}
    assert scene.sql("SELECT DISTINCT etag_is_own FROM file") == [(0,)]
    assert scene.is_published("R") and scene.azcopy_jobs() == 1


def test_a_run_whose_azcopy_was_killed_with_its_pass_is_finished_natively(scene: Scene, wire: Wire) -> None:
    scene.config["blob-endpoint"] = wire.endpoint
    scene.make_run("R", {f"Data/{number}.bcl": str(number) for number in range(20)})
    held = threading.Event()

    def act(request: Request) -> Answer | None:
        if request.writes and request.blob == "R/Data/7.bcl" and is_azcopys(request):
            held.set()
            wire.released.wait(LONG)
            return Answer(503, "ServerBusy")
        return None

    wire.act = act
    process = scene.start()
    assert held.wait(LONG)
    process.kill()
    process.wait(LONG)
    assert eventually(lambda: not scene.azcopy_runs())
    wire.released.set()
    outcome = scene.run()
    assert "AzCopy was cut off" in outcome.output and scene.azcopy_jobs() == 1
    assert scene.is_published("R")
    scene.check_sums("R")
    # Also what comes to it later.
    late = scene.main / "R" / "late.csv"
    late.write_text("late")
    scene.run()
    assert scene.get("R/late.csv") == b"late" and scene.azcopy_jobs() == 1


def test_a_run_of_azcopy_waits_with_its_removal_until_its_credentials_expired(scene: Scene) -> None:
    scene.config["remove-source"] = "true"
    run = scene.make_run("R")
    waits = ("published", "removal-after-credentials")
    scene.run()
    [(expires,)] = scene.sql("SELECT expires FROM azcopy_job")
    assert scene.state("R") == waits and run.is_dir()
    times = scene.documents("R")[2]["times"]
    assert times["azcopy_credentials_expire"] is not None
    said = scene.run_command("status", config=scene.config)
    assert (
        said.returncode == 0
        and "when the last credential that AzCopy was given for it has expired" in said.output
    )
    assert "(AzCopy's credentials expire then)" in scene.run("--dry-run").output

    scene.lose_ledger()
    scene.run()
    assert scene.state("R") == waits and run.is_dir()
    [(reason,)] = scene.sql("SELECT reason_parameters FROM run")
    assert abs(json.loads(reason)["from"] - expires) < 2, "by the receipt"
    scene.expire_credentials()
    outcome = scene.run()
    assert "1 AzCopy jobs uploaded some of it that the ledger does not know" in outcome.output
    assert "are read back before the source is removed" in outcome.output
    assert scene.state("R") == waits and run.is_dir()

    scene.expire_credentials()
    scene.run()
    assert scene.state("R")[0] == "removed" and not run.exists()
    assert scene.azcopy_jobs() == 1


def test_a_run_that_was_uploaded_natively_waits_for_no_credential(scene: Scene) -> None:
    scene.config |= {"uploader": "native", "remove-source": "true"}
    run = scene.make_run("R")
    scene.run()
    assert scene.documents("R")[2]["times"]["azcopy_credentials_expire"] is None
    assert scene.state("R")[0] == "removed" and not run.exists()
