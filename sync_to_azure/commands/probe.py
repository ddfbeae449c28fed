"""The destination as `check` tries it: sign in, look around, write, list, read, carry and delete a probe."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.clock import Clock
from sync_to_azure.errors import StorageUnavailable, UploadFailed
from sync_to_azure.lake import PROBE, Lake, probe_folder
from sync_to_azure.model import FileToSend
from sync_to_azure.steps.rooms import uploader_for
from sync_to_azure.uploaders import Job

if TYPE_CHECKING:
    from sync_to_azure.identity import Identity
    from sync_to_azure.settings import Settings
    from sync_to_azure.uploaders import Uploader

CONTENT = b"Written by `sync_to_azure check`. It belongs to no run and may be deleted.\n"


class Destination:
    """Each method is one thing that is tried; it raises a SyncError where it does not work."""

    def __init__(self, settings: "Settings", clock: Clock, state_folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._state_folder = state_folder
        self._made_identity: Identity | None = None
        self._made_lake: Lake | None = None
        self._uploader: Uploader | None = None
        self.is_signed_in = False
        self.answers = False
        self._folder = probe_folder(settings.destination)
        self._name = f"{self._folder}/{PROBE}"

    @property
    def has_uploader(self) -> bool:
        return self._uploader is not None

    @property
    def clock_ahead(self) -> float | None:
        return self._made_lake.clock_ahead if self._made_lake is not None else None

    def _identity(self) -> "Identity":
        if self._made_identity is None:
            from sync_to_azure.identity import identity_for

            self._made_identity = identity_for(self._settings)
        return self._made_identity

    def _lake(self) -> Lake:
        if self._made_lake is None:
            self._made_lake = Lake(self._settings, self._identity())
        return self._made_lake

    def prepare_uploader(self) -> str:
        uploader = uploader_for(
            self._settings,
            self._clock,
            self._identity,
            self._lake,
            self._state_folder,
            self._settings.source_readers,
        )
        uploader.prepare()
        self._uploader = uploader
        return uploader.described

    def sign_in(self) -> None:
        self._lake()
        self.is_signed_in = True

    def look_into_container(self) -> None:
        self._lake().check(self._settings.destination)
        self.answers = True

    def write_probe(self) -> str:
        md5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
        self._lake().put(self._name, CONTENT, len(CONTENT), md5, "text/plain; charset=utf-8")
        return f"{self._name} was written, and the service checked it"

    def read_probe(self) -> str:
        """By the listing and by its bytes."""
        listed = [blob for blob in self._lake().listing(self._name) if blob.name == self._name]
        md5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
        if not listed or listed[0].size != len(CONTENT) or listed[0].md5 != md5:
            raise StorageUnavailable(
                f"the listing does not show {self._name} with its size and MD5",
                "without them nothing is proved",
            )
        if self._lake().get(self._name) != CONTENT:
            raise StorageUnavailable(f"{self._name} holds other bytes than were written")
        return "it was listed with size and MD5, and read back"

    def carry_probe(self) -> str:
        """Once more, by the uploader: AzCopy signs in by itself."""
        assert self._uploader is not None
        with tempfile.TemporaryDirectory(prefix="sync_to_azure-check-") as folder:
            path = os.path.join(folder, PROBE)
            with open(path, "wb") as handle:
                handle.write(CONTENT)
            file = FileToSend(PROBE.encode(), PROBE, len(CONTENT), os.stat(path).st_mtime_ns)
            job = Job("check", os.fsencode(folder), self._folder, [file], 1, len(CONTENT))
            if not list(self._uploader.carry(job, lambda tick: None)):
                raise UploadFailed("the uploader did not send the probe")
        self.read_probe()
        return "it was carried by the uploader, too"

    def remove_probe(self) -> bool:
        """False where deleting is refused, which is fine."""
        return self._lake().remove_probe(self._settings.destination)
