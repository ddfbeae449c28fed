"""datalake-sync-vm: what a link on a share can reach (autofs/mount.cifs-nosymfollow), and what a job sees of others.

In the place of mount.cifs stands a line of shell that binds a folder. (With a real automount it was tried by hand.)
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from embedded.tools import PROJECT
from tests.conftest import LONG

VM = PROJECT / "datalake-sync-vm"


@pytest.fixture
def ground(tmp_path: pathlib.Path) -> pathlib.Path:
    """``share`` with a file and a link, an empty ``point``, and ``bin`` with a mount.cifs and the script."""
    for name in ("share", "point", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "share/file").write_text("data")
    (tmp_path / "share/link").symlink_to("/etc/hostname")
    script(
        tmp_path / "bin/mount.cifs", f'[ "$3" = -o ] && [ -n "$4" ] && mount --bind "{tmp_path}/share" "$2"'
    )
    shutil.copy(VM / "autofs/mount.cifs-nosymfollow", tmp_path / "bin")
    return tmp_path


def script(path: pathlib.Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def mounted(ground: pathlib.Path, then: str) -> "subprocess.CompletedProcess[str]":
    """As mount(8) calls it for automount, in a mount namespace that ends with it; then a line of shell."""
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    call = 'mount.cifs-nosymfollow "//server/MiSeq Output" point -n -o ro,credentials=/etc/auto.credentials'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{call}; echo code $?; {then}"],
        cwd=ground,
        env={"PATH": f"{ground}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def mounts_of(there: "subprocess.CompletedProcess[str]", ground: pathlib.Path) -> list[list[str]]:
    """The fields of what is mounted here; other tests have mounts of their own."""
    return [line.split() for line in there.stdout.splitlines() if f" {ground}/" in line]


def test_links_on_a_share_are_not_followed(ground: pathlib.Path) -> None:
    there = mounted(ground, "cat point/file; cat point/link; touch point/new; cat /proc/self/mountinfo")
    assert there.stdout.startswith("code 0\ndata")
    assert "point/link: Too many levels of symbolic links" in there.stderr
    assert "'point/new': Read-only file system" in there.stderr
    points = mounts_of(there, ground)
    assert [point[4] for point in points] == [str(ground / "point")], "the one beside is gone"
    assert {"nosymfollow", "nosuid", "nodev", "noexec"} <= set(points[0][5].split(","))


def test_where_the_flag_is_not_to_be_had_nothing_is_mounted(ground: pathlib.Path) -> None:
    """An older kernel or util-linux: whatever they answer, the flag is not there."""
    real = shutil.which("mount")
    for answer in ("exit 0", "exit 32"):
        script(ground / "bin/mount", f'case "$*" in *remount*) {answer};; esac; exec {real} "$@"')
        there = mounted(ground, "ls point; cat /proc/self/mountinfo")
        assert there.stdout.startswith("code 32\n") and "nosymfollow is not to be had" in there.stderr
        assert "file" not in there.stdout.split() and not mounts_of(there, ground)


@pytest.mark.parametrize("line", ["credentials = {}", "Credentials: {}  ", "  credentials={}\r"])
@pytest.mark.parametrize(
    "secret", ["{home}/config/lake.secret", "lake.secret", "{home}/elsewhere", "{home}/missing", ""]
)
def test_a_job_sees_its_own_config_and_secret_only(tmp_path: pathlib.Path, line: str, secret: str) -> None:
    home = tmp_path / "home"
    subprocess.run([sys.executable, VM / "generate.py", "image:tag", tmp_path / "built"], check=True)
    (home / "config").mkdir(parents=True)
    for name in ("config/lake.secret", "config/registry.secret", "config/tasks.json", "elsewhere"):
        (home / name).touch()
    named = secret.format(home=home)
    text = f"main-folder = /shares/x\n# credentials = /etc/passwd\n{line.format(named)}\n" if secret else "\n"
    if secret:
        (home / "config" / "lake.evidence-key").touch()
        text += "evidence-key = lake.evidence-key\n"
    for job in ("miseq", "nextseq"):
        (home / "config" / f"{job}.cfg").write_text(text, newline="")
    script(tmp_path / "docker", f'printf "%s\\n" "$@" >> {tmp_path}/called')
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "DOCKER": str(tmp_path / "docker")}
    wrapper = tmp_path / "built/utils/sync-miseq"
    subprocess.run([wrapper, "status"], env=environment, check=True, timeout=LONG)
    words = (tmp_path / "called").read_text().splitlines()
    volumes = {after for word, after in zip(words, words[1:], strict=False) if word == "--volume"}
    from_home = {volume for volume in volumes if volume.startswith(str(home))}
    expected = {
        f"{home}/config/miseq.cfg:{home}/config/miseq.cfg:ro",
        f"{home}/state:/state",
        f"{home}/logs:/log",
    }
    if secret and "missing" not in secret:
        path = named if named.startswith("/") else f"{home}/config/{named}"
        expected.add(f"{path}:{path}:ro")
    if secret:
        expected.add(f"{home}/config/lake.evidence-key:{home}/config/lake.evidence-key:ro")
    assert from_home == expected
    assert words[-3:] == ["--config-file", f"{home}/config/miseq.cfg", "status"]
