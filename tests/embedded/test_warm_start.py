"""A command that is forked from a warm process does what a cold one does."""

from __future__ import annotations

import os
import pathlib
import signal
import typing

import pytest

Start = typing.Any


@pytest.mark.parametrize(
    "arguments", [["--help"], ["settings", "--json"], ["--nonsense"], ["status"]], ids=str
)
def test_it_says_and_returns_the_same(run_command: Start, arguments: list[str]) -> None:
    environment = {"SYNC_TO_AZURE_STORAGE_ACCOUNT": "lake", "SYNC_TO_AZURE_CONTAINER_NAME": "runs"}
    warm, cold = (run_command(*arguments, environment=environment, cold=cold) for cold in (False, True))
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_without_capabilities_modes_bind_it(run_command: Start, tmp_path: pathlib.Path) -> None:
    config = tmp_path / "closed.cfg"
    config.write_text("main-folder = /data\n", encoding="utf-8")
    config.chmod(0)
    warm, cold = (
        run_command("settings", config=config, unprivileged=True, cold=cold) for cold in (False, True)
    )
    assert (warm.returncode, warm.stderr) == (cold.returncode, cold.stderr)
    assert warm.returncode == 2
    if os.geteuid() == 0:
        assert run_command("settings", config=config).stderr != warm.stderr, "root reads it"


def test_a_signal_ends_it(start_command: Start, everyday: dict[str, object]) -> None:
    process = start_command(config=everyday)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL and process.poll() == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)
    assert process.communicate(60) is not None
