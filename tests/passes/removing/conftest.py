"""Fixtures of removal: a scene that carries with the native uploader, and a share before its main folder."""

from __future__ import annotations

import collections.abc
import contextlib
import json
import pathlib

import pytest

from embedded.mounted import MISSING, Mounted, can_mount
from tests.passes.conftest import azcopy_calls, proxy
from tests.passes.conftest import scene as any_scene
from tests.passes.scene import Scene, tree

__all__ = ["any_scene", "azcopy_calls", "proxy"]

ASIDE = ".sync_to_azure-removing-"


@pytest.fixture
def scene(any_scene: Scene) -> Scene:
    any_scene.config |= {"uploader": "native", "remove-source": "true"}
    return any_scene


class Share:
    """The main folder as the command sees it; tests look at, and change, the folder behind it."""

    def __init__(self, scene: Scene, folder: pathlib.Path, kept: int = 0) -> None:
        """``kept``: seconds for which its client answers by itself what it was told once."""
        self.point = folder / "share"
        self.point.mkdir()
        self._rules, self._strikes = folder / "rules.json", folder / "strikes"
        self._strikes.touch()
        self.rules()
        scene.config["main-folder"] = self.point
        program = pathlib.Path(__file__).with_name("share.py")
        self._mounted = Mounted(program, scene.main, self.point, self._rules, self._strikes, kept)
        self.close = self._mounted.close

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


@pytest.fixture
def share(scene: Scene, tmp_path: pathlib.Path) -> collections.abc.Iterator[Share]:
    if not can_mount():
        pytest.skip(MISSING)
    with contextlib.closing(Share(scene, tmp_path)) as mounted:
        yield mounted


@pytest.fixture
def caching_share(
    scene: Scene, tmp_path: pathlib.Path
) -> collections.abc.Iterator[collections.abc.Callable[[int], Share]]:
    """Call it with the seconds."""
    if not can_mount():
        pytest.skip(MISSING)
    with contextlib.ExitStack() as mounted:
        yield lambda kept: mounted.enter_context(contextlib.closing(Share(scene, tmp_path, kept)))


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
