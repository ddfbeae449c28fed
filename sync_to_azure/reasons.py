"""Why a run stands where it stands: a code with parameters, as the ledger keeps it, and the words for a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sync_to_azure.clock import local_time


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """``code`` and JSON-able ``parameters``; ``text`` is what a person reads."""

    code: str
    parameters: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What a person does about it, or an empty string where nothing is to be done."""
        return _ADVICE.get(self.code, "")

    @property
    def text(self) -> str:
        words = _WORDS.get(self.code)
        if words is None:
            return self.code
        values = {key: _value(key, value) for key, value in self.parameters.items()}
        return words.format_map(_Forgiving(values))


_ADVICE = {
    "uncarried": "rename, repair or exclude them",
    "bad-run-name": "nothing of it is carried before",
    "changed-after-verification": "put the verified files back (they are in the lake), or rename the run's folder to"
    " have it carried as another run; docs/operations.md",
    "blob-lost": "restore the blobs or the source; docs/operations.md",
    "taken-over-differs": "compare them, and move away what is wrong; docs/operations.md",
    "other-main-folder": "give one of the two flows another destination or container-name",
    "left-behind": "look at both folders",
    "rehash-differs": "compare them with the lake, whose copy is safe; docs/operations.md",
}


class _Forgiving(dict[str, str]):
    """A ledger written by another version may lack a parameter: shown as ``?``, never an error."""

    def __missing__(self, key: str) -> str:
        return "?"


_TIMES = frozenset({"since", "from", "at"})


def _value(key: str, value: object) -> str:
    if key in _TIMES and isinstance(value, (int, float)):
        return local_time(float(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)


_WORDS = {
    "flag-missing": "waiting: {flags} is missing",
    "not-quiet-yet": "waiting: quiet since {since}, carried from {from} on",
    "not-quiet-additions": "published; new files are there, quiet since {since}, carried from {from} on",
    "changed-meanwhile": "waiting: files changed while they were carried; the quiet time starts over",
    "no-sheet-yet": "carried and verified; waiting for {sheet} in the sample sheet folder (or --sheet-optional)",
    "sheet-ambiguous": "two sample sheets fit this run: {sheets}; keep one",
    "sheet-unreadable": "its sample sheet {sheet} cannot be read: {problem}",
    "sheet-in-the-way": "{sheet} is not carried: the run's own sheet cannot be kept as {blob}, a published file of"
    " the run has that name",
    "no-run-yet": "its sample sheet is there, its folder is not (yet)",
    "empty": "waiting: the folder holds no file to carry",
    "uncarried": "{count} entries cannot be carried and hold publishing up: {names}",
    "bad-run-name": "cannot be carried under this name: {problem}; rename the folder",
    "changed-after-verification": "{count} files changed after they were verified, the good copy stays: {names}",
    "blob-lost": "{count} blobs are missing or wrong and the source no longer matches the manifest: {names}",
    "taken-over-differs": "{count} blobs that somebody else published differ from the source, nothing was"
    " overwritten: {names}",
    "other-main-folder": "the destination holds a run of this name from another main folder: {folder}",
    "failed": "{problem}",
    "vanished": "its folder vanished before it was carried",
    "not-there": "its folder is not there any more; it was published before",
    "storage": "not carried in this pass: {problem}",
    "left-behind": "its removal left entries that are not in its manifest in {folder}: {names}",
    "removal-later": "published; removal waits: {problem}",
    "removal-due": "published; to be removed from {from} on",
    "rehash-differs": "published, not removed: {count} files hold other bytes than were published, with the same size and"
    " time: {names}",
    "moved-aside": "being removed; moved aside, nothing is unlinked yet",
    "unlinking": "being removed",
    "unlink-refused": "being removed; it stopped, and goes on in the next pass: {problem}",
    "dry-run": "would be carried: {files} files",
}
