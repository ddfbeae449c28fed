"""What tests of whole passes need: a scene (main folder, container, command) and a proxy before the storage."""

from __future__ import annotations

import collections.abc
import pathlib
import shlex

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene


@pytest.fixture
def proxy(azurite: Azurite) -> collections.abc.Iterator[Proxy]:
    """Between the command and Azurite; nothing passes it unseen. Use it with ``scene.through(proxy)``."""
    with Proxy(azurite.port) as server:
        yield server


@pytest.fixture
def azcopy_calls(tmp_path: pathlib.Path) -> pathlib.Path:
    """A line for each start of AzCopy (its ``--version`` too)."""
    path = tmp_path / "azcopy-calls"
    path.touch()
    return path


@pytest.fixture
def scene(
    everyday: dict[str, object],
    container: ContainerClient,
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    run_command: collections.abc.Callable[..., object],
    start_command: collections.abc.Callable[..., object],
    azcopy: pathlib.Path,
    azcopy_calls: pathlib.Path,
) -> Scene:
    """AzCopy is the real one, behind a line of shell that writes down its arguments and becomes it (same process)."""
    spy = tmp_path / "azcopy-that-is-noted"
    spy.write_text(
        f'#!/bin/sh\necho "$*" >> {shlex.quote(str(azcopy_calls))}\nexec {shlex.quote(str(azcopy))} "$@"\n',
        encoding="utf-8",
    )
    spy.chmod(0o755)
    return Scene(
        config=everyday | {"azcopy": spy, "retry-times": 2, "timeout": 100},
        container=container,
        main=main_folder,
        folder=tmp_path,
        calls=azcopy_calls,
        run_command=run_command,
        start_command=start_command,
    )
