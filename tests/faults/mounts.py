"""What a main folder can lie on: a bind mount that may vanish, a small disk that may fill up, a share that fails."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess

from embedded.mounted import Mounted


class Bound:
    """``folder`` shows what ``source`` holds, until it is taken away."""

    def __init__(self, source: pathlib.Path, folder: pathlib.Path) -> None:
        self.folder = folder
        self.is_mounted = False
        self.mount(source)

    def mount(self, source: pathlib.Path) -> None:
        subprocess.run(["mount", "--bind", source, self.folder], check=True)
        self.is_mounted = True

    def mount_tmpfs(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "other", self.folder], check=True)
        self.is_mounted = True

    def unmount(self) -> None:
        """As when a share is taken away: at once, whoever still has a file open."""
        if self.is_mounted:
            subprocess.run(["umount", "-l", self.folder], check=True)
            self.is_mounted = False

    close = unmount


class SmallDisk:
    """A file system of its own at ``folder``, which can be filled to the last byte."""

    def __init__(self, folder: pathlib.Path, megabytes: int) -> None:
        self.folder = folder
        options = f"size={megabytes}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", folder], check=True)

    @property
    def ballast(self) -> pathlib.Path:
        return self.folder / "ballast"

    def fill(self, leave: int = 0) -> None:
        """To the last ``leave`` bytes."""
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as handle:
            while True:
                handle.write(bytes(65536))
        if leave:
            os.truncate(self.ballast, max(0, self.ballast.stat().st_size - leave))

    @property
    def is_full(self) -> bool:
        return os.statvfs(self.folder).f_bavail == 0

    def free(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)


class Share:
    """``folder`` shows what ``source`` holds, through FUSE (share.py); ``fail``: it answers as a share that is gone.
    ``kept``: seconds for which its client answers looks by itself."""

    def __init__(
        self, source: pathlib.Path, folder: pathlib.Path, control: pathlib.Path, kept: int = 0
    ) -> None:
        self.folder = folder
        self._control = control
        self._struck = control.with_name(control.name + "-struck")
        self.heal()
        program = pathlib.Path(__file__).with_name("share.py")
        self._mounted = Mounted(program, source, folder, control, kept)
        self.close = self._mounted.close

    def fail(self, error: int, after: int, operations: str = "read lookup getattr open readdir") -> None:
        """Every operation of these fails with ``error``, when ``after`` of them have passed."""
        self._struck.unlink(missing_ok=True)
        self._say({"errno": error, "after": after, "operations": operations.split()})

    @property
    def struck(self) -> bool:
        return self._struck.exists()

    def heal(self) -> None:
        self._say({})

    def _say(self, words: dict[str, object]) -> None:
        new = self._control.with_name(self._control.name + "-new")
        new.write_text(json.dumps(words), encoding="utf-8")
        new.replace(self._control)
