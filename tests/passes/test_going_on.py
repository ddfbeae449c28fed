"""A run that is carried while it is written, attacked: files become others, ledgers are lost, passes are in the way."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import random
import re
import subprocess
import sys
import threading

import pytest

from embedded.instrument import Instrument
from embedded.runs import write_nextseq
from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree, write
from tests.passes.test_incremental import early, going_on
from tests.passes.removing.conftest import Share, share

__all__ = ["early", "share"]

FIRST = "Data/1.bcl"
Act = collections.abc.Callable[[pathlib.Path], object]


def carried(scene: Scene, **files: bytes | str) -> pathlib.Path:
    """A run of which what stands still was carried."""
    run = going_on(scene, **files)
    scene.run()
    scene.run()
    assert f"A/{FIRST}" in scene.etags()
    return run


def rewrite(path: pathlib.Path, content: bytes) -> None:
    """Other bytes under the same size and mtime."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def reads(proxy: Proxy, blob: str) -> list[str]:
    return [path for method, path in proxy.seen if method == "GET" and path.split("?")[0].endswith(blob)]


# What becomes of files that were carried


def _folder(path: pathlib.Path) -> None:
    path.unlink()
    write(path, {"inner.bcl": "in a folder now"})


def _symlink(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("2.bcl")


def _swap(path: pathlib.Path) -> None:
    """Same size, and the mtimes go with the names."""
    other, aside = path.with_name("2.bcl"), path.with_name("aside")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


@pytest.mark.parametrize(
    ("act", "left_over"),
    [
        (lambda path: path.unlink(), 1),
        (lambda path: path.rename(path.with_name("9.bcl")), 1),
        (lambda path: path.parent.rename(path.parent.with_name("Data2")), 2),
        (lambda path: os.truncate(path, 1), 0),
        (lambda path: os.truncate(path, 0), 0),
        (lambda path: rewrite(path, b"ONE"), 0),
        (_swap, 0),
        (_folder, 1),
        (_symlink, 1),
    ],
    ids=[
        "deleted",
        "renamed",
        "folder renamed",
        "cut",
        "emptied",
        "rewritten",
        "swapped",
        "folder",
        "symlink",
    ],
)
@pytest.mark.parametrize("seen_between", [False, True])
def test_what_becomes_of_a_carried_file(act: Act, left_over: int, seen_between: bool, early: Scene) -> None:
    run = carried(early)
    act(run / FIRST)
    if seen_between:
        early.run()
        early.run()
    write(run, {FLAG: ""})
    early.run()
    _, rows, receipt, _ = early.documents("A")
    expected = tree(run)
    assert {row["path"]: early.get(f"A/{row['path']}") for row in rows} == expected
    assert receipt["extras"] == left_over, "a blob that no file stands for is told, and no part of the run"


def test_what_is_not_known_to_stand_as_it_did_is_hashed_again(early: Scene) -> None:
    """Killed between two notes: an MD5 without the time at which its file was seen."""
    run = carried(early)
    early.sql("DELETE FROM stability WHERE blob = ?", FIRST)
    rewrite(run / FIRST, b"ONE")
    write(run, {FLAG: ""})
    early.run()
    assert early.get(f"A/{FIRST}") == b"ONE"
    early.check_sums("A")


def test_what_was_only_touched_costs_nothing_at_the_end(early: Scene, proxy: Proxy) -> None:
    """A backup clears a bit in each file: other ctimes. They are hashed again before the end, and read back never."""
    early.through(proxy)
    run = carried(early)
    for path in (run / "Data").iterdir():
        path.chmod(0o640)
    early.run()
    early.run()
    proxy.reset()
    write(run, {FLAG: ""})
    outcome = early.run()
    assert early.is_published("A") and not reads(proxy, ".bcl")
    assert "read back" not in outcome.output
    assert all(row["evidence"] == "validated" for row in early.documents("A")[1])


def test_what_was_touched_is_read_back_when_it_is_hashed_again(early: Scene) -> None:
    """Without its MD5, a blob cannot hold other bytes than that says."""
    run = carried(early)
    (run / FIRST).chmod(0o640)
    early.config["verify"] = "read-back"
    assert "other bytes" not in early.run().output
    write(run, {FLAG: ""})
    assert "other bytes" not in early.run().output
    assert all(row["evidence"] == "read-back" for row in early.documents("A")[1])


def test_a_late_write_is_carried_before_the_end(early: Scene) -> None:
    run = carried(early)
    rewrite(run / FIRST, b"ONE")
    early.run()
    early.run()
    assert early.get(f"A/{FIRST}") == b"ONE"


# Looks and clocks


def test_one_look_is_none_also_with_stable_for_0(early: Scene) -> None:
    early.config["stable-for"] = 0
    going_on(early)
    early.run()
    assert not early.etags()
    early.run()
    assert f"A/{FIRST}" in early.etags()


def test_a_clock_that_went_back_begins_anew(early: Scene) -> None:
    going_on(early)
    early.run()
    early.sql("UPDATE stability SET since = since + 1000000")
    early.run()
    assert not early.etags()
    early.run()
    assert f"A/{FIRST}" in early.etags()


SLOW = """
import sys, time
from sync_to_azure import cli
from sync_to_azure.core.clock import Clock
from sync_to_azure.transfer.steps import scan
late, walked = float(sys.argv.pop(1)), scan.into_ledger
Clock.now = lambda self: time.time() + late
def slow(*given, **named):
    global late
    walked(*given, **named)
    late += 1000
scan.into_ledger = slow
sys.exit(cli.main())
"""


def test_a_long_walk_is_no_time_between_two_looks(early: Scene) -> None:
    """Seen at the end of one walk and at the begin of the next, right after it."""
    early.config["stable-for"] = 900
    going_on(early)
    config = early.folder / "slow.cfg"
    config.write_text("".join(f"{key} = {value}\n" for key, value in early.config.items()))

    def walks_long(late: int) -> None:
        command = [sys.executable, "-c", SLOW, str(late), "--config-file", str(config)]
        environment = early.start_command.clean_environment()
        subprocess.run(command, cwd=early.folder, env=environment, check=True, timeout=LONG)

    walks_long(0)
    walks_long(1000)
    assert not early.etags()
    walks_long(3000)
    assert f"A/{FIRST}" in early.etags()


# Others, and other words


def test_what_is_finished_comes_first(early: Scene, proxy: Proxy) -> None:
    early.through(proxy)
    going_on(early)
    early.run()
    early.make_run("B")
    proxy.reset()
    early.run()
    written = [path for method, path in proxy.seen if method == "PUT"]
    marker = next(number for number, path in enumerate(written) if "/B.sync" in path)
    ahead = [number for number, path in enumerate(written) if "/A/" in path]
    assert ahead and marker < min(ahead)


def test_a_word_holds_it(early: Scene) -> None:
    run = going_on(early)
    early.run()
    early.run("hold", "A")
    early.run()
    assert not early.etags()
    early.run("release", "A")
    early.run()
    assert f"A/{FIRST}" in early.etags()
    early.run("ignore", "A")
    write(run, {FLAG: ""})
    early.run()
    assert not early.is_published("A")


def test_accepted_unfinished(early: Scene) -> None:
    run = carried(early)
    rewrite(run / FIRST, b"ONE")
    early.run("accept", "A", "--yes", "--reason", "it broke off")
    early.run()
    assert early.is_published("A") and early.get(f"A/{FIRST}") == b"ONE"
    early.check_sums("A")
    assert early.documents("A")[2]["outcome"] == "accepted unfinished"


def test_a_rule_that_came_later(early: Scene) -> None:
    run = carried(early)
    early.config["exclude"] = "1.bcl"
    early.run()
    write(run, {FLAG: ""})
    early.run()
    sums, _, receipt, _ = early.documents("A")
    assert FIRST not in sums and receipt["extras"] == 1


def test_another_flag(early: Scene) -> None:
    """What it waited for was given wrong."""
    run = carried(early)
    write(run, {"CopyComplete.txt": ""})
    early.config["completion-flag"] = "CopyComplete.txt"
    early.run()
    assert early.is_published("A")
    early.check_sums("A")


def test_two_machines(early: Scene) -> None:
    run = going_on(early)
    other = early.config | {"state-file": early.folder / "other-machine.sqlite"}
    for _ in range(2):
        early.run()
        assert early.run_command(config=other).returncode == 0
    before = early.etags()
    write(run, {FLAG: ""})
    early.run()
    after = early.etags()
    assert early.is_published("A") and all(after[name] == etag for name, etag in before.items())
    assert early.run_command(config=other).returncode == 0
    assert early.etags() == after


def test_a_share_that_tells_of_the_year_2500(early: Scene, share: Share) -> None:
    """More nanoseconds since 1970 than SQLite can hold."""
    run = going_on(early)
    share.rules({"op": "lookup", "match": "A/Data/1.bcl$", "act": "year 2500"})
    early.run()
    early.run()
    assert f"A/{FIRST}" in early.etags() and share.strikes()
    write(run, {FLAG: ""})
    early.run()
    early.check_sums("A")


# What is lost


def test_passes_are_killed_and_files_change_under_them(early: Scene, tmp_path: pathlib.Path) -> None:
    """Whatever the ledger knows at the end: what is published is what the source holds."""
    chance = random.Random(6)
    source = write_nextseq(tmp_path / "finished", files=40, size=4_000_000).folder
    early.config |= {"stable-for": 0, "completion-flag": "RTAComplete.txt"}
    instrument = Instrument(source, early.main, seconds=6)
    writer = threading.Thread(target=instrument.write, kwargs={"flags": False})
    writer.start()
    killed = 0
    while writer.is_alive() or killed < 4:
        process = early.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.3, 1.5))
        killed += process.poll() is None
        process.kill()
        process.communicate()
        early.run()
        assert not [name for name in early.etags() if "/" not in name], "a document before the end"
        data = sorted(instrument.run.rglob("*.bgzf"))[:-8]
        if len(data) > 2:
            one, two = chance.sample(data, 2)
            rewrite(one, bytes(one.stat().st_size))
            two.rename(two.with_suffix(".renamed"))
    instrument.finish()
    early.run()
    early.run()
    _, rows, _, _ = early.documents(source.name)
    assert {row["path"]: early.get(f"{source.name}/{row['path']}") for row in rows} == tree(instrument.run)
    early.check_sums(source.name)


