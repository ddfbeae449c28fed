"""The image that `make` builds: built, pushed, pulled, and a whole verified pass out of it."""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.runs import write_miseq
from sync_to_azure import __version__
from tests.conftest import config_text

# Seconds; the first one builds the image, on a machine that may be busy.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.xdist_group("image")]

UIDS = ["10001:10001", "54321:54321"]


class Mounted:
    """Folders as an administrator mounts them, and `podman run` with a read-only root and no capabilities."""

    def __init__(self, engine: typing.Any, image: typing.Any, folder: pathlib.Path) -> None:
        self.engine, self.image, self.folder = engine, image, folder
        for name in ("config", "state", "log", "data"):
            (folder / name).mkdir()
        for name in ("state", "log"):
            (folder / name).chmod(0o777)

    def configure(self, everyday: collections.abc.Mapping[str, object], uid: int, **more: object) -> None:
        secret = self.folder / "config" / "lake.secret"
        secret.touch(mode=0o600)
        secret.write_bytes(pathlib.Path(str(everyday["credentials"])).read_bytes())
        os.chown(secret, uid, uid)
        keys = {key: value for key, value in everyday.items() if key not in ("azcopy", "state-file")}
        keys |= {
            "main-folder": "/data",
            "credentials": "/config/lake.secret",
            "log-file": "/log/miseq.log",
        } | more
        (self.folder / "config" / "azsync.cfg").write_text(config_text(keys))

    def command(self, *arguments: str, user: str = UIDS[0], options: tuple[str, ...] = ()) -> list[str]:
        mounts = [f"--volume={self.folder}/{name}:/{name}" for name in ("state", "log")]
        mounts += [f"--volume={self.folder}/{name}:/{name}:ro,rslave" for name in ("config", "data")]
        return [
            *("podman", "run", "--rm", "--network=host", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp"),
            *(
                "--security-opt=no-new-privileges",
                f"--user={user}",
                *mounts,
                *options,
                self.image.name,
                *arguments,
            ),
        ]

    def run(self, *arguments: str, **options: typing.Any) -> subprocess.CompletedProcess[str]:
        ended: subprocess.CompletedProcess[str] = self.engine(
            *self.command(*arguments, **options), check=False
        )
        return ended


@pytest.fixture
def mounted(engine: typing.Any, image: typing.Any) -> collections.abc.Iterator[Mounted]:
    folder = engine.folder / f"mounted-{time.monotonic_ns()}"
    folder.mkdir()
    yield Mounted(engine, image, folder)


def test_what_was_built(
    engine: typing.Any, image: typing.Any, record_property: typing.Callable[[str, object], None]
) -> None:
    facts = json.loads(engine("podman", "image", "inspect", image.name).stdout)[0]
    base = int(
        engine("podman", "image", "inspect", "--format", "{{.Size}}", "localhost/base:bookworm").stdout
    )
    record_property(
        "the image",
        f"built, pushed and pulled in {image.seconds:.0f} s; {image.size / 1e6:.0f} MB,"
        f" of these {base / 1e6:.0f} MB the base",
    )
    labels = facts["Labels"]
    assert labels["org.opencontainers.image.revision"].removesuffix("-changed") == image.commit
    assert labels["org.opencontainers.image.version"] == __version__
    assert facts["Config"]["User"] == "10001:10001"
    assert facts["Config"]["Entrypoint"] == ["sync_to_azure"]
    assert image.size - base < 250e6, "the image has grown; look with podman history what became so large"
    # A shell in the image says what the running user may write to: its own two folders.
    found = engine(
        *("podman", "run", "--rm", "--network=host", "--entrypoint=sh", image.name, "-c"),
        "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' 2>/dev/null; azcopy --version",
    ).stdout
    assert "azcopy version 10." in found
    writable = set(found.splitlines()) - {"/tmp", "/var/tmp", "/run/lock", "/run"}
    assert {each for each in writable if not each.startswith("azcopy")} == {"/state", "/log"}


def test_nothing_that_was_lent_to_the_build_is_in_the_image(engine: typing.Any, image: typing.Any) -> None:
    """A canary stood among pip's settings of the environment, and the machine's authorities were mounted."""
    root = pathlib.Path(engine("podman", "image", "mount", image.name).stdout.strip())
    try:
        found = engine("grep", "-rlsa", "canary-7f3a", root, check=False)
        assert found.stdout == ""
        assert not (root / "etc/pip.conf").exists()
        assert not (root / "root/.npmrc").exists()
        assert not (root / "run/secrets/npm").exists()
        assert not (root / "etc/apt/apt.conf.d/99-of-the-builder").exists()
        lent = (root / "etc/ssl/certs/ca-certificates.crt").read_bytes()
        assert lent.count(b"BEGIN CERTIFICATE") == len(
            list((root / "usr/share/ca-certificates/mozilla").iterdir())
        )
    finally:
        engine("podman", "image", "umount", image.name)
    history = engine("podman", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image.name).stdout
    assert "useradd" in history and "canary" not in history


@pytest.mark.parametrize("user", UIDS)
def test_a_whole_verified_pass(
    mounted: Mounted, everyday: dict[str, object], container: ContainerClient, user: str
) -> None:
    """With AzCopy; as the image's own user and as any other, with a read-only root."""
    run = write_miseq(mounted.folder / "data")
    mounted.configure(everyday, int(user.split(":")[0]))
    checked = mounted.run("check", user=user)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ended = mounted.run(user=user)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    blobs = set(container.list_blob_names())
    assert f"{run.name}.sync" in blobs
    receipt = json.loads(container.download_blob(f"{run.name}.json").readall())
    assert receipt["files"] == run.files == len([each for each in blobs if each.startswith(f"{run.name}/")])
    assert list((mounted.folder / "state" / "sync_to_azure").glob("*.sqlite"))
    assert (mounted.folder / "log" / "miseq.log").stat().st_size > 0
    again = mounted.run(user=user)
    assert again.returncode == 0, again.stdout + again.stderr


def test_blocks_are_checked_by_crc64(
    mounted: Mounted, everyday: dict[str, object], container: ContainerClient
) -> None:
    """The extra `fast` is in the image: without it this setting is an error."""
    run = write_miseq(mounted.folder / "data", files=3, size=30_000_000)
    mounted.configure(everyday, 10001, **{"uploader": "native", "block-check": "crc64"})
    ended = mounted.run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{run.name}.sync" in set(container.list_blob_names())


def test_pages_with_quality_plots(
    mounted: Mounted, everyday: dict[str, object], container: ContainerClient
) -> None:
    """The extra `report` is in the image: Illumina's reader of InterOp comes with libraries of its own."""
    run = write_miseq(mounted.folder / "data")
    mounted.configure(everyday, 10001, uploader="native")
    assert mounted.run().returncode == 0
    ended = mounted.run("report", "--output", "/state/pages")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    pages = mounted.folder / "state" / "pages"
    assert f"{run.name} is safe" in (pages / "index.html").read_text("utf-8")
    [page] = (pages / "runs").glob("*.html")
    text = page.read_text("utf-8")
    assert "No quality plots" not in text and "Lanes and reads" in text


def test_without_a_state_folder_it_says_so(mounted: Mounted, everyday: dict[str, object]) -> None:
    write_miseq(mounted.folder / "data")
    mounted.configure(everyday, 10001)
    (mounted.folder / "state").chmod(0o755)
    ended = mounted.run()
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "/state" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("options", [(), ("--init",)], ids=["first-process", "init"])
def test_a_sigterm_reaches_the_pass(
    mounted: Mounted, everyday: dict[str, object], container: ContainerClient, options: tuple[str, ...]
) -> None:
    """Sent to the command that runs the container, while AzCopy works; nothing of it is left."""
    run = write_miseq(mounted.folder / "data", size=40_000_000)
    mounted.configure(everyday, 10001, **{"cap-mbps": 4})
    process = subprocess.Popen(
        mounted.command(options=options),
        env=mounted.engine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killer = threading.Timer(120, process.kill)
    killer.start()
    try:
        while not _azcopies(container.container_name) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    finally:
        killer.cancel()
    assert process.returncode == 143, said
    assert not _azcopies(container.container_name)
    assert f"{run.name}.sync" not in set(container.list_blob_names())


def _azcopies(container: str) -> list[pathlib.Path]:
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"azcopy") and any(container.encode() in word for word in words):
            found.append(process)
    return found
