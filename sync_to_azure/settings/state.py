"""The folder in which what is remembered between two starts is kept."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder(state_file: Path | None) -> Path:
    """The user's state folder, or the state file's own where one is named."""
    if state_file is not None:
        return state_file.parent
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(home) / "sync_to_azure"
