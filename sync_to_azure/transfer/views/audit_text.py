"""What an audit says, and how its budget is read. Pure."""

from __future__ import annotations

import dataclasses
import glob
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from sync_to_azure.core.clock import local_time
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger.audits import Audited, AuditFinding
from sync_to_azure.core.model import Evidence
from sync_to_azure.notify.output import quoted
from sync_to_azure.notify.terminal import how_many, human_size

_WORDS = {
    "documents": "{names}",
    "missing": "{blobs} missing: {names}",
    "size": "{blobs} with another size: {names}",
    "md5": "{blobs} with another MD5: {names}",
    "rewritten": "{blobs} written again since (size and MD5 are right, --read-back checks the bytes):"
    " {names}",
    "bytes": "{blobs} with other bytes than were published, under the right MD5: {names}",
    "unreadable": "{blobs} that cannot be read: {names}",
}


def bytes_of(text: str) -> int:
    """Bytes of a size as a person writes it: 500GB, 1.5 TB, 250GiB, 1000000. Raises ConfigurationError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgtp])(i?)b?|b)?\s*", text, re.IGNORECASE)
    if found is None or not (size := _bytes(found)):
        raise ConfigurationError(f"--budget {text!r} is no size: give one such as 500GB or 1.5TB")
    return size


def _bytes(found: "re.Match[str]") -> int:
    unit, binary = (found[2] or "").lower(), bool(found[3])
    return int(float(found[1]) * (1024 if binary else 1000) ** ("kmgtp".index(unit) + 1 if unit else 0))


@dataclasses.dataclass(slots=True)
class Counts:
    """What one audit did."""

    runs: int = 0
    well: int = 0
    wrong: int = 0
    without: int = 0
    postponed: int = 0
    ignored: int = 0
    files: int = 0
    bytes: int = 0
    archived: int = 0
    extras: int = 0
    read: int = 0
    read_bytes: int = 0
    unfinished: int = 0

    def text(self, reads: bool) -> str:
        count = self
        parts = [
            f"{how_many(count.runs, 'run')} audited, {how_many(count.files, 'file')}, {human_size(count.bytes)}:"
            f" {count.well} well, {count.wrong} wrong"
        ]
        if count.without:
            parts.append(f"{count.without} without a manifest (of another tool)")
        if count.ignored:
            parts.append(f"{count.ignored} wrong and ignored by the operator")
        if count.postponed:
            parts.append(f"{count.postponed} being published")
        if count.archived:
            parts.append(f"{how_many(count.archived, 'file')} archived (listed only)")
        if count.extras:
            parts.append(f"{how_many(count.extras, 'blob')} not listed in any manifest")
        if reads:
            parts.append(f"{how_many(count.read, 'file')}, {human_size(count.read_bytes)}, read back")
        if count.unfinished:
            parts.append(
                f"{how_many(count.unfinished, 'run')} not read to the end, the next audit continues there"
            )
        return "; ".join(parts) + "."


def told(findings: Iterable[AuditFinding], uncounted: int) -> str:
    """What is wrong with a run, in words."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        named = f"{finding.name} {finding.detail}" if finding.kind == "documents" else finding.name
        by_kind[finding.kind].append(named)
    parts = []
    for kind, words in _WORDS.items():
        if names := by_kind.get(kind):
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            parts.append(words.format(blobs=how_many(len(names), "blob"), names=shown))
    if uncounted:
        parts.append(f"and {how_many(uncounted, 'finding')} more")
    return "; ".join(parts)


def brief(audited: Audited) -> str:
    """What is wrong with a run, in counts: no name of a file."""
    counts = audited.counts
    parts = [
        words.partition(": {names}")[0].format(blobs=how_many(counts[kind], "blob"), names="")
        for kind, words in _WORDS.items()
        if kind in counts and kind != "documents"
    ]
    if counts.get("documents"):
        parts.insert(
            0, f"{how_many(counts['documents'], 'document')} (manifest, receipt, marker) missing or changed"
        )
    if audited.uncounted:
        parts.append(f"and {how_many(audited.uncounted, 'finding')} more")
    since = local_time(audited.wrong_since) if audited.wrong_since is not None else "?"
    return f"not as it was published, an audit found ({since}): {', '.join(parts)}"


def at_most(audited: Audited | None) -> Evidence:
    """The strongest evidence that the weakest of its files can have, after what an audit found."""
    wrong = set(audited.counts) - {"documents"} if audited is not None and audited.is_wrong else set()
    if not wrong:
        return Evidence.READ_BACK
    return Evidence.LISTED if wrong == {"rewritten"} else Evidence.NONE


def option_for(run: str) -> str:
    """The value of an option that takes a pattern, so that it means this run alone, whatever its name is."""
    return f"{'=' if run.startswith('-') else ' '}{quoted(glob.escape(run))}"


def advice(run: str, kinds: Collection[str]) -> str:
    """How a person has it healed. ``kinds`` of its findings."""
    name = option_for(run)
    if set(kinds) == {"rewritten"}:
        return f"audit --read-back --run{name} checks whether its bytes are the published ones; docs/operations.md"
    deep = not {"bytes", "unreadable", "rewritten"}.isdisjoint(kinds)
    how = "--thorough --verify read-back" if deep else "--thorough"
    return (
        f"if its source is still there, a pass with {how} --only-run{name} uploads it again; otherwise soft delete or"
        " versions of the container may have it; docs/operations.md"
    )
