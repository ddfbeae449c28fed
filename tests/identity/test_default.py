"""``auth = default``: the chain of azure-identity, here with az, and the real AzCopy with the same login."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.bad_input.faults import assert_no_secret, blobs, told, write_run
from tests.identity.conftest import token

Run = Callable[..., Any]


@pytest.fixture
def environment(trusting: dict[str, str], az: pathlib.Path) -> dict[str, str]:
    return trusting | {"PATH": f"{az}:{os.environ['PATH']}"}


def test_a_pass(
    run_command: Run,
    secure: dict[str, object],
    environment: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
    secure_container: Any,
    tmp_path: pathlib.Path,
) -> None:
    folder = write_run(main_folder, "run")
    secrets = {"SYNC_TO_AZURE_SMTP_PASSWORD": "hunter3-smtp", "SYNC_TO_AZURE_SECRET": "hunter2-unused"}
    config = secure | {"auth": "default", "log-file": tmp_path / "x.log", "log-level": "DEBUG"}
    outcome = run_command(config=config, environment=environment | secrets)
    told(outcome, 0, "run: published")
    for path in folder.rglob("*.bcl"):
        name = f"run/{path.relative_to(folder)}"
        assert secure_container.download_blob(name).readall() == path.read_bytes()
    assert (az / "calls").read_text(encoding="utf-8").count("get-access-token") >= 2, "ours and AzCopy's"
    given = (az / "token").read_text(encoding="utf-8")
    # Also not in the environment that az was given: it needs none of them.
    assert_no_secret(tmp_path, outcome, [*secrets.values(), given], but=("token",))
    assert "SMTP_PASSWORD" not in (az / "environment").read_text(encoding="utf-8")


def test_nobody_is_logged_in(
    run_command: Run,
    secure: dict[str, object],
    environment: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
    secure_container: Any,
) -> None:
    write_run(main_folder, "run")
    (az / "logged-out").touch()
    outcome = run_command(config=secure, environment=environment)
    told(outcome, 3, "no identity gave a token", "az login", "tenant-id")
    assert blobs(secure_container) == set()


def test_a_token_that_the_storage_refuses(
    run_command: Run,
    secure: dict[str, object],
    environment: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "run")
    wrong = token(audience="https://vault.azure.net")
    (az / "token").write_text(wrong, encoding="utf-8")
    outcome = run_command(config=secure | {"log-file": tmp_path / "x.log"}, environment=environment)
    told(outcome, 3, "refuses")
    assert_no_secret(tmp_path, outcome, [wrong], but=("token",))


def test_a_token_never_goes_over_plain_http(
    run_command: Run,
    everyday: dict[str, object],
    environment: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
) -> None:
    write_run(main_folder, "run")
    del everyday["credentials"]
    outcome = run_command(config=everyday | {"auth": "default"}, environment=environment)
    told(outcome, 3, "is plain http: a token is never sent over it", "https")
    assert not (az / "calls").exists()


def test_a_choice_that_is_none(
    run_command: Run, secure: dict[str, object], environment: dict[str, str], main_folder: pathlib.Path
) -> None:
    write_run(main_folder, "run")
    outcome = run_command(config=secure, environment=environment | {"AZURE_TOKEN_CREDENTIALS": "nonsense"})
    told(outcome, 3, "AZURE_TOKEN_CREDENTIALS", "nonsense")
