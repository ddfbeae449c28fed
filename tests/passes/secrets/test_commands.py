"""The canaries of ``test_canaries`` through everything that stands beside a pass: status, explain, audit, restore,
check, report, a person's word, the watchdog. Secrets that are right, services that say them back, and wrong places.
"""

from __future__ import annotations

import pathlib
import sqlite3
import typing
import urllib.parse

import pytest

from embedded.azurite import Azurite
from tests.passes.bad_input.faults import write_run
from tests.passes.test_mail import PASSWORD, Postbox
from tests.passes.secrets.echo import Echo
from tests.passes.secrets.hunt import Hunt, canary, watched
from tests.passes.secrets.test_canaries import Ground, signed, with_mail

LOOKS = [["status"], ["status", "--json"], ["status", "--problems"], ["explain", "run"], ["settings"]]


@pytest.fixture
def ground(
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    start_command: typing.Any,
    container: typing.Any,
) -> Ground:
    write_run(main_folder, "run")
    config = everyday | {
        "uploader": "native",
        "log-file": tmp_path / "pass.log",
        "log-level": "DEBUG",
        "metrics-file": tmp_path / "flow.prom",
        "retry-times": 1,
        "timeout": 60,
    }
    ground = Ground(config, tmp_path, start_command, container)
    ground.given.add(pathlib.Path(str(config["credentials"])))
    return ground


def with_watchdog(ground: Ground, echo: Echo) -> dict[str, str]:
    """Every pass pings it, and it says back what it was told; returns what is secret of its address."""
    part = canary("watchdog")
    ground.config["ping"] = f"http://127.0.0.1:{echo.port}/{urllib.parse.quote(part, safe='')}"
    return {"address of the watchdog": part}


def test_every_command_after_a_pass_with_secrets_that_are_right(ground: Ground, postbox: Postbox) -> None:
    """Each secret also stands in the reason that a person gives."""
    sas = canary("pasted")
    with Echo(404) as echo:
        secrets = with_mail(ground, postbox) | with_watchdog(ground, echo) | {"account key": Azurite.key}
        ended = ground.hunt(secrets, expect=0, postbox=postbox)
        assert "end ping failed: it answered 404" in ended.output
        assert any(secrets["address of the watchdog"] in told for told in echo.said), "it did not come by"
    pasted = f"see https://x.blob.core.windows.net/c/b?sv=1&sig={urllib.parse.quote(sas, safe='')}"
    reason = " ".join([*secrets.values(), str(ground.config["ping"]), pasted])
    for verb in ("hold", "retry", "release", "ignore"):
        told = (verb, "run", "--reason", reason)
        ground.hunt(secrets | {"pasted SAS": sas}, *told, expect=0, postbox=postbox, on_our_command_line=True)
    for arguments in LOOKS:
        ground.hunt(secrets | {"pasted SAS": sas}, *arguments, expect=0)
    explained = watched(ground.start, "explain", "run", config=ground.config).output
    assert "https://x.blob.core.windows.net/c/b?sv=1&sig=***" in explained
    ground.hunt(secrets, "audit", "--read-back", expect=0, postbox=postbox)
    ground.hunt(secrets, "restore", "run", "--to", ground.folder / "back", expect=0)
    ground.hunt(secrets, "check", "--send-mail", expect=0, postbox=postbox)
    ground.config["sample-names"] = "yes"
    ground.hunt(secrets | {"pasted SAS": sas}, "report", "--output", ground.folder / "pages", expect=0)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_every_command_with_a_service_that_says_everything_back(
    ground: Ground, container: typing.Any, postbox: Postbox, status: int
) -> None:
    """In reason, headers and body, and without an error code, so that the reason is told in its place."""
    ground.hunt({}, expect=0)
    sas, signature = signed(container)
    ground.credentials(sas)
    ground.config["auth"] = "sas"
    secrets = with_mail(ground, postbox) | {"signature": signature}
    # The same flow: its rows are keyed by the endpoint.
    with Echo(status, None) as echo:
        with sqlite3.connect(str(ground.config["state-file"])) as ledger:
            _of(ledger, echo.endpoint, ground)
        ground.config["blob-endpoint"] = echo.endpoint
        for arguments in (["--thorough"], ["audit", "--read-back"], ["restore", "run"], ["check"]):
            ended = watched(ground.start, *arguments, config=ground.config)
            assert ended.returncode in (1, 3), ended.output
        assert any(signature in told for told in echo.said), "the secret did not come by"
        for arguments in [*LOOKS, ["report", "--output", ground.folder / "pages"]]:
            ground.hunt(secrets, *arguments, expect=0, postbox=postbox)


