"""What stands beside a published run: the manifest lines, the receipt, the marker; written and read. Pure."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sync_to_azure.core import bounded
from sync_to_azure.manifest.rows import FileRow
from sync_to_azure.core.model import Evidence

SCHEMA = 1
_LONGEST_TIME = 64
_LONGEST_ETAG = 256


def file_line(row: FileRow) -> bytes:
    """One line of RUN.files.jsonl. ``path`` is below RUN/; ``source`` only where the run folder (``source_path``) or
    the sample sheet folder (``sheet``) has it under another name; ``own_etag`` only where the ETag is that of an answer
    to a request of our own."""
    values: dict[str, Any] = {
        "path": row.blob,
        "size": row.size,
        "md5": row.md5.hex(),
        "mtime": time_text(row.mtime_ns),
        "evidence": row.evidence.label,
        "etag": row.etag,
    }
    if row.etag_is_own:
        values["own_etag"] = True
    if row.origin == "sheet":
        values["source"] = "sheet"
    elif row.path != row.blob.encode():
        values["source_path"] = row.path.decode()
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def parse_file_line(line: bytes, generation: int) -> FileRow:
    """The way back. Raises ValueError for a line that is not ours."""
    try:
        values = bounded.json_of(line, bounded.MOST_LINE)
        blob = values["path"]
        row = FileRow(
            blob=_inside(blob),
            path=_inside(values.get("source_path", blob)).encode(),
            origin="sheet" if values.get("source") == "sheet" else "run",
            size=bounded.count(values["size"], bounded.MOST_SIZE),
            mtime_ns=time_ns(bounded.text(values["mtime"], _LONGEST_TIME)),
            md5=bytes.fromhex(bounded.text(values["md5"], 32)),
            evidence=Evidence.from_label(values["evidence"]),
            etag=bounded.text(values["etag"], _LONGEST_ETAG),
            generation=generation,
            etag_is_own=values.get("own_etag") is True,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a line of a manifest: {line[:200]!r}") from error
    if len(row.md5) != 16 or not -(2**63) <= row.mtime_ns < 2**63:
        raise ValueError(f"not a line of a manifest: {line[:200]!r}")
    return row


def file_rows(lines: Iterable[bytes], generation: int) -> Iterator[FileRow]:
    """A whole manifest, a line at a time. Raises ValueError that names the first line that is not ours."""
    size = 0
    for number, line in enumerate(lines, 1):
        try:
            row = parse_file_line(line, generation)
        except ValueError:
            raise ValueError(f"line {number} is no line of a manifest") from None
        size += row.size
        if size > bounded.MOST_BYTES:
            raise ValueError(f"line {number}: the files would have more than {bounded.MOST_BYTES} bytes")
        yield row


def _inside(path: object) -> str:
    """A path below the run, nowhere else: what a manifest names may be unlinked, and whoever may write to the
    container must not choose files of ours outside of it."""
    within = bounded.text(path, bounded.MOST_PATH)
    if "\0" in within or any(part in ("", ".", "..") for part in within.split("/")):
        raise ValueError("not a path below a run")
    return within


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
    if len(text) > _LONGEST_TIME or (rest and not (rest.isascii() and rest.isdigit())):
        raise ValueError("not a time that sync_to_azure writes")
    nanoseconds = int(rest.ljust(9, "0")[:9]) if rest else 0
    if whole.startswith("@"):
        return int(whole[1:]) * 10**9 + nanoseconds
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return int(since.total_seconds()) * 10**9 + nanoseconds


def time_in(receipt: Mapping[str, Any], name: str) -> float | None:
    """One of a receipt's ``times``, in seconds since 1970; None where it says none that a calendar holds."""
    times = receipt.get("times")
    text = times.get(name) if isinstance(times, dict) else None
    if not isinstance(text, str):
        return None
    try:
        seconds = time_ns(text.removesuffix("+00:00")) / 1e9
    except ValueError:
        return None
    return seconds if 0 <= seconds <= bounded.LATEST else None


def receipt_text(values: Mapping[str, Any]) -> bytes:
    """A folder's name that is not UTF-8 stands there as JSON escapes (surrogates), and is read back the same."""
    text = json.dumps({"schema": SCHEMA, **values}, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def parse_receipt(text: bytes) -> dict[str, Any] | None:
    """The receipt, or None if it is none of ours (or of a newer schema than we know). What is in it has our types, and
    fits into the ledger."""
    values = _document(text)
    if values is None or values["schema"] > SCHEMA:
        return None
    counts = {
        "generation": bounded.MOST_GENERATIONS,
        "files": bounded.MOST_COUNT,
        "bytes": bounded.MOST_BYTES,
    }
    fit = all(_is_count(values.get(name, 0), most) for name, most in counts.items())
    groups = all(isinstance(values.get(name, {}), dict) for name in ("source", "sha256", "times"))
    return values if fit and groups else None


def ready(receipt: Mapping[str, Any]) -> tuple[str, str] | None:
    """(blob below RUN/, ISO time) of the sign that results are there, if the receipt tells of one."""
    told = receipt.get("ready")
    if not isinstance(told, dict):
        return None
    try:
        return bounded.text(told.get("blob"), bounded.MOST_PATH), bounded.text(
            told.get("time"), _LONGEST_TIME
        )
    except ValueError:
        return None


def is_newer(text: bytes) -> bool:
    """Is it a receipt of a schema that we do not know yet? It is never written over."""
    values = _document(text)
    return values is not None and values["schema"] > SCHEMA


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        values = bounded.json_of(text)
    except ValueError:
        return None
    return (
        values if isinstance(values, dict) and _is_count(values.get("schema"), bounded.MOST_COUNT) else None
    )


def _is_count(value: object, most: int) -> bool:
    try:
        bounded.count(value, most)
    except ValueError:
        return False
    return True


def parsed(text: bytes) -> dict[str, Any] | None:
    """A JSON object with a schema, or None."""
    try:
        values = bounded.json_of(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) and type(values.get("schema")) is int else None
