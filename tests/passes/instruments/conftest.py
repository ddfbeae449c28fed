"""A scene without a completion-flag: the instrument's family says when a run is finished."""

from __future__ import annotations

import pytest

from tests.passes.conftest import azcopy_calls
from tests.passes.conftest import scene as any_scene
from tests.passes.scene import Scene

__all__ = ["any_scene", "azcopy_calls"]


@pytest.fixture
def scene(any_scene: Scene) -> Scene:
    any_scene.config |= {"uploader": "native"}
    del any_scene.config["completion-flag"]
    return any_scene
