"""A run that is carried while the instrument writes it."""

from __future__ import annotations

import os
import pathlib
import threading
import time
import typing

import pytest

from embedded.instrument import Instrument
from embedded.runs import write_nextseq
from sync_to_azure.transfer.steps.incremental import goes_last
from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree, write

BOTH = pytest.mark.parametrize("uploader", ["azcopy", "native"])


@pytest.fixture
def early(scene: Scene) -> Scene:
    """A run that goes on; what was seen twice stands still."""
    scene.config |= {"incremental": "yes", "stable-for": 0.2, "uploader": "native"}
    run = scene.run_command

    def run_and_wait(*arguments: object, **options: typing.Any) -> typing.Any:
        outcome = run(*arguments, **options)
        # The next pass looks so much later; a warm start may be quicker.
        time.sleep(0.2)
        return outcome

    scene.run_command = run_and_wait
    return scene


def going_on(scene: Scene, **files: bytes | str) -> pathlib.Path:
    run = scene.main / "A"
    write(run, {"RunInfo.xml": "<run/>", "Data/1.bcl": "one", "Data/2.bcl": "two", **files})
    return run


def blobs(scene: Scene) -> set[str]:
    return set(scene.etags())


@pytest.mark.parametrize(
    ("blob", "last"),
    [
        ("RTAComplete.txt", True),
        ("RunInfo.xml", True),
        ("anything", True),
        ("InterOp/QMetricsOut.bin", True),
        ("interop/C1.1/QMetricsOut.bin", True),
        ("Data/Logs/x.bcl", True),
        ("Data/Intensities/config.xml", True),
        ("1_A01/metadata/m84028_230214_022129_s1.transferdone", True),
        ("1_A01/.m54006_160504_020705.transferdone", True),
        ("Data/Intensities/BaseCalls/L001/0001.bcl.bgzf", False),
        ("Data/Intensities/BaseCalls/L001/C1.1/s_1_1101.bcl", False),
        ("pod5_pass/x.pod5", False),
        ("InterOptimum/x.bin", False),
    ],
)
def test_what_goes_last(blob: str, last: bool) -> None:
    assert goes_last(blob) is last


@BOTH
def test_only_the_tail_remains(uploader: str, early: Scene) -> None:
    early.config["uploader"] = uploader
    run = going_on(early)
    early.run()
    assert not blobs(early), "one look says nothing"
    outcome = early.run()
    assert blobs(early) == {"A/Data/1.bcl", "A/Data/2.bcl"}
    assert early.state("A") == ("waiting", "flag-missing")
    assert "uploaded before it was finished, not published: 2 files, 6 B" in outcome.output
    before = early.etags()
    write(run, {"Data/3.bcl": "three", FLAG: ""})
    early.run()
    after = early.etags()
    assert early.is_published("A") and {name: after[name] for name in before} == before
    early.check_sums("A")
    assert all(row["evidence"] == "validated" for row in early.documents("A")[1])
    assert early.sql("SELECT count(*) FROM stability") == [(0,)]


def test_what_still_grows_is_not_touched(early: Scene) -> None:
    run = going_on(early)
    for number in range(3):
        with (run / "Data/2.bcl").open("a") as file:
            file.write(str(number))
        early.run()
    assert blobs(early) == {"A/Data/1.bcl"}


def test_without_it_nothing_moves_before_the_flag(early: Scene) -> None:
    early.config["incremental"] = "no"
    going_on(early)
    early.run()
    early.run()
    assert not blobs(early)


def test_a_file_that_becomes_another_is_sent_again(early: Scene) -> None:
    run = going_on(early)
    early.run()
    early.run()
    write(run, {"Data/1.bcl": "longer", FLAG: ""})
    (run / "Data/2.bcl").unlink()
    early.run()
    assert early.is_published("A")
    assert early.get("A/Data/1.bcl") == b"longer"
    sums, rows, receipt, _ = early.documents("A")
    assert "Data/2.bcl" not in sums, "a file that went before the end is no file of the run"


