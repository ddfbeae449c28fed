"""Somebody else writes below a run between its listing and our commit, or a request of ours arrives late: what stands
is never written over unseen, and what is published stays as it was proved."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene

BLOB = "/R/Data/one.bcl"


def is_commit(method: str, path: str) -> bool:
    name, _, query = path.partition("?")
    return method == "PUT" and name.endswith(BLOB) and "comp=block" not in query.split("&")


@pytest.mark.parametrize("size", [3, 9_000_000], ids=["one request", "blocks"])
def test_a_request_that_was_held_back_changes_nothing_once_the_run_is_published_and_removed(
    size: int, scene: Scene, proxy: Proxy
) -> None:
    """A buffering proxy keeps the commit; the pass is killed, the file is written again, published, and its source
    removed; then the commit arrives."""
    scene.config |= {"uploader": "native", "timeout": 30}
    run = scene.make_run("R", {"Data/one.bcl": os.urandom(size)})
    held = threading.Event()
    arrived: list[str] = []

    def before(method: str, path: str) -> None:
        if is_commit(method, path) and not held.is_set():
            held.set()
            proxy.wait_for_release()
            arrived.append(path)

    proxy.before = before
    direct = scene.config["blob-endpoint"]
    process = scene.through(proxy).start()
    assert held.wait(LONG)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    scene.config["blob-endpoint"] = direct
    content = os.urandom(size)
    (run / "Data" / "one.bcl").write_bytes(content)
    scene.config["remove-source"] = "true"
    scene.run()
    assert not run.exists() and scene.is_published("R")
    etags = scene.etags()
    proxy.hold.set()
    for _ in range(int(LONG * 10)):
        if arrived:
            break
        threading.Event().wait(0.1)
    assert arrived
    threading.Event().wait(1.0)  # for what it would do
    assert scene.etags() == etags and scene.get("R/Data/one.bcl") == content
    scene.check_sums("R")


@pytest.mark.parametrize("stood", [False, True], ids=["nothing stood there", "an earlier one stood there"])
def test_a_blob_that_comes_after_the_listing_is_planned_again(
    stood: bool, scene: Scene, proxy: Proxy
) -> None:
    """In the same pass: what stands there is listed, compared, and replaced knowingly."""
    scene.config["uploader"] = "native"
    scene.make_run("R")
    if stood:
        # What a pass of ours that was cut off has sent of another state of the file.
        scene.put("R/Data/one.bcl", b"earlier")
    seen: list[str] = []

    def before(method: str, path: str) -> None:
        if is_commit(method, path):
            seen.append(path)
            if len(seen) == 1:
                scene.put("R/Data/one.bcl", b"theirs")

    proxy.before = before
    done = scene.through(proxy).run()
    assert "is another one by now" in done.stderr and "planned again" in done.stderr
    assert len(seen) == 2 and scene.is_published("R")
    assert scene.get("R/Data/one.bcl") == b"one"
    scene.check_sums("R")


def test_who_always_writes_ends_the_run_and_not_the_pass(scene: Scene, proxy: Proxy) -> None:
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.make_run("S")
    seen: list[bytes] = []

    def before(method: str, path: str) -> None:
        if is_commit(method, path):
            seen.append(b"theirs %d" % len(seen))
            scene.put("R/Data/one.bcl", seen[-1])

    proxy.before = before
    done = scene.through(proxy).run(expect=1)
    assert len(seen) == 3 and scene.get("R/Data/one.bcl") == seen[-1]
    assert "3 plans of this pass were overtaken" in done.stderr
    assert not scene.is_published("R") and scene.is_published("S")
    assert scene.state("R")[0] == "failing"
    # And once nobody else writes, it goes on without a person.
    proxy.reset()
    scene.run()
    assert scene.is_published("R") and scene.get("R/Data/one.bcl") == b"one"
    scene.check_sums("R")


def test_a_published_blob_that_is_healed_comes_over_nothing_newer(scene: Scene, proxy: Proxy) -> None:
    """The listing shows a blob that went wrong; before it is healed somebody puts it right. His is not written over
    unseen: it is listed again, found to be right, and nothing is sent."""
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.run()
    scene.put("R/Data/one.bcl", b"bad")
    seen: list[str] = []

    def before(method: str, path: str) -> None:
        if is_commit(method, path):
            seen.append(path)
            scene.put("R/Data/one.bcl", b"one")

    proxy.before = before
    scene.through(proxy).run("--thorough")
    assert len(seen) == 1 and scene.get("R/Data/one.bcl") == b"one"
    scene.check_sums("R")
