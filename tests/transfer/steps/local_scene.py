"""The steps of a pass in this process, from a main folder to a store in a folder: no command is started, no service.
Its methods are those of tests/passes/scene.py, so that a test may move from there to here."""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import logging
import os
import pathlib
import typing

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import BlobReplaced, Overtaken, UnavailableError
from sync_to_azure.core.model import Evidence, FileToSend, Sent, Summary
from sync_to_azure.core.names import CLAIMS_FOLDER
from sync_to_azure.files.folder import is_gone_or_replaced
from sync_to_azure.settings import load
from sync_to_azure.stores.local import DeletingLocalStore, LocalStore
from sync_to_azure.stores.store import Store
from sync_to_azure.transfer.ledger import Files, Flow, Ledger
from sync_to_azure.transfer.one_pass import over_all_runs
from sync_to_azure.transfer.steps.context import PassContext
from sync_to_azure.uploaders import Job, Tick
from tests.passes.scene import Scene


class StoreUploader:
    """An upload session that writes with the store's own ``put``."""

    computes_md5 = True
    sends_single_files = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sent: list[str] = []

    def can_carry(self, file: FileToSend) -> bool:
        return True

    def carry(self, job: Job, tick: collections.abc.Callable[[Tick], None]) -> collections.abc.Iterator[Sent]:
        for number, file in enumerate(job.files, 1):
            try:
                handle, status = job.source.open().file(file.path)
            except OSError as error:
                if is_gone_or_replaced(error):
                    continue
                raise
            with os.fdopen(handle, "rb") as opened:
                content = opened.read()
            if (len(content), status.st_mtime_ns) != (file.size, file.mtime_ns):
                continue
            md5 = hashlib.md5(content).digest()
            try:
                etag = self._store.put(
                    f"{job.destination}/{file.blob}", content, len(content), md5, "text/plain", file.etag
                )
            except BlobReplaced as error:
                raise Overtaken(error.message) from error
            self.sent.append(f"{job.destination}/{file.blob}")
            tick(Tick(number, 0))
            yield Sent(file.blob, Evidence.VALIDATED, md5, etag, ctime_ns=status.st_ctime_ns)

    def close(self) -> None:
        pass


class _Watched(LocalStore):
    def __init__(self, scene: "LocalScene") -> None:
        super().__init__(scene.folder / "destination" / "container")
        self._scene = scene

    def put(self, name: str, *arguments: typing.Any, **options: typing.Any) -> str:
        if CLAIMS_FOLDER not in name:
            self._scene.before_put(name)
        return super().put(name, *arguments, **options)


@dataclasses.dataclass
class Outcome:
    returncode: int
    stderr: str


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class LocalScene(Scene):
    """``store`` is the destination."""

    def __init__(self, config: dict[str, object], main: pathlib.Path, folder: pathlib.Path) -> None:
        nothing: typing.Any = None
        super().__init__(config, nothing, main, folder, folder / "calls", nothing, nothing)
        destination = folder / "destination" / "container"
        destination.mkdir(parents=True)
        self.store = DeletingLocalStore(destination)
        self.sent: list[str] = []
        """Blobs that the last pass sent."""
        self.before_put: collections.abc.Callable[[str], None] = lambda name: None
        """Called before each document that a pass writes: what somebody else does just then."""

    def run(self, *arguments: object, expect: int = 0, **options: typing.Any) -> Outcome:
        """The steps of one pass over all runs."""
        told = _Told()
        log = logging.getLogger("sync_to_azure")
        level = log.level
        log.addHandler(told)
        log.setLevel(logging.INFO)
        try:
            code = self._pass([str(argument) for argument in arguments])
        finally:
            log.removeHandler(told)
            log.setLevel(level)
        outcome = Outcome(code, "\n".join(told.lines))
        assert code == expect, f"exit code {code}\n{outcome.stderr}"
        assert "internal error" not in outcome.stderr, outcome.stderr
        return outcome

    def _pass(self, arguments: list[str]) -> int:
        values = {key: str(value) for key, value in self.config.items()}
        for argument in arguments:
            assert argument.startswith("--")
            values[argument.removeprefix("--")] = "true"
        loaded = load(values, {}, self.folder)
        endpoint = (self.folder / "destination").as_uri()
        settings = dataclasses.replace(
            loaded,
            destination=loaded.destination._replace(blob_endpoint=endpoint, container_name="container"),
        )
        flow = Flow(str(settings.source.main_folder), endpoint, "container", settings.destination.destination)
        ledger = Ledger.open(self.ledger, flow)
        files = Files(ledger)
        summary = Summary()
        try:
            rooms = PassContext(settings, Clock(), ledger, files, self.folder, lambda progress: None)
            rooms._lake = _Watched(self)
            uploader = StoreUploader(self.store)
            rooms._uploader = typing.cast(typing.Any, uploader)
            try:
                over_all_runs(rooms, summary)
            except UnavailableError as error:
                logging.getLogger("sync_to_azure").error("%s", error)
                return error.exit_code
            self.sent = uploader.sent
            return max((each.exit_code for each in rooms.problems if each.new), default=0)
        finally:
            files.close()
            ledger.close()

    # The destination

    def etags(self) -> dict[str, str]:
        return {blob.name: blob.etag for blob in self.store.list("") if CLAIMS_FOLDER not in blob.name}

    def is_published(self, base: str) -> bool:
        return f"{base}.sync" in self.etags()

    def get(self, name: str) -> bytes:
        content = self.store.get(name)
        assert content is not None, name
        return content

    def put(self, name: str, content: bytes, *, md5_of: bytes | None = None) -> None:
        now = self.store.stat(name)
        etag = None if now is None else now.etag
        if md5_of is None:
            self.store.put(name, content, len(content), hashlib.md5(content).digest(), "text/plain", etag)
        else:
            # The MD5 of what is appended is only stored, as that of a list of blocks.
            self.store.append(name, etag, [], content, len(content), md5=hashlib.md5(md5_of).digest())

    def delete(self, name: str) -> None:
        now = self.store.stat(name)
        assert now is not None, name
        self.store.delete(name, now.etag)

    def download(self, base: str) -> pathlib.Path:
        """It is a folder already."""
        return self.folder / "destination" / "container" / pathlib.PurePosixPath(base).parent
