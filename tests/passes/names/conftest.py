"""Whole passes over odd names: the scene of tests/passes, with either uploader."""

from __future__ import annotations

import pytest

from tests.passes.conftest import azcopy_calls, proxy, scene
from tests.passes.scene import Scene

__all__ = ["azcopy_calls", "carrying", "proxy", "scene"]


@pytest.fixture(params=["native", "azcopy"])
def carrying(scene: Scene, request: pytest.FixtureRequest) -> Scene:
    scene.config["uploader"] = request.param
    return scene
