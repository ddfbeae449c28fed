"""``auth = default``: the chain of azure-identity, here with az, and the real AzCopy with the same login."""

from __future__ import annotations

import pathlib

from tests.passes.bad_input.faults import assert_no_secret, blobs, write_run
from tests.passes.identity.conftest import Login, token


def test_a_pass(by_az: Login, az: pathlib.Path) -> None:
    run = write_run(by_az.main, "run")
    secrets = {"SYNC_TO_AZURE_SMTP_PASSWORD": "hunter3-smtp", "SYNC_TO_AZURE_SECRET": "hunter2-unused"}
    by_az.config["auth"] = "default"
    by_az.logs_all()
    by_az.environment |= secrets
    outcome = by_az.run(0, "run: published")
    by_az.assert_carried(run)
    assert (az / "calls").read_text(encoding="utf-8").count("get-access-token") >= 2, "ours and AzCopy's"
    given = (az / "token").read_text(encoding="utf-8")
    # Also not in the environment that az was given: it needs none of them.
    assert_no_secret(by_az.folder, outcome, [*secrets.values(), given], but=("token",))
    assert "SMTP_PASSWORD" not in (az / "environment").read_text(encoding="utf-8")


def test_nobody_is_logged_in(by_az: Login, az: pathlib.Path) -> None:
    write_run(by_az.main, "run")
    (az / "logged-out").touch()
    by_az.run(3, "no identity gave a token", "az login", "tenant-id")
    assert blobs(by_az.container) == set()


def test_a_token_that_the_storage_refuses(by_az: Login, az: pathlib.Path) -> None:
    write_run(by_az.main, "run")
    wrong = token(audience="https://vault.azure.net")
    (az / "token").write_text(wrong, encoding="utf-8")
    by_az.config["log-file"] = by_az.folder / "x.log"
    outcome = by_az.run(3, "refuses")
    assert_no_secret(by_az.folder, outcome, [wrong], but=("token",))


def test_a_token_never_goes_over_plain_http(
    by_az: Login, everyday: dict[str, object], az: pathlib.Path
) -> None:
    write_run(by_az.main, "run")
    del everyday["credentials"]
    by_az.config = everyday | {"auth": "default"}
    by_az.run(3, "is plain http: a token is never sent over it", "https")
    assert not (az / "calls").exists()


def test_a_choice_that_is_none(by_az: Login) -> None:
    write_run(by_az.main, "run")
    by_az.environment["AZURE_TOKEN_CREDENTIALS"] = "nonsense"
    by_az.run(3, "AZURE_TOKEN_CREDENTIALS", "nonsense")
