"""A completed run arrives byte for byte, with documents that prove it; a pass that follows sends nothing."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import shutil

import pytest

from tests.conftest import LONG
from tests.passes.bad_input.faults import AZCOPY_FAILS, stand_in
from tests.passes.proxy import Proxy
from tests.passes.scene import DOCUMENTS, FLAG, Scene, eventually, tree, write

MIB = 1024 * 1024


def shared(scene: Scene, shared_runs: pathlib.Path, *names: str) -> None:
    for name in names:
        shutil.copytree(shared_runs / "runs" / name, scene.main / name)
        for path in (scene.main / name).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_real_runs_arrive_byte_for_byte(scene: Scene, shared_runs: pathlib.Path) -> None:
    nextseq, hiseq = "170609_NB551051_0017_AHLFFJBGX2", "151005_ST-00295_0022_BHH5VTCCXX"
    miseq = "130417_M00146_0021_000000000-A2WDF"
    shared(scene, shared_runs, nextseq, hiseq, miseq)
    scene.config["destination"] = "/lake/raw/"
    outcome = scene.run()
    [line] = [line for line in outcome.stderr.splitlines() if miseq in line]
    assert "waiting: RTAComplete.txt is missing" in line
    assert not [name for name in scene.etags() if miseq in name]

    for run, files in ((nextseq, 20), (hiseq, 317)):
        base = f"lake/raw/{run}"
        assert tree(scene.download(base) / run) == tree(scene.main / run)
        scene.check_sums(base)
        _, rows, receipt, marker = scene.documents(base)
        assert len(rows) == files
        assert receipt["schema"] == 1 and receipt["run"] == run and receipt["generation"] == 1
        assert receipt["outcome"] == "finished" and receipt["extras"] == 0
        assert receipt["weakest_evidence"] == "validated" and receipt["evidence"] == {"validated": files}
        assert {row["evidence"] for row in rows} == {"validated"}
        etags = scene.etags()
        assert all(row["etag"] == etags[f"{base}/{row['path']}"].strip('"') for row in rows)
        assert datetime.datetime.fromisoformat(marker.strip()).tzinfo is not None
        written = {blob.name: blob.last_modified for blob in scene.container.list_blobs(base)}
        assert written[base + ".sync"] == max(written.values())

    before = scene.etags()
    jobs = scene.azcopy_jobs()
    assert jobs == 2
    scene.run()
    assert (scene.etags(), scene.azcopy_jobs()) == (before, jobs)
    scene.lose_ledger()
    scene.run()
    scene.run("--thorough")
    assert (scene.etags(), scene.azcopy_jobs()) == (before, jobs)


def test_evidence_follows_what_the_service_checked(scene: Scene, azcopy_calls: pathlib.Path) -> None:
    """AzCopy sends one Put Blob up to a bound that hangs on its buffers; made small here, so that files can be."""
    small, large = os.urandom(8 * MIB), os.urandom(71 * MIB + 1)
    scene.make_run("R", {"small.raw": small, "large.raw": large, "empty.raw": b""})
    scene.config["verify"] = "listed"
    scene.run(environment={"AZCOPY_BUFFER_GB": "0.1"})
    _, rows, receipt, _ = scene.documents("R")
    evidence = {row["path"]: row["evidence"] for row in rows}
    assert evidence["large.raw"] == "listed" == receipt["weakest_evidence"]
    assert evidence["small.raw"] == evidence["empty.raw"] == "validated"
    assert receipt["evidence"] == {"listed": 1, "validated": 5}
    # A blob that was sent as blocks shows them; one Put Blob has none: the claim rests on this.
    for name, blocks in (("small.raw", False), ("large.raw", True)):
        committed, _ = scene.container.get_blob_client(f"R/{name}").get_block_list("committed")
        assert bool(committed) is blocks
    assert scene.get("R/large.raw") == large and scene.get("R/small.raw") == small


def test_the_marker_is_written_last_and_only_after_a_listing(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).make_run("R")
    scene.run()
    seen = proxy.seen
    beside = [path.rpartition("/")[2] for method, path in seen if method == "PUT" and "/R/" not in path]
    assert beside == [f"R{suffix}" for suffix in DOCUMENTS]
    last_data = max(at for at, (method, path) in enumerate(seen) if method == "PUT" and "/R/" in path)
    first_document = min(at for at, (method, path) in enumerate(seen) if path.endswith("/R.files.jsonl"))
    assert any("comp=list" in path for _, path in seen[last_data:first_document])


def test_flags_in_another_case_and_several(scene: Scene) -> None:
    scene.config["completion-flag"] = ["RTAComplete.txt", "CopyComplete.txt"]
    run = scene.make_run("R")
    outcome = scene.run()
    assert "R: waiting: CopyComplete.txt is missing" in outcome.stderr
    (run / "copycomplete.TXT").mkdir()
    assert not scene.is_published("R")
    assert "CopyComplete.txt is missing" in scene.run().stderr, "a folder is no flag"
    (run / "copycomplete.TXT").rmdir()
    (run / "copycomplete.TXT").touch()
    scene.run()
    assert scene.is_published("R")


def test_quiet_time_is_measured_by_our_own_looks(scene: Scene) -> None:
    run = scene.make_run("R")
    for path in run.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    scene.config["completion-delay"] = 100
    first = scene.run()
    assert re.search(r"R: waiting: unchanged since .+, uploaded from .+ on", first.stderr), first.stderr
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    (run / "Data" / "two.bcl").write_text("late, deep, and from an old clock")
    os.utime(run / "Data" / "two.bcl", (1_000_000_000, 1_000_000_000))
    os.utime(run / "Data", (1_000_000_000, 1_000_000_000))
    second = scene.run()
    assert "waiting: unchanged since" in second.stderr and not scene.is_published("R")
    (run / "Thumbs.db").write_text("junk does not restart the quiet time")
    scene.sql("UPDATE run SET quiet_since = quiet_since - 101")
    third = scene.run()
    assert scene.is_published("R"), third.output
    assert "R/Data/two.bcl" in scene.etags()


def test_time_in_the_future_warns_and_blocks_nothing(scene: Scene) -> None:
    run = scene.make_run("R")
    os.utime(run / "RunInfo.xml", (4_000_000_000, 4_000_000_000))
    outcome = scene.run()
    assert "in the future" in outcome.stderr
    assert scene.is_published("R")


@pytest.mark.parametrize("destination", ["/", "/deep/er"])
def test_source_is_not_touched(scene: Scene, destination: str) -> None:
    scene.config["destination"] = destination
    run = scene.make_run("R")
    write(run, {"a/b/c.txt": "c"})

    def facts() -> list[tuple[str, int, int, int]]:
        found = sorted([run, *run.rglob("*")])
        return [
            (str(path), path.stat().st_mtime_ns, path.stat().st_mode, path.stat().st_ino) for path in found
        ]

    before = facts()
    scene.run()
    assert facts() == before
    base = f"{destination.strip('/')}/R".lstrip("/")
    assert {name for name in scene.etags()} == {
        *(f"{base}{suffix}" for suffix in DOCUMENTS),
        *(f"{base}/{name}" for name in ("Data/one.bcl", "RunInfo.xml", FLAG, "a/b/c.txt")),
    }
    scene.check_sums(base)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(scene: Scene) -> None:
    run = scene.make_run("R", {"SampleSheet.csv": "own"})
    outcome = scene.run("--dry-run")
    assert re.search(r"would be uploaded: 4 files, \d+ B", outcome.stdout)
    assert "dry run ended: 0 published" in outcome.stderr and "pass ended" not in outcome.stderr
    assert scene.etags() == {} and scene.azcopy_jobs() == 0
    scene.run()
    scene.config["remove-source"] = "true"
    before, folder = scene.etags(), tree(run)
    (scene.sheets() / "R.csv").write_text("outside")
    (run / "late.txt").write_text("late")
    assert "would be uploaded: " in scene.run("--dry-run", "--thorough").output
    assert scene.etags() == before and tree(run).keys() == folder.keys() | {"late.txt"}


@pytest.mark.parametrize("how", ["released", "killed"])
def test_nobody_waits_for_a_dry_run(scene: Scene, proxy: Proxy, how: str) -> None:
    """However long it takes: a person's word and a pass are as quick as ever, and nothing of it stays."""
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.through(proxy)
    scene.run()
    (scene.main / "R" / "late.txt").write_text("late")
    folder = scene.ledger.parent
    there = {path.name for path in folder.iterdir()}
    proxy.before = lambda method, path: proxy.wait_for_release() if "comp=list" in path else None
    proxy.seen.clear()
    dry = scene.start("--dry-run", "--thorough")
    assert eventually(lambda: any("comp=list" in path for _, path in proxy.seen))
    assert json.loads(scene.run("status", "--json").stdout)["pass"]["running"] is False
    scene.run("hold", "R", "--reason", "a test")
    scene.run("release", "R")
    proxy.before = lambda method, path: None
    assert "R: published" in scene.run().output, "the pass that a dry run must not stop"
    assert "R/late.txt" in scene.etags()
    if how == "killed":
        dry.kill()
    proxy.hold.set()
    said = dry.communicate(timeout=LONG)[0]
    assert how == "killed" or "would be uploaded: 0 files" in said, "by now it is there"
    left = {path.name for path in folder.iterdir()} - there
    assert not [name for name in left if "dry-run" in name or name.endswith(".work")]


