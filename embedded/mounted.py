"""A folder mounted through FUSE by a program of ours: see pass_through.py."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

from embedded.tools import PROJECT

SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that has pyfuse3 (Debian's python3-pyfuse3)."""

MISSING = "FUSE does not run here: apt-get install fuse3 python3-pyfuse3"


def can_mount() -> bool:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return False
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import pyfuse3"], capture_output=True, check=False)
    return asked.returncode == 0


class Mounted:
    """``point`` shows ``folder`` as ``program`` has it, which is started with both and ``words``, until it is closed.

    Raises RuntimeError where there is no FUSE.
    """

    def __init__(
        self, program: pathlib.Path, folder: pathlib.Path, point: pathlib.Path, *words: object
    ) -> None:
        self.point = point
        argv = [SYSTEM_PYTHON, *map(str, (program, folder, point, *words))]
        self._process = subprocess.Popen(argv, env=dict(os.environ) | {"PYTHONPATH": str(PROJECT)})
        # A busy machine takes its time.
        deadline = time.monotonic() + 60
        while not os.path.ismount(point):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(MISSING)
            time.sleep(0.01)

    def close(self) -> None:
        """At once, whoever still has a file open."""
        subprocess.run(["fusermount3", "-u", "-z", str(self.point)], check=False)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
