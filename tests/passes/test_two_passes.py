"""One pass at a time, one that hangs is told, and a source that cannot be the truth is not believed."""

from __future__ import annotations

import shlex
import shutil
import typing

import pytest

from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, eventually, tree


def marker(scene: Scene) -> tuple[str, str]:
    return "PUT", f"/devstoreaccount1/{scene.container.container_name}/R.sync"


def hold_the_marker(scene: Scene, proxy: Proxy) -> None:
    proxy.before = lambda *seen: proxy.wait_for_release() if seen == marker(scene) else None


def stands_before_the_marker(scene: Scene, proxy: Proxy) -> bool:
    return marker(scene) in proxy.seen


def test_a_second_pass_while_one_runs_and_one_that_hangs(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).make_run("R")
    hold_the_marker(scene, proxy)
    first = scene.start()
    assert eventually(lambda: stands_before_the_marker(scene, proxy))
    before = scene.etags()
    assert "another pass" in scene.run(expect=0).stderr
    assert "another pass" in scene.run("--thorough", expect=0).stderr
    scene.sql("UPDATE flow SET heartbeat = heartbeat - 25 * 3600")
    assert "no progress for 25 h" in scene.run(expect=3).stderr
    assert scene.etags() == before
    proxy.hold.set()
    _, stderr = first.communicate(timeout=LONG)
    assert first.returncode == 0, stderr
    assert scene.is_published("R")
    scene.run()


def test_a_lock_that_a_killed_pass_leaves_does_not_stop_the_next(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).make_run("R")

    def kill(method: str, path: str) -> typing.Any:
        if "comp=list" in path:
            process.kill()
            process.wait()

    proxy.before = kill
    process = scene.start()
    process.communicate(timeout=LONG)
    proxy.reset()
    scene.sql("UPDATE flow SET heartbeat = heartbeat - 25 * 3600")
    scene.run()
    assert scene.is_published("R")


@pytest.mark.parametrize("sent", [False, True], ids=["before the first byte", "before the documents"])
def test_a_pass_whose_lock_file_was_deleted_writes_nothing_over_what_the_next_one_published(
    sent: bool, scene: Scene, proxy: Proxy
) -> None:
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    published: list[dict[str, str]] = []

    def after(method: str, path: str) -> None:
        """The first pass has its listing, and is told it when a second one has published all of it."""
        if "comp=list" in path and "prefix=R/" in path and ("R/RunInfo.xml" in scene.etags()) is sent:
            proxy.after = lambda *seen: None
            [lock] = scene.folder.glob("*.lock")
            lock.unlink()
            scene.run()
            published.append(scene.etags())

    proxy.after = after
    outcome = scene.run(expect=3)
    assert "lock file" in outcome.stderr
    assert published and scene.etags() == published[0]
    assert scene.state("R") == ("published", None)
    scene.run()
    assert scene.etags() == published[0]


def test_a_pass_whose_lock_file_was_deleted_unlinks_nothing(scene: Scene, proxy: Proxy) -> None:
    scene.config |= {"uploader": "native", "remove-source": "true"}
    run = scene.through(proxy).make_run("R")
    kept, aside = tree(run), scene.main / ".sync_to_azure-removing-R"

    def after(method: str, path: str) -> None:
        if aside.is_dir():
            for lock in scene.folder.glob("*.lock"):
                lock.unlink()

    proxy.after = after
    assert "lock file" in scene.run(expect=3).stderr
    assert tree(aside) == kept
    proxy.reset()
    scene.run()
    assert not aside.exists() and not run.exists()


def test_two_flows_into_one_container_do_not_wait_for_each_other(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).make_run("R")
    hold_the_marker(scene, proxy)
    first = scene.start()
    assert eventually(lambda: stands_before_the_marker(scene, proxy))
    scene.config["destination"] = "elsewhere"
    scene.run()
    scene.check_sums("elsewhere/R")
    proxy.hold.set()
    first.communicate(timeout=LONG)
    assert first.returncode == 0 and scene.is_published("R")


def test_a_main_folder_of_which_nobody_can_say_where_it_lies(scene: Scene) -> None:
    """A share that was stale at the very first look was noted as "unknown", and refused for ever when it was well."""
    scene.make_run("R")
    noted = "SELECT mount_kind IS NOT NULL, mount_kind = 'unknown' FROM flow"
    without_proc = "mount -t tmpfs none /proc"
    first = scene.in_namespace(without_proc)
    assert first.returncode == 0, first.stderr
    assert scene.sql(noted) == [(0, None)], "what is not known is not noted"
    assert scene.is_published("R")
    scene.sql("UPDATE flow SET mount_kind = 'unknown', mount_source = 'unknown'")
    scene.run()
    assert scene.sql(noted) == [(1, 0)], "earlier versions noted it"
    scene.make_run("S")
    again = scene.in_namespace(without_proc)
    assert again.returncode == 3 and "its file system is not known now" in again.stderr
    scene.run()
    assert scene.is_published("S")


def test_an_empty_or_another_main_folder_is_not_believed(scene: Scene) -> None:
    assert "holds no runs" in scene.run(expect=0).stderr, "nothing on record: a warning"
    run = scene.make_run("R")
    scene.make_run("S", {"late.bcl": "x"})
    (scene.main / "S" / FLAG).unlink()
    scene.run()
    before = scene.etags()

    over = scene.in_namespace(f"mount -t tmpfs none {shlex.quote(str(scene.main))}")
    assert over.returncode == 3 and "is on another file system than last time" in over.stderr
    moved = scene.folder / "moved"
    scene.main.rename(moved)
    assert "is not there" in scene.run(expect=3).stderr
    scene.main.mkdir()
    assert "is empty, but 2 runs were there before" in scene.run(expect=3).stderr
    scene.main.rmdir()
    moved.rename(scene.main)
    assert "S: waiting" in scene.run(expect=0).stderr
    assert scene.state("R") == ("published", None), "nobody took it for gone"
    assert scene.etags() == before

    shutil.rmtree(run)
    scene.run(expect=0)
    assert scene.state("R") == ("gone", "not-there")
    shutil.rmtree(scene.main / "S")
    assert "is empty, but 1 runs were there before (S" in scene.run(expect=3).stderr
    scene.make_run("T")
    told = scene.run(expect=1).stderr
    assert "S: its folder vanished before it was uploaded" in told and scene.is_published("T")
    scene.run(expect=0)


def test_a_main_folder_that_breaks_off_in_the_middle(scene: Scene, proxy: Proxy) -> None:
    """The share goes while a run is carried: no run is taken for gone, and it goes on when the share is there again."""
    scene.through(proxy).make_run("R")
    scene.make_run("S")
    away = scene.folder / "away"

    def unmount(method: str, path: str) -> typing.Any:
        if method == "PUT" and f"/R/{FLAG}" in path and scene.main.exists():
            scene.main.rename(away)

    proxy.before = unmount
    scene.run(expect=3)
    assert not scene.is_published("R") and not scene.is_published("S")
    proxy.reset()
    away.rename(scene.main)
    scene.run()
    assert scene.is_published("R") and scene.is_published("S")
    scene.check_sums("R")
