"""Results as JSON and as tables; names of others cannot act on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sync_to_azure.catalogue.db.port import COUNTED, Found
from sync_to_azure.catalogue.model import Checksum
from sync_to_azure.core.clock import iso
from sync_to_azure.core.model import Evidence
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import grid, human_size


def as_json(value: Any) -> None:
    show(json.dumps(value, indent=2))


def json_array(values: Iterable[Mapping[str, Any]]) -> None:
    """A stream of objects as one array, one a line: it is never in memory as a whole."""
    show("[", stream=sys.stdout)
    before = None
    for value in values:
        if before is not None:
            show(f"{before},")
        before = json.dumps(value)
    if before is not None:
        show(before)
    show("]")


def say(text: str) -> None:
    """A line for people beside the results."""
    show(f"sync_to_azure: {plain(text)}", stream=sys.stderr)


def line(text: str) -> None:
    show(plain(text))


def time_of(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        return None


def found_as_json(found: Found) -> dict[str, Any]:
    """docs/catalogue.md describes it; keys are only added."""
    return {
        "id": found.id,
        "version_id": found.version_id,
        "name": found.name,
        "size": found.size,
        "run": found.run,
        "checksums": [_checksum(each) for each in found.checksums],
        "evidence": found.evidence.label,
        "store": found.store,
        "places": [{"store": store, "name": name} for store, name in found.places],
        "cloud": found.cloud or None,
        "region": found.region or None,
        "tier": found.tier,
        "mime_type": found.mime,
        "etag": found.etag,
        "store_version": found.store_version,
        "modified": time_of(found.modified),
        "file_modified": time_of(found.mtime),
        "instrument": found.instrument or None,
        "flow_cell": found.flow_cell or None,
        "project": found.project or None,
        "aliases": list(found.aliases),
        "first_seen": time_of(found.first_seen),
        "last_seen": time_of(found.last_seen),
        "is_current": found.is_current,
        "deleted": time_of(found.deleted_at),
        "deleted_by": found.deleted_by,
        "cursor": str(found.number),
    }


def _checksum(checksum: Checksum) -> dict[str, Any]:
    values: dict[str, Any] = {
        "type": checksum.type,
        "checksum": checksum.value,
        "provenance": checksum.provenance.label,
    }
    if checksum.evidence is not Evidence.NONE:
        values["evidence"] = checksum.evidence.label
        values["at"] = time_of(checksum.at)
    return values


def table(found: Sequence[Found]) -> str:
    rows = [
        [
            each.id,
            human_size(each.size),
            each.evidence.label if each.deleted_at is None else "deleted",
            plain(each.run or ""),
            plain(each.name),
        ]
        for each in found
    ]
    return grid(("id", "size", "evidence", "run", "name"), rows, {"size"})


def counted(number: int) -> str:
    """As a person reads it: exact to COUNTED."""
    return f"{COUNTED:,}+" if number > COUNTED else f"{number:,}"
