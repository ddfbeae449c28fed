"""What a step works with: the pass, and the one run it works on. The only place that names concrete
adapters."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync_to_azure.events.run_events import Event
from sync_to_azure.instruments import profiles
from sync_to_azure.core.clock import Clock
from sync_to_azure.files.folder import Folder, Place
from sync_to_azure.stores.opening import open_deleting_store, open_login, open_store
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.transfer.configs import upload_config
from sync_to_azure.transfer.ledger import Files, Ledger, Run
from sync_to_azure.transfer.ledger.changes import Replaced
from sync_to_azure.transfer.ledger.flows import Claim
from sync_to_azure.transfer.ledger.place import azcopy_folder
from sync_to_azure.transfer.ledger.overrides import Override
from sync_to_azure.core.model import Progress, State, Problem
from sync_to_azure.core.names import ExcludeRules
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import RunFolder, SheetFile
from sync_to_azure.transfer.steps.findings import Findings
from sync_to_azure.manifest.origin import Origin, origin_of
from sync_to_azure.notify.redact import Redactor

if TYPE_CHECKING:
    from sync_to_azure.stores.login import Identity
    from sync_to_azure.stores.store import DeletingStore, Store
    from sync_to_azure.instruments.profiles.continuous import Continuous
    from sync_to_azure.settings import Settings
    from sync_to_azure.transfer.steps.looks import Known, Scanned, Sheet
    from sync_to_azure.uploaders import Uploader, UploadSession

_log = logging.getLogger(__name__)

_BEAT_EVERY = 2.0


class PassContext:
    """Open for the length of a pass. The lake and the uploader are opened when first needed, and checked then."""

    def __init__(
        self,
        settings: "Settings",
        clock: Clock,
        ledger: Ledger,
        files: Files,
        state_folder: Path,
        show: Callable[[Progress], None],
        must_hold_lock: Callable[[], None] = lambda: None,
    ) -> None:
        self.must_hold_lock = must_hold_lock
        """Called before anything is written: raises LockLost when another pass may be running."""
        self.settings = settings
        self.clock = clock
        self.ledger = ledger
        self.files = files
        self.redact = Redactor(settings.secret_values())
        self.rules = ExcludeRules(settings.source.exclude)
        profile = profiles.BY_NAME.get(settings.completion.profile)
        self.continuous = profile.continuous if profile is not None else None
        self.pass_started = clock.now()
        self.problems: list[Problem] = []
        self.main_folder: Folder | None = None
        self.due: frozenset[str] = frozenset()
        """Runs whose turn it is to be looked at again (``reverify-after``)."""
        self.is_above_known = False
        """Is it known that the destination is not inside a run of another flow?"""
        self.share_cache: float | None = None
        """For how many seconds looks at the source may be answered from a cache, once it was asked."""
        self.read_back_left = (
            settings.removal.read_back_limit * 1e9 if settings.removal.read_back_limit else math.inf
        )
        """Bytes that may still be read back before removals in this pass."""
        self.clock_problem = ""
        """Why nothing is removed in this pass: our clock, or the service's, cannot be believed."""
        self.sheets_allowed: set[str] = set()
        """Published runs whose new sample sheets may replace the published ones (``sheet_changes``)."""
        self.sheets_refused: set[str] = set()
        """Published runs whose new sheets were refused in the last day."""
        self.sheets_moving: set[str] = set()
        """Published runs whose new sheets are not quiet yet."""
        self._origin: Origin | None = None
        self._state_folder = state_folder
        self._show = show
        self._identity: Identity | None = None
        self._lake: Store | None = None
        self._uploader: UploadSession | None = None
        self._native: UploadSession | None = None
        self._last_beat = 0.0
        self._last_lock_check = 0.0
        self._last_moved: tuple[object, ...] = ()

    def main(self) -> Folder:
        """The main folder as the last look at it opened it."""
        assert self.main_folder is not None
        return self.main_folder

    def lake(self) -> "Store":
        """The container, checked once a pass: with something to carry, that comes before anything else."""
        if self._lake is None:
            lake = open_store(store_config(self.settings), self.identity())
            lake.check(self.settings.destination.destination)
            self._lake = lake
        return self._lake

    def deleting_lake(self) -> "DeletingStore":
        """The container with the right to delete: for ``accept`` alone, which takes a marker away."""
        return open_deleting_store(store_config(self.settings), self.identity())

    def identity(self) -> "Identity":
        if self._identity is None:
            self._identity = open_login(login_config(self.settings))
        return self._identity

    def uploader(self) -> "UploadSession":
        if self._uploader is None:
            settings, folder = self.settings, self._state_folder
            uploader = uploader_for(
                settings, self.clock, self.identity, self.lake, folder, self.uploader_readers
            )
            uploader.prepare()
            self._uploader = uploader.open()
        return self._uploader

    def native(self) -> "UploadSession":
        """The native uploader, also where another one is configured: for what that one cannot take."""
        if self.settings.upload.uploader == "native":
            return self.uploader()
        if self._native is None:
            native = _native(self.settings, self.identity(), self.lake())
            native.prepare()
            self._native = native.open()
        return self._native

    def close(self) -> None:
        """End what uploads."""
        for session in (self._uploader, self._native):
            if session is not None:
                session.close()

    @property
    def origin(self) -> Origin:
        """What this flow says of itself in receipts and claims."""
        if self._origin is None:
            mount = self.ledger.mount()
            source = self.redact(mount[1]) if mount is not None else None
            self._origin = origin_of(self.settings.source.main_folder, self.ledger.identity, source)
        return self._origin

    @property
    def hash_readers(self) -> int:
        """Of ``source-readers``, a quarter hashes while the rest is AzCopy's. With 1, hashing comes after AzCopy."""
        return max(1, self.settings.upload.source_readers // 4)

    @property
    def uploader_readers(self) -> int:
        return max(1, self.settings.upload.source_readers - self.hash_readers)

    @property
    def hashes_meanwhile(self) -> bool:
        return self.settings.upload.source_readers > 1

    def storage_answers(self) -> None:
        """Ask anew (after a run met trouble with the storage). Raises what ``lake`` raises."""
        if self._lake is not None:
            self._lake.check(self.settings.destination.destination)
        else:
            self.lake()

    def base(self, run: str) -> str:
        """DEST/RUN, the name to which ``/…``, ``.md5`` and the rest are appended."""
        destination = self.settings.destination.destination
        return f"{destination}/{run}" if destination else run

    def progress(self, current: "RunContext", progress: Progress) -> None:
        """Show it; and where something moved since the last time, give the ledger a sign of life."""
        self._show(progress)
        now = self.clock.monotonic()
        if now - self._last_lock_check >= _BEAT_EVERY:
            self._last_lock_check = now
            self.must_hold_lock()
        moved = (progress.run, progress.step, progress.files_done, progress.bytes_done)
        if moved != self._last_moved and now - self._last_beat >= _BEAT_EVERY:
            self._last_beat, self._last_moved = now, moved
            self.ledger.beat(self.clock.now(), current.run, progress)

    def report_problem(
        self, key: str, text: str, exit_code: int = 1, new: bool = True, once: bool = False
    ) -> None:
        """Something is wrong: into the log (as an error only while it is news), the mail and the exit code."""
        if new:
            _log.error("%s", text)
        else:
            _log.info("known: %s", text)
        self.problems.append(Problem(key, text, exit_code, new, once))

    def set_state(
        self,
        current: "RunContext",
        state: State,
        reason: Reason | None = None,
        event: str | None = None,
        announced_event: Event | None = None,
        **columns: object,
    ) -> bool:
        """The ledger is a sink as a log is: what AzCopy or a service said goes into it without secrets."""
        if reason is not None:
            reason = Reason(
                reason.code, {key: self._clean(value) for key, value in reason.parameters.items()}
            )
        now = self.clock.now()
        return self.ledger.set_state(current.run, state, reason, now, event, announced_event, **columns)

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, (list, tuple)):
            return [self._clean(each) for each in value]
        return value


