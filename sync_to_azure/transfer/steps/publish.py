"""Publishing: manifest in both forms, receipt, and last the marker. Only for what the verdict just verified."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sync_to_azure import __version__
from sync_to_azure.core import bounded
from sync_to_azure.core.clock import iso
from sync_to_azure.core.errors import BlobReplaced, RunError
from sync_to_azure.transfer.ledger import announcing
from sync_to_azure.transfer.ledger.files import FileRow, Verdict
from sync_to_azure.core.model import Evidence, Kind, State
from sync_to_azure.core.names import INSTRUMENT_SHEET_BLOB, SHEET_BLOB, md5_line
from sync_to_azure.transfer.steps import (
    adopt,
    azcopy_record,
    claims,
    instrument_facts,
    sheet_writing,
    vouching,
    override_checks,
)
from sync_to_azure.manifest import documents
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.steps.spool import spooled
from sync_to_azure.notify.terminal import human_size

_log = logging.getLogger(__name__)
_ROOM_FOR_REPLACED = bounded.MOST_DOCUMENT // 2


@dataclasses.dataclass(slots=True)
class _Document:
    """One blob beside the run, spooled to disk: a manifest of a million lines is 100 MB."""

    handle: Any
    size: int
    md5: bytes
    sha256: str


def publish(context: PassContext, current: RunContext, verdict: Verdict) -> None:
    """Write the four blobs. After a crash between them the next pass asks the destination first."""
    override_checks.go_on(context, current)
    claims.must_stand(context, current)
    sheet_writing.must_be_as_published(context, current)
    beside = _Beside(context, current)
    with context.ledger.publishing(current.run) as published:
        _publish(context, current, verdict, beside, published)


def _publish(
    context: PassContext,
    current: RunContext,
    verdict: Verdict,
    beside: "_Beside",
    published: Mapping[str, Any],
) -> None:
    run, now = current.run, context.clock.now()
    if adopt.is_overtaken(context, current):
        raise _overtaken(current.key)
    gone = current.folder is None
    context.set_state(current, run.state if gone else State.VERIFIED, run.reason if gone else None)
    generation = run.generation + 1
    counts: Counter[str] = Counter()
    told = current.continuous.ready if current.continuous is not None else None
    summary = _Counted(counts, told.groups if told is not None else ())
    with spooled(context.ledger, _md5_lines(summary.watch(context.files.rows(run)), run.key)) as sums:
        sums_document = _written(sums)
        with spooled(context.ledger, map(documents.file_line, context.files.rows(run))) as lines:
            lines_document = _written(lines)
            first = run.first_published or now
            receipt = _receipt(context, current, verdict, summary, generation, now, first)
            is_ready = told is not None and _is_ready(context, current, told.blob, summary)
            earlier = documents.ready(current.receipt or {})
            if told is not None and (is_ready or earlier is not None):
                time = iso(now) if is_ready or earlier is None else earlier[1]
                receipt["ready"] = {"blob": told.blob, "time": time}
            receipt["sha256"] = {
                f"{run.key}.md5": sums_document.sha256,
                f"{run.key}.files.jsonl": lines_document.sha256,
            }
            text = vouching.signed(context, current, receipt)
            if documents.parse_receipt(text) is None:
                raise RunError(
                    f"{current.base}.json would be larger than any version could read; nothing is published"
                )
            # The form that is read back (adopt) comes first: what the other names is frozen then, whatever cuts us off.
            beside.put(".files.jsonl", lines_document, "application/x-ndjson")
            beside.put(".md5", sums_document, "text/plain; charset=utf-8")
    beside.must_stand(".files.jsonl", ".md5")
    beside.put(".json", _in_memory(text), "application/json")
    beside.must_stand(".files.jsonl", ".md5")
    sheet_writing.must_be_as_published(context, current)
    if current.continuous is None:
        beside.put(".sync", _in_memory(iso(now).encode() + b"\n"), "text/plain; charset=utf-8")
    elif told is not None and is_ready:
        _tell_ready(context, current, told.blob, iso(now))
    receipt_sha256 = hashlib.sha256(text).hexdigest()
    event = announcing.published(
        context.ledger.flow,
        run,
        generation,
        lines_document.sha256,
        receipt_sha256,
        summary.files,
        summary.bytes,
        summary.weakest,
        receipt["outcome"],
        (summary.new_files, summary.new_bytes, _replaced_by(receipt, generation)),
    )
    context.files.freeze(run, generation)
    context.set_state(
        current,
        run.state if gone or current.continuous is not None else State.PUBLISHED,
        run.reason if gone else None,
        event="published" if generation == 1 else "published-again",
        announced_event=event,
        foreign_blobs=int(current.continuous is not None),
        generation=generation,
        files=summary.files,
        bytes=summary.bytes,
        weakest=int(summary.weakest),
        verified_at=run.verified_at or now,
        published_at=now,
        first_published=first,
        receipt_sha256=receipt_sha256,
        announced=receipt_sha256,
        **published,
    )
    _log.info("%s: published, %d files, %s", run.key, summary.files, human_size(summary.bytes))


class _Beside:
    """The four documents as they stood before we decided to write them. Each is replaced only while it stands so: of
    two machines that publish one run at once, one goes on, and its receipt vouches for its own manifest."""

    def __init__(self, context: PassContext, current: RunContext) -> None:
        self._context, self._current = context, current
        marker = (".sync",) if current.continuous is None else ()
        self._etags = {suffix: self._etag(suffix) for suffix in (".files.jsonl", ".md5", ".json", *marker)}

    def put(self, suffix: str, document: _Document, content_type: str) -> None:
        data, name = document.handle, self._current.base + suffix
        self._context.must_hold_lock()
        try:
            self._etags[suffix] = self._context.lake().put(
                name, data, document.size, document.md5, content_type, replaces=self._etags[suffix]
            )
        except BlobReplaced as error:
            raise _overtaken(self._current.key) from error

    def must_stand(self, *suffixes: str) -> None:
        if any(self._etag(suffix) != self._etags[suffix] for suffix in suffixes):
            raise _overtaken(self._current.key)

    def _etag(self, suffix: str) -> str | None:
        stands = self._context.lake().stat(self._current.base + suffix)
        return None if stands is None else stands.etag


def _overtaken(key: str) -> RunError:
    return RunError(
        f"{key} was published by another writer during the upload; the next pass reads what was published",
        "do two machines upload this main folder?",
    )


@dataclasses.dataclass(slots=True)
class _Counted:
    """Counts the rows as they go by. ``groups``: of which each must have a file, before results are told to be
    there; ``results``: the blobs of all of them."""

    evidence: Counter[str]
    groups: tuple[Callable[[str], bool], ...] = ()
    there: set[int] = dataclasses.field(default_factory=set)
    results: list[str] = dataclasses.field(default_factory=list)
    is_new: bool = False
    files: int = 0
    bytes: int = 0
    new_files: int = 0
    new_bytes: int = 0
    weakest: Evidence = Evidence.READ_BACK

    def watch(self, rows: Iterable[FileRow]) -> Iterator[FileRow]:
        for row in rows:
            self.files += 1
            self.bytes += row.size
            if row.generation == 0:
                self.new_files += 1
                self.new_bytes += row.size
            self.evidence[row.evidence.label] += 1
            self.weakest = min(self.weakest, row.evidence)
            for number, belongs in enumerate(self.groups):
                if belongs(row.blob):
                    self.there.add(number)
                    self.results.append(row.blob)
                    self.is_new |= row.generation == 0
            yield row

    @property
    def is_whole(self) -> bool:
        """Is each group there?"""
        return len(self.there) == len(self.groups)


def _is_ready(context: PassContext, current: RunContext, sign: str, summary: _Counted) -> bool:
    """Are results to be told: each group is there, and one of them is new or changed? At the first publishing, what the
    tool before this one carried is not new if its sign was written after it, by the service's clock."""
    if not summary.is_whole or not (summary.is_new or current.ready_is_due):
        return False
    if current.run.generation > 0 or current.ready_is_due:
        return True
    told = context.lake().modified(current.prefix + sign)
    if told is None or any(context.files.plan.is_own(current.run, blob) for blob in summary.results):
        return True
    written = (context.lake().modified(current.prefix + blob) for blob in summary.results)
    return any(moment is None or moment > told for moment in written)


