"""A "VM": another user of this machine, reached by ssh through a real sshd on loopback.

`embedded/bootstrap deployed` installs what is needed. Making a user wants root; CI is.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

from embedded.tools import PROJECT
from tests.server import nobody_listens


@dataclasses.dataclass(frozen=True)
class Vm:
    """``user`` has an empty home; ``ssh`` are the words that reach it; into ``built`` goes what is generated."""

    user: str
    home: pathlib.Path
    ssh: str
    built: pathlib.Path

    @property
    def host(self) -> str:
        return f"{self.user}@127.0.0.1"

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """As the user, in its home, with the environment that cron would give."""
        found = pwd.getpwnam(self.user)
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.home,
            user=found.pw_uid,
            group=found.pw_gid,
            extra_groups=[],
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LOGNAME": self.user} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`make` in datalake-sync-vm, by the administrator on a machine of his own."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TAG", "REGISTRY", "DOCKER"))
        }
        return subprocess.run(
            [
                "make",
                *words,
                f"BUILT={self.built}",
                f"HOST={self.host}",
                f"SSH={self.ssh}",
                f"VM_USER={self.user}",
                f"VM_HOME={self.home}",
            ],
            cwd=PROJECT / "datalake-sync-vm",
            env=kept,
            capture_output=True,
            text=True,
            timeout=600,
        )


@pytest.fixture(scope="module")
def vm() -> collections.abc.Iterator[Vm]:
    needed = ("sshd", "ssh", "rsync", "crontab", "shellcheck", "systemd-analyze", "useradd")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in needed if shutil.which(name, path=path) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"a user of its own is made by root with {', '.join(missing or needed)}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vm-"))
    folder.chmod(0o755)
    user = f"vm{uuid.uuid4().hex[:8]}"
    home = folder / "home"
    # A password that nothing matches: sshd lets nobody in who is locked.
    subprocess.run(["useradd", "--create-home", "--home-dir", home, "--password", "*", user], check=True)
    server = None
    try:
        for name in ("host", "key"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True)
        authorized = folder / "authorized"
        authorized.write_bytes((folder / "key.pub").read_bytes())
        authorized.chmod(0o644)
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = shutil.which("sshd", path=path)
        with nobody_listens() as port:
            (folder / "sshd_config").write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
                f"PasswordAuthentication no\nStrictModes no\nAuthorizedKeysFile {authorized}\n"
            )
            server = subprocess.Popen(
                [str(sshd), "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 120
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < deadline, "sshd does not listen"
                    time.sleep(0.05)
        options = (
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes"
        )
        yield Vm(user, home, f"ssh -p {port} -i {folder}/key {options}", folder / "built")
    finally:
        if server is not None:
            server.terminate()
            server.wait(60)
        subprocess.run(["crontab", "-r", "-u", user], capture_output=True)
        subprocess.run(["userdel", "--force", user], check=True)
        shutil.rmtree(folder, ignore_errors=True)
