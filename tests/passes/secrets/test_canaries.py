"""A secret in every place it can come from; passes that succeed and that fail; then everything is searched for it.

The one exception is documented: the signature of a SAS in AzCopy's arguments, with ``sas`` and ``account-key``. What a
person writes on the command line herself stands in the arguments of our own process. AzCopy's environment is where its
login goes.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import re
import subprocess
import sys
import typing
import urllib.parse

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from embedded.azurite import Azurite
from tests.conftest import LONG
from tests.passes.bad_input.faults import stand_in, write_run
from tests.passes.identity import conftest as identity
from tests.passes.test_mail import PASSWORD, Postbox
from tests.passes.secrets.echo import Echo
from tests.passes.secrets.hunt import Ended, Hunt, canary, key_canary, watched

SIGNATURE_GIVEN = re.compile(rb"(?<=sig=)[A-Za-z0-9%+/=_-]+")
UPLOADERS = ["native", "azcopy"]


class Ground:
    """One pass, hunted through: ``config`` may be changed; ``given``: files in which the test wrote a secret."""

    def __init__(
        self, config: dict[str, object], folder: pathlib.Path, start: typing.Any, container: typing.Any
    ) -> None:
        self.config = config
        self.folder = folder
        self.start = start
        self.container = container
        self.given: set[pathlib.Path] = set()

    def credentials(self, text: str) -> None:
        path = self.folder / "secret"
        path.touch(mode=0o600)
        path.write_text(text + "\n", encoding="utf-8")
        self.config["credentials"] = path
        self.given.add(path)

    def hunt(
        self,
        secrets: dict[str, str],
        *arguments: object,
        expect: int,
        environment: dict[str, str] | None = None,
        postbox: Postbox | None = None,
        in_azcopys_arguments: bool = False,
        on_our_command_line: bool = False,
    ) -> Ended:
        """A pass that must end with ``expect``, and the search."""
        hunt = Hunt(secrets)
        ended = watched(self.start, *arguments, config=self.config, environment=environment)
        assert ended.returncode == expect, ended.output
        self.given |= set(self.folder.glob("config-*.cfg"))
        hunt.look("output", ended.output)
        hunt.look_into(self.folder, but=self.given)
        hunt.look_at_container(self.container)
        if postbox is not None:
            hunt.look_at_mails(postbox.mails, postbox.raw)
        for seen in ended.watch.children():
            command = seen.command
            if seen.is_azcopy and in_azcopys_arguments:
                command = SIGNATURE_GIVEN.sub(b"", command)
            hunt.look(f"arguments of {seen.command[:80]!r}", command)
            if not seen.is_azcopy:
                hunt.look(f"environment of {seen.command[:80]!r}", seen.environment)
        if not on_our_command_line:
            for seen in ended.watch.own():
                hunt.look("our own arguments", seen.command)
        assert len(hunt.looked_at) > 4
        hunt.assert_nothing()
        return ended


@pytest.fixture(params=UPLOADERS)
def ground(
    request: pytest.FixtureRequest,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    kept_azcopy: pathlib.Path,
    tmp_path: pathlib.Path,
    start_command: typing.Any,
    container: typing.Any,
) -> Ground:
    """Everything that writes is on, at its most talkative."""
    write_run(main_folder, "run")
    config = everyday | {
        "uploader": request.param,
        "azcopy": kept_azcopy,
        "azcopy-logs": tmp_path / "azcopy-logs",
        "azcopy-log-level": "DEBUG",
        "log-file": tmp_path / "pass.log",
        "log-level": "DEBUG",
        "retry-times": 1,
        "timeout": 60,
    }
    return Ground(config, tmp_path, start_command, container)


def with_mail(ground: Ground, postbox: Postbox) -> dict[str, str]:
    """Mails go to the postbox; returns the secret of that."""
    ground.config |= {
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-user": "robot@example.org",
        "smtp-security": "none",
        "smtp-password": PASSWORD,
    }
    return {"mail password": PASSWORD}


def signed(container: typing.Any, hours: float = 1) -> tuple[str, str]:
    """(a user's SAS, its signature)."""
    sas = generate_container_sas(
        Azurite.account,
        container.container_name,
        account_key=Azurite.key,
        permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours),
    )
    return sas, urllib.parse.unquote(sas.rpartition("sig=")[2])


# That the hunt finds what it should


