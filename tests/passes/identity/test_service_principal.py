"""The everyday login, by azure-identity for real: token endpoint, https, bearer tokens. AzCopy's own login asks the
public cloud first and cannot run here, so what is carried is there already."""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any

from azure.storage.blob import ContentSettings

from tests.passes.bad_input.faults import assert_no_secret, blobs, stand_in, write_run
from tests.passes.identity.conftest import APPLICATION, CLIENT_SECRET, TENANT, Login, TokenEndpoint


def put_run(container: Any, folder: pathlib.Path) -> None:
    """As if somebody had carried it."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            settings = ContentSettings(content_md5=bytearray(hashlib.md5(data).digest()))
            container.upload_blob(
                f"{folder.name}/{path.relative_to(folder)}", data, content_settings=settings
            )


def test_a_pass(principal: Login, token_endpoint: TokenEndpoint) -> None:
    put_run(principal.container, write_run(principal.main, "run"))
    sheets = principal.folder / "sheets"
    sheets.mkdir()
    (sheets / "run.csv").write_text("[Header]\n", encoding="utf-8")
    principal.config["samplesheet-folder"] = sheets
    principal.logs_all()
    outcome = principal.run(0, "run: published")
    documents = {"run.sync", "run.json", "run.md5", "run.files.jsonl"}
    assert documents | {"run/SampleSheet.csv"} <= blobs(principal.container)
    asked = token_endpoint.asked[0]
    assert asked["client_id"] == APPLICATION and asked["path"] == f"/{TENANT}/oauth2/v2.0/token"
    assert asked["scope"] == "https://storage.azure.com/.default"
    receipt = principal.folder / "receipt"
    receipt.write_bytes(principal.container.download_blob("run.json").readall())
    assert_no_secret(principal.folder, outcome, [CLIENT_SECRET, "not checked"], but=("client.secret",))
    principal.run(0, "1 unchanged")


def test_a_secret_that_is_refused(principal: Login) -> None:
    write_run(principal.main, "run")
    wrong = "wrong-" + CLIENT_SECRET
    pathlib.Path(str(principal.config["credentials"])).write_text(wrong, encoding="utf-8")
    principal.logs_all()
    why = "AADSTS7000215: Invalid client secret provided"
    outcome = principal.run(3, "refuses the credentials", why, "application-id")
    assert_no_secret(principal.folder, outcome, [wrong, CLIENT_SECRET], but=("client.secret",))


def test_a_token_that_the_storage_refuses(principal: Login, token_endpoint: TokenEndpoint) -> None:
    """The tenant gave it, but to the service it has expired, as with a clock that is wrong."""
    write_run(principal.main, "run")
    token_endpoint.life = -3600
    principal.run(3, "refuses", "clock")


def test_a_certificate_that_nobody_vouches_for(principal: Login) -> None:
    """As with a proxy that breaks TLS open: no secret goes there."""
    write_run(principal.main, "run")
    principal.config["retry-times"] = 1
    principal.environment = {}
    unreached = f"{principal.config['authority-host']} cannot be reached"
    principal.run(3, unreached, "CERTIFICATE_VERIFY_FAILED")


def test_the_token_endpoint_is_not_there(principal: Login) -> None:
    write_run(principal.main, "run")
    principal.config |= {"authority-host": "https://127.0.0.1:9", "retry-times": 1}
    principal.run(3, "https://127.0.0.1:9 cannot be reached", "authority-host")


def test_what_azcopy_is_given(principal: Login) -> None:
    """Its documented login variables and nothing else of ours; no secret in its arguments."""
    write_run(principal.main, "run")
    folder = principal.folder
    stand_in(
        folder / "azcopy",
        f'env >> {folder}/environment-of-azcopy\necho "$*" >> {folder}/arguments\n'
        'if [ "$1" = --version ]; then echo "azcopy version 10.32.2"; else exit 1; fi',
    )
    principal.config |= {"azcopy": folder / "azcopy", "retry-times": 1}
    del principal.config["credentials"]
    principal.environment |= {
        "SYNC_TO_AZURE_SECRET": CLIENT_SECRET,
        "SYNC_TO_AZURE_SMTP_PASSWORD": "hunter3-smtp",
        "AZCOPY_AUTO_LOGIN_TYPE": "DEVICE",
        "AZCOPY_SPA_CERT_PASSWORD": "of-another-login",
        "AZCOPY_CONCURRENCY_VALUE": "7",
    }
    principal.run(1, "not verified after 1 tries")
    text = (folder / "environment-of-azcopy").read_text(encoding="utf-8")
    assert CLIENT_SECRET not in (folder / "arguments").read_text(encoding="utf-8")
    assert "hunter3" not in text and "SYNC_TO_AZURE_" not in text and "of-another-login" not in text
    assert "AZCOPY_CONCURRENCY_VALUE=7\n" in text and f"AZCOPY_SPA_CLIENT_SECRET={CLIENT_SECRET}\n" in text
    assert "AZCOPY_AUTO_LOGIN_TYPE=SPN\n" in text
    assert f"AZCOPY_TENANT_ID={TENANT}\n" in text and f"AZCOPY_SPA_APPLICATION_ID={APPLICATION}\n" in text
    assert text.count(CLIENT_SECRET) == 1, "--version needs no login"
