"""The preflight, by the real command: a good set-up is all well, of a broken one each kind is told with what to do."""

from __future__ import annotations

import datetime
import email.utils
import os
import pathlib
import subprocess
import sys
import time
import typing

import pytest

from embedded.azurite import Azurite
from sync_to_azure.transfer.commands.check import _place, sas_found
from sync_to_azure.files.mounts import Mount
from tests.passes.bad_input.faults import assert_no_secret, small_disk, stand_in
from tests.line import Line, LineHandler
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene


@pytest.fixture
def native(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    return scene


def lines(output: str) -> list[tuple[str, str, str]]:
    """(kind, subject, text with advice) of each line."""
    found: list[tuple[str, str, str]] = []
    for line in output.splitlines():
        if line.startswith(" " * 20) and found:
            kind, subject, text = found.pop()
            found.append((kind, subject, f"{text} {line.strip()}"))
        elif line[:6].strip() in ("ok", "WRONG", "note", "-") and line[6:7] == " ":
            found.append((line[:6].strip(), line[7:21].strip(), line[22:]))
    return found


def check(scene: Scene, *arguments: object, wrong: tuple[str, ...] = (), **options: typing.Any) -> str:
    """The output; exactly these subjects must be wrong, and the exit code must say so."""
    outcome = scene.run_command("check", *arguments, config=scene.config, **options)
    assert {subject for kind, subject, _ in lines(outcome.stdout) if kind == "WRONG"} == set(
        wrong
    ), outcome.output
    assert outcome.returncode == (3 if wrong else 0), outcome.output
    assert "Traceback" not in outcome.output
    assert_no_secret(scene.folder, outcome, [Azurite.key], ("account.key", "sas", "azcopy-calls"))
    assert len({subject for _, subject, _ in lines(outcome.stdout)}) == 13, "it goes on to show all"
    return str(outcome.stdout)


def test_a_good_set_up_is_all_well(scene: Scene) -> None:
    scene.config |= {"destination": "/dest/er", "log-file": scene.folder / "log" / "the.log"}
    scene.make_run("R")
    (scene.sheets() / "R.csv").write_text("sheet")
    said = check(scene)
    assert (
        "all checks passed" in said
        and "main on " in said
        and ": 1 run" in said
        and "1 of 1 runs hold RTAComplete.txt" in said
    )
    assert "AzCopy 10." in said and "sent by the uploader" in said and "deleted again" in said
    assert scene.etags() == {}, "nothing stays"
    assert scene.azcopy_jobs() == 1
    assert not scene.ledger.exists(), "the first pass makes it"
    scene.run()
    assert "can be read and written" in check(scene)


def test_a_metrics_file(native: Scene) -> None:
    """Only a word where it is named: no pass fails for it."""
    for name, kind, text in (
        ("runs.prom", "ok", "runs.prom: can be written"),
        ("runs.txt", "note", "reads only files that end in .prom"),
        ("absent/runs.prom", "note", "absent is not a folder that"),
    ):
        native.config["metrics-file"] = native.folder / name
        outcome = native.run_command("check", config=native.config)
        assert outcome.returncode == 0, outcome.output
        [found] = [line for line in lines(outcome.stdout) if line[1] == "metrics file"]
        assert found[0] == kind and text in found[2]


def test_the_native_uploader_and_no_destination_folder(scene: Scene) -> None:
    scene.make_run("R")
    scene.config["uploader"] = "native"
    assert "our own" in check(scene)
    assert scene.azcopy_jobs() == 0 and scene.etags() == {}


def test_what_remains_where_azcopy_uploads_what_is_removed(scene: Scene) -> None:
    scene.make_run("R", {"Data/large.bcl": bytes(2_000_000)})
    scene.config |= {"remove-source": "yes"}
    said = check(scene)
    assert "AzCopy writes without a condition" in said and "4 h 15 min after AzCopy" in said
    assert "uploader = native" in said and "are read back before removal" not in said
    scene.run()
    assert "2.0 MB of 1 published run are read back before removal" in check(scene)
    scene.sql("UPDATE file SET etag_is_own = 1")
    scene.config["uploader"] = "native"
    said = check(scene)
    assert "AzCopy" not in said and "are read back before removal" not in said


def test_a_main_folder_on_which_links_are_not_followed(scene: Scene) -> None:
    """With AzCopy, which takes paths; the native uploader opens nothing through a link."""
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    scene.make_run("R")
    bind = f"mount --bind {scene.main} {scene.main}"
    for uploader, mount, warned in (
        ("azcopy", bind, True),
        ("azcopy", f"{bind} && mount -o remount,bind,nosymfollow {scene.main}", False),
        ("native", bind, False),
    ):
        scene.config["uploader"] = uploader
        done = scene.in_namespace(mount, "check")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("symbolic links" in done.stdout) is warned


def test_folders_that_are_not_there(native: Scene) -> None:
    native.config |= {
        "main-folder": native.folder / "absent",
        "samplesheet-folder": native.folder / "no-sheets",
        "remove-source": "yes",
    }
    said = check(native, wrong=("main folder", "sample sheets", "remove-source"))
    assert "is not there" in said and "is the share mounted?" in said and "3 checks failed" in said


def test_runs_that_we_may_not_read_or_remove(native: Scene) -> None:
    native.make_run("good")
    native.make_run("closed").chmod(0)
    (native.make_run("half") / "RunInfo.xml").chmod(0)
    native.config["remove-source"] = "yes"
    native.make_run("kept").chmod(0o555)
    said = check(native, wrong=("main folder", "remove-source"), unprivileged=True)
    assert "2 of 4 runs cannot be read: closed (Permission denied), half (Permission denied)" in said
    assert "2 runs cannot be written by" in said and "kept" in said
    native.main.chmod(0o555)
    assert "cannot be written by" in check(native, wrong=("main folder", "remove-source"), unprivileged=True)


def test_a_read_only_share_with_remove_source(native: Scene) -> None:
    native.make_run("R")
    native.config["remove-source"] = "yes"
    main = native.main
    outcome = native.in_namespace(f"mount --bind {main} {main}; mount -o remount,ro,bind {main}", "check")
    assert outcome.returncode == 3, outcome.stdout
    assert "is mounted read-only: nothing can be removed there" in outcome.stdout
    del native.config["remove-source"]
    outcome = native.in_namespace(f"mount --bind {main} {main}; mount -o remount,ro,bind {main}", "check")
    assert outcome.returncode == 0, outcome.stdout


def test_a_flag_that_no_run_has_and_a_main_folder_without_runs_are_worth_a_word(native: Scene) -> None:
    assert "holds no runs" in check(native)
    native.make_run("R")
    native.config["completion-flag"] = "CopyComplete.txt"
    assert "no run holds CopyComplete.txt" in check(native)


@pytest.mark.parametrize(
    "azcopy, words",
    [
        ("absent", "AzCopy is not at"),
        ("echo 'azcopy version 10.1.0'", "is 10.1.0; at least"),
        ("echo 'cannot open shared object file' >&2; exit 127", "libsecret-1-0"),
    ],
)
def test_azcopy(scene: Scene, azcopy: str, words: str) -> None:
    path = scene.folder / "my-azcopy"
    scene.config["azcopy"] = path
    if azcopy != "absent":
        stand_in(path, azcopy)
    assert words in check(scene, wrong=("uploader",))


def test_an_azcopy_that_cannot_carry(scene: Scene, azcopy: pathlib.Path) -> None:
    scene.config["azcopy"] = stand_in(
        scene.folder / "my-azcopy", f'[ "$1" = copy ] || exec {azcopy} "$@"\necho no way; exit 1'
    )
    assert "no way" in check(scene, wrong=("probe",))


def test_credentials_and_container(native: Scene, proxy: Proxy) -> None:
    native.config["container-name"] = "absent"
    assert "container absent is not there" in check(native, wrong=("container",))
    native.config["container-name"] = native.container.container_name
    key = pathlib.Path(str(native.config["credentials"]))
    good = key.read_text()
    key.write_text("YWJj" * 22 + "\n")
    assert "refuses access" in check(native, wrong=("container",))
    key.write_text(good)
    native.config["blob-endpoint"] = "http://127.0.0.1:9/devstoreaccount1"
    said = check(native, wrong=("container",))
    assert "cannot be reached" in said and "its clock is not known" in said


def test_no_token(native: Scene) -> None:
    native.config |= {"auth": "default", "blob-endpoint": "https://127.0.0.1:9/devstoreaccount1"}
    del native.config["credentials"]
    outcome = native.run_command(
        "check", config=native.config, environment={"AZURE_TOKEN_CREDENTIALS": "dev"}
    )
    assert "no identity gave a token" in outcome.stdout and outcome.returncode == 3
    assert "not tried without a login" in outcome.stdout


def sas(scene: Scene, permission: str, ends: datetime.timedelta) -> None:
    from azure.storage.blob import generate_container_sas

    text = generate_container_sas(
        Azurite.account,
        scene.container.container_name,
        account_key=Azurite.key,
        permission=permission,
        expiry=datetime.datetime.now(datetime.timezone.utc) + ends,
    )
    path = scene.folder / "sas"
    path.write_text(text)
    path.chmod(0o600)
    scene.config |= {"auth": "sas", "credentials": path}


def test_what_a_sas_permits(native: Scene) -> None:
    days = datetime.timedelta(days=1)
    sas(native, "racwl", 90 * days)
    assert "no right to delete, which is fine" in check(native)
    assert len(native.etags()) == 2 and all(
        name.startswith(".sync_to_azure-check/probe-") for name in native.etags()
    )
    check(native)
    assert len(native.etags()) == 4, "each has a name of its own"
    sas(native, "racwdl", 3 * days)
    said = check(native)
    assert "the SAS ends in" in said and "deleted again" in said
    sas(native, "rl", 90 * days)
    said = check(native, wrong=("login", "probe"))
    assert "the SAS permits 'rl'" in said and "refuses access" in said
    sas(native, "racwl", -days)
    assert "the SAS ended" in check(native, wrong=("login", "container"))


def test_a_blob_under_the_name_of_an_earlier_probe_is_left_alone(native: Scene) -> None:
    """As a run of that name was published once, and earlier versions of check deleted it."""
    native.put(".sync_to_azure-check/probe.txt", b"published")
    before = native.etags()
    assert "deleted again" in check(native)
    assert native.etags() == before and native.get(".sync_to_azure-check/probe.txt") == b"published"


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_a_container_that_keeps_what_is_written(scene: Scene, proxy: Proxy, uploader: str) -> None:
    """An immutability policy: nothing is written over and nothing deleted. A check is well, and so is the next one."""
    scene.config["uploader"] = uploader
    taken: list[tuple[str, str]] = []

    def policy(method: str, path: str) -> int | None:
        name = path.split("?")[0]
        if method == "DELETE" or (method == "PUT" and ("PUT", name) in taken):
            return 409
        taken.append((method, name))
        return None

    proxy.before = policy
    scene.through(proxy)
    for _ in range(2):
        assert "it stays: no right to delete" in check(scene)
    assert len(scene.etags()) == 4


def test_a_probe_that_somebody_else_wrote_over_is_not_deleted(native: Scene, proxy: Proxy) -> None:
    def other(method: str, path: str) -> None:
        if method == "DELETE" and len(native.etags()) == 2:
            for name in native.etags():
                native.put(name, b"of somebody else")

    proxy.before = other
    native.through(proxy)
    assert "it stays" in check(native)
    assert {native.get(name) for name in native.etags()} == {b"of somebody else"}


def test_what_a_sas_says_of_itself() -> None:
    assert list(sas_found("sv=x&sp=racwl&se=2030-01-01T00:00:00Z&sig=x", 0)) == []
    assert list(sas_found("sv=x&sp=rlc&se=2030-01-01&sig=x", 0)) == []
    assert [kind for kind, *_ in sas_found("?sv=x&si=policy&sig=x", 0)] == []


class _OtherTime(LineHandler):
    """Answers with another date than the service's."""

    ahead = 0.0

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "date":
            value = email.utils.formatdate(time.time() + self.ahead, usegmt=True)
        super().send_header(keyword, value)


def test_a_clock_that_is_wrong(native: Scene, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    with Line(azurite.port, _OtherTime) as line:
        native.config["blob-endpoint"] = line.endpoint
        assert " from the service's" in check(native)
        monkeypatch.setattr(_OtherTime, "ahead", -1000)
        said = check(native, wrong=("clock",))
        assert "16 min" in said and "ahead of the service's" in said and "NTP" in said
        monkeypatch.setattr(_OtherTime, "ahead", 400)
        assert "behind the service's" in check(native, wrong=("clock",))


def test_the_state_file(native: Scene) -> None:
    native.config["state-file"] = native.main / "state" / "ledger.sqlite"
    assert "is in the main folder" in check(native, wrong=("settings",))
    assert not (native.main / "state").exists()
    closed = native.folder / "closed"
    closed.mkdir(mode=0o555)
    native.config["state-file"] = closed / "ledger.sqlite"
    assert "Permission denied" in check(native, wrong=("state file",), unprivileged=True)
    damaged = native.folder / "damaged.sqlite"
    damaged.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    native.config["state-file"] = damaged
    assert "the next pass keeps it aside" in check(native, wrong=("state file",))
    other = native.folder / "other"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sqlite3; sqlite3.connect({str(other)!r}).execute('create table x (y)')",
        ]
    )
    native.config["state-file"] = other
    assert "a database of another program" in check(native, wrong=("state file",))


