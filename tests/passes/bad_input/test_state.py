"""A state file that cannot be used; what is lost with it costs time, never data."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.passes.bad_input.faults import blobs, small_disk, told, write_run

Run = Callable[..., Any]


@pytest.fixture
def state(everyday: dict[str, object]) -> pathlib.Path:
    return pathlib.Path(str(everyday["state-file"]))


def _published_once(run_command: Run, config: dict[str, object], main_folder: pathlib.Path) -> None:
    write_run(main_folder, "run")
    told(run_command(config=config), 0, "run: published")


def _garbage(state: pathlib.Path) -> None:
    state.write_bytes(b"garbage " * 1000)


def _torn(state: pathlib.Path) -> None:
    """The header is whole, what follows is not: found only when a page of it is read."""
    content = bytearray(state.read_bytes())
    content[100:] = os.urandom(len(content) - 100)
    state.write_bytes(content)


def _torn_behind(state: pathlib.Path) -> None:
    """The schema can be read; all other pages are noise."""
    content = bytearray(state.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    with sqlite3.connect(state) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run'").fetchone()
    connection.close()
    content[(root - 1) * page : root * page] = b"\x77" * page
    state.write_bytes(content)


@pytest.mark.parametrize("damage", [_garbage, _torn, _torn_behind])
def test_damaged(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    state: pathlib.Path,
    container: Any,
    damage: Callable[[pathlib.Path], None],
) -> None:
    """Moved aside, told, built anew in the same pass; exit code 1 once. Nothing is sent again."""
    _published_once(run_command, everyday, main_folder)
    etags = {blob.name: blob.etag for blob in container.list_blobs() if blob.name.startswith("run/")}
    damage(state)
    damaged = state.read_bytes()
    told(
        run_command("--dry-run", "--thorough", config=everyday),
        3,
        f"{state} cannot be used",
        "rebuilds it",
    )
    assert state.read_bytes() == damaged, "a dry run leaves that to a pass"
    outcome = run_command(config=everyday)
    (aside,) = (path for path in state.parent.glob("*.damaged-*") if not path.name.endswith(("-wal", "-shm")))
    told(outcome, 1, f"state file {state} is damaged", str(aside), "rebuilt")
    if damage is not _torn_behind:  # found in the middle of the pass, which had written before
        assert aside.read_bytes() == damaged
    assert "sending" not in outcome.stderr
    now = {blob.name: blob.etag for blob in container.list_blobs() if blob.name.startswith("run/")}
    assert now == etags
    told(run_command(config=everyday), 0, "1 unchanged")


def test_damaged_in_a_folder_that_takes_no_other_name(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    config = everyday | {"state-file": folder / "ledger.sqlite"}
    told(run_command(config=config), 0)
    (folder / "ledger.sqlite").write_bytes(b"garbage " * 1000)
    folder.chmod(0o500)
    outcome = run_command(config=config, unprivileged=True)
    folder.chmod(0o700)
    told(outcome, 3, str(folder / "ledger.sqlite"))
    assert (folder / "ledger.sqlite").read_bytes() == b"garbage " * 1000


def test_of_the_predecessor(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, state: pathlib.Path
) -> None:
    """JSON is never parsed, never overwritten, and told once."""
    text = json.dumps({"170609_NB551051_0017_AHLFFJBGX2": {"synced": True}})
    state.write_text(text, encoding="utf-8")
    write_run(main_folder, "run")
    told(run_command(config=everyday), 0, f"{state} is the state file of the predecessor", "run: published")
    outcome = run_command(config=everyday)
    told(outcome, 0)
    assert "before this one" not in outcome.output
    assert state.read_text(encoding="utf-8") == text and state.with_name(state.name + ".sqlite").exists()


def test_an_empty_file_becomes_the_ledger(
    run_command: Run, everyday: dict[str, object], state: pathlib.Path
) -> None:
    """As mktemp makes it."""
    state.touch()
    told(run_command(config=everyday), 0)
    assert state.read_bytes().startswith(b"SQLite format 3")


def test_a_database_of_another_program_is_left_alone(
    run_command: Run, everyday: dict[str, object], state: pathlib.Path
) -> None:
    with sqlite3.connect(state) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = state.read_bytes()
    told(
        run_command(config=everyday),
        3,
        f"state file {state} is a database of another program",
        "name another",
    )
    assert state.read_bytes() == before


def test_of_a_newer_version(run_command: Run, everyday: dict[str, object], state: pathlib.Path) -> None:
    told(run_command(config=everyday), 0)
    with sqlite3.connect(state) as connection:
        connection.execute("INSERT INTO migration VALUES ('9999_later')")
    connection.close()
    told(run_command(config=everyday), 3, f"{state} was written by a newer version", "9999_later")


def test_a_folder(run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path) -> None:
    told(run_command(config=everyday | {"state-file": tmp_path}), 3, f"state file {tmp_path} is a folder")


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_no_regular_file(
    run_command: Run, everyday: dict[str, object], state: pathlib.Path, kind: str
) -> None:
    if kind == "fifo":
        os.mkfifo(state)
    else:
        state = pathlib.Path("/dev/null")
    outcome = run_command(config=everyday | {"state-file": state})
    told(outcome, 3, f"state file {state} is no regular file", "name a file")


def test_in_a_place_that_may_not_be_written(
    run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for path in (locked / "ledger.sqlite", locked / "deeper" / "ledger.sqlite"):
        told(
            run_command(config=everyday | {"state-file": path}, unprivileged=True),
            3,
            str(path.parent),
            "Permission denied",
            "state-file",
        )


def test_that_may_not_be_written(run_command: Run, everyday: dict[str, object], state: pathlib.Path) -> None:
    told(run_command(config=everyday), 0)
    state.chmod(0o400)
    told(run_command(config=everyday, unprivileged=True), 3, f"state file {state}", "permissions")


def test_below_a_file(run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "ledger.sqlite"
    told(run_command(config=everyday | {"state-file": path}), 3, str(path), "Not a directory")


@pytest.mark.parametrize("kilobytes", [8, 40, 120, 200])
def test_on_a_full_disk(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    container: Any,
    kilobytes: int,
) -> None:
    """Wherever it runs full: told, nothing published that was not proved, and mended by free space alone."""
    write_run(main_folder, "run", files=400, size=10)
    with small_disk(tmp_path / "disk", 100_000) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes((100_000 - kilobytes) * 1024))
        config = everyday | {"state-file": disk / "ledger.sqlite", "azcopy-logs": tmp_path / "logs"}
        outcome = run_command(config=config)
        told(outcome, 3, str(disk), "free")
        assert "damaged" not in outcome.output
        assert not {"run.sync", "run.json"} & blobs(container)
        filler.unlink()
        told(run_command(config=config), 0, "run: published")


def test_azcopys_folder_on_a_full_disk(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_run(main_folder, "run")
    with small_disk(tmp_path / "disk", 1000) as disk:
        outcome = run_command(config=everyday | {"azcopy-logs": disk / "jobs"})
        told(outcome, 3, str(disk / "jobs"), "MiB free", "azcopy-logs")


def test_a_hung_pass(run_command: Run, everyday: dict[str, object], state: pathlib.Path) -> None:
    """Somebody holds the lock: no trouble while it lives, exit code 3 when it showed no sign of life for a day."""
    told(run_command(config=everyday), 0)
    (lock,) = state.parent.glob("*.lock")
    with open(lock, "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        told(run_command(config=everyday), 0, "another pass over", "nothing done")
        with sqlite3.connect(state) as connection:
            connection.execute("UPDATE flow SET heartbeat = ?", (time.time() - 30 * 3600,))
        connection.close()
        told(run_command(config=everyday), 3, "no progress for 30 h", "kill it")
    told(run_command(config=everyday), 0)
