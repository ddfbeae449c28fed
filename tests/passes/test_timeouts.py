"""A network that stalls, flaps or fails: ended, tried again as allowed, and one run's failure stops no other."""

from __future__ import annotations

import collections
import typing

from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, write

MIB = 1024 * 1024


def test_a_stall_is_ended_and_stops_no_other_run(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).config |= {"timeout": 12, "retry-times": 2}
    scene.make_run("STALLS")
    scene.make_run("WORKS")

    def stall(method: str, path: str) -> typing.Any:
        if method == "PUT" and "/STALLS/RunInfo.xml" in path:
            proxy.wait_for_release()
            return 503
        return None

    proxy.before = stall
    outcome = scene.run(expect=1)
    assert "STALLS: try 1 of 2: AzCopy made no progress for 12 s and was ended" in outcome.stderr
    assert "STALLS: not verified after 2 tries" in outcome.stderr
    assert outcome.seconds < 200, "and not as long as the proxy holds it"
    assert not scene.azcopy_runs()
    assert scene.azcopy_jobs() == 2, "the second try is native"
    assert scene.is_published("WORKS") and not scene.is_published("STALLS")
    assert "STALLS/Data/one.bcl" in scene.etags(), "what arrived is not sent again"
    proxy.reset()
    proxy.hold.set()
    scene.run()
    assert scene.is_published("STALLS") and scene.azcopy_jobs() == 2
    assert not any("/STALLS/Data/one.bcl" in path for method, path in proxy.seen if method == "PUT")


def test_a_flapping_network_heals_within_the_tries(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).config["retry-times"] = 3
    scene.make_run("R", {f"f{number}": "x" for number in range(20)})
    seen: collections.Counter[tuple[str, str]] = collections.Counter()

    def flap(method: str, path: str) -> typing.Any:
        key = (method, path.split("?")[0])
        seen[key] += 1
        return 503 if seen[key] == 1 else None

    proxy.before = flap
    scene.run()
    scene.check_sums("R")
    assert len(scene.documents("R")[1]) == 23


def test_storage_that_fails_for_good_is_told_with_waiting_runs_still_named(
    scene: Scene, proxy: Proxy
) -> None:
    scene.through(proxy).config["retry-times"] = 1
    scene.make_run("R")
    waiting = scene.main / "WAITING"
    write(waiting, {"RunInfo.xml": "x"})
    proxy.before = lambda method, path: 503
    outcome = scene.run(expect=3)
    assert "WAITING: waiting: RTAComplete.txt is missing" in outcome.stderr
    assert scene.azcopy_jobs() == 0, "the container is looked at before anything is carried"
    proxy.reset()
    scene.run()
    assert scene.is_published("R")


def test_a_blob_that_arrives_wrong_is_sent_again(scene: Scene, proxy: Proxy) -> None:
    """Between AzCopy's success and our listing the blob becomes another: the listing decides."""
    scene.through(proxy).make_run("R")
    done: list[int] = []

    def spoil(method: str, path: str) -> typing.Any:
        if method == "PUT" and "/R/RunInfo.xml" in path and not done:
            done.append(1)
            scene.put("R/RunInfo.xml", b"<rum/>")

    proxy.after = spoil
    outcome = scene.run()
    assert "try 1 of 2" in outcome.stderr and scene.azcopy_jobs() == 1
    assert scene.get("R/RunInfo.xml") == b"<run/>"
    scene.check_sums("R")


def test_a_file_that_changes_while_it_is_carried_is_not_published(scene: Scene, proxy: Proxy) -> None:
    run = scene.through(proxy).make_run("R", {"growing.raw": bytes(3 * MIB)})

    def grow(method: str, path: str) -> typing.Any:
        if method == "PUT" and "/R/RunInfo.xml" in path:
            with open(run / "growing.raw", "ab") as handle:
                handle.write(b"more")
            proxy.before = lambda method, path: None

    proxy.before = grow
    outcome = scene.run(expect=0)
    assert "files changed during the upload" in outcome.stderr and not scene.is_published("R")
    scene.run()
    scene.check_sums("R")
    assert len(scene.get("R/growing.raw")) == 3 * MIB + 4