def _tell_ready(context: PassContext, current: RunContext, blob: str, time: str) -> None:
    """Written last: pipelines start from it."""
    text = _in_memory(time.encode() + b"\n")
    context.must_hold_lock()
    name = current.prefix + blob
    stands = context.lake().stat(name)
    context.lake().put(
        name,
        text.handle,
        text.size,
        text.md5,
        "text/plain; charset=utf-8",
        replaces=stands.etag if stands is not None else None,
    )
    current.ready_is_due = False
    _log.info("%s: %s is written", current.key, blob)


def _md5_lines(rows: Iterable[FileRow], run: str) -> Iterator[bytes]:
    for row in rows:
        yield md5_line(row.md5, f"{run}/{row.blob}").encode()


def _in_memory(text: bytes) -> _Document:
    return _Document(text, len(text), _md5(text), "")


def _written(handle: Any) -> _Document:
    size = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    while block := handle.read(1024 * 1024):
        sha256.update(block)
        md5.update(block)
    handle.seek(0)
    return _Document(handle, size, md5.digest(), sha256.hexdigest())


def _receipt(
    context: PassContext,
    current: RunContext,
    verdict: Verdict,
    counted: _Counted,
    generation: int,
    now: float,
    first: float,
) -> dict[str, Any]:
    run, settings = current.run, context.settings
    not_carried: Any
    if current.folder is None and current.receipt is not None and "not_uploaded" in current.receipt:
        # The source is gone: what was said of it when it was there stays true.
        not_carried = current.receipt["not_uploaded"]
    else:
        _, noted = context.files.plan.uncarried(run, holding_up=False)
        not_carried = {
            "counts": context.files.plan.uncarried_counts(run),
            "reasons": {kind.value: text for kind, text in _WHY.items()},
            "entries": [{"path": path, "kind": kind, "detail": detail} for path, kind, detail in noted],
        }
    sheet = context.files.get(run, SHEET_BLOB)
    spoken, replaced = _spoken(context, current), _replaced(context, current, generation)
    until = azcopy_record.expiry(context, current)
    unfinished = any(override.get("accepted") == "unfinished" for override in spoken)
    outcome = "accepted unfinished" if unfinished else "finished"
    return {
        "run": run.key,
        "generation": generation,
        "outcome": outcome if current.continuous is None else "continuous",
        "files": counted.files,
        "bytes": counted.bytes,
        "weakest_evidence": counted.weakest.label,
        "evidence": dict(counted.evidence),
        "not_uploaded": not_carried,
        "extras": verdict.extras,
        "overrides": spoken,
        "replaced": replaced,
        "instrument": instrument_facts.facts(context, current),
        "sample_sheet": {
            "from": (
                None if sheet is None else "sample sheet folder" if sheet.origin == "sheet" else "instrument"
            ),
            "instrument_sheet_kept_as": (
                INSTRUMENT_SHEET_BLOB if context.files.get(run, INSTRUMENT_SHEET_BLOB) is not None else None
            ),
        },
        "times": {
            "first_seen": iso(run.first_seen),
            "quiet_since": iso(run.quiet_since) if run.quiet_since is not None else None,
            "first_published": iso(first),
            "published": iso(now),
            adopt.AZCOPY_EXPIRY: iso(until) if until else None,
        },
        "source": context.origin.values(),
        "destination": {
            "endpoint": settings.destination.blob_endpoint,
            "container": settings.destination.container_name,
            "prefix": settings.destination.destination,
        },
        "tool": f"sync_to_azure {__version__}",
    }


