"""AzCopy behind the uploader port: is it there, and new enough? Its sessions are in ``azcopy_session``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import ToolUnavailable
from sync_to_azure.uploaders import azcopy_jobs, azcopy_words
from sync_to_azure.uploaders.azcopy_session import AzCopySession
from sync_to_azure.uploaders.upload_config import UploadConfig
from sync_to_azure.uploaders.process import run_briefly

if TYPE_CHECKING:
    from sync_to_azure.stores.login import Identity

_ANSWERS_WITHIN = 15.0
"""Seconds for ``--version``: a program of 100 MB, maybe read from a share."""


class AzCopyUploader:
    """See the package's promises. It sends only names that the plan's listing does not show. Up to 256 MiB files
    come out ``validated``, larger ones ``listed`` (docs/design.md)."""

    def __init__(
        self, config: UploadConfig, identity: "Identity", clock: Clock, jobs: Path, files_at_once: int
    ) -> None:
        self._config = config
        self._identity = identity
        self._clock = clock
        self._jobs = jobs
        self._files_at_once = files_at_once
        self._executable = self._version = ""

    def prepare(self) -> None:
        found = self._find()
        try:
            words = [found, "--version", azcopy_words.NO_VERSION_CHECK]
            code, output = run_briefly(words, self._environment({}, self._jobs), _ANSWERS_WITHIN)
        except (OSError, TimeoutError, subprocess.SubprocessError) as error:
            raise ToolUnavailable(f"AzCopy at {found} does not start: {error}", "reinstall it") from error
        version = azcopy_words.version_of(output)
        if code != 0 or version is None:
            first = output.strip().splitlines()[:1] or ["no output"]
            raise ToolUnavailable(
                f"AzCopy at {found} does not report its version (exit code {code}): {first[0]}",
                "is it AzCopy 10 for this machine, with its libraries (libsecret-1-0 on Debian)?",
            )
        if version < azcopy_words.OLDEST_VERSION:
            have, need = (".".join(map(str, numbers)) for numbers in (version, azcopy_words.OLDEST_VERSION))
            raise ToolUnavailable(
                f"AzCopy at {found} is {have}; at least {need} is needed", "install a newer one"
            )
        self._executable = found
        self._version = ".".join(map(str, version))
        azcopy_jobs.prune(self._jobs, self._clock.now())

    @property
    def described(self) -> str:
        return f"AzCopy {self._version} at {self._executable}"

    def _find(self) -> str:
        named = self._config.azcopy
        if named:
            found = shutil.which(named)
        else:
            found = shutil.which("azcopy") or shutil.which("azure-storage-azcopy")
        if found:
            return found
        if named and os.path.isdir(named):
            raise ToolUnavailable(f"AzCopy at {named} is a folder", "name the program in it with --azcopy")
        if named and os.path.exists(named):
            raise ToolUnavailable(f"AzCopy at {named} is not executable by this user", f"chmod a+rx {named}")
        what = f"AzCopy is not at {named}" if named else "neither azcopy nor azure-storage-azcopy is on PATH"
        raise ToolUnavailable(what, "install AzCopy 10 and name it with --azcopy")

    def open(self) -> "AzCopySession":
        return AzCopySession(
            self._config,
            self._identity,
            self._clock,
            self._jobs,
            self._executable,
            self._environment,
        )

    def _environment(self, login: dict[str, str], folder: Path) -> dict[str, str]:
        return azcopy_words.environment(
            os.environ,
            login,
            str(folder / azcopy_jobs.PLANS),
            str(folder / azcopy_jobs.LOGS),
            self._files_at_once,
        )
