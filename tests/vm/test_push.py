"""datalake-sync-vm: what `make build` generates and `make push` brings to the VM, seen there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import typing

import pytest

from embedded.tools import PROJECT

JOBS = ("miseq", "nextseq", "proteomics", "metabolomics")

# One user and one folder of what was generated: the tests of this file go in their order, in one process.
pytestmark = pytest.mark.xdist_group("vm")


@pytest.fixture(scope="module")
def sent(vm: typing.Any) -> subprocess.CompletedProcess[str]:
    """`make utils` is `make push` without the image; an empty user becomes a VM."""
    ended: subprocess.CompletedProcess[str] = vm.make("utils", "TAG=first", "REGISTRY=127.0.0.1:1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def test_what_arrives(vm: typing.Any, sent: subprocess.CompletedProcess[str]) -> None:
    for job in JOBS:
        wrapper = vm.home / "utils" / f"sync-{job}"
        assert os.access(wrapper, os.X_OK)
        assert "image=127.0.0.1:1/sync_to_azure:first\n" in wrapper.read_text()
        config = vm.home / "config" / f"{job}.cfg"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert config.owner() == vm.user
        assert f"config/{job}.cfg: new, from the template" in sent.stdout
    assert stat.S_IMODE((vm.home / "config").stat().st_mode) == 0o700
    assert (vm.home / "utils" / "cronbeat" / "pyproject.toml").exists()
    for path in [each for each in vm.built.rglob("*") if each.is_file()]:
        assert not re.search("@[A-Z_]+@", path.read_text()), path


def test_a_second_push_keeps_what_was_edited(vm: typing.Any, sent: typing.Any) -> None:
    """And tells what the newer template has; no value of theirs, which may be a secret, is shown."""
    config = vm.home / "config" / "miseq.cfg"
    edited = (
        config.read_text().replace("completion-delay = 3600\n", "")
        + "smtp-password = s3cr3t of another length\n"
    )
    vm.run("cat > config/miseq.cfg <<'END'\n" + edited + "\nEND\n")
    tasks = vm.home / "config" / "tasks.json"
    theirs = json.loads(tasks.read_text())
    del theirs["proteomics"], theirs["miseq"]["expected_every"]
    vm.run("cat > config/tasks.json <<'END'\n" + json.dumps(theirs, indent=4) + "\nEND\n")
    vm.run(": > config/cronbeat.ini")
    wrapper = vm.home / "utils" / "sync-miseq"
    vm.run("echo broken > utils/sync-miseq")

    again = vm.make("utils", "TAG=second", "REGISTRY=127.0.0.1:1")

    assert again.returncode == 0, again.stdout + again.stderr
    assert config.read_text().strip() == edited.strip()
    assert "image=127.0.0.1:1/sync_to_azure:second\n" in wrapper.read_text()
    assert "config/miseq.cfg: kept as it is on the VM; the template has keys that it lacks" in again.stdout
    assert "    + completion-delay = 3600" in again.stdout
    lines = again.stdout.splitlines()
    assert '    + "miseq" "expected_every": "24h"' in lines, "although other tasks have that key"
    [task] = [each for each in lines if each.startswith('    + "proteomics": {')]
    assert '"timeout": "20h"' in task, "the whole of it"
    assert "config/nextseq.cfg: kept as it is on the VM\n" in again.stdout
    assert f"    + log-file = {vm.home}/logs/cronbeat.log" in again.stdout, "an empty file lacks all"
    assert "s3cr3t" not in again.stdout + again.stderr


def test_the_crontab_is_accepted(vm: typing.Any, sent: typing.Any) -> None:
    """By cron's own crontab, which refuses a line that cron would not understand."""
    taken = subprocess.run(
        ["crontab", "-u", vm.user, vm.home / "utils" / "crontab"], capture_output=True, text=True
    )
    assert taken.returncode == 0, taken.stderr
    listed = subprocess.run(["crontab", "-l", "-u", vm.user], capture_output=True, text=True).stdout
    for job in (*JOBS, "audit"):
        assert f"tasks.json {job} " in listed


def test_the_audit_looks_at_every_job_and_tells_the_worst(tmp_path: pathlib.Path) -> None:
    tasks = json.loads((PROJECT / "datalake-sync-vm" / "config" / "tasks.json").read_text("utf-8"))
    [words] = tasks["audit"]["commands"]
    (tmp_path / "utils").mkdir()
    for job, code in zip(JOBS, (1, 3, 1, 0), strict=True):
        wrapper = tmp_path / "utils" / f"sync-{job}"
        wrapper.write_text(f'#!/bin/sh\necho {job} "$@"\nexit {code}\n')
        wrapper.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (ended.stdout.splitlines(), ended.returncode) == ([f"{job} audit" for job in JOBS], 3)


def test_the_wrappers_are_clean(vm: typing.Any, sent: typing.Any) -> None:
    scripts = [*(vm.built / "utils").glob("sync-*"), vm.built / "utils" / "pull-image"]
    scripts += [vm.built / "autofs" / "mount.cifs-nosymfollow"]
    scripts += [
        PROJECT / "datalake-sync-vm" / "push.sh",
        PROJECT / "container" / "image",
        PROJECT / ".ci" / "release",
    ]
    checked = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_units_are_clean(vm: typing.Any, sent: typing.Any, tmp_path: pathlib.Path) -> None:
    """systemd-analyze says nothing; instances of the templates, with cronbeat where the README has it installed."""
    cronbeat = vm.home / "cronbeat" / "bin" / "cronbeat"
    vm.run(
        "mkdir -p cronbeat/bin && printf '#!/bin/sh\\n' > cronbeat/bin/cronbeat && chmod +x cronbeat/bin/cronbeat"
    )
    assert cronbeat.exists()
    units = []
    for unit in sorted((vm.home / "systemd").iterdir()):
        name = unit.name.replace("@", "@miseq")
        units.append(shutil.copy(unit, tmp_path / name))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("job", JOBS)
