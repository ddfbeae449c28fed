"""The metrics file, read by Prometheus' own parser; of whole passes, good and bad."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import typing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from embedded.tools import PROJECT
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import RunStatus
from sync_to_azure.transfer import metrics
from sync_to_azure.transfer.ledger.backlogs import Undelivered
from tests.passes.scene import FLAG, Scene

ENDED = metrics.Pass(
    ended=1_790_000_000.25, seconds=12.5, exit_code=0, problems=0, sent_files=3, sent_bytes=10**13
)
WAITING = (Undelivered("webhook", 2, 1_789_000_000.0, None), Undelivered("lims", 0, None, None))
RUNS = metrics.Standings({State.PUBLISHED: 2}, {RunStatus.SAFE: 2}, 2, 7 * 10**15, 1_789_000_000.0, WAITING)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(content: bytes) -> Samples:
    """(name, labels) -> value; each family has its HELP, its TYPE and stands once."""
    families = list(text_string_to_metric_families(content.decode()))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def read(path: pathlib.Path) -> dict[str, float]:
    """By name, or name and the label that is not the flow's."""
    found = {}
    for (name, labels), value in parsed(path.read_bytes()).items():
        more = [value for key, value in labels if key not in ("flow", "version")]
        found[" ".join([name.removeprefix("sync_to_azure_"), *more])] = value
    return found


def test_no_digit_is_lost_and_every_state_is_there() -> None:
    samples = parsed(metrics.text("miseq", ENDED, 5.0, RUNS))
    flow = ("flow", "miseq")
    assert samples["sync_to_azure_last_pass_timestamp_seconds", frozenset({flow})] == 1_790_000_000.25
    assert samples["sync_to_azure_published_bytes", frozenset({flow})] == 7 * 10**15
    for state in State:
        assert ("sync_to_azure_runs", frozenset({flow, ("state", state.value)})) in samples
    for each in RunStatus:
        label = ("status", str(each).replace(" ", "-"))
        assert ("sync_to_azure_runs_by_status", frozenset({flow, label})) in samples


def test_documents_and_alerts_name_what_there_is() -> None:
    written = {name for name, _ in parsed(metrics.text("miseq", ENDED, 5.0, RUNS))}
    page = (
        (PROJECT / "docs" / "report.md")
        .read_text("utf-8")
        .replace("`…_uploaded_bytes`", "`sync_to_azure_last_pass_uploaded_bytes`")
    )
    assert set(re.findall(r"`(sync_to_azure_[a-z_]+)[{`]", page)) == written
    rules = (PROJECT / "docs" / "alerts.yml").read_text("utf-8")
    assert set(re.findall(r"sync_to_azure_[a-z_]+", rules)) <= written
    assert all(
        f'status="{word}"' in metrics.text("f", ENDED, 5.0, RUNS).decode()
        for word in re.findall(r'status="([a-z-]+)"', rules)
    )


def test_a_name_cannot_write_a_sample() -> None:
    name = 'a"} 1\nsync_to_azure_runs{x="\\'
    [flow] = {dict(labels)["flow"] for _, labels in parsed(metrics.text(name, ENDED, None, None))}
    assert flow == name


