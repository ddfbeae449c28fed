"""`init`, `status`, `clean`, `merge`, `separate`, `verify`, `export`: what keeps a catalogue true and useful."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from sync_to_azure.catalogue.commands.printing import as_json, found_as_json, line, say, time_of
from sync_to_azure.catalogue.db.port import Catalogue, Found
from sync_to_azure.catalogue.merging import reason_to_merge, why_not
from sync_to_azure.core.errors import ConfigurationError, RunError, StateUnavailable, UnavailableError
from sync_to_azure.notify.terminal import human_size
from sync_to_azure.stores.store import Store

VIEWS = {name: f"catalogue_{name}" for name in ("files", "runs", "samples", "events")}
_BATCH = 10_000


def init(catalogue: Catalogue, json: bool) -> int:
    if json:
        as_json({"database": catalogue.shown, "kind": catalogue.kind})
    say(f"the catalogue {catalogue.shown} is ready")
    return 0


def status(catalogue: Catalogue, json: bool) -> int:
    """Exit code 1 if something needs attention."""
    stores = catalogue.stores()
    poisoned, newest = catalogue.poisoned(5)
    held = [
        each for each in stores if each.last_inventory is not None and each.last_inventory.outcome == "held"
    ]
    if json:
        as_json(
            {
                "database": catalogue.shown,
                "kind": catalogue.kind,
                "stores": [_store(each) for each in stores],
                "merges": sum(each.undone_at is None for each in catalogue.merges()),
                "poison": poisoned,
                "newest_poison": [
                    {
                        "at": time_of(each.at),
                        "source": each.source,
                        "subject": each.subject,
                        "reason": each.reason,
                    }
                    for each in newest
                ],
            }
        )
    for each in stores:
        last = each.last_inventory
        seen = "never listed"
        if last is not None:
            state = last.outcome or f"interrupted after {last.listed:,} objects"
            seen = f"last listing {time_of(last.finished or last.began)}: {state}"
        if not json:
            line(
                f"{each.address}  {each.objects:,} objects, {human_size(each.bytes)}; {each.deleted:,} deleted; {seen}"
            )
    for poison in newest:
        say(f"poison from {poison.source}: {poison.subject}: {poison.reason}")
    objects = sum(each.objects for each in stores)
    say(f"{catalogue.shown}: {len(stores)} stores, {objects:,} objects, {poisoned:,} poison")
    return int(bool(poisoned or held))


def _store(each: Any) -> dict[str, Any]:
    last = each.last_inventory
    return {
        "store": each.address,
        "kind": each.kind,
        "objects": each.objects,
        "bytes": each.bytes,
        "deleted": each.deleted,
        "last_inventory": (
            None
            if last is None
            else {
                "began": time_of(last.began),
                "finished": time_of(last.finished),
                "outcome": last.outcome or "interrupted",
                "prefix": last.prefix,
                "listed": last.listed,
                **{name: number for name, number in last.applied.counts().items() if name != "poison"},
            }
        ),
    }


def clean(catalogue: Catalogue, older_than: float | None, yes: bool, json: bool) -> int:
    """Without ``older_than`` (days) everything goes."""
    what = (
        f"versions replaced or deleted more than {older_than:g} days ago"
        if older_than is not None
        else "everything"
    )
    if not yes:
        say(f"would drop {what} from {catalogue.shown}; no store is touched. Add --yes to do it")
        return 0
    dropped: Mapping[str, int] = {}
    with catalogue.transaction():
        if older_than is None:
            catalogue.empty()
        else:
            dropped = catalogue.clean(time.time() - older_than * 86400)
    if json:
        as_json({"database": catalogue.shown, "everything": older_than is None, **dropped})
    words = "".join(f", {number:,} {name}" for name, number in dropped.items())
    say(f"dropped {what} from {catalogue.shown}{words}")
    return 0


# Merging


def merge(catalogue: Catalogue, kept: str, joined: str, dry_run: bool, json: bool) -> int:
    """Exit code 1 if what is known of both does not prove that they are the same."""
    one, other = _current(catalogue, kept), _current(catalogue, joined)
    merged = {number for each in (one, other) if len(each.places) > 1 for number in (each.number,)}
    if one.number == other.number or one.id == other.id:
        raise ConfigurationError(f"{kept} and {joined} are one object already")
    if merged:
        raise ConfigurationError(
            "one of them is merged with another already", "see catalogue show, and separate it first"
        )
    reason = reason_to_merge(one.size, one.checksums, other.size, other.checksums)
    if reason is None:
        why = why_not(one.size, one.checksums, other.size, other.checksums)
        say(f"{kept} and {joined} are not merged: {why}")
        return 1
    identity = 0
    if not dry_run:
        with catalogue.transaction():
            identity = catalogue.merge(one.number, other.number, reason, time.time())
    if json:
        as_json(
            {"merge": identity or None, "kept": one.version_id, "joined": other.version_id, "by": reason.type}
        )
    say(
        f"{'would merge' if dry_run else f'merge {identity}:'} {other.name} with {one.name}:"
        f" equal size and {reason.type}, {reason.provenance.label}"
    )
    return 0


def _current(catalogue: Catalogue, identity: str) -> Found:
    found = next((each for each in catalogue.versions(identity) if each.is_current), None)
    if found is None or found.deleted_at is not None:
        raise ConfigurationError(
            f"{identity!r} is no object that is there", "ids are in the output of search"
        )
    return found


def separate(catalogue: Catalogue, identity: int, json: bool) -> int:
    with catalogue.transaction():
        done = catalogue.separate(identity, time.time())
    if not done:
        known = ", ".join(str(each.id) for each in catalogue.merges() if each.undone_at is None)
        raise ConfigurationError(f"no merge {identity} is in force", f"merges in force: {known or 'none'}")
    if json:
        as_json({"merge": identity, "undone": True})
    say(f"merge {identity} is undone")
    return 0


# Against the stores


def verify(catalogue: Catalogue, opened: Callable[[str], Store | None], many: int, json: bool) -> int:
    """Compare some objects at random with their stores. Exit code 1 if one is not as the catalogue says."""
    stores: dict[str, Store | None] = {}
    differences: list[tuple[Found, str]] = []
    looked, skipped = 0, 0
    for found in catalogue.random(many):
        if found.store not in stores:
            stores[found.store] = opened(found.store)
        store = stores[found.store]
        if store is None:
            skipped += 1
            continue
        looked += 1
        if problem := _difference(store, found):
            differences.append((found, problem))
    if json:
        as_json(
            {
                "compared": looked,
                "skipped": skipped,
                "different": [{**found_as_json(found), "problem": problem} for found, problem in differences],
            }
        )
    for found, problem in differences:
        say(f"{found.store}/{found.name}: {problem}; run inventory")
    if skipped:
        say(f"{skipped} were not compared: their store is not one that this configuration logs in to")
    say(f"{looked} of the catalogue's objects compared with their stores, {len(differences)} differ")
    return int(bool(differences))


def _difference(store: Store, found: Found) -> str:
    try:
        blob = store.stat(found.name)
    except UnavailableError:
        raise
    except RunError as error:
        return str(error)
    if blob is None:
        return "is not in the store"
    if blob.size != found.size:
        return f"has {blob.size:,} bytes there, {found.size:,} here"
    if found.etag and blob.etag != found.etag:
        return "was written again since (another ETag)"
    return ""


# Out


def export(catalogue: Catalogue, view: str, kind: str, output: str) -> int:
    """Into a file that is there as a whole or not at all; ``-`` is standard output (CSV)."""
    rows = (_plain(row) for row in catalogue.rows(VIEWS[view]))
    if output == "-":
        if kind != "csv":
            raise ConfigurationError(
                "only CSV can be written to standard output", "name a file with --output"
            )
        number = _csv(rows, sys.stdout)
    else:
        number = _whole(Path(output), kind, rows)
    say(f"{number:,} rows of {view} written to {'standard output' if output == '-' else output}")
    return 0


def _whole(path: Path, kind: str, rows: Iterator[dict[str, Any]]) -> int:
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            os.close(handle)
            if kind == "csv":
                with open(temporary, "w", encoding="utf-8", newline="") as file:
                    number = _csv(rows, file)
            else:
                number = _parquet(rows, temporary)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise StateUnavailable(
            f"{path} cannot be written: {error.strerror}", "name another --output"
        ) from error
    return number


def _csv(rows: Iterator[dict[str, Any]], file: IO[str]) -> int:
    writer, number = None, 0
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
        writer.writerow(row)
        number += 1
    return number


def _parquet(rows: Iterator[dict[str, Any]], path: str) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            "Parquet needs pyarrow, which is not installed",
            "pip install 'sync_to_azure[parquet]', or --format csv",
        ) from None
    writer, number = None, 0
    batch: list[dict[str, Any]] = []

    def write() -> None:
        nonlocal writer
        if writer is None:
            schema = pyarrow.schema([(name, _arrow(pyarrow, name)) for name in batch[0]])
            writer = pyarrow.parquet.ParquetWriter(path, schema)
        writer.write_table(pyarrow.Table.from_pylist(batch, schema=writer.schema))

    for row in rows:
        batch.append(row)
        number += 1
        if len(batch) == _BATCH:
            write()
            batch = []
    if batch:
        write()
    if writer is None:
        writer = pyarrow.parquet.ParquetWriter(path, pyarrow.schema([]))
    writer.close()
    return number


_NUMBERS = frozenset({"size", "files", "bytes", "generation"})
_TIMES = frozenset(
    {
        "modified",
        "file_modified",
        "evidence_at",
        "first_seen",
        "last_seen",
        "deleted_at",
        "published_at",
        "at",
    }
)


def _arrow(pyarrow: Any, name: str) -> Any:
    if name in _NUMBERS:
        return pyarrow.int64()
    if name in _TIMES:
        return pyarrow.float64()
    return pyarrow.bool_() if name == "is_current" else pyarrow.string()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whatever the database's types are."""
    return {name: bool(value) if name == "is_current" else value for name, value in row.items()}