def test_only_the_runs_that_are_asked_for(scene: Scene) -> None:
    for name in ("A1", "A2", "B1"):
        scene.make_run(name)
    scene.run("--only-run", "A*")
    assert scene.is_published("A1") and scene.is_published("A2")
    assert not [name for name in scene.etags() if name.startswith("B")]


def test_a_file_rewritten_under_its_size_and_time_is_hashed_anew(scene: Scene) -> None:
    """Its MD5 was kept from a pass that could send nothing; what AzCopy then sends is another content."""
    run = scene.make_run("R")
    real, broken = scene.config["azcopy"], scene.folder / "broken-azcopy"
    version = '[ "$1" = --version ] && echo "azcopy version 10.32.2" && exit 0'
    scene.config["azcopy"] = stand_in(broken, f"{version}\n{AZCOPY_FAILS}")
    scene.run(expect=1)
    file = run / "Data" / "one.bcl"
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    scene.config["azcopy"] = real
    scene.run()
    assert scene.get("R/Data/one.bcl") == b"two"
    scene.check_sums("R")


def test_a_time_in_the_future_is_told_once_and_holds_nothing_up(scene: Scene) -> None:
    run = scene.make_run("R")
    os.utime(run / "RunInfo.xml", (2_208_988_800, 2_208_988_800))  # 2040
    assert "is in the future" in scene.run().stderr
    assert scene.is_published("R")
    assert "is in the future" not in scene.run("--thorough").stderr
