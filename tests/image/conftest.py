"""An engine of the test's own (podman and buildah share its storage), a registry, and the image: built, pushed, pulled.

Nothing outside is reached but package registries: debootstrap makes the base, Debian's docker-registry is the registry.
`embedded/bootstrap deployed` installs them. Kernels in a sandbox refuse podman's own limits and crun's cgroups: so
limits that any process may set, and runc.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import typing
import urllib.request

import pytest

from embedded.tools import PROJECT
from tests.server import nobody_listens

TAG = "tried"
SIZE = "the image"
CANARY = "canary-7f3a.invalid"
"""Stands in the settings that the machine lends to the build; must not be found in the image."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """podman and buildah with a storage of their own; ``environment`` makes them use it."""

    folder: pathlib.Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: object, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [str(each) for each in arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert (
            not check or ended.returncode == 0
        ), f"{arguments} ended with {ended.returncode}: {ended.stderr}"
        return ended


@pytest.fixture(scope="session")
def engine() -> collections.abc.Iterator[Engine]:
    """Not below pytest's own temporary folder: a socket's path has to be short, and other users come through."""
    needed = ("buildah", "podman", "runc", "debootstrap", "docker-registry")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"images are built and run by root with {', '.join(missing or needed)}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n'
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAG", "REGISTRY", "DOCKER"))
    }
    environment = kept | {
        "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "TMPDIR": str(folder),
    }
    engine = Engine(folder, environment)
    yield engine
    engine("podman", "rm", "--all", "--force", "--time", "0", check=False)
    engine("podman", "rmi", "--all", "--force", check=False)
    # The overlay driver mounts its own folder on itself.
    subprocess.run(["umount", "--lazy", str(folder / "graph" / "overlay")], capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _registry(folder: pathlib.Path) -> collections.abc.Iterator[str]:
    config = folder / "registry.yml"
    with nobody_listens() as port:
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        )
        server = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while not _answers(port):
            assert server.poll() is None and time.monotonic() < deadline, "docker-registry does not answer"
            time.sleep(0.05)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5):
            return True
    return False


@pytest.fixture(scope="session")
def registry(engine: Engine) -> collections.abc.Iterator[str]:
    with _registry(engine.folder) as address:
        yield address


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The name of a Debian as debootstrap lays it, from the mirror that this machine uses itself."""
    mirrors = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"],
        capture_output=True,
        text=True,
    ).stdout.split()
    root = engine.folder / "base"
    engine("debootstrap", "--variant=minbase", "bookworm", root, *mirrors[:1], timeout=600)
    # As in Debian's own images: a build that is cut off is thrown away, so dpkg need not wait for the disk.
    (root / "etc/dpkg/dpkg.cfg.d/force-unsafe-io").write_text("force-unsafe-io\n")
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt/archives"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    archive = engine.folder / "base.tar"
    engine("tar", "--create", "--file", archive, "--directory", root, ".")
    shutil.rmtree(root)
    engine("podman", "import", "--quiet", archive, "localhost/base:bookworm")
    archive.unlink()
    return "localhost/base:bookworm"


@dataclasses.dataclass(frozen=True)
class Image:
    """``name`` as pulled from the registry; the commit it was built of; its size in bytes."""

    name: str
    commit: str
    size: int
    seconds: float


@pytest.fixture(scope="session")
def image(engine: Engine, registry: str, base: str) -> Image:
    """Built by `make`, pushed by `make push`, thrown away, and pulled again."""
    began = time.monotonic()
    name = f"{registry}/sync_to_azure:{TAG}"
    variables = [
        *(f"TAG={TAG}", f"REGISTRY={registry}", f"BASE={base}", "DOCKER=buildah"),
        *("BUILD_OPTIONS=--isolation chroot --network host", "PUSH_OPTIONS=--tls-verify=false"),
    ]
    engine.environment["PIP_TRUSTED_HOST"] = CANARY
    commit = engine("git", "rev-parse", "HEAD").stdout.strip()
    engine("make", *variables, timeout=900)
    engine("make", "push", *variables)
    engine("buildah", "rmi", name)
    engine("podman", "pull", "--quiet", "--tls-verify=false", name)
    size = int(engine("podman", "image", "inspect", "--format", "{{.Size}}", name).stdout)
    return Image(name, commit, size, time.monotonic() - began)


def pytest_terminal_summary(terminalreporter: typing.Any) -> None:
    """The image's size goes into CI's log; properties come through from the processes of xdist."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == SIZE:
                terminalreporter.line(f"{name}: {value}")
