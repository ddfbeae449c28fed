"""A session of AzCopy: one job after another, watched, ended when it stands still, its files cleaned up."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import logging
import os
import re
import secrets
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import (
    AccessRefused,
    StateUnavailable,
    StorageUnavailable,
    ToolUnavailable,
    UploadFailed,
)
from sync_to_azure.core.model import Evidence, FileToSend, Sent
from sync_to_azure.uploaders import FileAt, Job, Proof, Tick, azcopy_jobs, azcopy_words
from sync_to_azure.uploaders.upload_config import UploadConfig
from sync_to_azure.uploaders.process import Child

if TYPE_CHECKING:
    from sync_to_azure.stores.login import Identity

_log = logging.getLogger(__name__)

_SPACE_FIXED = 64 * 1024 * 1024
_SPACE_A_FILE = 2 * 1024
_SAS_SHARE = 0.8
_LINGER = 10.0
_LOG_READ = 256 * 1024
"""Bytes from the beginning of a log."""

_REFUSED = re.compile(
    "AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|NoAuthenticationInformation"
    "|InvalidAuthenticationInfo|[Ff]ailed to perform [Aa]uto-login|ResponseStatusCode=403"
)


class AzCopySession:
    """The program that was found, the login and the folder of its logs, for one job after another. Each job is a
    process of its own: AzCopy takes no second job."""

    computes_md5 = False
    sends_single_files = False

    def __init__(
        self,
        config: UploadConfig,
        identity: "Identity",
        clock: Clock,
        jobs: Path,
        executable: str,
        environment: Callable[[dict[str, str], Path], dict[str, str]],
    ) -> None:
        self._config = config
        self._identity = identity
        self._clock = clock
        self._jobs = jobs
        self._executable = executable
        self._environment = environment
        self._is_closed = False
        self._children: set[Child] = set()

    def upload_file(
        self,
        source: "FileAt | int",
        name: str,
        replaces: str | None = None,
        digests: Collection[str] = (),
        read_back: bool = False,
    ) -> Proof:
        raise ToolUnavailable(
            f"AzCopy cannot upload {name} as a single file: it reports no ETag and supports no condition",
            "use the native uploader for it",
        )

    def close(self) -> None:
        self._is_closed = True
        for child in list(self._children):
            child.end()

    def _go_on(self) -> None:
        if self._is_closed:
            raise UploadFailed("stopped: the uploader's session is closed")

    @contextlib.contextmanager
    def _watched(self, child: Child) -> Iterator[Child]:
        with child:
            self._children.add(child)
            try:
                # Whoever closes sees the child, or we see that it did.
                self._go_on()
                yield child
            finally:
                self._children.discard(child)

    def __enter__(self) -> "AzCopySession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def can_carry(self, file: FileToSend) -> bool:
        """Exactly at the bound of a Put Blob AzCopy 10.32 panics, and with it the whole job ("chunk cannot be whole
        file where there is more than one chunk"). It knows no condition: names that the listing shows are not for it.
        """
        return (
            file.etag is None
            and file.path == file.blob.encode()
            and azcopy_words.can_be_listed(file.path)
            and file.size != azcopy_words.put_blob_mib(os.environ) * 1024 * 1024
        )

    def carry(self, job: Job, tick: Callable[[Tick], None]) -> Iterator[Sent]:
        self._go_on()
        self._look_at_space(job)
        folder = azcopy_jobs.make(self._jobs, job.run, self._clock.now())
        succeeded = False
        nonce = secrets.token_hex(16)
        try:
            list_file = folder / azcopy_jobs.LIST
            sizes = self._write_list(list_file, job)
            problem = self._run(job, folder, list_file, len(sizes), nonce, tick) if sizes else None
            put_blob = azcopy_words.put_blob_mib(os.environ)
            with open(list_file, "rb") as lines:
                for line, size in zip(lines, sizes, strict=True):
                    small = size <= put_blob * 1024 * 1024
                    evidence = Evidence.VALIDATED if small else Evidence.LISTED
                    yield Sent(line[:-1].decode(), evidence, nonce=nonce)
            if problem is not None:
                raise problem
            succeeded = True
        finally:
            # The logs of one that failed may explain what happened.
            azcopy_jobs.clear(folder, logs_too=succeeded)

    def _run(
        self,
        job: Job,
        folder: Path,
        list_file: Path,
        count: int,
        nonce: str,
        tick: Callable[[Tick], None],
    ) -> UploadFailed | None:
        """Start and watch AzCopy; None if it claims to have sent all, else what to say. Raises AccessRefused."""
        config = self._config
        query, life = self._identity.azcopy_query()
        login = self._identity.azcopy_environment()
        argv = azcopy_words.copy_argv(
            self._executable,
            _without_pattern(job.source.path, folder),
            config.endpoint,
            config.container,
            job.destination,
            query,
            str(list_file),
            config.azcopy_log_level,
            config.cap_mbps,
            uses_token=bool(login),
            put_blob=azcopy_words.put_blob_mib(os.environ),
            tier=config.access_tier,
            nonce=nonce,
        )
        last: azcopy_words.Report | None = None
        words: deque[str] = deque(maxlen=200)
        failures: dict[str, None] = {}  # each is told in one report only, and the last one tells none
        started = moved = self._clock.monotonic()
        told_end: float | None = None
        job.record.begin(nonce, *self._identity.azcopy_expiry(self._clock.now()))
        with self._watched(self._started(argv, login, folder, job, nonce)) as child:
            while not child.ended:
                self._go_on()
                line = child.line(0.2)
                now = self._clock.monotonic()
                if line is not None:
                    said = azcopy_words.parse(line)
                    if said.report is not None:
                        if last is None or said.report.moved != last.moved:
                            moved = now
                        last = said.report
                        failures.update(dict.fromkeys(last.failures[: 5 - len(failures)]))
                    elif said.text.strip() and (said.kind in ("Error", "odd") or _REFUSED.search(said.text)):
                        words.append(said.text.strip())
                tick(Tick(last.completed, last.bytes_shown) if last else Tick(0, 0))
                if last is not None and last.final:
                    if told_end is None:
                        told_end = now
                    if now - told_end > _LINGER:
                        _log.warning("AzCopy reported completion but did not exit; killed")
                        break
                    continue
                if now - moved > config.timeout:
                    return UploadFailed(
                        f"AzCopy made no progress for {config.timeout:g} s and was ended (logs: {folder / 'logs'})",
                        "check the network and the share",
                    )
                if life is not None and now - started > life * _SAS_SHARE:
                    return UploadFailed(
                        "the SAS expires before AzCopy is done; AzCopy was ended", is_try=False
                    )
            self._go_on()
            # One that told its end and did not go is judged by what it told.
            code = child.exit_code() if child.ended else 0
        final = None
        if last is not None and last.final:
            final = dataclasses.replace(last, failures=tuple(failures))
            if final.status != "Cancelled":
                job.record.end(nonce)
        return self._judge(final, code, count, list(words), folder)

    def _started(
        self, argv: Sequence[str | bytes], login: dict[str, str], folder: Path, job: Job, nonce: str
    ) -> Child:
        try:
            return Child(argv, self._environment(login, folder), str(folder))
        except (OSError, subprocess.SubprocessError) as error:
            job.record.end(nonce)
            raise ToolUnavailable(
                f"AzCopy at {self._executable} does not start: {error}", "reinstall it"
            ) from error

    def _judge(
        self, report: azcopy_words.Report | None, code: int, count: int, words: list[str], folder: Path
    ) -> UploadFailed | None:
        found = azcopy_words.findings(report, code, count)
        if not found:
            return None
        if report is not None and not report.completed and report.failures:
            words = words + _logged_refusal(report, folder)
        text = " ".join(words)
        if _REFUSED.search(text) and (report is None or not report.completed):
            refusal = next(word for word in reversed(words) if _REFUSED.search(word))
            raise AccessRefused(
                f"AzCopy is refused: {_shortened(refusal)}",
                "check credentials (may they write?), role assignments and the clock",
            )
        # Of a Go panic its own line tells what happened; what follows is a stack.
        telling = [word for word in words if word.startswith(("panic:", "fatal error:"))] or words[-1:]
        if report is not None and not report.completed and report.failures:
            if all(each.endswith("(error 404)") for each in report.failures):
                # Only a container can be missing where blobs are written.
                container = self._config.container
                raise StorageUnavailable(f"AzCopy finds no container {container}", "create it")
        said = f"; it said: {_shortened(telling[0])}" if telling else ""
        return UploadFailed(f"{'; '.join(found)}{said} (logs: {folder / 'logs'})")

    def _write_list(self, list_file: Path, job: Job) -> "array.array[int]":
        """One path a line; the sizes are returned, 8 bytes a file."""
        sizes = array.array("Q")
        handle = os.open(list_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as lines:
            for file in job.files:
                lines.write(file.path + b"\n")
                sizes.append(file.size)
        return sizes

    def _look_at_space(self, job: Job) -> None:
        needed = _SPACE_FIXED + _SPACE_A_FILE * job.count
        try:
            self._jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self._jobs).free
        except OSError as error:
            raise StateUnavailable(
                f"the folder for AzCopy's plans and logs, {self._jobs}, cannot be used: {error.strerror}",
                "set azcopy-logs to a writable place",
            ) from error
        if free < needed:
            raise StateUnavailable(
                f"{self._jobs} has {free // 2**20} MiB free; AzCopy's plans and logs for {job.count} files want"
                f" {needed // 2**20} MiB",
                "free some space, or set azcopy-logs to another disk",
            )


def _logged_refusal(report: azcopy_words.Report, folder: Path) -> list[str]:
    """A refused HEAD (``--overwrite=false``) is reported as error 0; what the service said is in the log alone."""
    if not all(each.endswith("(error 0)") for each in report.failures):
        return []
    for path in sorted((folder / azcopy_jobs.LOGS).glob("*.log")):
        with contextlib.suppress(OSError), open(path, "rb") as log:
            for line in log.read(_LOG_READ).decode("utf-8", "replace").splitlines():
                if _REFUSED.search(line):
                    return [line.strip()]
    return []


def _without_pattern(source: bytes, folder: Path) -> bytes:
    """AzCopy takes a ``*`` anywhere in the path of a source for a pattern, and knows no way to write one. By a link in
    the job's folder the run has a path without."""
    if b"*" not in source:
        return source
    link = folder / azcopy_jobs.SOURCE
    os.symlink(source, link)
    return os.fsencode(link)


def _shortened(words: str) -> str:
    """What AzCopy says holds whole HTTP answers with rulers; without them, on one line, the start says enough.

    Never cut within a word: no redactor would know half a secret."""
    text = " ".join(re.sub("-{5,}", " ", words).split())
    return text if len(text) <= 400 else text[:400].rpartition(" ")[0] + " …"
