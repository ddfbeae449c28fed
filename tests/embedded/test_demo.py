"""`make demo` does what it shows, and leaves nothing behind."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from embedded.tools import PROJECT


@pytest.mark.parametrize("keep", [False, True])
def test_the_demo(tmp_path: pathlib.Path, keep: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "embedded.demo", *(["--keep"] if keep else [])],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "waiting: RTAComplete.txt is missing" in ended.stdout + ended.stderr
    ahead = re.search(r"(\d+) of (\d+) files, .* had been uploaded before that", ended.stdout)
    assert ahead and int(ahead[2]) * 0.9 < int(ahead[1]) < int(ahead[2]), "all but the last flags, or nearly"
    assert ended.stdout.count("MD5s agree") == 3
    kept = [path.name for path in tmp_path.glob("sync-to-azure-demo-*")]
    assert len(kept) == (1 if keep else 0)
