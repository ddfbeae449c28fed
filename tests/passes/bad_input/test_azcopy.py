"""An AzCopy that is missing, old, or behaves badly."""

from __future__ import annotations

import os
import pathlib
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.passes.bad_input.faults import assert_no_secret, blobs, stand_in, told, write_run
from embedded.azurite import Azurite

Run = Callable[..., Any]
LIES = """echo '{"MessageType":"EndOfJob","MessageContent":"{\\"JobStatus\\":\\"Completed\\"}"}'"""
NEW = 'if [ "$1" = --version ]; then echo "azcopy version 10.32.2"; exit 0; fi'


@pytest.fixture
def config(
    everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> dict[str, object]:
    write_run(main_folder, "run")
    return everyday | {"azcopy": tmp_path / "azcopy", "retry-times": 2}


def test_missing(run_command: Run, config: dict[str, object], tmp_path: pathlib.Path) -> None:
    told(run_command(config=config), 3, f"AzCopy is not at {tmp_path / 'azcopy'}", "--azcopy")


def test_not_on_the_path(
    run_command: Run, config: dict[str, object], tmp_path: pathlib.Path, container: Any
) -> None:
    del config["azcopy"]
    outcome = run_command(config=config, environment={"PATH": str(tmp_path)})
    told(outcome, 3, "neither azcopy nor azure-storage-azcopy is on PATH", "install AzCopy 10")
    assert blobs(container) == set()


def test_not_executable(run_command: Run, config: dict[str, object], tmp_path: pathlib.Path) -> None:
    stand_in(tmp_path / "azcopy", NEW).chmod(0o644)
    told(run_command(config=config), 3, f"{tmp_path / 'azcopy'} is not executable", "chmod")


def test_a_folder(run_command: Run, config: dict[str, object], tmp_path: pathlib.Path) -> None:
    told(run_command(config=config | {"azcopy": tmp_path}), 3, f"AzCopy at {tmp_path} is a folder")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo azcopy version 10.3.1", "is 10.3.1; at least 10.22.0 is needed"),
        ("echo azcopy version 8.1.0", "is 8.1.0"),
        (
            "echo 'libsecret-1.so.0: cannot open shared object file' >&2; exit 127",
            "(exit code 127): libsecret-1",
        ),
        ("exit 0", "does not report its version (exit code 0): no output"),
        ("kill -9 $$", "does not report its version (exit code -9)"),
    ],
)
def test_too_old_or_none(
    run_command: Run, config: dict[str, object], tmp_path: pathlib.Path, body: str, words: str
) -> None:
    stand_in(tmp_path / "azcopy", body)
    told(run_command(config=config), 3, f"AzCopy at {tmp_path / 'azcopy'}", words)


def test_for_another_machine(run_command: Run, config: dict[str, object], tmp_path: pathlib.Path) -> None:
    stand_in(tmp_path / "azcopy", "").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    told(run_command(config=config), 3, f"AzCopy at {tmp_path / 'azcopy'} does not start", "reinstall it")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'panic: runtime error: index out of range'; exit 2", "exit code 2 and no summary (a panic)"),
        ("kill -11 $$", "exit code -11 and no summary"),
        ("exit 0", "exit code 0 and no summary"),
        ("head -c 3000000 /dev/urandom; exit 1", "exit code 1 and no summary"),
    ],
)
def test_crashing(
    run_command: Run,
    config: dict[str, object],
    tmp_path: pathlib.Path,
    container: Any,
    body: str,
    words: str,
) -> None:
    """Nobody knows what of it is still on its way: another AzCopy is not started for this run."""
    stand_in(tmp_path / "azcopy", f"{NEW}\necho x >> {shlex.quote(str(tmp_path))}/starts\n{body}")
    outcome = run_command(config=config | {"log-file": tmp_path / "x.log"})
    told(outcome, 0, "try 1 of 2", words, "the rest is uploaded natively")
    assert (tmp_path / "starts").read_text(encoding="utf-8") == "x\n"
    assert "run.sync" in blobs(container)
    assert_no_secret(tmp_path, outcome, [Azurite.key], but=("account.key",))


@pytest.mark.parametrize(("body", "words"), [(LIES, "AzCopy claims success, but sent 0 of 4 files")])
def test_lying(
    run_command: Run,
    config: dict[str, object],
    tmp_path: pathlib.Path,
    container: Any,
    body: str,
    words: str,
) -> None:
    stand_in(tmp_path / "azcopy", f"{NEW}\n{body}")
    outcome = run_command(config=config | {"log-file": tmp_path / "x.log"})
    told(outcome, 1, "try 1 of 2", "run: not verified after 2 tries", words)
    assert not [name for name in blobs(container) if name.startswith("run.")]
    assert_no_secret(tmp_path, outcome, [Azurite.key], but=("account.key",))


@pytest.mark.parametrize("body", ["sleep 600", "trap '' INT TERM; while :; do sleep 1; done"])
def test_hanging(
    run_command: Run, config: dict[str, object], tmp_path: pathlib.Path, container: Any, body: str
) -> None:
    stand_in(tmp_path / "azcopy", f"{NEW}\necho $$ >> {shlex.quote(str(tmp_path))}/pids\n{body}")
    # Within this time it must have said who it is, on a busy machine too.
    outcome = run_command(config=config | {"timeout": 5, "retry-times": 1})
    told(outcome, 1, "AzCopy made no progress for 5 s and was ended", "check the network")
    for pid in (tmp_path / "pids").read_text(encoding="utf-8").split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_what_others_of_the_pass_do_while_one_run_fails(
    run_command: Run,
    config: dict[str, object],
    tmp_path: pathlib.Path,
    main_folder: pathlib.Path,
    azcopy: pathlib.Path,
    container: Any,
) -> None:
    """AzCopy lies about one run only: the other one is carried, and the failed one in the next pass."""
    write_run(main_folder, "zz")
    lies = f'case "$2" in */zz) exec {shlex.quote(str(azcopy))} "$@";; *) {LIES};; esac'
    stand_in(tmp_path / "azcopy", f"{NEW}\n{lies}")
    told(run_command(config=config), 1, "run: not verified after 2 tries")
    assert "zz.sync" in blobs(container) and "run.sync" not in blobs(container)
    told(run_command(config=config | {"azcopy": azcopy}), 0)
    assert "run.sync" in blobs(container)


def test_its_folder_is_full_or_denied(
    run_command: Run, config: dict[str, object], azcopy: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o500)
    config |= {"azcopy": azcopy, "azcopy-logs": logs / "deeper"}
    told(run_command(config=config, unprivileged=True), 3, str(logs / "deeper"), "azcopy-logs")
    (tmp_path / "file").touch()
    config |= {"azcopy-logs": tmp_path / "file"}
    told(run_command(config=config), 3, str(tmp_path / "file"), "azcopy-logs")