def test_the_config_templates_are_accepted(
    vm: typing.Any, sent: typing.Any, job: str, run_command: typing.Any, tmp_path: pathlib.Path
) -> None:
    shown = run_command("settings", config=(vm.home / "config" / f"{job}.cfg").read_text())
    for fault in ("unknown key", "is not accepted", "does not go with", "means something only"):
        assert fault not in shown.output, shown.output


def test_the_tasks_are_accepted_by_cronbeat(vm: typing.Any, sent: typing.Any) -> None:
    cronbeat = PROJECT / ".venv" / "bin" / "cronbeat"
    template = PROJECT / "datalake-sync-vm" / "config" / "tasks.json"
    environment = {"HOME": str(vm.home), "PATH": "/usr/bin:/bin"}
    words = [cronbeat, "--cache", vm.home / "cache", "check", template]
    checked = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = subprocess.run(
        [cronbeat, "--cache", vm.home / "cache", "list"], env=environment, capture_output=True, text=True
    )
    assert all(job in listed.stdout for job in JOBS), listed.stdout + listed.stderr


def test_a_wrapper_starts_the_image_as_it_must(vm: typing.Any, sent: typing.Any) -> None:
    """With a stand-in for docker that prints its words: paths, access, user. tests/image runs it for real."""
    vm.run("printf '#!/bin/sh\\necho \"$@\"\\n' > docker && chmod +x docker")
    said = vm.run("utils/sync-nextseq check", DOCKER=f"{vm.home}/docker")
    assert said.returncode == 0, said.stderr
    words = said.stdout.split()
    assert words[0] == "run" and "--init" in words and "--read-only" in words
    assert "/shares:/shares:ro,rslave" in words
    assert words[words.index("--user") + 1].split(":")[0] == str((vm.home / "config").stat().st_uid)
    assert words[-3:] == ["--config-file", f"{vm.home}/config/nextseq.cfg", "check"]


def test_a_wrapper_pulls_what_is_not_here(vm: typing.Any, sent: typing.Any) -> None:
    """Logged in as the reader; a stand-in for az and docker, as neither a registry of Azure's nor az is here."""
    ended = vm.make("build", "TAG=pulled", "REGISTRY=centre.azurecr.io", "REGISTRY_READER_ID=reader")
    assert ended.returncode == 0, ended.stderr
    stand_in = '#!/bin/sh\necho "$(basename "$0") $*" >> "$HOME"/calls\n[ "$2" != inspect ] || exit 1\n'
    listed = "centre.azurecr.io/sync_to_azure:older centre.azurecr.io/sync_to_azure:pulled"
    stand_in += f"[ \"$2\" != ls ] || printf '%s\\n' {listed}\n"
    vm.run(
        f"mkdir -p bin; for each in az docker; do cat > bin/$each <<'END'\n{stand_in}\nEND\nchmod +x bin/$each; done"
    )
    shutil.copy(vm.built / "utils" / "sync-miseq", vm.home / "utils")
    shutil.copy(vm.built / "utils" / "pull-image", vm.home / "utils")
    ran = vm.run("utils/sync-miseq", PATH=f"{vm.home}/bin:/usr/bin:/bin")
    assert ran.returncode == 0, ran.stderr
    calls = (vm.home / "calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [
        ["docker", "image"],
        ["az", "login"],
        ["az", "acr"],
        ["docker", "pull"],
        ["docker", "image"],
        ["docker", "image"],
        ["docker", "run"],
    ]
    assert calls[5] == "docker image rm centre.azurecr.io/sync_to_azure:older"
    assert f"--password @{vm.home}/config/registry.secret" in calls[1]
    assert "--name centre" in calls[2]
    assert "centre.azurecr.io/sync_to_azure:pulled" in calls[3]


def test_a_job_that_removes_gets_its_share_read_write(vm: typing.Any) -> None:
    ended = vm.make("build", "TAG=rw", "ACCESS_MISEQ=rw")
    assert ended.returncode == 0, ended.stderr
    assert "/shares:/shares:rw,rslave" in (vm.built / "utils" / "sync-miseq").read_text()
    assert "/shares:/shares:ro,rslave" in (vm.built / "utils" / "sync-nextseq").read_text()
    lines = (vm.built / "autofs" / "auto.nfs").read_text().splitlines()
    access = {line.split()[0]: line.split()[1].split(",")[1] for line in lines if line[0] != "#"}
    assert access == {
        "MiSeqOutput": "rw",
        "NextSeqOutput": "ro",
        "NextSeqSampleSheets": "ro",
        "Proteomics": "ro",
        "Metabolomics": "ro",
    }
    refused = vm.make("build", "TAG=rw", "ACCESS_MISEQ=yes")
    assert refused.returncode != 0 and "ACCESS_MISEQ is ro or rw, not 'yes'" in refused.stderr
