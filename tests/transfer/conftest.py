"""Metrics are of whole passes: the same scene."""

from __future__ import annotations

from tests.passes import conftest as passes

proxy = passes.proxy
azcopy_calls = passes.azcopy_calls
scene = passes.scene
