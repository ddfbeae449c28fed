"""An inventory of published runs by their receipts and manifests: exact, with evidence and the facts of the run, and
without a listing of their files.

A proof counts only where our key vouches for the receipt, as whoever may write to the container may write a manifest;
otherwise its checksums count as what a client said.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.catalogue.db.port import Catalogue, Known
from sync_to_azure.catalogue.inventory.addresses import Target
from sync_to_azure.catalogue.model import MD5, Applied, Checksum, Provenance, Put, RunRecord
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import RunError
from sync_to_azure.core.model import Evidence
from sync_to_azure.manifest import documents
from sync_to_azure.manifest.publication import Publication, PublishedFile, runs_in
from sync_to_azure.manifest.signature import FIELD, mac
from sync_to_azure.stores.store import Store

_BATCH = 2000
_LONGEST = 256
_LONGEST_BASE = 2000
_MOST_SAMPLES = 10_000
_MOST_FINDINGS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Vouching:
    """By what a receipt is known to be ours; ``key`` None: there is none."""

    key: bytes | None
    account: str
    container: str
    destination: str

    def is_ours(self, run: str, receipt: Mapping[str, Any]) -> bool:
        told = receipt.get(FIELD)
        if self.key is None or not isinstance(told, str):
            return False
        expected = mac(receipt, self.key, (self.account, self.container, self.destination, run))
        return hmac.compare_digest(told.encode("utf-8", "replace"), expected.encode())


@dataclasses.dataclass(slots=True)
class Read:
    """What reading manifests did. ``doubtful``: runs whose receipt no key vouches for, so that nothing of them is
    proved; ``problems``: (run, what is wrong)."""

    runs: int = 0
    unchanged: int = 0
    doubtful: int = 0
    files: int = 0
    applied: Applied = dataclasses.field(default_factory=Applied)
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def take(
    catalogue: Catalogue,
    lake: Store,
    target: Target,
    destination: str,
    vouching: Vouching,
    sample_names: bool,
    folder: Path,
    clock: Clock,
    moved: Callable[[str, int], None] = lambda run, files: None,
    again: bool = False,
) -> Read:
    """Every published run below ``destination``; one whose receipt is on record is not read ``again``. ``folder``:
    for a throw-away database. One run's trouble stops no other's. Raises what stores and databases raise."""
    done = Read()
    lake.check(destination)
    with catalogue.transaction():
        store_id = catalogue.store_id(target.store)
    for run in sorted(runs_in(lake, destination)):
        base = f"{destination}/{run}" if destination else run
        done.runs += 1
        try:
            text = lake.get(f"{base}.json")
            digest = hashlib.sha256(text).hexdigest() if text is not None else ""
            if digest and not again and catalogue.receipt_of(store_id, base) == digest:
                done.unchanged += 1
                continue
            _one(catalogue, store_id, lake, base, vouching, sample_names, folder, clock, moved, done)
        except RunError as error:
            done.problems.append((run, str(error)))
    return done


def _one(
    catalogue: Catalogue,
    store_id: int,
    lake: Store,
    base: str,
    vouching: Vouching,
    sample_names: bool,
    folder: Path,
    clock: Clock,
    moved: Callable[[str, int], None],
    done: Read,
) -> None:
    if len(base.encode()) > _LONGEST_BASE:
        raise RunError(f"the name {base[:60]}… is too long for the catalogue")
    with Publication(lake, base, folder) as published:
        published.read()
        receipt = published.receipt or {}
        is_vouched = vouching.is_ours(published.run, receipt) and not published.problems
        done.doubtful += not is_vouched
        record = _record(published, receipt, sample_names)
        with catalogue.transaction():
            # Its receipt is noted last: a crash in between, and the run is read again.
            run = catalogue.put_run(store_id, dataclasses.replace(record, receipt_sha256=""))
        at = record.published_at if record.published_at is not None else 0.0
        source = f"manifest of {base}"
        for files in _batches(published.files()):
            with catalogue.transaction():
                known = catalogue.known(store_id, [f"{base}/{file.blob}" for file in files])
                changes = [_put(base, file, run, at, is_vouched, published.run) for file in files]
                new = [put for put in changes if not _is_known(put, known.get(put.name))]
                counts = Applied(unchanged=len(changes) - len(new))
                if new:
                    counts.add(catalogue.apply(store_id, new, clock.now(), source))
            done.applied.add(counts)
            done.files += len(files)
            moved(published.run, done.files)
        digest = published.receipt_sha256 if published.receipt is not None else ""
        with catalogue.transaction():
            catalogue.put_run(store_id, dataclasses.replace(record, receipt_sha256=digest))
        done.problems += [(published.run, f"{name} {problem}") for name, problem in published.problems]


def _put(base: str, file: PublishedFile, run: int, at: float, is_vouched: bool, name: str) -> Put:
    is_proved = is_vouched and bool(file.etag) and file.evidence >= Evidence.VALIDATED
    checksum = Checksum(
        Provenance.PROVED if is_proved else Provenance.CLIENT,
        file.evidence if is_proved else min(file.evidence, Evidence.LISTED),
        MD5,
        file.md5.hex(),
        at,
    )
    return Put(
        name=f"{base}/{file.blob}",
        etag=file.etag,
        size=file.size,
        at=at,
        checksums=(checksum,),
        mtime=file.mtime_ns / 1e9,
        run=run,
        aliases=(file.target,) if file.target != f"{name}/{file.blob}" else (),
    )


def _is_known(put: Put, known: Known | None) -> bool:
    """Nothing that the manifest says is news."""
    [checksum] = put.checksums
    return (
        known is not None
        and not known.is_deleted
        and (known.etag, known.size, known.run) == (put.etag, put.size, put.run)
        and known.md5 == bytes.fromhex(checksum.value)
        and (known.provenance, known.evidence) >= (int(checksum.provenance), int(checksum.evidence))
    )


def _record(published: Publication, receipt: Mapping[str, Any], sample_names: bool) -> RunRecord:
    instrument = _within(receipt, "instrument")
    facts, sheet = _within(instrument, "run"), _within(instrument, "sample_sheet")
    files, size = published.totals()
    names = sheet.get("names") if sample_names else None
    samples = [_text(name) for name in names[:_MOST_SAMPLES]] if isinstance(names, list) else []
    findings = sheet.get("findings")
    is_continuous = published.is_continuous
    return RunRecord(
        base=published.base,
        name=published.run,
        generation=int(receipt.get("generation") or 0),
        profile=_text(instrument.get("profile")),
        outcome=_text(receipt.get("outcome")),
        instrument=_text(facts.get("instrument")),
        instrument_type=_text(facts.get("instrument_type")),
        flow_cell=_text(facts.get("flowcell")),
        # People write names of samples into the experiment's.
        project=published.run if is_continuous else _text(facts.get("experiment")) if sample_names else "",
        samples=tuple(filter(None, samples)),
        findings=(
            tuple(_finding(each) for each in findings[:_MOST_FINDINGS] if isinstance(each, dict))
            if isinstance(findings, list)
            else ()
        ),
        problems=tuple(f"{name} {problem}" for name, problem in published.problems),
        files=files,
        bytes=size,
        weakest=_evidence(receipt.get("weakest_evidence")),
        published_at=documents.time_in(receipt, "published"),
    )


def _finding(values: Mapping[str, Any]) -> dict[str, Any]:
    """Its code and how often: its words may name samples."""
    count = values.get("count")
    return {"code": _text(values.get("code")), "count": count if isinstance(count, int) else None}


def _within(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    """A word of a receipt that anybody may have written."""
    text = value if isinstance(value, str) else ""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST]


def _evidence(label: object) -> Evidence:
    try:
        return Evidence.from_label(_text(label))
    except KeyError:
        return Evidence.NONE


def _batches(files: Iterator[PublishedFile]) -> Iterator[list[PublishedFile]]:
    batch: list[PublishedFile] = []
    for file in files:
        batch.append(file)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
