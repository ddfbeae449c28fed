"""The ways of carrying a run that uploaders.py compares, each as a whole process."""

from __future__ import annotations

import datetime
import pathlib
import sys
from typing import Protocol

from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from benchmarks.measured import Measured, clean_environment, command, measure
from embedded.azurite import Azurite
from embedded.tools import azcopy_path

NATIVE, WITH_AZCOPY, AZCOPY, AZCOPY_OPEN, SDK = "native", "with-azcopy", "azcopy", "azcopy-open", "sdk"
TITLES = {
    NATIVE: "sync_to_azure --uploader native",
    WITH_AZCOPY: "sync_to_azure --uploader azcopy",
    AZCOPY: "azcopy copy --put-md5, as cron starts it",
    AZCOPY_OPEN: "azcopy copy --put-md5, with an open input",
    SDK: "SDK, 16 threads of upload_blob",
}
VERIFIES = (NATIVE, WITH_AZCOPY)
"""These walk, carry, list, compare and publish; the others only upload."""


class Server(Protocol):
    """Azurite, or the server that discards."""

    account: str
    key: str

    @property
    def endpoint(self) -> str: ...


def carry(which: str, server: Server, run: pathlib.Path, scratch: pathlib.Path) -> Measured:
    """``run`` is a folder alone in its main folder; ``scratch`` is fresh, for ledger, logs and plans."""
    environment = clean_environment(scratch) | {
        "AZCOPY_JOB_PLAN_LOCATION": str(scratch / "plans"),
        "AZCOPY_LOG_LOCATION": str(scratch / "logs"),
    }
    return measure(argv_of(which, server, run, scratch), environment, scratch, as_cron=which != AZCOPY_OPEN)


def argv_of(which: str, server: Server, run: pathlib.Path, scratch: pathlib.Path) -> list[str]:
    if which in VERIFIES:
        key = scratch / "account.key"
        key.touch(mode=0o600)
        key.write_text(server.key)
        return command() + [
            f"--main-folder={run.parent}",
            f"--only-run={run.name}",
            "--completion-delay=0",
            "--profile=generic",
            f"--blob-endpoint={server.endpoint}",
            "--container-name=bench",
            f"--credentials={key}",
            "--auth=account-key",
            f"--uploader={'native' if which == NATIVE else 'azcopy'}",
            # Azurite computes CRC64 in JavaScript: 4 x 200 MB took 9.8 s there instead of 3.8.
            f"--block-check={'md5' if isinstance(server, Azurite) else 'auto'}",
            f"--azcopy={azcopy_path()}",
            f"--state-file={scratch / 'ledger.sqlite'}",
        ]
    if which == SDK:
        program = pathlib.Path(__file__).with_name("sdk_upload.py")
        return [sys.executable, str(program), f"{server.endpoint}/bench?{_sas(server)}", str(run)]
    return [
        str(azcopy_path()),
        "copy",
        str(run),
        f"{server.endpoint}/bench?{_sas(server)}",
        "--put-md5",
        "--recursive",
        "--from-to=LocalBlob",
    ]


def _sas(server: Server) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return generate_container_sas(
        server.account,
        "bench",
        account_key=server.key,
        permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
        start=now - datetime.timedelta(minutes=15),
        expiry=now + datetime.timedelta(hours=4),
    )