def test_a_pass_that_is_asked_to_stop(early: Scene, proxy: Proxy) -> None:
    run = going_on(early, **{f"Data/{number}.bcl": os.urandom(300_000) for number in range(10, 30)})
    early.through(proxy)
    early.run()
    began = threading.Event()

    def first(method: str, path: str) -> None:
        if method == "PUT":
            began.set()
            proxy.wait_for_release()

    proxy.before = first
    process = early.start()
    assert began.wait(LONG)
    process.terminate()
    # Before the request that is held back would be given up.
    process.communicate(timeout=80)
    assert process.returncode == 143
    assert early.state("A") == ("waiting", "flag-missing")
    proxy.hold.set()
    write(run, {FLAG: ""})
    early.run()
    early.check_sums("A")


def test_the_marker_of_another_tool_comes_midway(early: Scene) -> None:
    """What it vouches for is not sent over, though it was of our writing."""
    run = carried(early)
    early.put("A.sync", b"2020-01-01T00:00:00")
    before = early.etags()
    rewrite(run / FIRST, b"ONE")
    early.run()
    early.run()
    assert early.etags() == before
    write(run, {FLAG: ""})
    early.run(expect=1)
    assert early.get(f"A/{FIRST}") == b"one" and early.state("A") == ("flagged", "taken-over-differs")


