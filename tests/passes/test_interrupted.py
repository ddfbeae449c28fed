"""Killed anywhere, started again: the same end as an undisturbed pass, and nothing of ours lives on."""

from __future__ import annotations

import pathlib
import signal
import typing

import pytest

from tests.conftest import LONG
from tests.passes import kill_points
from tests.passes.proxy import Proxy
from tests.passes.scene import DOCUMENTS, FLAG, Scene, eventually, tree

MIB = 1024 * 1024

FILES = {f"Data/L00{lane}/{cycle}.bcl": f"{lane} {cycle}" for lane in range(3) for cycle in range(4)}
LARGE = bytes(8 * MIB + 1)

# In the order of a pass, so that each can be reached after the ones before it.
STEPS = {
    "walking": ("os.scandir", "R/Data/L001", 1),
    "first listing": ("http.client.send", "prefix=R%2F", 1),
    "starting AzCopy": ("subprocess.Popen", "--list-of-files", 1),
    "hashing": ("open", "R/Data/L001/2.bcl", 1),
    "listing after AzCopy": ("http.client.send", "prefix=R%2F", 2),
    "reading back": ("http.client.send", "GET /devstoreaccount1/{container}/R/large.raw", 1),
    "looking again": ("os.scandir", "R/Data/L001", 2),
    "sheet": ("http.client.send", "PUT /devstoreaccount1/{container}/R/SampleSheet.csv", 1),
    "before .md5": ("http.client.send", "PUT /devstoreaccount1/{container}/R.md5", 1),
    "before .files.jsonl": ("http.client.send", "PUT /devstoreaccount1/{container}/R.files.jsonl", 1),
    "before .json": ("http.client.send", "PUT /devstoreaccount1/{container}/R.json", 1),
    "before .sync": ("http.client.send", "PUT /devstoreaccount1/{container}/R.sync", 1),
    "before the rename": ("os.rename", "removing-R", 1),
    "before the first unlink": ("os.remove", "0.bcl", 1),
    "between unlinks": ("os.remove", "2.bcl", 2),
    "before the first empty folder": ("os.rmdir", "removing-R", 1),
}


def source(scene: Scene) -> dict[str, bytes]:
    run = scene.make_run("R", {**FILES, "large.raw": LARGE, "SampleSheet.csv": "own"})
    (scene.sheets() / "R.csv").write_text("outside")
    scene.config |= {"remove-source": "true", "source-readers": 2, "verify": "read-back"}
    return tree(run)


def ended_well(scene: Scene, content: dict[str, bytes]) -> None:
    for _ in range(3):
        # Of a job that only the lake knows, the listing before the removal tells.
        if scene.state("R") == ("published", "removal-after-credentials"):
            scene.expire_credentials()
            scene.run()
    assert list(scene.main.iterdir()) == []
    arrived = tree(scene.download("R") / "R")
    assert arrived.pop("SampleSheet.csv") == b"outside"
    assert arrived.pop("SampleSheet.instrument.csv") == content.pop("SampleSheet.csv")
    assert arrived == content
    scene.check_sums("R")
    scene.documents("R")
    assert scene.state("R") == ("removed", None)
    before, jobs = scene.etags(), scene.azcopy_jobs()
    scene.run("--thorough")
    assert (scene.etags(), scene.azcopy_jobs()) == (before, jobs)
    left = {path.name for path in scene.folder.iterdir() if path.name.startswith("ledger.sqlite.")}
    assert not [name for name in left if ".work" in name or ".damaged" in name], left


def kill(scene: Scene, step: str, event: str, fragment: str, number: int) -> None:
    fragment = fragment.format(container=scene.container.container_name)
    killed = scene.start(environment=kill_points.environment(scene.folder, event, fragment, number))
    output = "".join(killed.communicate(timeout=LONG))
    assert killed.returncode == -signal.SIGKILL, f"never came to this point: {step}\n{output}"
    assert eventually(lambda: not scene.azcopy_runs(), 60), f"AzCopy lives on: {step}"
    if scene.is_published("R"):
        scene.check_sums("R")


def test_killed_within_each_step_one_after_the_other(scene: Scene) -> None:
    content = source(scene)
    for step, point in STEPS.items():
        if step == "before the rename":
            scene.run()
            scene.expire_credentials()
        kill(scene, step, *point)
    scene.run()
    ended_well(scene, content)


@pytest.mark.parametrize("step", ["hashing", "before .sync", "between unlinks"])
def test_killed_once_and_the_ledger_lost(scene: Scene, step: str) -> None:
    content = source(scene)
    if step == "between unlinks":
        scene.run()
        scene.expire_credentials()
    kill(scene, step, *STEPS[step])
    scene.lose_ledger()
    scene.run()
    ended_well(scene, content)


@pytest.mark.parametrize("with_ledger", [True, False], ids=["ledger kept", "ledger lost"])
def test_killed_while_the_manifest_grows(scene: Scene, with_ledger: bool) -> None:
    """The marker of the first publishing stands all the time: what it vouches for must stay true."""
    run = scene.make_run("R")
    scene.run()
    (run / "late.txt").write_text("late")
    put = f"PUT /devstoreaccount1/{scene.container.container_name}/R"
    for suffix in DOCUMENTS:
        point = kill_points.environment(scene.folder, "http.client.send", put + suffix)
        killed = scene.start(environment=point)
        killed.communicate(timeout=LONG)
        assert killed.returncode == -signal.SIGKILL, suffix
        if not with_ledger:
            scene.lose_ledger()
    scene.run()
    scene.check_sums("R")
    _, rows, receipt, _ = scene.documents("R")
    assert {row["path"] for row in rows} == set(tree(run))
    assert receipt["generation"] >= 2
    assert scene.azcopy_jobs() == 2, "nothing identical is sent again"


@pytest.mark.parametrize(
    "number, code",
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_a_signal_while_azcopy_runs(
    scene: Scene, proxy: Proxy, number: signal.Signals, code: int, tmp_path: pathlib.Path
) -> None:
    logs = tmp_path / "logs of azcopy"
    scene.through(proxy).config["azcopy-logs"] = logs
    scene.make_run("R", {"huge\nname.raw": bytes(20 * MIB)})

    def stall(method: str, path: str) -> typing.Any:
        if method == "PUT" and f"/R/{FLAG}" in path:
            proxy.wait_for_release()

    proxy.before = stall
    process = scene.start()
    assert eventually(scene.azcopy_runs)
    assert eventually(lambda: any(f"/R/{FLAG}" in path for _, path in proxy.seen))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=80)
    assert process.returncode == code, stderr
    assert eventually(lambda: not scene.azcopy_runs(), 60), "AzCopy lives on"
    assert "Traceback" not in stderr
    if number != signal.SIGKILL:
        assert "the next pass continues from here" in stderr
        [job] = logs.iterdir()
        assert not (job / "plans").exists() and (job / "logs").exists()
        assert not any("huge" in path for _, path in proxy.seen), "asked to stop, it begins nothing new"
    assert not scene.is_published("R")
    proxy.reset()
    proxy.hold.set()
    scene.run()
    scene.check_sums("R")