@pytest.mark.parametrize(
    "leak",
    [
        "plain {0} text",
        "cut {1}",
        "%7B {2}",
        "base64 {3}",
        "json {4}",
    ],
)
def test_the_hunt_finds_every_form(leak: str) -> None:
    import base64
    import json

    secret = canary("x")
    text = leak.format(
        secret,
        secret[5:25],
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(f"user:{secret}".encode()).decode(),
        json.dumps(secret),
    )
    hunt = Hunt({"it": secret})
    hunt.look("there", text)
    assert hunt.findings
    with pytest.raises(AssertionError):
        hunt.assert_nothing()
    Hunt({"it": canary("y")}).look("there", text)


def test_the_watch_sees_a_child_that_is_told_too_much(ground: Ground, tmp_path: pathlib.Path) -> None:
    if ground.config["uploader"] == "native":
        return  # it starts nobody
    leaky = stand_in(tmp_path / "leaky", f'sh -c "sleep 0.5; :" "{PASSWORD}"\nexit 1')
    ground.config["azcopy"] = leaky
    ground.given.add(leaky)
    with pytest.raises(AssertionError, match=r"mail password \(part 0\) in (arguments|environment)"):
        ground.hunt({"mail password": PASSWORD}, expect=3)


# Secrets that are right


def test_an_account_key(ground: Ground, postbox: Postbox) -> None:
    """A pass that publishes, and a trouble to mail about."""
    write_run(pathlib.Path(str(ground.config["main-folder"])), "bad*\x07name".replace("\x07", "\n"))
    secrets = with_mail(ground, postbox) | {"account key": Azurite.key}
    ground.given.add(pathlib.Path(str(ground.config["credentials"])))
    ended = ground.hunt(secrets, expect=1, postbox=postbox)
    assert "run: published" in ended.output and len(postbox.mails) == 1


def test_a_users_sas_from_the_environment(ground: Ground, container: typing.Any) -> None:
    sas, signature = signed(container)
    del ground.config["credentials"]
    ground.config["auth"] = "sas"
    ended = ground.hunt(
        {"signature": signature},
        expect=0,
        environment={"SYNC_TO_AZURE_SECRET": "?" + sas},
        in_azcopys_arguments=True,
    )
    assert "run: published" in ended.output
    ground.given |= {ground.folder / "nothing"}
    shown = watched(ground.start, "settings", config=ground.config, environment={"SYNC_TO_AZURE_SECRET": sas})
    helped = watched(ground.start, "--help", environment={"SYNC_TO_AZURE_SECRET": sas})
    hunt = Hunt({"signature": signature})
    hunt.look("settings", shown.output)
    hunt.look("help", helped.output)
    assert "(set)" in shown.output and shown.returncode == helped.returncode == 0
    hunt.assert_nothing()


# Secrets that are wrong, and services that say them back


def test_a_wrong_account_key(ground: Ground, postbox: Postbox) -> None:
    wrong = key_canary()
    ground.credentials(wrong)
    ended = ground.hunt(with_mail(ground, postbox) | {"key": wrong}, expect=3, postbox=postbox)
    assert "refuses" in ended.output and len(postbox.mails) == 1


def test_a_wrong_sas(ground: Ground, container: typing.Any, postbox: Postbox) -> None:
    sas, signature = signed(container, hours=-1)
    ground.credentials(sas)
    ground.config["auth"] = "sas"
    secrets = with_mail(ground, postbox) | {"signature": signature}
    ground.hunt(secrets, expect=3, postbox=postbox, in_azcopys_arguments=True)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_a_service_that_says_everything_back(
    ground: Ground, container: typing.Any, status: int, postbox: Postbox
) -> None:
    """The request with its signature in reason, headers and body, for listing and all."""
    sas, signature = signed(container)
    ground.credentials(sas)
    ground.config["auth"] = "sas"
    with Echo(status) as echo:
        ground.config["blob-endpoint"] = echo.endpoint
        secrets = with_mail(ground, postbox) | {"signature": signature}
        ground.hunt(secrets, expect=3, postbox=postbox, in_azcopys_arguments=True)
        assert any(signature in told for told in echo.said), "the secret did not come by"


