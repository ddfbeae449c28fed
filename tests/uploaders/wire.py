"""What tests of uploaders stand on: settings, jobs, and a line to the storage on which requests can be spoilt."""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import os
import pathlib
import threading
import typing

from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from sync_to_azure.core.errors import SyncError
from sync_to_azure.stores.login import AccountKey, RequestSigner
from sync_to_azure.stores.azure import AzureStore
from sync_to_azure.files.folder import place_of
from sync_to_azure.core.model import FileToSend, Sent
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.transfer.configs import upload_config
from sync_to_azure.uploaders import Job, Tick, Uploader, blocks
from sync_to_azure.uploaders.native import NativeUploader
from tests.line import CUT, HALF, LOSE, Act, Answer, Request
from tests.line import Line as Wire
from tests.line import LineHandler as WireHandler

__all__ = ["CUT", "HALF", "LOSE", "Act", "Answer", "Request", "Wire", "WireHandler"]

MEBIBYTE = 1024 * 1024
LARGE = 2 * blocks.BLOCK + 5
"""Three blocks."""
ODD_NAMES = [
    "deep/er/file",
    " lead",
    "trail ",
    "per%20cent",
    "q?#&+:*'\"",
    "tab\there",
    "dot.",
    "ümläut",
    "e\u0301",
    "x\x85y",
    "-dash",
    "page.vhd",
    ".hidden",
    "~tilde",
    "[a]",
    "\u2028",
]


@dataclasses.dataclass
class Settings:
    """The settings that the uploaders, the lake and the identity ask for."""

    blob_endpoint: str
    container_name: str
    azcopy: str | None = None
    azcopy_log_level: str = "INFO"
    cap_mbps: float | None = None
    access_tier: str | None = None
    timeout: float = 60.0
    retry_times: int = 4
    concurrency: int = 8
    block_check: str = "auto"
    source_readers: int = 3
    authority_host: str | None = None
    storage_account: str = Azurite.account
    secret: str = Azurite.key
    auth: str = "account-key"
    tenant_id: str | None = None
    application_id: str | None = None

    @property
    def destination(self) -> "Settings":
        return self

    upload = identity = destination
    """One flat object plays all groups of settings."""


def native(settings: Settings, signer: typing.Any = None) -> NativeUploader:
    anyway = typing.cast(typing.Any, settings)
    identity = AccountKey(login_config(anyway))
    return NativeUploader(
        upload_config(anyway), signer or RequestSigner(identity), AzureStore(store_config(anyway), identity)
    )


def job_of(folder: pathlib.Path, contents: collections.abc.Mapping[str, bytes]) -> Job:
    """Writes the files, and the job to carry them."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return job_for(folder, contents)


def job_for(
    folder: pathlib.Path, names: collections.abc.Iterable[str], container: ContainerClient | None = None
) -> Job:
    """``container``: what stands there now is what the plan's listing showed; without it, that showed nothing."""
    stand = {blob.name: str(blob.etag).strip('"') for blob in container.list_blobs()} if container else {}
    files = []
    for name in names:
        status = (folder / name).stat()
        files.append(
            FileToSend(name.encode(), name, status.st_size, status.st_mtime_ns, stand.get(f"dest/run/{name}"))
        )
    return Job(
        "run", place_of(os.fsencode(folder)), "dest/run", iter(files), len(files), sum(f.size for f in files)
    )


def carried(
    uploader: Uploader, job: Job, tick: collections.abc.Callable[[Tick], None] = lambda tick: None
) -> tuple[dict[str, Sent], SyncError | None]:
    """What was sent, and the error with which it ended."""
    sent: dict[str, Sent] = {}
    try:
        with uploader.open() as session:
            for each in session.carry(job, tick):
                sent[each.blob] = each
    except SyncError as error:
        return sent, error
    return sent, None


def stored(container: ContainerClient) -> dict[str, tuple[bytes, bytes | None]]:
    """Every blob of the destination: its bytes and the MD5 that its properties show."""
    found = {}
    for blob in container.list_blobs():
        md5 = blob.content_settings.content_md5
        content = container.download_blob(blob.name).readall()
        found[blob.name.removeprefix("dest/run/")] = content, bytes(md5) if md5 else None
    return found


def right(contents: collections.abc.Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes | None]]:
    return {name: (content, hashlib.md5(content).digest()) for name, content in contents.items()}


def flip(request: Request) -> None:
    body = bytearray(request.body)
    body[len(body) // 2] ^= 1
    request.body = bytes(body)


def first(kind: str, what: collections.abc.Callable[[Request], typing.Any], times: int = 1) -> typing.Any:
    """Do ``what`` to the first requests of a kind only."""
    lock, left = threading.Lock(), [times]

    def act(request: Request) -> typing.Any:
        with lock:
            if request.kind != kind or not left[0]:
                return None
            left[0] -= 1
        return what(request)

    return act
