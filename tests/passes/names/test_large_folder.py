"""A hundred thousand files in one folder: really walked and planned, and carried to a server that discards them."""

from __future__ import annotations

import os
import pathlib
import re
import resource
import shutil

import pytest

from benchmarks.discarding import Discarding
from tests.passes.scene import FLAG, Scene

FILES = 100_000
LONG = 1200
"""Seconds, on a busy machine; alone it takes a fiftieth."""
MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


@pytest.fixture
def run(scene: Scene) -> pathlib.Path:
    """Empty files: what one folder of so many costs is their names."""
    run = scene.make_run("R")
    folder = os.open(run / "Data", os.O_RDONLY | os.O_DIRECTORY)
    for number in range(FILES):
        os.close(os.open(f"s_1_{number:06}.bcl", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    return run


@pytest.mark.timeout(3000)
def test_a_hundred_thousand_files_in_one_folder_are_planned(scene: Scene, run: pathlib.Path) -> None:
    scene.config["uploader"] = "native"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    planned = scene.run("--dry-run", timeout=LONG)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert f"would be uploaded: {FILES + 3} files" in planned.stdout
    # Processor time, which a busy machine stretches less than time; alone it is 1.5 s.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20


@pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin") is None or not MODULE.exists(),
    reason="the server that discards is not there: embedded/bootstrap bench installs it",
)
@pytest.mark.timeout(3000)
def test_they_are_carried(scene: Scene, run: pathlib.Path) -> None:
    """Azurite would take minutes."""
    scene.config["uploader"] = "native"
    with Discarding() as server:
        scene.config["blob-endpoint"] = server.endpoint
        outcome = scene.run(timeout=LONG)
    assert re.search(rf"R +published +{FILES + 3} ", outcome.stdout), outcome.stdout
    [(files, published)] = scene.sql("SELECT count(*), min(generation) FROM file")
    assert (files, published) == (FILES + 3, 1)
    assert scene.sql("SELECT count(*) FROM file WHERE path = ?", f"{FLAG}".encode()) == [(1,)]
