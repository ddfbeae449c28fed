"""What tests of steps need: a main folder, and a store in a folder as the destination."""

from __future__ import annotations

import pathlib

import pytest

from tests.transfer.steps.local_scene import LocalScene


@pytest.fixture
def local_scene(
    main_folder: pathlib.Path, account_key_file: pathlib.Path, tmp_path: pathlib.Path
) -> LocalScene:
    config: dict[str, object] = {
        "main-folder": main_folder,
        "completion-flag": "RTAComplete.txt",
        "completion-delay": 0,
        "blob-endpoint": "http://127.0.0.1:1/devstoreaccount1",
        "container-name": "container",
        "credentials": account_key_file,
        "auth": "account-key",
        "uploader": "native",
        "retry-times": 2,
        "state-file": tmp_path / "ledger.sqlite",
    }
    return LocalScene(config, main_folder, tmp_path)
