"""A container, an account or a right that is not there: exit code 3, said once a pass, before anything is sent."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from embedded.azurite import Azurite
from tests.passes.bad_input.faults import Proxy, assert_no_secret, blobs, stand_in, told, write_run
from tests.line import Answer, Line
from tests.server import nobody_listens

Run = Callable[..., Any]
HOUR = datetime.timedelta(hours=1)


def sas(container: Any, permissions: str, life: datetime.timedelta = HOUR) -> str:
    """A user's SAS of the container."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return generate_container_sas(
        Azurite.account,
        container.container_name,
        account_key=Azurite.key,
        permission=ContainerSasPermissions.from_string(permissions),
        start=now - 2 * HOUR,
        expiry=now + life,
    )


@pytest.fixture
def no_azcopy(tmp_path: pathlib.Path) -> pathlib.Path:
    """An AzCopy that leaves a trace: the container is looked at before anything is carried."""
    return stand_in(tmp_path / "azcopy", f'echo "azcopy version 10.32.2"; touch {tmp_path}/was-started')


def test_the_container_is_missing(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    no_azcopy: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "a"), write_run(main_folder, "b"), write_run(main_folder, "c", complete=False)
    config = everyday | {"container-name": "not-there", "azcopy": no_azcopy, "log-file": tmp_path / "x.log"}
    outcome = run_command(config=config)
    told(outcome, 3, "container not-there is not there at", "create it or correct container-name")
    assert outcome.stderr.count("ERROR") == 1, outcome.stderr
    assert "c: waiting: RTAComplete.txt is missing" in outcome.stderr
    assert not (tmp_path / "was-started").exists()
    assert_no_secret(tmp_path, outcome, [Azurite.key], but=("account.key",))


@pytest.mark.parametrize("what", ["comp=list", ""], ids=["listings", "everything"])
def test_the_container_is_being_deleted(
    run_command: Run, everyday: dict[str, object], azurite: Azurite, main_folder: pathlib.Path, what: str
) -> None:
    """No run's fault: a listing, or all, is answered with 409."""
    write_run(main_folder, "a")
    with Line(azurite.port) as wire:
        wire.act = lambda request: Answer(409, "ContainerBeingDeleted") if what in request.path else None
        config = everyday | {"uploader": "native", "blob-endpoint": wire.endpoint}
        told(run_command(config=config), 3, "answers 409 ContainerBeingDeleted", "being changed or deleted")
    told(run_command(config=config | {"blob-endpoint": azurite.endpoint}), 0)


def test_another_account(
    run_command: Run, everyday: dict[str, object], azurite: Azurite, main_folder: pathlib.Path
) -> None:
    write_run(main_folder, "a")
    endpoint = azurite.endpoint.replace(azurite.account, "otheraccount")
    told(run_command(config=everyday | {"blob-endpoint": endpoint}), 3, endpoint, "account")


def test_another_key(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "a")
    key = "Z" * 86 + "=="
    account_key_file.write_text(key, encoding="utf-8")
    outcome = run_command(config=everyday | {"log-file": tmp_path / "x.log"})
    told(outcome, 3, "refuses", str(everyday["blob-endpoint"]), "check")
    assert_no_secret(tmp_path, outcome, [key], but=("account.key",))


def test_nobody_listens(run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path) -> None:
    write_run(main_folder, "a")
    with nobody_listens() as port:
        endpoint = f"http://127.0.0.1:{port}/{Azurite.account}"
        outcome = run_command(config=everyday | {"blob-endpoint": endpoint, "retry-times": 1})
    told(outcome, 3, f"{endpoint} cannot be reached", "check the network")


def test_an_expired_sas(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    container: Any,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "a")
    secret = sas(container, "racwl", -HOUR)
    account_key_file.write_text(secret, encoding="utf-8")
    outcome = run_command(config=everyday | {"auth": "sas", "log-file": tmp_path / "x.log"})
    told(outcome, 3, "refuses", "expired?")
    signature = secret.rpartition("sig=")[2]
    assert_no_secret(tmp_path, outcome, [signature], but=("account.key",))


def test_a_sas_without_the_right_to_list(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    container: Any,
) -> None:
    write_run(main_folder, "a")
    account_key_file.write_text(sas(container, "racw"), encoding="utf-8")
    told(run_command(config=everyday | {"auth": "sas"}), 3, "refuses", "check")
    assert blobs(container) == set()


def test_a_sas_without_the_right_to_write(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    container: Any,
    tmp_path: pathlib.Path,
) -> None:
    """The container's listing answers, so only the first write finds out. AzCopy is not started, and not all runs are
    tried."""
    for name in "abcd":
        write_run(main_folder, name)
    secret = sas(container, "rl")
    account_key_file.write_text(secret, encoding="utf-8")
    outcome = run_command(config=everyday | {"auth": "sas", "log-file": tmp_path / "x.log"})
    told(outcome, 3, "refuses access", "check the key or SAS")
    assert "sending" not in outcome.stderr and "WARNING c:" not in outcome.stderr
    assert blobs(container) == set()
    assert_no_secret(tmp_path, outcome, [secret.rpartition("sig=")[2]], but=("account.key",))


def test_a_line_that_breaks_during_a_listing(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
) -> None:
    """The library asks once more; what it answers then is what counts."""
    write_run(main_folder, "a")
    broken: list[str] = []

    def break_once(request: str) -> None:
        if "comp=list" in request and "prefix=a/" in request and not broken:
            broken.append(request)
            raise ConnectionResetError

    with Proxy(azurite.port) as proxy:
        config = everyday | {"blob-endpoint": proxy.endpoint, "thorough": "true"}
        told(run_command(config=config), 0, "a: published")
        proxy.on_request = break_once
        outcome = run_command(config=config)
    told(outcome, 0, "4 of 4 files verified")
    assert broken and "sending" not in outcome.stderr


def test_the_storage_goes_away_in_the_middle(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
    tmp_path: pathlib.Path,
) -> None:
    """What stands published stays; later runs are not tried in vain; those that wait are told all the same."""
    for name in "abc":
        write_run(main_folder, name)
    write_run(main_folder, "d", complete=False)
    with Proxy(azurite.port) as proxy:
        proxy.on_request = lambda request: proxy.refuse() if "/b/" in request and "PUT" in request else None
        config = everyday | {
            "blob-endpoint": proxy.endpoint,
            "retry-times": 1,
            # So long AzCopy may say nothing on a busy machine, and it tries for as long in vain.
            "timeout": 12,
            "log-file": tmp_path / "x.log",
        }
        outcome = run_command(config=config)
        told(outcome, 3, f"{proxy.endpoint} cannot be reached", "d: waiting: RTAComplete.txt is missing")
        assert "c: sending" not in outcome.stderr
        lines = {line.split()[0]: line for line in outcome.stdout.splitlines()}
        assert "published" in lines["a"] and "not uploaded in this pass" in lines["c"]
        assert "a.sync" in blobs(container) and "b.sync" not in blobs(container)
        assert_no_secret(tmp_path, outcome, [azurite.key], but=("account.key",))
        proxy.on_request, proxy.refusing = None, False
        told(run_command(config=config), 0)
    assert {"a.sync", "b.sync", "c.sync"} <= blobs(container) and "d.sync" not in blobs(container)