def test_an_audit_that_cannot_read_keeps_no_secret_in_its_finding(
    ground: Ground, container: typing.Any, azurite: Azurite
) -> None:
    """The listing is answered as always; reading blobs is refused with the request's own words."""
    ground.hunt({}, expect=0)
    sas, signature = signed(container)
    ground.credentials(sas)
    ground.config["auth"] = "sas"
    with Echo(409, None, upstream=azurite.port, only="/run/") as echo:
        with sqlite3.connect(str(ground.config["state-file"])) as ledger:
            _of(ledger, echo.endpoint, ground)
        ground.config["blob-endpoint"] = echo.endpoint
        ground.hunt({"signature": signature}, "audit", "--read-back", expect=1)
        assert any(signature in told for told in echo.said), "the secret did not come by"
        with sqlite3.connect(str(ground.config["state-file"])) as ledger:
            assert ledger.execute("SELECT count(*) FROM audit_finding WHERE kind = 'unreadable'").fetchone()[
                0
            ]
        for arguments in [*LOOKS, ["restore", "run", "--to", ground.folder / "back"]]:
            ground.hunt({"signature": signature}, *arguments, expect=int(arguments[0] == "restore"))


def _of(ledger: sqlite3.Connection, endpoint: str, ground: Ground) -> None:
    """As if the flow had always had this endpoint."""
    from sync_to_azure.transfer.ledger import Flow

    flow = Flow(
        str(ground.config["main-folder"]),
        endpoint,
        str(ground.config["container-name"]),
        _destination(ground),
    )
    ledger.execute("UPDATE flow SET key = ?, endpoint = ?", (flow.key, endpoint))


def _destination(ground: Ground) -> str:
    return str(ground.config.get("destination") or "").strip("/")


def test_a_file_that_is_named_as_the_secret(ground: Ground, postbox: Postbox) -> None:
    """A name is data, and stands in manifest and ledger; what is told of it is not."""
    hunt = Hunt(with_mail(ground, postbox))
    run = pathlib.Path(str(ground.config["main-folder"])) / "run"
    (run / f"{PASSWORD}.txt").write_text("x")
    watched(ground.start, config=ground.config)
    (run / f"{PASSWORD}.txt").write_text("another")
    (run / f"bell\x07 {PASSWORD}.txt").write_text("x")
    ground.container.delete_blob(f"run/{PASSWORD}.txt")
    assert watched(ground.start, config=ground.config).returncode == 1
    ground.config["sample-names"] = "yes"
    looks = [*LOOKS, ["accept", "run"], ["audit"], ["restore", "run", "--to", ground.folder / "back"]]
    for arguments in [
        *looks,
        ["restore", "run", f"x{PASSWORD}"],
        ["report", "--output", ground.folder / "pages"],
    ]:
        ended = watched(ground.start, *arguments, config=ground.config)
        hunt.look(" ".join(map(str, arguments)), ended.output)
    hunt.look_into(ground.folder / "pages")
    hunt.look("metrics", (ground.folder / "flow.prom").read_bytes())
    hunt.look("log", (ground.folder / "pass.log").read_bytes())
    hunt.look_at_mails(postbox.mails, postbox.raw)
    hunt.assert_nothing()


@pytest.mark.parametrize("where", ["argument", "environment", "file"])
def test_an_address_of_a_watchdog_that_is_none_is_not_repeated(ground: Ground, where: str) -> None:
    secret = canary("ping")
    for url in (
        f"hc-ping.example/{secret}",
        f"https://robot:{urllib.parse.quote(secret, safe='')}@hc.example/x",
    ):
        arguments = [f"--ping={url}"] if where == "argument" else []
        environment = {"SYNC_TO_AZURE_PING": url} if where == "environment" else None
        config = ground.config | ({"ping": url} if where == "file" else {})
        for verb in ([], ["check"], ["status"]):
            ended = watched(ground.start, *verb, *arguments, config=config, environment=environment)
            assert ended.returncode == 2, ended.output
            hunt = Hunt({"address": secret})
            hunt.look("output", ended.output)
            hunt.assert_nothing()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status", "{url}"], 2),
        (["status", "--since", "{url}"], 2),
        (["status", "--state", "{url}"], 2),
        (["explain", "{url}"], 2),
        (["hold", "{url}"], 2),
        (["hold", "{url}", "--expected"], 2),
        (["accept", "{url}"], 2),
        (["release", "{url}"], 2),
        (["restore", "{url}"], 2),
        (["restore", "run", "{url}"], 2),
        (["restore", "run", "--to", "/dev/null/{url}"], 3),
        (["audit", "--run", "{url}"], 2),
        (["audit", "--read-back", "--budget", "{url}"], 2),
        (["report", "--output", "/dev/null/{url}"], 3),
    ],
)
def test_a_secret_that_was_pasted_where_a_name_belongs(
    ground: Ground, arguments: list[str], code: int
) -> None:
    """The address of a blob with its SAS, from a portal's clipboard."""
    ground.hunt({}, expect=0)
    secret = canary("pasted")
    quoted = urllib.parse.quote(secret, safe="")
    url = f"https://lake.blob.core.windows.net/c/run?sv=2024&sp=rl&sig={quoted}"
    given = [each.format(url=url, secret=quoted) for each in arguments]
    ground.hunt({"signature": secret}, *given, expect=code, on_our_command_line=True)