def test_the_ledger_is_lost_midway(early: Scene) -> None:
    run = carried(early)
    before = early.etags()
    early.lose_ledger()
    rewrite(run / "Data/2.bcl", b"TWO")
    early.run()
    early.run()
    write(run, {FLAG: ""})
    early.run()
    assert early.etags()[f"A/{FIRST}"] == before[f"A/{FIRST}"], "it was there"
    assert early.get("A/Data/2.bcl") == b"TWO"
    early.check_sums("A")


def test_the_ledger_is_lost_at_the_end(early: Scene) -> None:
    run = carried(early)
    early.lose_ledger()
    rewrite(run / FIRST, b"ONE")
    write(run, {FLAG: ""})
    early.run()
    assert early.get(f"A/{FIRST}") == b"ONE"
    early.check_sums("A")


def test_a_blob_that_went_wrong_meanwhile(early: Scene) -> None:
    run = carried(early)
    early.put(f"A/{FIRST}", b"bad", md5_of=b"one")
    early.container.delete_blob("A/Data/2.bcl")
    write(run, {FLAG: ""})
    early.run()
    assert early.get(f"A/{FIRST}") == b"one" and early.get("A/Data/2.bcl") == b"two"
    early.check_sums("A")


def test_a_main_folder_that_is_lost_midway(early: Scene) -> None:
    run = carried(early)
    away = early.main.with_name("unmounted")
    early.main.rename(away)
    early.main.mkdir()
    early.run(expect=3)
    early.main.rmdir()
    away.rename(early.main)
    before = early.etags()
    write(run, {FLAG: ""})
    early.run()
    assert early.is_published("A") and early.etags()[f"A/{FIRST}"] == before[f"A/{FIRST}"]


