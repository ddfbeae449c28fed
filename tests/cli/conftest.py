"""What a start loads, prints and returns is what is tested here: none is warm."""

from __future__ import annotations

import pytest


@pytest.fixture
def starts() -> None:
    return None
