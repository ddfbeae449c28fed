"""A log or a mail server that cannot be used: told, and nothing else changes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import LONG
from tests.passes.bad_input.faults import blobs, small_disk, told, write_run
from tests.server import nobody_listens

Run = Callable[..., Any]


@pytest.fixture
def refusing() -> Iterator[int]:
    with nobody_listens() as port:
        yield port


@pytest.mark.parametrize("complete", [True, False])
def test_the_mail_server_refuses(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    refusing: int,
    complete: bool,
) -> None:
    """The exit code is the pass's own, with and without trouble to tell."""
    write_run(main_folder, "run")
    config = everyday | {
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": refusing,
        "smtp-user": "robot",
        "smtp-password": "hunter2%#x",
        "smtp-security": "none",
    }
    if complete:
        outcome = run_command(config=config)
        told(outcome, 0, "run: published")
        assert "mail" not in outcome.stderr
    else:
        outcome = run_command(config=config | {"azcopy": "/nowhere/azcopy"})
        told(outcome, 3, "AzCopy is not at /nowhere/azcopy", f"mail server 127.0.0.1:{refusing}", "refused")
        assert "hunter2" not in outcome.output


def test_the_log_file_is_on_a_full_disk(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    container: Any,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "run")
    with small_disk(tmp_path / "disk", 4) as disk:
        (disk / "filler").write_bytes(bytes(4096))
        outcome = run_command(config=everyday | {"log-file": disk / "x.log"})
        told(outcome, 0, f"log file {disk / 'x.log'}", "No space left on device", "run: published")
        assert outcome.stderr.count("No space left") == 1
    assert "run.sync" in blobs(container)


@pytest.mark.parametrize("kind", ["folder", "denied", "below a file"])
def test_the_log_file_cannot_be_opened(
    run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path, kind: str
) -> None:
    path = tmp_path / "x" / "x.log"
    if kind == "below a file":
        (tmp_path / "x").touch()
    else:
        (tmp_path / "x").mkdir()
    if kind == "folder":
        path.mkdir()
    if kind == "denied":
        (tmp_path / "x").chmod(0o500)
    outcome = run_command(config=everyday | {"log-file": path}, unprivileged=True)
    told(outcome, 0, f"log file {path} cannot be opened", "the pass continues without it")


def test_two_troubles_at_once(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A source that is gone, a log that cannot be opened and a mail server that is not there: each is said."""
    config = everyday | {
        "main-folder": tmp_path / "nowhere",
        "log-file": "/proc/none/x.log",
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": "1",
    }
    outcome = run_command(config=config)
    told(outcome, 3, f"{tmp_path / 'nowhere'} is not there", "/proc/none/x.log", "mail server 127.0.0.1:1")


def test_nobody_reads_the_output(
    start_command: Any, everyday: dict[str, object], main_folder: pathlib.Path, container: Any
) -> None:
    """`sync_to_azure | head` ends the reader, not the pass's work."""
    write_run(main_folder, "run")
    process = start_command(config=everyday)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=LONG) == 0
    assert "run.sync" in blobs(container)


def test_a_terminal_that_knows_only_ascii(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path
) -> None:
    write_run(main_folder, "läb")
    outcome = run_command(config=everyday, environment={"PYTHONIOENCODING": "ascii"})
    told(outcome, 0, "l\\xe4b: published")
    assert "l\\xe4b" in outcome.stdout
