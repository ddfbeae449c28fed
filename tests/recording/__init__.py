"""What a pass does with each run, written down: off unless RECORD_STEPS names a folder."""

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent


def environment() -> dict[str, str]:
    """What processes that tests start need, to be recorded too."""
    if "RECORD_STEPS" not in os.environ:
        return {}
    names = ("RECORD_STEPS", "PYTEST_CURRENT_TEST")
    given = {name: os.environ[name] for name in names if name in os.environ}
    return given | {"PYTHONPATH": f"{FOLDER}:{FOLDER.parent.parent}"}