def test_a_state_file_on_a_share() -> None:
    """The file system's kind is given here: no share of another machine can be had in a test."""
    path = pathlib.Path("/state/ledger.sqlite")
    [(kind, text, _)] = _place(path, Mount("nfs4", "nas:/home"))
    assert kind == "WRONG" and "is on a network share (nas:/home, nfs4)" in text
    assert not list(_place(path, Mount("ext4", "/dev/sda1")))


def test_the_log_file(native: Scene) -> None:
    closed = native.folder / "closed"
    closed.mkdir(mode=0o555)
    native.config["log-file"] = closed / "the.log"
    assert "Permission denied" in check(native, wrong=("log file",), unprivileged=True)
    with small_disk(native.folder / "small", 16) as small:
        (small / "hog").write_bytes(bytes(16384))
        native.config["log-file"] = small / "log" / "the.log"
        assert "No space left" in check(native, wrong=("log file",))


def test_mail(native: Scene, postbox: typing.Any) -> None:
    native.config |= {
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-security": "none",
    }
    assert "no mail was sent" in check(native) and not postbox.mails
    assert "has it arrived?" in check(native, "--send-mail")
    [mail] = postbox.mails
    assert mail["To"] == "lab@example.org" and "check" in mail["Subject"]
    native.config |= {"smtp-user": "robot", "smtp-password": "wrong-password-here"}
    assert "refuses the login" in check(native, wrong=("mail",))
    native.config["smtp-port"] = 9
    assert "cannot be reached" in check(native, wrong=("mail",))


def test_a_wrong_configuration_tells_all_its_problems(native: Scene) -> None:
    native.config |= {"completion-delay": "an hour", "container-name": "Not A Container"}
    outcome = native.run_command("check", config=native.config)
    assert outcome.returncode == 2
    assert "completion-delay" in outcome.stderr and "container-name" in outcome.stderr
