"""A wrapper of datalake-sync-vm, run as an unprivileged user out of the pulled image: the way of the VM's cron.

In the place of Docker's daemon stands podman's service on a socket, as root; in the place of `docker` a line of shell.
"""

from __future__ import annotations

import collections.abc
import os
import pathlib
import signal
import subprocess
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.runs import write_miseq
from embedded.tools import PROJECT
from tests.conftest import config_text

pytestmark = [pytest.mark.timeout(1500), pytest.mark.xdist_group("image")]

UID = 54322


@pytest.fixture
def docker(engine: typing.Any) -> collections.abc.Iterator[pathlib.Path]:
    """A command that any user may call, as a member of the group docker may."""
    folder = engine.folder / "service"
    folder.mkdir()
    socket = folder / "socket"
    words = ["podman", "system", "service", "--time", "0", f"unix://{socket}"]
    server = subprocess.Popen(
        words, env=engine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    command = folder / "docker"
    command.write_text(f'#!/bin/sh\nexec podman --remote --url "unix://{socket}" "$@"\n')
    command.chmod(0o755)
    try:
        while not socket.exists():
            assert server.poll() is None, "podman's service ended"
        socket.chmod(0o666)
        yield command
    finally:
        server.terminate()
        server.wait(10)


def test_a_wrapper_runs_a_verified_pass(
    engine: typing.Any,
    image: typing.Any,
    docker: pathlib.Path,
    everyday: dict[str, object],
    container: ContainerClient,
) -> None:
    home = engine.folder / "home"
    shares = engine.folder / "shares"
    run = write_miseq(shares / "MiSeqOutput")
    built = engine.folder / "built"
    engine("python3", PROJECT / "datalake-sync-vm" / "generate.py", image.name, built, f"SHARES={shares}")
    for name in ("config", "utils"):
        (home / name).mkdir(parents=True)
    (home / "utils" / "sync-miseq").write_bytes((built / "utils" / "sync-miseq").read_bytes())
    secret = home / "config" / "lake.secret"
    secret.write_bytes(pathlib.Path(str(everyday["credentials"])).read_bytes())
    secret.chmod(0o600)
    keys = {name: everyday[name] for name in ("blob-endpoint", "container-name", "auth", "completion-flag")}
    keys |= {"main-folder": shares / "MiSeqOutput", "credentials": secret, "completion-delay": 0}
    keys |= {"state-file": "/state/miseq.sqlite", "log-file": "/log/miseq.log"}
    (home / "config" / "miseq.cfg").write_text(config_text(keys))
    for path in [home, *home.rglob("*")]:
        os.chown(path, UID, UID)
    before = {path: path.stat().st_mtime_ns for path in shares.rglob("*")}
    start: dict[str, typing.Any] = {
        "env": {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "DOCKER": str(docker),
            "SYNC_DOCKER_OPTIONS": "--network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096",
        },
        "cwd": home,
        **{"user": UID, "group": UID, "extra_groups": []},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True},
    }
    words = ["/bin/sh", str(home / "utils" / "sync-miseq")]

    wrong = subprocess.run([*words, "--nonsense"], timeout=120, check=False, **start)
    assert wrong.returncode == 2, wrong.stdout
    ended = subprocess.run(words, timeout=300, check=False, **start)
    assert ended.returncode == 0, ended.stdout

    blobs = set(container.list_blob_names())
    assert f"{run.name}.sync" in blobs
    assert len([each for each in blobs if each.startswith(f"{run.name}/")]) == run.files
    assert (home / "state" / "miseq.sqlite").stat().st_uid == UID
    assert (home / "logs" / "miseq.log").stat().st_uid == UID
    assert {path: path.stat().st_mtime_ns for path in shares.rglob("*")} == before

    # As cron's supervisor ends a job: SIGTERM to the wrapper.
    start["env"]["SYNC_DOCKER_OPTIONS"] += " --entrypoint sleep"
    script = home / "utils" / "sync-miseq"
    script.write_text(script.read_text().replace('--config-file "$own" "$@"', "1000"))
    process = subprocess.Popen(words, **start)
    try:
        while not engine("podman", "ps", "--quiet").stdout:
            assert process.poll() is None, process.communicate()[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
        process.communicate()
    assert not engine("podman", "ps", "--quiet").stdout
