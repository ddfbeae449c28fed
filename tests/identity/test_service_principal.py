"""The everyday login, by azure-identity for real: token endpoint, https, bearer tokens. AzCopy's own login asks the
public cloud first and cannot run here, so what is carried is there already."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

from azure.storage.blob import ContentSettings

from tests.bad_input.faults import assert_no_secret, blobs, stand_in, told, write_run
from tests.identity.conftest import APPLICATION, CLIENT_SECRET, TENANT, TokenEndpoint

Run = Callable[..., Any]


def put_run(container: Any, folder: pathlib.Path) -> None:
    """As if somebody had carried it."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            settings = ContentSettings(content_md5=bytearray(hashlib.md5(data).digest()))
            container.upload_blob(
                f"{folder.name}/{path.relative_to(folder)}", data, content_settings=settings
            )


def test_a_pass(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
    secure_container: Any,
    tmp_path: pathlib.Path,
) -> None:
    put_run(secure_container, write_run(main_folder, "run"))
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "run.csv").write_text("[Header]\n", encoding="utf-8")
    config = service_principal | {
        "samplesheet-folder": tmp_path / "sheets",
        "log-file": tmp_path / "x.log",
        "log-level": "DEBUG",
    }
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 0, "run: published")
    assert {"run.sync", "run.json", "run.md5", "run.files.jsonl", "run/SampleSheet.csv"} <= blobs(
        secure_container
    )
    asked = token_endpoint.asked[0]
    assert asked["client_id"] == APPLICATION and asked["path"] == f"/{TENANT}/oauth2/v2.0/token"
    assert asked["scope"] == "https://storage.azure.com/.default"
    receipt = tmp_path / "receipt"
    receipt.write_bytes(secure_container.download_blob("run.json").readall())
    assert_no_secret(tmp_path, outcome, [CLIENT_SECRET, "not checked"], but=("client.secret",))
    told(run_command(config=config, environment=trusting), 0, "1 with nothing to do")


def test_a_secret_that_is_refused(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    write_run(main_folder, "run")
    wrong = "wrong-" + CLIENT_SECRET
    pathlib.Path(str(service_principal["credentials"])).write_text(wrong, encoding="utf-8")
    config = service_principal | {"log-file": tmp_path / "x.log", "log-level": "DEBUG"}
    outcome = run_command(config=config, environment=trusting)
    told(
        outcome,
        3,
        "refuses our credentials",
        "AADSTS7000215: Invalid client secret provided",
        "application-id",
    )
    assert_no_secret(tmp_path, outcome, [wrong, CLIENT_SECRET], but=("client.secret",))


def test_a_token_that_the_storage_refuses(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
) -> None:
    """The tenant gave it, but to the service it has expired, as with a clock that is wrong."""
    write_run(main_folder, "run")
    token_endpoint.life = -3600
    told(run_command(config=service_principal, environment=trusting), 3, "refuses", "clock")


def test_a_certificate_that_nobody_vouches_for(
    run_command: Run, service_principal: dict[str, object], main_folder: pathlib.Path
) -> None:
    """As with a proxy that breaks TLS open: no secret goes there."""
    write_run(main_folder, "run")
    told(
        run_command(config=service_principal | {"retry-times": 1}, timeout=100),
        3,
        f"{service_principal['authority-host']} cannot be reached",
        "CERTIFICATE_VERIFY_FAILED",
    )


def test_the_token_endpoint_is_not_there(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
) -> None:
    write_run(main_folder, "run")
    config = service_principal | {"authority-host": "https://127.0.0.1:9", "retry-times": 1}
    told(
        run_command(config=config, environment=trusting),
        3,
        "https://127.0.0.1:9 cannot be reached",
        "authority-host",
    )


def test_what_azcopy_is_given(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    """Its documented login variables and nothing else of ours; no secret in its arguments."""
    write_run(main_folder, "run")
    stand_in(
        tmp_path / "azcopy",
        f'env >> {tmp_path}/environment-of-azcopy\necho "$*" >> {tmp_path}/arguments\n'
        'if [ "$1" = --version ]; then echo "azcopy version 10.32.2"; else exit 1; fi',
    )
    config = service_principal | {"azcopy": tmp_path / "azcopy", "retry-times": 1}
    del config["credentials"]
    environment = trusting | {
        "SYNC_TO_AZURE_SECRET": CLIENT_SECRET,
        "SYNC_TO_AZURE_SMTP_PASSWORD": "hunter3-smtp",
        "AZCOPY_AUTO_LOGIN_TYPE": "DEVICE",
        "AZCOPY_SPA_CERT_PASSWORD": "of-another-login",
        "AZCOPY_CONCURRENCY_VALUE": "7",
    }
    told(run_command(config=config, environment=environment), 1, "not verified after 1 tries")
    text = (tmp_path / "environment-of-azcopy").read_text(encoding="utf-8")
    assert CLIENT_SECRET not in (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "hunter3" not in text and "SYNC_TO_AZURE_" not in text and "of-another-login" not in text
    assert "AZCOPY_CONCURRENCY_VALUE=7\n" in text and f"AZCOPY_SPA_CLIENT_SECRET={CLIENT_SECRET}\n" in text
    assert "AZCOPY_AUTO_LOGIN_TYPE=SPN\n" in text
    assert f"AZCOPY_TENANT_ID={TENANT}\n" in text and f"AZCOPY_SPA_APPLICATION_ID={APPLICATION}\n" in text
    assert text.count(CLIENT_SECRET) == 1, "--version needs no login"