def test_a_late_write_under_the_same_size_and_time_is_found(early: Scene) -> None:
    """A share tells some writes late: mtime stays, ctime does not."""
    run = going_on(early)
    early.run()
    early.run()
    assert "A/Data/1.bcl" in blobs(early)
    path = run / "Data/1.bcl"
    status = path.stat()
    path.write_bytes(b"eno")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    write(run, {FLAG: ""})
    early.run()
    assert early.is_published("A") and early.get("A/Data/1.bcl") == b"eno"
    early.check_sums("A")
    assert all(row["evidence"] in ("validated", "read-back") for row in early.documents("A")[1])


def test_a_touched_file_is_not_sent_again(early: Scene) -> None:
    """Another ctime and the same bytes: hashed, compared, read back."""
    run = going_on(early)
    early.run()
    early.run()
    before = early.etags()["A/Data/1.bcl"]
    (run / "Data/1.bcl").chmod(0o640)
    write(run, {FLAG: ""})
    early.run()
    assert early.is_published("A") and early.etags()["A/Data/1.bcl"] == before


def test_the_quiet_time_holds_all_the_same(early: Scene) -> None:
    early.config["completion-delay"] = 3600
    run = going_on(early)
    write(run, {FLAG: ""})
    early.run()
    early.run()
    assert blobs(early) == {"A/Data/1.bcl", "A/Data/2.bcl"}
    assert early.state("A") == ("waiting", "not-quiet-yet")


def test_a_run_that_breaks_off_says_what_is_there(early: Scene) -> None:
    run = going_on(early)
    early.run()
    early.run()
    early.run("--no-incremental")
    assert not early.is_published("A") and early.state("A") == ("waiting", "flag-missing")
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run.rmdir()
    (early.main / "B").mkdir()
    early.run(expect=1)
    assert early.state("A") == ("gone", "vanished") and not early.is_published("A")


def test_dry_run_carries_nothing_early(early: Scene) -> None:
    going_on(early)
    early.run("--dry-run")
    early.run("--dry-run")
    assert not blobs(early)


def test_a_run_that_others_published_is_left_alone(early: Scene) -> None:
    """A predecessor's marker: the whole is compared when it is complete."""
    early.put("A/Data/1.bcl", b"theirs")
    early.put("A.sync", b"2020-01-01T00:00:00")
    before = early.etags()
    going_on(early)
    early.run()
    early.run()
    assert early.etags() == before


def test_a_kill_while_it_carries_early_costs_nothing(early: Scene, proxy: Proxy) -> None:
    run = going_on(early, **{f"Data/{number}.bcl": os.urandom(300_000) for number in range(10, 30)})
    early.through(proxy)
    early.run()
    sent = threading.Event()

    def after(method: str, path: str) -> None:
        if method == "PUT":
            sent.set()

    proxy.after = after
    process = early.start()
    assert sent.wait(LONG)
    process.kill()
    process.wait()
    proxy.reset()
    write(run, {FLAG: ""})
    early.run()
    assert early.is_published("A")
    early.check_sums("A")


def test_an_instrument_at_work(early: Scene, tmp_path: pathlib.Path) -> None:
    """Pieces, rewrites, flags: whatever the passes saw on the way, the end is the run."""
    source = write_nextseq(tmp_path / "finished", files=80, size=2_000_000).folder
    early.config |= {"stable-for": 0.5, "completion-flag": "RTAComplete.txt"}
    instrument = Instrument(source, early.main, seconds=8)
    writer = threading.Thread(target=instrument.write, kwargs={"flags": False})
    writer.start()
    # Its last flags wait for us: on a busy machine it would be done before we looked twice.
    looks_after = 2
    while looks_after:
        looks_after -= not writer.is_alive()
        early.run()
    ahead = early.etags()
    base = source.name
    assert not early.is_published(base)
    instrument.finish()
    early.run()
    assert early.is_published(base)
    early.check_sums(base)
    assert {name.removeprefix(f"{base}/"): early.get(name) for name in blobs(early) if "/" in name} == tree(
        source
    )
    now = early.etags()
    kept = [name for name, etag in ahead.items() if now.get(name) == etag]
    assert len(kept) > 40, "most of it had been carried before the end"