def test_the_last_success_outlives_failures(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "runs.prom"
    failed = metrics.Pass(
        ended=1_790_003_600.0, seconds=1, exit_code=3, problems=1, sent_files=0, sent_bytes=0
    )
    metrics.write(path, "odd } name", failed, None)
    assert "last_success_timestamp_seconds" not in read(path)
    metrics.write(path, "odd } name", ENDED, RUNS)
    for _ in range(2):
        metrics.write(path, "odd } name", failed, None)
        assert read(path)["last_success_timestamp_seconds"] == ENDED.ended
        assert read(path)["last_pass_exit_code"] == 3
    for damaged in (b"\xff\0" * 50, b"sync_to_azure_last_success_timestamp_seconds 1.2.3\n"):
        path.write_bytes(b"# HELP sync_to_azure_\n" + damaged)
        metrics.write(path, "f", failed, None)
        assert "last_success_timestamp_seconds" not in read(path)


def test_passes(scene: Scene) -> None:
    """A good one, one that fails for a run, one that cannot reach the storage."""
    folder = scene.folder / "collector"
    folder.mkdir()
    path = folder / "runs.prom"
    scene.config |= {"uploader": "native", "metrics-file": path}
    scene.make_run("R")
    (scene.main / "S").mkdir()
    os.umask(os.umask(0o077))
    scene.run()
    first = read(path)
    assert first["runs published"] == first["runs_by_status safe"] == 1 and first["runs waiting"] == 1
    assert first["published_bytes"] == len("one<run/>") and first["last_pass_uploaded_files"] == 3
    assert first["last_pass_exit_code"] == 0 and 0 < first["last_pass_duration_seconds"] < 100
    assert first["last_success_timestamp_seconds"] == first["last_pass_timestamp_seconds"]
    assert first["oldest_waiting_timestamp_seconds"] <= first["last_pass_timestamp_seconds"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 and os.listdir(folder) == ["runs.prom"]

    scene.make_run("T", {"bad\x01name": ""})
    scene.run(expect=1)
    second = read(path)
    assert second["last_pass_exit_code"] == 1 and second["last_pass_problems"] == 1
    assert second["last_success_timestamp_seconds"] == first["last_success_timestamp_seconds"]

    scene.config["blob-endpoint"] = "http://127.0.0.1:9/devstoreaccount1"
    scene.run(expect=3)
    third = read(path)
    assert (
        third["last_pass_exit_code"] == 3
        and third["last_pass_timestamp_seconds"] > second["last_pass_timestamp_seconds"]
    )
    assert third["last_success_timestamp_seconds"] == first["last_success_timestamp_seconds"]


def test_what_only_tries_or_looks_at_a_part_writes_nothing(scene: Scene) -> None:
    path = scene.folder / "runs.prom"
    scene.config |= {"uploader": "native", "metrics-file": path}
    scene.make_run("R")
    scene.run("--dry-run")
    scene.run("--only-run", "R")
    assert not path.exists()


@pytest.mark.parametrize("kind", ["text", "link", "fifo"])
def test_a_file_that_is_not_ours_is_left_alone(scene: Scene, kind: str) -> None:
    path, other = scene.folder / "x.prom", scene.folder / "other"
    other.write_text("thesis")
    if kind == "text":
        path.write_text("node_of_somebody_else 1\n")
    elif kind == "link":
        path.symlink_to(other)
    else:
        os.mkfifo(path)
    before = path.lstat()
    scene.config["metrics-file"] = path
    assert f"metrics-file {path} cannot be written: " in scene.run().stderr
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (
        before.st_ino,
        before.st_mode,
        before.st_mtime_ns,
    )
    assert other.read_text() == "thesis"
    assert "is not replaced: nothing is written there" in scene.run("check").stdout
    path.unlink()
    for _ in range(2):
        assert "metrics-file" not in scene.run().stderr
    assert path.read_text().startswith("# HELP sync_to_azure_")


def test_a_file_that_cannot_be_written_breaks_no_pass(scene: Scene) -> None:
    scene.config |= {"uploader": "native", "metrics-file": scene.folder / "missing" / "runs.prom"}
    scene.make_run("R")
    told = scene.run().stderr
    assert "metrics-file" in told and "cannot be written: No such file" in told and scene.is_published("R")


def test_without_a_state_file_that_can_be_used(scene: Scene, run_command: typing.Any) -> None:
    path = scene.folder / "runs.prom"
    scene.config |= {"uploader": "native", "metrics-file": path, "state-file": scene.folder}
    scene.make_run("R")
    scene.run(expect=3)
    assert read(path)["last_pass_exit_code"] == 3 and not any(name.startswith("runs ") for name in read(path))


def test_the_waiting_run_is_the_oldest_that_waits(scene: Scene) -> None:
    path = scene.folder / "runs.prom"
    scene.config |= {"uploader": "native", "metrics-file": path, "completion-flag": FLAG}
    for name in ("old", "new"):
        (scene.main / name).mkdir()
    scene.run()
    scene.sql("UPDATE run SET since = 1000 WHERE key = 'old'")
    scene.run()
    assert read(path)["oldest_waiting_timestamp_seconds"] == 1000
