"""What stands beside a published run: the manifest lines, the receipt, the marker; written and read. Pure."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

from sync_to_azure.ledger.files import FileRow
from sync_to_azure.model import Evidence

SCHEMA = 1


def file_line(row: FileRow) -> bytes:
    """One line of RUN.files.jsonl. ``path`` is below RUN/; ``source`` only where the run folder (``source_path``) or
    the sample sheet folder (``sheet``) has it under another name."""
    values: dict[str, Any] = {
        "path": row.blob,
        "size": row.size,
        "md5": row.md5.hex(),
        "mtime": time_text(row.mtime_ns),
        "evidence": row.evidence.label,
        "etag": row.etag,
    }
    if row.origin == "sheet":
        values["source"] = "sheet"
    elif row.path != row.blob.encode():
        values["source_path"] = row.path.decode()
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def parse_file_line(line: bytes, generation: int) -> FileRow:
    """The way back. Raises ValueError for a line that is not ours."""
    try:
        values = json.loads(line)
        blob = values["path"]
        row = FileRow(
            blob=_inside(blob),
            path=_inside(values.get("source_path", blob)).encode(),
            origin="sheet" if values.get("source") == "sheet" else "run",
            size=int(values["size"]),
            mtime_ns=time_ns(values["mtime"]),
            md5=bytes.fromhex(values["md5"]),
            evidence=Evidence.from_label(values["evidence"]),
            etag=str(values["etag"]),
            generation=generation,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a line of a manifest: {line[:200]!r}") from error
    if len(row.md5) != 16 or not 0 <= row.size < 2**63 or not -(2**63) <= row.mtime_ns < 2**63:
        raise ValueError(f"not a line of a manifest: {line[:200]!r}")
    return row


def _inside(path: object) -> str:
    """A path below the run, nowhere else: what a manifest names may be unlinked, and whoever may write to the
    container must not choose files of ours outside of it."""
    if not isinstance(path, str) or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("not a path below a run")
    return path


def time_text(mtime_ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 in UTC, nine digits; what no calendar holds: ``@seconds.nanoseconds``."""
    seconds, rest = divmod(mtime_ns, 10**9)
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}.{rest:09d}"
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09d}Z"


def time_ns(text: str) -> int:
    """The way back. Raises ValueError."""
    whole, _, rest = text.rstrip("Z").partition(".")
    nanoseconds = int(rest.ljust(9, "0")[:9]) if rest else 0
    if whole.startswith("@"):
        return int(whole[1:]) * 10**9 + nanoseconds
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return int(since.total_seconds()) * 10**9 + nanoseconds


def receipt_text(values: Mapping[str, Any]) -> bytes:
    """A folder's name that is not UTF-8 stands there as JSON escapes (surrogates), and is read back the same."""
    text = json.dumps({"schema": SCHEMA, **values}, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def parse_receipt(text: bytes) -> dict[str, Any] | None:
    """The receipt, or None if it is none of ours (or of a newer schema than we know). What is in it has our types."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not _is_count(values.get("schema")) or values["schema"] > SCHEMA:
        return None
    counts = all(_is_count(values.get(name, 0)) for name in ("generation", "files", "bytes"))
    groups = all(isinstance(values.get(name, {}), dict) for name in ("source", "sha256", "times"))
    return values if counts and groups else None


def ready(receipt: Mapping[str, Any]) -> tuple[str, str] | None:
    """(blob below RUN/, ISO time) of the sign that results are there, if the receipt tells of one."""
    told = receipt.get("ready")
    if (
        not isinstance(told, dict)
        or not isinstance(told.get("blob"), str)
        or not isinstance(told.get("time"), str)
    ):
        return None
    return told["blob"], told["time"]


def is_newer(text: bytes) -> bool:
    """Is it a receipt of a schema that we do not know yet? It is never written over."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and _is_count(values.get("schema")) and values["schema"] > SCHEMA


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
