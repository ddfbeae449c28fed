"""Projects that are never done: passes that are killed, and what the next ones make of it; words; what vanishes."""

from __future__ import annotations

import hashlib
import os

import pytest

from embedded.spectra import thermo_raw
from tests.conftest import LONG
from tests.passes.continuous.projects import DAY, HOUR, Projects
from tests.passes.continuous.test_passes import RAW, a_project
from tests.passes.cut import killed_at
from tests.passes.proxy import Proxy


def test_the_sign_is_written_though_the_pass_after_a_kill_did_not_come_to_it(
    proteomics: Projects, proxy: Proxy
) -> None:
    scene = proteomics.scene.through(proxy)
    a_project(proteomics)
    killed_at(scene, proxy, "PROT12/results.ready")
    late = proteomics.write("Prot12/late.raw", RAW)

    def rewrite(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("samples/late.raw"):
            late.write_bytes(RAW + b"more")

    proxy.before = rewrite
    scene.run()
    proxy.reset()
    assert scene.state("PROT12") == ("waiting", "changed-meanwhile") and proteomics.ready("PROT12") is None
    scene.run()
    assert proteomics.ready("PROT12") is not None
    before = scene.etags()
    scene.run()
    assert scene.etags() == before


@pytest.mark.parametrize("cut", ["samples/a.raw", ".files.jsonl", ".md5", ".json"])
def test_what_an_acceptance_replaced_is_found_by_its_receipt(
    cut: str, proteomics: Projects, proxy: Proxy
) -> None:
    """Also if the pass was cut off within it: the snapshot is of the old bytes."""
    scene = proteomics.scene.through(proxy)
    proteomics.write("Prot12/a.raw", RAW)
    scene.run()
    other = thermo_raw(5000, seed=9)
    proteomics.write("Prot12/a.raw", other, 30 * HOUR)
    scene.run(expect=1)
    scene.run("accept", "PROT12", "--yes")
    killed_at(scene, proxy, cut)
    scene.run()
    assert proteomics.lake("PROT12")["samples/a.raw"] == other
    [kept] = proteomics.receipt("PROT12")["replaced"]
    old = scene.container.get_blob_client("PROT12/samples/a.raw", snapshot=kept["snapshot"])
    assert old.download_blob().readall() == RAW and kept["md5"] == hashlib.md5(RAW).hexdigest()
    before = scene.etags()
    scene.run()
    assert scene.etags() == before


def test_an_acquisition_that_broke_off_is_told_also_where_nothing_else_is(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", thermo_raw(5000, acquiring=True), 60 * DAY)
    scene.run()
    assert scene.state("PROT1") == ("waiting", "continuous")
    scene.sql("UPDATE stability SET since = since - ?", 49 * HOUR)
    scene.run(expect=1)
    assert scene.state("PROT1") == ("flagged", "never-ended")
    scene.run("accept", "PROT1", "--yes")
    scene.run()
    assert scene.state("PROT1") == ("verified", "continuous") and set(proteomics.lake("PROT1")) == {
        "samples/a.raw"
    }


def test_who_accepts_what_broke_off_accepts_nothing_that_is_being_acquired(proteomics: Projects) -> None:
    scene = proteomics.scene
    broken = thermo_raw(5000, acquiring=True)
    proteomics.write("Prot1/a.raw", broken, 60 * DAY)
    scene.run()
    scene.sql("UPDATE stability SET since = since - ?", 49 * HOUR)
    scene.run(expect=1)
    scene.run("accept", "PROT1", "--yes")
    proteomics.write("Prot1/c.raw", thermo_raw(5000, acquiring=True, seed=4), 25 * HOUR)
    scene.run()
    assert proteomics.lake("PROT1") == {"samples/a.raw": broken}
    assert set(proteomics.waiting("PROT1")) == {"c.raw"}


def test_a_project_that_vanishes_with_files_that_wait_is_told(proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/a.raw", RAW)
    proteomics.write("Prot1/b.raw", RAW, HOUR)
    proteomics.write("Prot2/c.raw", RAW)
    scene.run()
    (scene.main / "Prot1").rename(scene.folder / "away")
    told = scene.run(expect=1)
    assert "vanished before 1 waiting files were uploaded" in told.output
    assert scene.state("PROT1") == ("gone", "vanished-waiting")
    assert "1 needs attention" in scene.run("status").output
    assert "ERROR" not in scene.run().output
    (scene.folder / "away").rename(scene.main / "Prot1")
    scene.run()
    assert scene.state("PROT1") == ("verified", "continuous")
    (scene.main / "Prot2").rename(scene.folder / "away")
    scene.run()
    assert scene.state("PROT2") == ("gone", "not-there"), "nothing of it waited"


@pytest.mark.parametrize("ledger", ["kept", "lost"])
@pytest.mark.parametrize("profiles", [("proteomics", "generic"), ("generic", "proteomics")])
def test_a_profile_of_another_kind_carries_nothing_of_it(
    profiles: tuple[str, str], ledger: str, proteomics: Projects
) -> None:
    """No marker over a project that goes on, and no run that is finished that goes on."""
    scene = proteomics.scene
    proteomics.write("PROT12/a.raw", RAW)
    scene.config["profile"] = profiles[0]
    scene.run()
    before = scene.etags()
    if ledger == "lost":
        scene.lose_ledger()
    scene.config["profile"] = profiles[1]
    told = scene.run(expect=1)
    assert "the destination has it as" in told.output and scene.etags() == before
    assert "ERROR" not in scene.run().output and scene.etags() == before
    scene.config["profile"] = profiles[0]
    proteomics.write("PROT12/b.raw", RAW)
    scene.run()
    assert scene.state("PROT12")[0] in ("verified", "published")
    assert any(name.endswith("b.raw") for name in scene.etags())
    assert ("PROT12.sync" in scene.etags()) is (profiles[0] == "generic")


def test_a_dry_run_counts_what_would_be_replaced(proteomics: Projects) -> None:
    scene = proteomics.scene
    a_project(proteomics)
    scene.run()
    proteomics.write("Prot12/Prot12_Results.xlsx", "better", 25 * HOUR)
    before = scene.etags()
    assert "would be uploaded: 1 files" in scene.run("--dry-run").output
    assert scene.etags() == before
    scene.run()
    assert proteomics.lake("PROT12")["results/prot12_results.xlsx"] == b"better"


@pytest.mark.parametrize("seen", [False, True])
def test_a_word_may_name_the_folder(seen: bool, proteomics: Projects) -> None:
    scene = proteomics.scene
    proteomics.write("Prot1/young.raw", RAW, HOUR)
    if seen:
        scene.run()
    scene.run("hold", "Prot1", "--reason", "wait for the customer")
    proteomics.write("Prot1/a.raw", RAW)
    scene.run()
    assert proteomics.lake("PROT1") == {}
    assert "wait for the customer" in scene.run("explain", "prot1").output
    scene.run("release", "prot1")
    scene.run()
    assert set(proteomics.lake("PROT1")) == {"samples/a.raw"}


def test_a_project_is_looked_at_again_in_time(proteomics: Projects) -> None:
    scene = proteomics.scene
    scene.config["reverify-after"] = 30
    a_project(proteomics)
    scene.run()
    scene.sql("UPDATE run SET verified_at = verified_at - ?1, published_at = published_at - ?1", 31 * DAY)
    scene.container.delete_blob("PROT12/samples/a.raw")
    scene.run()
    assert proteomics.lake("PROT12")["samples/a.raw"] == RAW


def test_what_was_replaced_before_a_kill_is_not_claimed_to_be_well(
    proteomics: Projects, proxy: Proxy
) -> None:
    """The blob is new, its manifest is not, and the source became a third thing, which is too young."""
    scene = proteomics.scene.through(proxy)
    a_project(proteomics)
    scene.run()
    proteomics.write("Prot12/Prot12_Results.xlsx", "better", 25 * HOUR)
    killed_at(scene, proxy, "PROT12.files.jsonl")
    proteomics.write("Prot12/Prot12_Results.xlsx", "the best", HOUR)
    late = proteomics.write("Prot12/late.raw", RAW)

    def rewrite(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("samples/late.raw"):
            late.write_bytes(RAW + b"more")

    proxy.before = rewrite
    scene.run()
    proxy.reset()
    assert scene.state("PROT12") == ("waiting", "changed-meanwhile")
    told = scene.run(expect=1)
    assert "1 blobs are missing or wrong" in told.output and "results/prot12_results.xlsx" in told.output
    proteomics.write("Prot12/Prot12_Results.xlsx", "the best", 25 * HOUR)
    scene.run()
    assert scene.state("PROT12") == ("verified", "continuous")
    assert proteomics.lake("PROT12")["results/prot12_results.xlsx"] == b"the best"
    scene.check_sums("PROT12")


def test_what_we_sent_is_ours_also_after_a_kill(proteomics: Projects, proxy: Proxy) -> None:
    scene = proteomics.scene.through(proxy)
    proteomics.write("Prot1/a.raw", RAW)

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("samples/a.raw"):
            process.kill()
            process.wait(LONG)

    proxy.after = kill
    process = scene.start()
    process.wait(LONG)
    proxy.reset()
    assert process.returncode == -9 and proteomics.lake("PROT1") == {"samples/a.raw": RAW}
    proteomics.write("Prot1/a.raw", RAW + b"more")
    scene.run()
    assert proteomics.lake("PROT1") == {"samples/a.raw": RAW + b"more"}


def test_a_large_file_that_moves_under_its_old_time_is_sent_anew(proteomics: Projects, proxy: Proxy) -> None:
    """With AzCopy, in place of which the native uploader writes it, in blocks."""
    scene = proteomics.scene.through(proxy)
    scene.config["uploader"] = "azcopy"
    path = proteomics.write("Prot1/a.raw", thermo_raw(40 * 1024 * 1024))
    written = path.stat().st_mtime_ns
    moved: list[str] = []

    def move(method: str, blob: str) -> None:
        if method == "PUT" and "samples/a.raw" in blob and "comp=block" in blob and not moved:
            moved.append(blob)
            with open(path, "r+b") as opened:
                opened.seek(39 * 1024 * 1024)
                opened.write(b"other bytes")
            os.utime(path, ns=(written, written))

    proxy.before = move
    scene.run()
    proxy.reset()
    scene.run()
    assert proteomics.lake("PROT1")["samples/a.raw"] == path.read_bytes()
    scene.check_sums("PROT1")
