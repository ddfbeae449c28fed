"""The destination as `check` tries it: sign in, look around, write, list, read, carry and delete a probe."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import (
    AccessRefused,
    BlobRefused,
    BlobReplaced,
    StorageUnavailable,
    UploadFailed,
)
from sync_to_azure.files.folder import Place, open_folder
from sync_to_azure.stores.opening import open_deleting_store, open_login, open_store
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.core.model import FileToSend
from sync_to_azure.core.names import OURS_PREFIX
from sync_to_azure.transfer.steps.context import uploader_for
from sync_to_azure.uploaders import Job

if TYPE_CHECKING:
    from sync_to_azure.stores.login import Identity
    from sync_to_azure.stores.store import DeletingStore, Store
    from sync_to_azure.settings import Settings
    from sync_to_azure.uploaders import Uploader

PROBE_FOLDER = f"{OURS_PREFIX}-check"
"""Where ``check`` writes its probes at the destination. No run has this name."""
CONTENT = "Written by `sync_to_azure check` as {name}. It belongs to no run and may be deleted.\n"


class _Probe:
    """One small blob. Its name is random, so that it is nobody's: neither a run's file nor the probe of an earlier
    check, which a container with an immutability policy keeps. Its bytes name it."""

    def __init__(self, folder: str) -> None:
        self.file = f"probe-{secrets.token_hex(8)}.txt"
        self.name = f"{folder}/{self.file}"
        self.content = CONTENT.format(name=self.file).encode()
        self.md5 = hashlib.md5(self.content, usedforsecurity=False).digest()


class DestinationProbe:
    """Each method is one thing that is tried; it raises a SyncError where it does not work."""

    def __init__(self, settings: "Settings", clock: Clock, state_folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._state_folder = state_folder
        self._made_identity: Identity | None = None
        self._made_lake: Store | None = None
        self._uploader: Uploader | None = None
        self.is_signed_in = False
        self.answers = False
        self._folder = probe_folder(settings.destination.destination)
        self._written: list[tuple[str, str]] = []
        """(name, ETag) of each probe that was seen to hold what we wrote."""

    @property
    def has_uploader(self) -> bool:
        return self._uploader is not None

    @property
    def clock_ahead(self) -> float | None:
        return self._made_lake.clock_ahead if self._made_lake is not None else None

    def _identity(self) -> "Identity":
        if self._made_identity is None:
            self._made_identity = open_login(login_config(self._settings))
        return self._made_identity

    def _lake(self) -> Store:
        if self._made_lake is None:
            self._made_lake = open_store(store_config(self._settings), self._identity())
        return self._made_lake

    def prepare_uploader(self) -> str:
        uploader = uploader_for(
            self._settings,
            self._clock,
            self._identity,
            self._lake,
            self._state_folder,
            self._settings.upload.source_readers,
        )
        uploader.prepare()
        self._uploader = uploader
        return uploader.described

    def sign_in(self) -> None:
        self._lake()
        self.is_signed_in = True

    def look_into_container(self) -> None:
        self._lake().check(self._settings.destination.destination)
        self.answers = True

    def write_probe(self) -> str:
        """Written only where nothing is, found in the listing, and read back."""
        probe = _Probe(self._folder)
        self._lake().put(
            probe.name,
            probe.content,
            len(probe.content),
            probe.md5,
            "text/plain; charset=utf-8",
            replaces=None,
        )
        self._read(probe)
        return f"{probe.name} was written, and the service checked it; it was listed with size and MD5, and read back"

    def _read(self, probe: _Probe) -> None:
        listed = [blob for blob in self._lake().list(probe.name) if blob.name == probe.name]
        if not listed or listed[0].size != len(probe.content) or listed[0].md5 != probe.md5:
            raise StorageUnavailable(
                f"the listing does not show {probe.name} with its size and MD5",
                "without them nothing is proved",
            )
        if self._lake().md5_of(probe.name, listed[0].etag) != probe.md5:
            raise StorageUnavailable(f"{probe.name} holds other bytes than were written")
        self._written.append((probe.name, listed[0].etag))

    def carry_probe(self) -> str:
        """Another one, by the uploader: AzCopy signs in by itself."""
        assert self._uploader is not None
        probe = _Probe(self._folder)
        with tempfile.TemporaryDirectory(prefix="sync_to_azure-check-") as folder:
            path = os.path.join(folder, probe.file)
            with open(path, "wb") as handle:
                handle.write(probe.content)
            file = FileToSend(probe.file.encode(), probe.file, len(probe.content), os.stat(path).st_mtime_ns)
            source = Place(open_folder(os.fsencode(folder)), b"")
            job = Job("check", source, self._folder, [file], 1, len(probe.content))
            with self._uploader.open() as session:
                sent = list(session.carry(job, lambda tick: None))
            if not sent:
                raise UploadFailed("the uploader did not send the probe")
        self._read(probe)
        return f"{probe.name} was sent by the uploader, too"

    def remove_probes(self) -> bool:
        """Those that hold what we wrote, and nothing else. False where deleting one is refused, which is fine."""
        if not self._written:
            return True
        store = open_deleting_store(store_config(self._settings), self._identity())
        return all([_is_removed(store, name, etag) for name, etag in self._written])


def probe_folder(destination: str) -> str:
    return f"{destination}/{PROBE_FOLDER}" if destination else PROBE_FOLDER


def _is_removed(store: "DeletingStore", name: str, etag: str) -> bool:
    """False where the service refuses (a right that nothing else needs), or it is another one by now."""
    if f"{PROBE_FOLDER}/" not in name:
        raise ValueError(f"{name} is no probe")
    try:
        store.delete(name, etag)
    except (AccessRefused, BlobReplaced, BlobRefused):
        return False
    return True