def _spoken(context: PassContext, current: RunContext) -> list[dict[str, Any]]:
    """Every word that a person said about this run; those of an earlier receipt too, if the ledger was lost since."""
    ours = []
    for override in override_checks.spoken(context.ledger, current.key):
        about = dict(override.about)
        accepted = {"accepted": about.pop("kind"), **about} if "kind" in about else {}
        ours.append(
            {
                "action": override.action,
                "by": override.by,
                "at": iso(override.at),
                "reason": override.reason,
                **accepted,
            }
        )
    # Times are in whole seconds: a person's next word may fall into the same.
    same = ("action", "at", "by", "reason")
    known = [tuple(override[name] for name in same) for override in ours]
    earlier = (current.receipt or {}).get("overrides")
    kept = (
        [override for override in earlier if isinstance(override, dict)] if isinstance(earlier, list) else []
    )
    return [override for override in kept if tuple(override.get(name) for name in same) not in known] + ours


def _replaced(context: PassContext, current: RunContext, generation: int) -> list[dict[str, Any]]:
    """Published blobs that an acceptance replaced, and the snapshots that hold what stood there before."""
    now = [
        {
            "path": blob.blob,
            "size": blob.size,
            "md5": blob.md5.hex() if blob.md5 else None,
            "snapshot": blob.snapshot or None,
            "by_generation": generation,
        }
        for blob in [*context.files.changes.replaced(current.run), *current.replaced]
    ]
    earlier = (current.receipt or {}).get("replaced")
    kept = [blob for blob in earlier if isinstance(blob, dict)] if isinstance(earlier, list) else []
    stood = ((blob.get("path"), blob.get("snapshot")) for blob in kept)
    known = {each for each in stood if all(isinstance(part, str | None) for part in each)}
    return _that_fit(kept + [blob for blob in now if (blob["path"], blob["snapshot"]) not in known])


def _replaced_by(receipt: Mapping[str, Any], generation: int) -> int:
    return sum(each.get("by_generation") == generation for each in receipt["replaced"])


def _that_fit(replaced: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest, as many as a receipt has room for: it must be read again."""
    size = 0
    for number, blob in enumerate(reversed(replaced)):
        size += len(json.dumps(blob))
        if size > _ROOM_FOR_REPLACED:
            _log.warning("a receipt has no room for the %d oldest blobs replaced", len(replaced) - number)
            return replaced[-number:] if number else []
    return replaced


_WHY = {
    Kind.EMPTY_FOLDER: "an empty folder: a container holds no folders",
    Kind.SYMLINK: "a symlink to a file or folder of the run, which is uploaded itself",
    Kind.JUNK: "a leftover of a desktop or file server",
    Kind.EXCLUDED: "excluded by the rule named",
    Kind.LEFT: "its profile has no place for it",
    Kind.WAITING: "too young, not unchanged for long enough, or still being acquired: uploaded later",
}


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
