"""A configuration that cannot be used: exit code 2, all problems told, nothing begun."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.passes.bad_input.faults import told, write_run

Run = Callable[..., Any]


def test_the_config_file_is_missing_or_a_folder(run_command: Run, tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "nowhere.cfg", tmp_path):
        outcome = run_command("--config-file", path)
        told(outcome, 2, f"config file {path}")
        assert "main-folder is not given" not in outcome.output


def test_the_credentials_file_is_missing_empty_or_a_folder(
    run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path
) -> None:
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    for path, words in ((tmp_path / "gone", "gone"), (empty, "is empty"), (tmp_path, "folder")):
        outcome = run_command(config=everyday | {"credentials": path})
        told(outcome, 2, str(path), words)
        assert not pathlib.Path(str(everyday["state-file"])).exists()


def test_a_credentials_file_that_others_can_read_is_warned_about_each_time(
    run_command: Run, everyday: dict[str, object], account_key_file: pathlib.Path
) -> None:
    account_key_file.chmod(0o644)
    for _ in range(2):
        told(run_command(config=everyday), 0, f"chmod 600 {account_key_file}")


def test_recipients_without_a_host(run_command: Run, everyday: dict[str, object]) -> None:
    told(run_command(config=everyday | {"log-recipient": "lab@example.org"}), 2, "log-recipient", "smtp-host")


def test_a_key_that_is_no_key(run_command: Run, everyday: dict[str, object]) -> None:
    """As long as it is base64, only the service can know that it is not the account's."""
    outcome = run_command(config=everyday, environment={"SYNC_TO_AZURE_CREDENTIALS": "/dev/null"})
    told(outcome, 2, "/dev/null", "is empty")


@pytest.mark.parametrize("key", ["hunter2 hunter2", "Eby8vdM02xNOcqFlqUwJPLlmEtl"])
def test_a_malformed_account_key(
    run_command: Run, everyday: dict[str, object], account_key_file: pathlib.Path, key: str
) -> None:
    account_key_file.write_text(key, encoding="utf-8")
    outcome = run_command(config=everyday)
    told(outcome, 2, str(account_key_file), "base64")
    assert key not in outcome.output


def test_two_problems_at_once(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_run(main_folder, "run")
    config = everyday | {"credentials": tmp_path / "gone", "timeout": "soon", "retry-time": "3"}
    outcome = run_command(config=config)
    told(outcome, 2, str(tmp_path / "gone"), "timeout 'soon'", "did you mean 'retry-times'?")
