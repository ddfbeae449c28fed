"""Fixtures of removal: a scene that carries with the native uploader, and a share before its main folder."""

from __future__ import annotations

import collections.abc
import contextlib
import json
import os
import pathlib
import subprocess
import time

import pytest

from tests.passes.conftest import azcopy_calls, proxy
from tests.passes.conftest import scene as any_scene
from tests.passes.scene import Scene, tree

__all__ = ["any_scene", "azcopy_calls", "proxy"]

PYTHON = "/usr/bin/python3"
ASIDE = ".sync_to_azure-removing-"


@pytest.fixture
def scene(any_scene: Scene) -> Scene:
    any_scene.config |= {"uploader": "native", "remove-source": "true"}
    return any_scene


class Share:
    """The main folder as the command sees it; tests look at, and change, the folder behind it."""

    def __init__(self, scene: Scene, folder: pathlib.Path) -> None:
        self.point = folder / "share"
        self.point.mkdir()
        self._rules, self._strikes = folder / "rules.json", folder / "strikes"
        self._strikes.touch()
        self.rules()
        scene.config["main-folder"] = self.point
        argv = [str(pathlib.Path(__file__).with_name("share.py")), str(scene.main), str(self.point)]
        self.process = subprocess.Popen([PYTHON, *argv, str(self._rules), str(self._strikes)])
        deadline = time.monotonic() + 20
        while not os.path.ismount(self.point):
            assert self.process.poll() is None and time.monotonic() < deadline, "FUSE did not come up"
            time.sleep(0.02)

    def rules(self, *rules: dict[str, object]) -> None:
        """From now on these; none: the share is well."""
        new = self._rules.with_suffix(".new")
        new.write_text(json.dumps(rules), encoding="utf-8")
        new.rename(self._rules)

    def strikes(self) -> list[str]:
        """What was struck since this was asked last."""
        lines = self._strikes.read_text(encoding="utf-8").splitlines()
        self._strikes.write_text("", encoding="utf-8")
        return lines

    def close(self) -> None:
        subprocess.run(["fusermount3", "-u", "-z", str(self.point)], check=False)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def share(scene: Scene, tmp_path: pathlib.Path) -> collections.abc.Iterator[Share]:
    fuse = os.access("/dev/fuse", os.R_OK | os.W_OK)
    if (
        not fuse
        or subprocess.run([PYTHON, "-c", "import pyfuse3"], capture_output=True, check=False).returncode
    ):
        pytest.skip("FUSE is not here: apt-get install fuse3 python3-pyfuse3")
    with contextlib.closing(Share(scene, tmp_path)) as mounted:
        yield mounted


class Contents:
    """What the runs held when they were made. Nothing of it may ever be missing from both ends."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._files: dict[str, dict[str, bytes]] = {}

    def take(self, *runs: str) -> None:
        for run in runs:
            self._files[run] = tree(self._scene.main / run)

    def check(self) -> None:
        """Every file is at the source, under either name, or its bytes are at the destination."""
        names = set(self._scene.etags())
        for run, files in self._files.items():
            here = tree(self._scene.main / run) | tree(self._scene.main / f"{ASIDE}{run}")
            for path, content in files.items():
                blob = f"{run}/{path}"
                safe = here.get(path) == content or (blob in names and self._scene.get(blob) == content)
                assert safe, f"{blob} is lost"


@pytest.fixture
def contents(scene: Scene) -> Contents:
    return Contents(scene)
