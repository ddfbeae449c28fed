"""`audit`: look again at what was published long ago. It changes nothing at the destination, and works beside a pass.

The listing part sees what is missing or changed by size, MD5 or ETag; reading back sees bytes that changed below all of
these. Both go by the published manifest; the ledger only keeps what was found, and how far a reading back is.
"""

from __future__ import annotations

import fnmatch
import logging
import math
import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sync_to_azure.core.clock import Clock
from sync_to_azure.transfer.views import audit_text as words
from sync_to_azure.core.errors import (
    BlobMissing,
    BlobRefused,
    BlobReplaced,
    ConfigurationError,
    RunError,
    StateUnavailable,
    UnavailableError,
)
from sync_to_azure.transfer.ledger import overrides as word_of_a_person
from sync_to_azure.transfer.ledger.audits import NO_MANIFEST, WELL, WRONG, Audited, Audits, AuditFinding
from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.core.model import Progress, RunLine, State, Summary, Problem
from sync_to_azure.manifest.publication import NoManifest, Publication, PublishedFile, runs_in
from sync_to_azure.stores.opening import open_login, open_store
from sync_to_azure.settings.for_stores import login_config, store_config
from sync_to_azure.transfer.steps import vouching
from sync_to_azure.transfer.session import PassSession
from sync_to_azure.core.workers import in_order

if TYPE_CHECKING:
    from sync_to_azure.settings import Settings

_log = logging.getLogger(__name__)

THREADS = 8
"""Blobs that are read back at once."""
_BATCH = 100
"""So many results of a reading back are noted together; a kill loses no more."""


def run(settings: "Settings", glob: str | None, read_back: bool, budget: str | None) -> int:
    """Exit code 0 if all that was looked at is as it was published, 1 if something is not."""
    if budget is not None and not read_back:
        raise ConfigurationError("--budget counts what is read back: give --read-back too")
    limit = math.inf if budget is None else words.bytes_of(budget)
    with PassSession(settings, Clock(), "the next audit continues from here") as session:
        summary = Summary()
        memory: Audits | None = None
        try:
            if session.another_audit_runs():
                _log.warning(
                    "another audit of %s is running; nothing done", settings.destination.container_name
                )
                return 0
            ledger = session.open_ledger()
            memory = Audits(ledger)
            audit = _Audit(session, ledger, memory, limit if read_back else None)
            audit.all(glob, summary)
        except sqlite3.Error as error:
            failed = StateUnavailable(
                f"the state file cannot be used: {error}", "check free space and permissions"
            )
            session.report_unavailable(failed, summary)
        except UnavailableError as error:
            session.report_unavailable(error, summary)
        session.let_go()
        session.print_runs(summary)
        if summary.counted:
            session.print(summary.counted)
        session.mail(summary, memory, partial=glob is not None or settings.source.only_run is not None)
        return max((problem.exit_code for problem in summary.problems), default=0)


