"""`.ci/run`: when it fails. `make` is a stand-in on PATH that prints what pytest would have."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from embedded.tools import PROJECT

WELL = [
    "=== 33 passed in 163.27s (0:02:43) ===",
    "=== 232 passed in 31.04s ===",
    "=== 1 xfailed, 2108 passed, 2 warnings in 895.95s (0:14:55) ===",
]
SKIPPED = "=== 32 passed, 1 skipped in 163.27s (0:02:43) ==="
REASON = "SKIPPED [1] tests/image/conftest.py:64: images are built and run by root"


def ci(folder: pathlib.Path, lines: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    (folder / "said").write_text("\n".join(lines) + "\n", encoding="utf-8")
    make = folder / "make"
    make.write_text(f"#!/bin/sh\ncat {folder}/said\nexit {code}\n", encoding="utf-8")
    make.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", PROJECT / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=60
    )


def test_all_is_well(tmp_path: pathlib.Path) -> None:
    """Steps end in any order; the main tests are told last."""
    ended = ci(tmp_path, [WELL[2], WELL[0], WELL[1]])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-3:] == [line.strip("= ") for line in WELL]


@pytest.mark.parametrize("step", range(3))
def test_a_skipped_test_is_a_failure_in_each_step_and_its_reason_is_told(
    tmp_path: pathlib.Path, step: int
) -> None:
    lines = [*WELL[:step], REASON, SKIPPED, *WELL[step + 1 :]]
    ended = ci(tmp_path, lines)
    assert ended.returncode == 1
    assert ended.stdout.count(REASON) == 2 and "skipped tests are failures here" in ended.stdout


def test_what_fails_or_did_not_run_is_a_failure(tmp_path: pathlib.Path) -> None:
    assert ci(tmp_path, WELL, code=2).returncode == 2
    ended = ci(tmp_path, WELL[1:])
    assert ended.returncode == 1 and "pytest did not run all tests" in ended.stdout
