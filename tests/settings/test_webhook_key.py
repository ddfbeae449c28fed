"""The webhook's key is text that the receiver has, too."""

from __future__ import annotations

import pathlib

import pytest

from sync_to_azure.settings.webhook_options import _read


def test_a_binary_key_is_refused(tmp_path: pathlib.Path) -> None:
    """Decoded with replacements, all of them would be one key, which nobody's receiver has."""
    path = tmp_path / "key"
    path.write_bytes(bytes(range(128, 160)))
    path.chmod(0o600)
    with pytest.raises(ValueError, match="ASCII"):
        _read(path)
    path.write_bytes(b"0123456789abcdef" * 2 + b"\n")
    assert _read(path) == "0123456789abcdef" * 2
