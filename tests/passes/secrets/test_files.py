"""Files that we write are for our own eyes, whatever the umask; what comes over the line is verified."""

from __future__ import annotations

import pathlib
import shlex
import stat
import subprocess
import sys
import typing

import pytest

from tests.conftest import LONG
from tests.passes.bad_input.faults import stand_in, told, write_run

Run = typing.Any


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_all_that_a_pass_writes_is_for_its_owner_only(
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    start_command: typing.Any,
    azcopy: pathlib.Path,
    uploader: str,
) -> None:
    """With a umask of 0 and the state in the home; during the pass and after it, ended well and ended badly."""
    write_run(main_folder, "run")
    del everyday["state-file"]
    seen = tmp_path / "seen"
    # While AzCopy runs, everything is there: ledger, its WAL, what a walk saw, lists, plans, logs.
    look = f"find {shlex.quote(str(start_command.home))} -printf '%m %y %p\\n' >> {seen}"
    program = stand_in(
        tmp_path / "azcopy-with-a-look",
        f'[ "$1" = copy ] || exec {shlex.quote(str(azcopy))} "$@"\n'
        f'{shlex.quote(str(azcopy))} "$@"; code=$?\n{look}\n'
        f'touch "$AZCOPY_LOG_LOCATION/made-by-azcopy"\n{look}\nexit $code',
    )
    log = start_command.home / "log" / "pass.log"
    config = everyday | {"uploader": uploader, "azcopy": program, "log-file": log, "retry-times": 1}
    file = start_command._file(config)
    for expected, key in ((0, "--log-level=DEBUG"), (3, "--container-name=is-not-there")):
        done = subprocess.run(
            [
                "sh",
                "-c",
                'umask 0; exec "$@"',
                "sh",
                sys.executable,
                "-m",
                "sync_to_azure",
                "--config-file",
                file,
                key,
            ],
            capture_output=True,
            text=True,
            env=start_command.clean_environment(),
            cwd=start_command.home,
            timeout=LONG,
        )
        assert done.returncode == expected, done.stdout + done.stderr
    lines = seen.read_text("utf-8").splitlines() if seen.exists() else []
    assert uploader == "native" or any("made-by-azcopy" in line for line in lines)
    for path in start_command.home.rglob("*"):
        kind = "d" if path.is_dir() else "f"
        lines.append(f"{stat.S_IMODE(path.lstat().st_mode):o} {kind} {path}")
    assert any(line.endswith(".sqlite") for line in lines) and any(
        line.endswith("pass.log") for line in lines
    )
    for line in lines:
        mode, kind, path = line.split(" ", 2)
        if kind == "f":
            assert int(mode, 8) & 0o077 == 0, line
        elif "sync_to_azure" in path:
            assert int(mode, 8) & 0o077 == 0, line


def test_a_config_file_with_a_password_that_others_can_read_is_warned_about_each_time(
    run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path
) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in everyday.items())
    path = tmp_path / "open.cfg"
    path.write_text(text + "smtp-password = hunter2-of-the-mail\n", encoding="utf-8")
    for mode, warned in ((0o644, True), (0o640, True), (0o644, True), (0o600, False)):
        path.chmod(mode)
        outcome = run_command(config=path)
        told(outcome, 0)
        assert (f"chmod 600 {path}" in outcome.output) is warned
        assert "hunter2" not in outcome.output
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    assert "chmod 600" not in run_command(config=path).output, "nothing in it is secret"


def test_plain_http_that_is_not_this_machine_is_refused_until_it_is_said(
    run_command: Run, everyday: dict[str, object]
) -> None:
    config = everyday | {
        "blob-endpoint": "http://192.0.2.1:9/devstoreaccount1",
        "timeout": 1,
        "retry-times": 1,
    }
    told(run_command(config=config), 2, "is plain http", "allow-plain-http")