class _Audit:
    def __init__(
        self, session: PassSession, ledger: Ledger, audits: Audits, reading_limit: float | None
    ) -> None:
        self._session = session
        self._clock = session.clock
        self._settings = session.settings
        self._ledger = ledger
        self._audits = audits
        self._reads = reading_limit is not None
        self._left = reading_limit or 0.0
        login = open_login(login_config(self._settings))
        self._lake = open_store(store_config(self._settings), login)
        self._counts = words.Counts()

    def all(self, glob: str | None, summary: Summary) -> None:
        """Every run, those first that were audited longest ago."""
        try:
            for run in self._in_order(glob):
                self._one(run, summary)
        finally:
            summary.counted = self._counts.text(self._reads)

    def _in_order(self, glob: str | None) -> list[str]:
        self._lake.check(self._settings.destination.destination)
        known = self._audits.all()
        keys = self._audits.published_runs() | runs_in(self._lake, self._settings.destination.destination)
        for pattern in filter(None, (glob, self._settings.source.only_run)):
            keys = {key for key in keys if fnmatch.fnmatchcase(key, pattern)}
        if not keys and glob is not None:
            raise ConfigurationError(f"no published run matches --run {glob!r}")

        def age(key: str) -> tuple[bool, float, str]:
            audited = known.get(key, Audited(key, WELL))
            if self._reads:
                # A reading back that was begun comes to its end before another one begins.
                return audited.cursor is None, audited.read_at or 0.0, key
            return False, audited.listed_at or 0.0, key

        return sorted(keys, key=age)

    def _one(self, run: str, summary: Summary) -> None:
        before = {(finding.name, finding.kind) for finding in self._audits.findings(run)}
        self._counts.runs += 1
        if not self._listed_and_read(run):
            return
        audited = self._audits.of(run)
        self._counts.files += audited.files
        self._counts.bytes += audited.bytes
        self._counts.archived += audited.archived
        self._counts.extras += audited.extras
        self._counts.well += audited.outcome == WELL
        self._counts.without += audited.outcome == NO_MANIFEST
        if audited.outcome != WRONG:
            if before:
                _log.info("%s: earlier findings are resolved", run)
            return
        findings = self._audits.findings(run)
        text = words.told(findings, audited.uncounted)
        said = word_of_a_person.current(self._ledger, run)
        if said is not None and said.action == word_of_a_person.IGNORE:
            _log.info("%s: ignored by %s: %s", run, said.by, text)
            self._counts.ignored += 1
            return
        self._counts.wrong += 1
        news = {(finding.name, finding.kind) for finding in findings} != before
        whole = f"{run}: {text} ({words.advice(run, {each.kind for each in findings})})"
        _log.log(logging.ERROR if news else logging.INFO, "%s%s", "" if news else "known: ", whole)
        summary.runs.append(RunLine(run, State.PUBLISHED, text, audited.files, audited.bytes))
        summary.problems.append(Problem(f"{run}:audit", whole, 1, news))

    # One run

    def _listed_and_read(self, run: str) -> bool:
        """False if the run cannot be judged now: it is being published."""
        for last in (False, True):
            with Publication(self._lake, self._base(run), self._ledger.path.parent) as publication:
                found = self._found_by_listing(publication)
                if found and not last:
                    # A pass may have published between two of our looks: what is wrong is looked at once more.
                    continue
                if found and self._audits.is_being_published(run):
                    _log.info("%s: it is being published now; the next audit checks it", run)
                    self._counts.postponed += 1
                    return False
                self._note_listing(run, publication, found)
                if self._reads and publication.is_readable:
                    self._read_back(run, publication)
            return True
        raise AssertionError("not reached")

    def _found_by_listing(self, publication: Publication) -> Iterable[AuditFinding]:
        """What is wrong by documents and listing; an empty list if nothing is."""
        run = publication.run
        try:
            publication.read()
        except NoManifest as error:
            if self._audits.was_published(run):
                return [AuditFinding(f"{run}.files.jsonl", "documents", "is missing")]
            _log.info("%s: cannot be audited: %s", run, error.message)
            return []
        except RunError as error:
            return [
                AuditFinding(
                    f"{run}.files.jsonl", "documents", self._session.redact(f"cannot be used: {error}")
                )
            ]
        publication.take_listing(lambda count: self._session.show(Progress(run, "listing", count)))
        found = [AuditFinding(name, "documents", what) for name, what in publication.problems]
        found += self._replaced_receipt(publication)
        differing = (
            AuditFinding(each.blob, each.kind, each.detail, each.etag)
            for each in publication.differences()
            if each.kind != "rewritten" or not self._audits.is_good(run, each.blob, each.etag)
        )
        return _peeked(found, differing)

    def _replaced_receipt(self, publication: Publication) -> list[AuditFinding]:
        """Manifests are compared with their receipt; the receipt with what the ledger says that we published. A later
        one of another machine counts if our key vouches for it."""
        published = self._audits.published_receipt(publication.run)
        receipt = publication.receipt
        if published is None or receipt is None or published[0] == publication.receipt_sha256:
            return []
        is_later = int(receipt.get("generation") or 1) > published[1]
        if is_later and not vouching.doubt(
            self._settings.identity, self._settings.destination, publication.run, receipt
        ):
            return []
        return [AuditFinding(f"{publication.run}.json", "documents", "is not the receipt that was published")]

    def _note_listing(self, run: str, publication: Publication, found: Iterable[AuditFinding]) -> None:
        files, size = publication.totals()
        extras, names = publication.extras()
        if extras:
            _log.info("%s: %d blobs that its manifest does not name: %s", run, extras, ", ".join(names))
        etags = {}
        for finding in self._audits.findings(run):
            file = publication.file(finding.name)
            if file is not None:
                etags[finding.name] = file.listed_etag
        outcome = WELL if files or self._audits.was_published(run) else NO_MANIFEST
        audited = Audited(
            run,
            outcome,
            listed_at=self._clock.now(),
            files=files,
            bytes=size,
            archived=publication.archived()[0],
            extras=extras,
        )
        self._audits.take_listing(audited, found, etags)

    # Reading back

    def _read_back(self, run: str, publication: Publication) -> None:
        if self._left <= 0:
            self._counts.unfinished += 1
            return
        findings = self._audits.findings(run)
        doubted = {finding.name for finding in findings}
        rewritten = [finding.name for finding in findings if finding.kind == "rewritten"]
        self._read_each(run, publication, filter(None, map(publication.file, rewritten)), doubted, None)
        cursor = self._audits.of(run).cursor or ""
        self._read_each(run, publication, publication.files(after=cursor), doubted, cursor)
        if self._left > 0:
            self._audits.end_reading(run, self._clock.now())
        else:
            self._counts.unfinished += 1

    def _read_each(
        self,
        run: str,
        publication: Publication,
        files: Iterable[PublishedFile],
        doubted: set[str],
        cursor: str | None,
    ) -> None:
        """``cursor``: None where the files come out of order."""
        total, size = publication.totals()
        good: list[tuple[str, str]] = []
        bad: list[AuditFinding] = []
        number = done = 0

        def show() -> None:
            self._session.show(Progress(run, "reading back", number, total, done, size))

        base = self._base(run)
        readable = self._within_budget(files)
        for file, problem in in_order(lambda each: self._problem(base, each), readable, THREADS, show):
            number += 1
            done += file.size
            self._counts.read += 1
            self._counts.read_bytes += file.size
            if problem is not None:
                bad.append(problem)
            elif file.listed_etag != file.etag or file.blob in doubted:
                good.append((file.blob, file.listed_etag))
            if cursor is not None:
                cursor = file.blob
            show()
            if number % _BATCH == 0:
                self._audits.take_reading(run, cursor, good, bad, self._clock.now())
                good, bad = [], []
        if number:
            self._audits.take_reading(run, cursor, good, bad, self._clock.now())

    def _within_budget(self, files: Iterable[PublishedFile]) -> Iterator[PublishedFile]:
        """What can be read and is not known to be wrong already. The file that uses the budget up is still read."""
        for file in files:
            if self._left <= 0:
                return
            if file.agrees and not file.archived:
                self._left -= file.size
                yield file

    def _problem(self, base: str, file: PublishedFile) -> AuditFinding | None:
        """Read one blob; called by several threads."""
        try:
            md5 = self._lake.md5_of(f"{base}/{file.blob}", file.listed_etag)
        except BlobMissing:
            return AuditFinding(file.blob, "unreadable", "disappeared during the audit", file.listed_etag)
        except (BlobReplaced, BlobRefused) as error:
            return AuditFinding(
                file.blob, "unreadable", self._session.redact(error.message), file.listed_etag
            )
        if md5 == file.md5:
            return None
        what = f"holds bytes with MD5 {md5.hex()} instead of {file.md5.hex()}"
        return AuditFinding(file.blob, "bytes", what, file.listed_etag)

    def _base(self, run: str) -> str:
        destination = self._settings.destination.destination
        return f"{destination}/{run}" if destination else run


def _peeked(found: list[AuditFinding], more: Iterator[AuditFinding]) -> Iterable[AuditFinding]:
    """An empty list if there is nothing; a million findings are no list."""
    first = next(more, None)
    if first is None:
        return found

    def chained() -> Iterator[AuditFinding]:
        yield from found
        yield first
        yield from more

    return chained()
