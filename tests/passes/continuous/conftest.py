"""A scene whose main folder holds projects that are never done."""

from __future__ import annotations

import pytest

from tests.passes.continuous.projects import DAY, Projects
from tests.passes.conftest import azcopy_calls, proxy, scene
from tests.passes.scene import Scene

__all__ = ["azcopy_calls", "proxy", "scene"]


def _projects(scene: Scene, profile: str) -> Projects:
    del scene.config["completion-flag"]
    scene.config |= {"profile": profile, "uploader": "native"}
    return Projects(scene, 2 * DAY)


@pytest.fixture
def proteomics(scene: Scene) -> Projects:
    return _projects(scene, "proteomics")


@pytest.fixture
def metabolomics(scene: Scene) -> Projects:
    return _projects(scene, "metabolomics")
