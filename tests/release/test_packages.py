"""What a release consists of: sdist and wheel of both packages, installed into clean environments and tried."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import re
import subprocess
import sys
import typing

import pytest
from azure.storage.blob import ContainerClient

import sync_to_azure
from embedded.runs import write_miseq
from embedded.tools import PROJECT
from tests.conftest import config_text

pytestmark = [pytest.mark.xdist_group("vm"), pytest.mark.timeout(900)]

KINDS = {"wheel": "*.whl", "sdist": "*.tar.gz"}


def run(*words: object, **options: typing.Any) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [str(each) for each in words], capture_output=True, text=True, timeout=600, **options
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Those that `make release` has just built, or built here."""
    if given := os.environ.get("RELEASE_FOLDER"):
        return pathlib.Path(given)
    folder = tmp_path_factory.mktemp("packages")
    run("bash", PROJECT / ".ci" / "release", "build", folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def installed(
    request: pytest.FixtureRequest, packages: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[pathlib.Path]:
    """The folder of commands of a clean environment, with both packages and the extra `fast`."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder)
    found = {
        name: list(packages.glob(f"{name}-{KINDS[request.param]}")) for name in ("sync_to_azure", "cronbeat")
    }
    assert all(len(each) == 1 for each in found.values()), sorted(packages.iterdir())
    quiet = ("install", "--quiet", "--disable-pip-version-check")
    run(folder / "bin" / "pip", *quiet, f"{found['sync_to_azure'][0]}[fast]", found["cronbeat"][0])
    run(folder / "bin" / "pip", "check")
    yield folder / "bin"


def test_the_version_is_that_of_the_source(installed: pathlib.Path) -> None:
    assert run(installed / "sync_to_azure", "--version").stdout.split()[-1] == sync_to_azure.__version__
    shown = run(installed / "pip", "show", "sync_to_azure").stdout
    assert f"Version: {sync_to_azure.__version__}\n" in shown
    assert run(installed / "cronbeat", "--version").stdout


def test_a_pass_out_of_what_was_installed(
    installed: pathlib.Path,
    everyday: dict[str, object],
    container: ContainerClient,
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    """Run by cronbeat, from a folder that is not the source's; blocks by CRC64, which is in the extra."""
    run_folder = write_miseq(main_folder, files=5, size=20_000_000)
    config = tmp_path / "azsync.cfg"
    config.write_text(config_text(everyday | {"uploader": "native", "block-check": "crc64"}))
    tasks = tmp_path / "tasks.json"
    tasks.write_text(
        f'{{"miseq": {{"commands": [["{installed}/sync_to_azure", "--config-file", "{config}"]]}}}}'
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run(installed / "cronbeat", "run", tasks, "miseq", env=environment, cwd=tmp_path)
    assert f"{run_folder.name}.sync" in set(container.list_blob_names())


def test_every_extra_that_is_promised_exists(packages: pathlib.Path, installed: pathlib.Path) -> None:
    """Wherever README and docs name one: `pip install 'sync_to_azure[report]'`, `pip install '.[fast]'`."""
    pages = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    found = re.findall(
        r"(?:sync_to_azure|\.)\[([a-z,]+)\]'", "".join(page.read_text("utf-8") for page in pages)
    )
    promised = {extra for each in found for extra in each.split(",")}
    assert promised == {"catalogue", "fast", "parquet", "report"}
    words = "import importlib.metadata as m; print(*m.metadata('sync_to_azure').get_all('Provides-Extra'))"
    assert promised <= set(run(installed / "python", "-c", words).stdout.split())