@pytest.mark.parametrize("status", [400, 403, 409])
def test_an_upload_whose_answers_say_everything_back(
    ground: Ground, container: typing.Any, azurite: Azurite, status: int
) -> None:
    """Listings are answered as always, writing is refused with the request's own words."""
    sas, signature = signed(container)
    ground.credentials(sas)
    ground.config["auth"] = "sas"
    with Echo(status, upstream=azurite.port) as echo:
        ground.config["blob-endpoint"] = echo.endpoint
        # The claim passes, so that it is an uploader who is answered.
        code = 3 if status == 403 else 1
        ground.hunt({"signature": signature}, expect=code, in_azcopys_arguments=True)
        assert any(signature in told for told in echo.said), "the secret did not come by"


def test_a_proxy_with_a_password_that_says_it_back(ground: Ground, postbox: Postbox) -> None:
    password = canary("proxy")
    with Echo(407, "ProxyAuthenticationRequired") as echo:
        address = f"http://robot:{urllib.parse.quote(password, safe='')}@127.0.0.1:{echo.port}"
        environment = {
            "HTTP_PROXY": address,
            "http_proxy": address,
            "HTTPS_PROXY": address,
            "NO_PROXY": "",
            "no_proxy": "",
        }
        ground.given.add(pathlib.Path(str(ground.config["credentials"])))
        secrets = with_mail(ground, postbox) | {"proxy password": password, "account key": Azurite.key}
        ground.hunt(secrets, expect=3, environment=environment, postbox=postbox)
        assert any(password in told for told in echo.said), "the secret did not come by"


def test_a_mail_server_that_says_the_password_back(ground: Ground, postbox: Postbox) -> None:
    ground.config["azcopy"] = "/nowhere"
    ground.config["main-folder"] = ground.folder / "gone"
    wrong = canary("mail")
    with_mail(ground, postbox)
    ground.config["smtp-password"] = wrong
    ended = ground.hunt({"mail password": wrong}, expect=3, postbox=postbox)
    assert "refuses the login" in ended.output
    # On the command line, process lists show it, as the warning says: there, and nowhere else.
    ended = ground.hunt(
        {"mail password": wrong},
        "--smtp-password",
        wrong,
        expect=3,
        postbox=postbox,
        on_our_command_line=True,
    )
    assert "process lists show it" in ended.output
    del ground.config["smtp-password"]
    ground.hunt(
        {"mail password": wrong},
        expect=3,
        environment={"SYNC_TO_AZURE_SMTP_PASSWORD": wrong},
        postbox=postbox,
    )


# Secrets of others, and in wrong places