@pytest.mark.parametrize("error", ["EIO", "EACCES", "EBUSY"])
def test_a_file_that_the_instrument_has_locked(error: str, early: Scene, share: Share) -> None:
    """CIFS answers a locked range with EIO, a file that is not shared with EBUSY: nobody's trouble while it lasts."""
    run = going_on(early)
    share.rules({"op": "open", "match": "A/Data/2.bcl$", "errno": error})
    for _ in range(3):
        early.run()
    assert early.state("A") == ("waiting", "flag-missing") and share.strikes()
    assert "A/Data/2.bcl" not in early.etags()
    share.rules()
    write(run, {FLAG: ""})
    early.run()
    assert early.is_published("A")
    early.check_sums("A")


def test_a_share_that_goes_while_it_is_read(early: Scene, share: Share) -> None:
    run = going_on(early)
    early.run()
    share.rules({"op": "open", "match": "A/Data/2.bcl$", "errno": "EHOSTDOWN", "act": "dead"})
    early.run(expect=3)
    share.rules()
    early.run()
    write(run, {FLAG: ""})
    early.run()
    early.check_sums("A")


# A run that broke off


def test_a_run_that_broke_off_says_so_everywhere(early: Scene) -> None:
    carried(early)
    early.config["stale-after"] = 1e-6
    outcome = early.run(expect=1)
    assert early.state("A") == ("flagged", "stalled")
    ahead = "uploaded before it was finished, not published: 2 files, 6 B"
    assert ahead in outcome.output
    early.run("--no-incremental")
    told = re.sub(r"\s+", " ", early.run("explain", "A").output)
    assert ahead in told and "stalled" not in early.run("status").output.replace("A", "")
    assert not [name for name in early.etags() if "/" not in name], "no document"
    refused = early.run_command("restore", "A", early.folder / "into", config=early.config)
    assert refused.returncode == 1 and not (early.folder / "into" / "A").exists()
    assert "no run of this name is published" in refused.output
    assert "0 runs audited" in early.run("audit").output


def test_a_folder_that_goes_away_leaves_word_of_its_blobs(early: Scene) -> None:
    run = carried(early)
    (early.main / "B").mkdir()
    run.rename(early.folder / "taken")
    outcome = early.run(expect=1)
    assert early.state("A") == ("gone", "vanished")
    assert "uploaded before it was finished, not published: 2 files, 6 B" in outcome.output
    (early.folder / "taken").rename(run)
    write(run, {FLAG: ""})
    early.run()
    early.check_sums("A")


# Removal


def test_before_removal_it_is_read_once_more(early: Scene) -> None:
    """A share that keeps no trace of a late write: size, mtime and ctime as they were."""
    run = carried(early)
    rewrite(run / FIRST, b"ONE")
    early.sql("UPDATE stability SET ctime_ns = ? WHERE blob = ?", (run / FIRST).stat().st_ctime_ns, FIRST)
    write(run, {FLAG: ""})
    early.config |= {"remove-source": "true", "remove-after": 0}
    early.run(expect=1)
    assert (run / FIRST).read_bytes() == b"ONE" and early.state("A")[1] == "rehash-differs"


def test_before_removal_it_is_read_once_more_also_if_the_ledger_was_lost(early: Scene) -> None:
    """Nothing was sent since, but its files were hashed while it was written."""
    run = carried(early)
    early.lose_ledger()
    early.run()
    early.run()
    write(run, {FLAG: ""})
    early.config |= {"remove-source": "true", "remove-after": 0}
    assert "read once more, 0 differ" in early.run().output and not run.exists()


def test_it_is_removed_when_it_is_what_was_published(early: Scene) -> None:
    run = carried(early)
    write(run, {FLAG: ""})
    early.config |= {"remove-source": "true", "remove-after": 0}
    outcome = early.run()
    assert not run.exists() and "read once more, 0 differ" in outcome.output


# AzCopy


def test_what_azcopy_sends_in_blocks_is_read_back_before_the_end(early: Scene, proxy: Proxy) -> None:
    early.config["uploader"] = "azcopy"
    early.through(proxy)
    run = going_on(early, **{"Data/large.bcl": os.urandom(9_000_000)})
    small = {"AZCOPY_BUFFER_GB": "0.012"}
    early.run()
    early.run(environment=small)
    assert len(reads(proxy, "large.bcl")) > 0
    proxy.reset()
    write(run, {FLAG: ""})
    early.run(environment=small)
    assert early.is_published("A") and not reads(proxy, "large.bcl")
    early.check_sums("A")
