"""A folder seen through FUSE that fails when told: share.py FOLDER MOUNT_POINT CONTROL_FILE [SECONDS]

CONTROL_FILE is JSON: nothing, or which ``operations`` fail with which ``errno`` when ``after`` of them have passed;
a file CONTROL_FILE-struck is made when the first has failed. Its client keeps what it was told for SECONDS. mounts.py
starts it, with the system's Python.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pyfuse3

from embedded.pass_through import PassThrough, serve


class Failing(PassThrough):
    def __init__(self, folder: str, control: str) -> None:
        super().__init__(folder)
        self._control = control
        self._words: dict[str, Any] = {}
        self._read_at: tuple[int, int] = (0, 0)
        self._passed = 0

    def before(self, operation: str, path: str) -> None:
        status = os.stat(self._control)
        read_at = (status.st_mtime_ns, status.st_ino)
        if read_at != self._read_at:
            self._read_at, self._passed = read_at, 0
            with open(self._control, encoding="utf-8") as handle:
                self._words = json.load(handle)
        if operation not in self._words.get("operations", ()):
            return
        self._passed += 1
        if self._passed > self._words["after"]:
            with open(self._control + "-struck", "w", encoding="utf-8"):
                pass
            raise pyfuse3.FUSEError(self._words["errno"])


if __name__ == "__main__":
    given_folder, mount_point, given_control, *seconds = sys.argv[1:]
    share = Failing(given_folder, given_control)
    share.kept = int(seconds[0]) if seconds else 0
    serve(share, mount_point)