def test_secrets_of_other_tools_in_the_environment(
    ground: Ground,
    secure: dict[str, object],
    secure_container: typing.Any,
    trusting: dict[str, str],
    az: pathlib.Path,
) -> None:
    """az is a child of ours too: it logs us in, and is told none of them."""
    del ground.config["credentials"], ground.config["auth"]
    ground.config |= {key: secure[key] for key in ("blob-endpoint", "container-name")} | {"auth": "default"}
    ground.container = secure_container
    names = ["AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"]
    names += ["AZCOPY_SPA_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "SYNC_TO_AZURE_SMTP_PASSWORD"]
    environment = {name: canary(f"{number}") for number, name in enumerate(names)}
    environment["AZURE_STORAGE_CONNECTION_STRING"] = (
        f"AccountName=x;AccountKey={key_canary()};EndpointSuffix=y"
    )
    environment["SYNC_TO_AZURE_SECRET"] = canary("unused")
    token = (az / "token").read_text(encoding="utf-8")
    secrets = environment | {"token": token.rpartition(".")[0][-40:]}
    ground.given.add(az / "token")
    path = {"PATH": f"{az}:{os.environ['PATH']}"}
    ended = ground.hunt(secrets, expect=0, environment=trusting | path | environment)
    assert "run: published" in ended.output and (az / "environment").exists()


def test_a_client_secret_and_its_tokens(
    ground: Ground,
    service_principal: dict[str, object],
    secure_container: typing.Any,
    trusting: dict[str, str],
) -> None:
    """Right (native: AzCopy's own login asks the public cloud) and wrong, with the tenant saying it back."""
    del ground.config["auth"]
    keys = ("blob-endpoint", "container-name", "tenant-id", "application-id", "credentials", "authority-host")
    ground.config |= {key: service_principal[key] for key in keys}
    ground.container = secure_container
    ground.given.add(pathlib.Path(str(service_principal["credentials"])))
    secrets = {"client secret": identity.CLIENT_SECRET, "token": identity.token().split(".")[0] + "."}
    if ground.config["uploader"] == "native":
        assert "run: published" in ground.hunt(secrets, expect=0, environment=trusting).output
    wrong = canary("client")
    ground.credentials(wrong)
    write_run(pathlib.Path(str(ground.config["main-folder"])), "another")
    ended = ground.hunt(secrets | {"wrong": wrong}, expect=3, environment=trusting)
    assert "AADSTS7000215" in ended.output


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--blob-endpoint=https://x.blob.core.windows.net/?sv=1&sp=rw&sig={quoted}"], ""),
        (["--blob-endpoint=https://me:{quoted}@x.blob.core.windows.net"], ""),
        (["--destination=x?sv=1&sig={quoted}"], ""),
        (["--smtp-pasword={secret}"], ""),
        (["--smtp-host=mail?password={quoted}"], ""),
        (["--storage-account=AccountKey={secret}"], ""),
        (["--tenant-id={secret}"], ""),
        ([], "smtp-pasword = {secret}\n"),
        ([], "secret = {secret}\n"),
        ([], "{secret}\n"),
        ([], "[{secret}]\n"),
        ([], "smtp-password = {secret}\n    {secret}\n"),
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(
    start_command: typing.Any,
    tmp_path: pathlib.Path,
    main_folder: pathlib.Path,
    arguments: list[str],
    lines: str,
) -> None:
    secret = canary("misplaced")
    quoted = urllib.parse.quote(secret, safe="")
    config = f"main-folder = {main_folder}\n" + lines.format(secret=secret)
    words = [each.format(secret=secret, quoted=quoted) for each in arguments]
    ended = watched(start_command, *words, config=config)
    assert ended.returncode == 2, ended.output
    hunt = Hunt({"misplaced": secret})
    hunt.look("output", ended.output)
    hunt.assert_nothing()


FAULTY = """
import sys
from sync_to_azure import cli
from sync_to_azure.transfer import one_pass
from sync_to_azure.transfer.steps import scan

def fault(rooms):
    settings = rooms.settings
    secrets = settings.identity.secret, settings.mail.smtp_password
    raise RuntimeError(f"a fault of ours with {{secrets[0]}} and {{secrets[1]}} in {{vars(settings)}}")

{where} = fault
sys.exit(cli.main())
"""


@pytest.mark.parametrize("where", ["scan.at_main_folder", "one_pass.PassSession"])
def test_a_fault_of_ours_tells_its_traceback_without_them(
    ground: Ground, start_command: typing.Any, postbox: Postbox, where: str
) -> None:
    if ground.config["uploader"] == "azcopy":
        return  # it comes before any uploader
    secrets = with_mail(ground, postbox) | {"account key": Azurite.key}
    script = FAULTY.format(where=where).replace(
        "def fault(rooms):\n    settings = rooms.settings",
        "def fault(rooms, *_):\n    settings = getattr(rooms, 'settings', rooms)",
    )
    file = start_command._file(ground.config)
    done = subprocess.run(
        [sys.executable, "-c", script, "--config-file", file],
        capture_output=True,
        text=True,
        env=start_command.clean_environment(),
        cwd=start_command.home,
        timeout=LONG,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" in output and "a fault of ours with ***" in output, output
    hunt = Hunt(secrets)
    hunt.look("output", output)
    hunt.look_into(ground.folder, but={file, pathlib.Path(str(ground.config["credentials"]))})
    hunt.look_at_mails(postbox.mails, postbox.raw)
    hunt.assert_nothing()


def test_a_file_that_is_named_as_the_secret(ground: Ground, postbox: Postbox) -> None:
    """A file's name is data: it becomes a blob's name and stands in manifest and ledger. What is told of it is not."""
    hunt = Hunt(with_mail(ground, postbox))
    run = pathlib.Path(str(ground.config["main-folder"])) / "run"
    (run / f"bell\x07 {PASSWORD}.txt").write_text("x")
    ended = watched(ground.start, config=ground.config)
    assert ended.returncode == 1 and "bell\\x07 ***.txt" in ended.output, ended.output
    hunt.look("output", ended.output)
    hunt.look("log", (ground.folder / "pass.log").read_bytes())
    hunt.look_at_mails(postbox.mails, postbox.raw)
    assert len(postbox.mails) == 1
    hunt.assert_nothing()