def uploader_for(
    settings: "Settings",
    clock: Clock,
    identity: "Callable[[], Identity]",
    lake: "Callable[[], Store]",
    state_folder: Path,
    readers: int,
) -> "Uploader":
    """The uploader that is configured, not prepared yet. ``readers``: files of the source that it may have open."""
    if settings.upload.uploader == "native":
        return _native(settings, identity(), lake())
    from sync_to_azure.uploaders.azcopy import AzCopyUploader

    jobs = azcopy_folder(settings.upload.azcopy_logs, state_folder)
    return AzCopyUploader(upload_config(settings), identity(), clock, jobs, readers)


def _native(settings: "Settings", identity: "Identity", lake: "Store") -> "Uploader":
    from sync_to_azure.stores.login import RequestSigner
    from sync_to_azure.uploaders.native import NativeUploader

    return NativeUploader(upload_config(settings), RequestSigner(identity), lake)


@dataclasses.dataclass(slots=True)
class RunContext:
    """One run in one pass. ``folder`` is None when only its sheet, or only the ledger, knows it; ``continuous``: it is
    never done. ``found``: what the steps of this pass found so far; ``one_run`` alone sets it.

    What follows is set by one step and read by others. ``known``: what its instrument tells; ``scanned``: its last
    scan; ``receipt`` is the published one where it was read in this pass; ``republish``: its documents have to be
    written again; ``ready_is_due``: its sign that results are there was not written. ``sheet``: the outside sheet that
    may be written, once it was looked at; ``sheet_waits``: it is not quiet yet; ``sheet_refused``: a person has to look
    at the new one; ``sheet_counted``: the new one, until it is known how many changed; ``replaced``: published sheets
    that were replaced in this pass, and where they are kept. ``claim``: the claim that was written in this pass, at
    ``claimed_at`` of the monotonic clock; ``noticed``: names below the run in its last listing that may be documents of
    another flow.
    """

    run: Run
    folder: RunFolder | None
    sheets: list[SheetFile]
    base: str
    started: float
    renamed: dict[bytes, str] = dataclasses.field(default_factory=dict)
    scanned: "Scanned | None" = None
    sent_files: int = 0
    sent_bytes: int = 0
    republish: bool = False
    receipt: Mapping[str, Any] | None = None
    override: Override | None = None
    known: "Known | None" = None
    sheet: "Sheet | None" = None
    sheet_waits: Reason | None = None
    sheet_refused: Reason | None = None
    sheet_counted: "Sheet | None" = None
    replaced: list[Replaced] = dataclasses.field(default_factory=list)
    continuous: "Continuous | None" = None
    ready_is_due: bool = False
    claim: Claim | None = None
    claimed_at: float = 0.0
    noticed: list[str] = dataclasses.field(default_factory=list)
    found: Findings = Findings()

    @property
    def key(self) -> str:
        return self.run.key

    @property
    def fingerprint(self) -> str:
        """Of its last scan."""
        return self.scanned.fingerprint if self.scanned is not None else ""

    @property
    def acquiring(self) -> tuple[tuple[str, float], ...]:
        """By its last scan."""
        return self.scanned.acquiring if self.scanned is not None else ()

    @property
    def prefix(self) -> str:
        return self.base + "/"

    @property
    def root(self) -> Place:
        assert self.folder is not None
        return self.folder.place
