"""Files and folders of ours never lie among the runs: every command that acts refuses it, before it writes anything."""

from __future__ import annotations

import os
import pathlib

import pytest

from sync_to_azure.settings.option import Type
from sync_to_azure.settings.options import OPTIONS
from sync_to_azure.transfer.own_paths import Overlap, overlaps
from sync_to_azure.settings import load
from tests.passes.scene import Scene, tree

KEYS = (
    "credentials",
    "evidence-key",
    "samplesheet-folder",
    "state-file",
    "log-file",
    "azcopy-logs",
    "metrics-file",
    "notify-key",
)
FOLDERS = ("samplesheet-folder", "azcopy-logs")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "main" / "run").mkdir(parents=True)
    return tmp_path


def found(folder: pathlib.Path, report: str | None = None, **given: object) -> list[Overlap]:
    config = {
        "main-folder": folder / "main",
        "storage-account": "account",
        "container-name": "runs",
        "state-file": folder / "state" / "ledger.sqlite",
    } | {key.replace("_", "-"): value for key, value in given.items()}
    for key in ("credentials",):
        if key in config:
            path = pathlib.Path(str(config[key]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("YWJj" * 22)
    settings = load(
        {key: str(value) for key, value in config.items() if value is not None}, {"HOME": str(folder)}, folder
    )
    return overlaps(settings, folder / report if report is not None else None)


def keys(found: list[Overlap]) -> list[str]:
    return [each.key for each in found]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", ["run/deep/x", "x", "../main/run/x", "not-there-yet/x"])
def test_nothing_of_ours_lies_in_the_main_folder(folder: pathlib.Path, key: str, place: str) -> None:
    assert keys(found(folder, **{key: folder / "main" / place})) == [key]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", ["x", "main.x", "mainx/x", "sheets/x", "main/../x"])
def test_beside_the_main_folder_all_is_well(folder: pathlib.Path, key: str, place: str) -> None:
    assert found(folder, **{key: folder / place}) == []


@pytest.mark.parametrize("key", KEYS)
def test_a_link_counts_where_it_stands_and_where_it_leads(folder: pathlib.Path, key: str) -> None:
    (folder / "outside").mkdir()
    (folder / "into").symlink_to(folder / "main" / "run")
    assert keys(found(folder, **{key: folder / "into" / "x"})) == [key]
    # The link itself would be removed with the run that it stands in.
    (folder / "main" / "run" / "out").symlink_to(folder / "outside" / "x")
    (folder / "hop").symlink_to(folder / "main" / "run" / "out")
    if key in FOLDERS:
        (folder / "outside" / "x").mkdir()
    assert keys(found(folder, **{key: folder / "hop"})) == [key]
    (folder / "runs").symlink_to(folder / "main")
    assert keys(found(folder, **{key: folder / "main" / "run" / "x", "main-folder": folder / "runs"})) == [
        key
    ]


def test_the_main_folder_in_a_folder_that_we_write_into(folder: pathlib.Path) -> None:
    main = folder / "main"
    assert keys(found(folder, azcopy_logs=folder)) == ["azcopy-logs"]
    assert keys(found(folder, azcopy_logs=main)) == ["azcopy-logs"]
    assert keys(found(folder, report=".")) == ["--output"] == keys(found(folder, report="main/run/pages"))
    assert found(folder, report="pages") == []
    # Files that stand beside the main folder, and sheets above or beside the runs, which are only read.
    assert found(folder, state_file=folder / "x.sqlite", log_file=folder / "x.log") == []
    assert found(folder, samplesheet_folder=folder) == found(folder, samplesheet_folder=main) == []
    # By default AzCopy's jobs are beside the state file.
    jobs = folder / "azcopy-jobs"
    jobs.mkdir()
    assert keys(found(folder, state_file=folder / "x.sqlite", main_folder=jobs)) == ["azcopy-logs"]


def test_the_default_place_of_the_state_file(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is the main folder, as on an instrument's own computer."""
    monkeypatch.setenv("HOME", str(folder / "main"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert keys(found(folder, state_file=None)) == ["state-file"]
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    inside = folder / "sync_to_azure" / "runs"
    inside.mkdir(parents=True)
    assert keys(found(folder, state_file=None, main_folder=inside)) == ["state-file"]
    assert found(folder, state_file=None) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    ("shown", "path", "is_refused"),
    [
        ("main", "x", True),
        ("main/run", "x", True),
        (".", "main/run/x", True),
        (".", "x", False),
        ("state", "x", False),
    ],
)
def test_another_mount_of_the_same_folder(scene: Scene, shown: str, path: str, is_refused: bool) -> None:
    scene.make_run("run")
    (scene.folder / "state").mkdir()
    mounted = scene.folder / "mounted"
    mounted.mkdir()
    scene.config |= {"log-file": mounted / path, "uploader": "native"}
    outcome = scene.in_namespace(f"mount --bind '{scene.folder / shown}' '{mounted}'")
    assert outcome.returncode == (2 if is_refused else 0), outcome.stdout + outcome.stderr
    assert scene.is_published("run") is not is_refused


COMMANDS: tuple[tuple[str, ...], ...] = (
    (),
    ("--dry-run",),
    ("audit",),
    ("hold", "run"),
    ("ignore", "run"),
    ("retry", "run"),
    ("accept", "run", "--yes"),
    ("release", "run"),
    ("report", "--output", "pages"),
)


def test_every_command_that_acts_refuses_all_at_once_and_writes_nothing(scene: Scene) -> None:
    run = scene.make_run("run")
    logs = run / "logs"
    key = pathlib.Path(str(scene.config["credentials"])).rename(run / "secret")
    scene.config |= {
        "credentials": key,
        "evidence-key": run / "key",
        "log-file": logs / "x.log",
        "metrics-file": logs / "x.prom",
        "notify-key": run / "webhook.key",
        "state-file": run / "state" / "x.sqlite",
        "azcopy-logs": logs / "azcopy",
        "samplesheet-folder": run / "sheets",
    }
    before = tree(scene.main)
    for arguments in COMMANDS:
        outcome = scene.run(*arguments, expect=2)
        for each in KEYS:
            assert f"{each} {scene.config[each]} is in the main folder" in outcome.stderr, arguments
    outcome = scene.run_command("check", config=scene.config)
    assert outcome.returncode == 3
    assert sum(line.startswith("WRONG  settings") for line in outcome.stdout.splitlines()) == len(KEYS)
    assert tree(scene.main) == before and scene.etags() == {}
    scene.run("status")
    assert not logs.exists() and not (run / "state").exists()


def test_a_restore_needs_no_main_folder(scene: Scene) -> None:
    """Where none is given, the current one stands for it, and the config lies in it."""
    run = scene.make_run("run")
    before = tree(run)
    scene.run()
    config = {key: value for key, value in scene.config.items() if key != "main-folder"}
    home = scene.start_command.home
    text = "".join(f"{key} = {value}\n" for key, value in config.items())
    (home / "azsync.cfg").write_text(text)
    outcome = scene.run_command("restore", "run")
    assert outcome.returncode == 0, outcome.output
    assert tree(home / "run") == before


def test_every_option_that_names_a_path_is_considered() -> None:
    """A new one is looked at too, or is named here: azcopy is only started, the main folder is what others lie in."""
    named = {option.key for option in OPTIONS if option.type is Type.PATH} - {"main-folder", "azcopy"}
    assert named == {*KEYS, "config-file"}
