"""Why a run is in its state, and what happens next: codes with parameters, as the ledger stores them, and their texts.
Every state and every reason has its text here and nowhere else."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from sync_to_azure.core.clock import local_time
from sync_to_azure.core.model import State


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """``code`` and JSON-able ``parameters``; ``text`` is what an operator reads."""

    code: str
    parameters: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What the operator should do, or an empty string where nothing is to be done."""
        return _ADVICE.get(self.code, "")

    @property
    def next(self) -> str:
        """What happens next, and when, or an empty string where the state alone says it (``what_next``)."""
        return self._filled(_NEXT.get(self.code, ""))

    @property
    def text(self) -> str:
        template = _TEXTS.get(self.code)
        said = f"; {self.parameters['said']}" if "said" in self.parameters else ""
        ahead = self.parameters.get("ahead")
        incremental = f"; uploaded before it was finished, not published: {ahead}" if ahead else ""
        return (self.code if template is None else self._filled(template)) + said + incremental

    def _filled(self, template: str) -> str:
        values = {key: _value(key, value) for key, value in self.parameters.items()}
        names, count = self.parameters.get("names"), self.parameters.get("count")
        if isinstance(names, (list, tuple)):
            values["names"] = _first(names, count if isinstance(count, int) else 0)
        return template.format_map(_Forgiving(values))


class RunStatus(enum.StrEnum):
    """The one value that a run's state and reason come down to: what `status` shows and `--state` selects."""

    SAFE = "safe"
    WAITING = "waiting"
    RETRYING = "retrying"
    NEEDS_ATTENTION = "needs attention"
    HELD = "held"
    IGNORED = "ignored"
    EMPTY = "empty"

    @property
    def code(self) -> str:
        """For JSON, metrics and options: one word."""
        return self.value.replace(" ", "-")


def run_status(
    state: State, reason: Reason | None, published: bool, override: str | None = None, damaged: bool = False
) -> RunStatus:
    """Pure. ``override``: the action that is in force; ``published``: is a generation at the destination? ``damaged``:
    an audit found that the destination no longer holds what was published."""
    if override == "hold":
        return RunStatus.HELD
    if override == "ignore":
        return RunStatus.IGNORED
    if state is State.FLAGGED or damaged:
        return RunStatus.NEEDS_ATTENTION
    if state is State.FAILING:
        return RunStatus.RETRYING
    if state is State.GONE and not published:
        return (
            RunStatus.NEEDS_ATTENTION if reason is not None and reason.code == "vanished" else RunStatus.EMPTY
        )
    if reason is not None and reason.code == "vanished-waiting":
        return RunStatus.NEEDS_ATTENTION
    if published and state in (State.PUBLISHED, State.REMOVING, State.REMOVED, State.GONE):
        return RunStatus.SAFE
    if published and reason is not None and reason.code == "continuous":
        return RunStatus.WAITING if reason.parameters.get("waiting") else RunStatus.SAFE
    return RunStatus.WAITING


def what_next(state: State, reason: Reason | None, override: str | None = None, damaged: bool = False) -> str:
    """What happens next to a run, in a few words."""
    by_override = _NEXT_BY_OVERRIDE.get(override or "", "") or (
        "needs a repair by the operator (see explain)" if damaged else ""
    )
    return by_override or (reason.next if reason is not None else "") or _NEXT_BY_STATE.get(state, "")


STATES = {
    State.EXPECTED: "only its sample sheet was found",
    State.SEEN: "found, not scanned yet",
    State.WAITING: "not finished, or not unchanged for long enough",
    State.UPLOADING: "being uploaded",
    State.VERIFIED: "uploaded and verified; not published yet, or a continuous project",
    State.PUBLISHED: "verified, with manifest, receipt and marker at the destination",
    State.REMOVING: "published, and being removed from the source",
    State.REMOVED: "published, and removed from the source by sync_to_azure",
    State.FLAGGED: "needs a decision by the operator",
    State.FAILING: "failed, will be retried",
    State.GONE: "its folder disappeared from the source; sync_to_azure did not remove it",
}
"""What each state means."""

OF_NO_FAMILY = ("no-profile", "runs-below", "unjudged", "no-run-itself")
"""Reasons of a folder of no known instrument family; the last two after a day."""

DAMAGED = "the destination no longer holds what was published"
"""In place of them, after an audit found it."""
EVENTS = {
    "adopted": "published manifest read from the container",
    "published-again": "published again",
    "put-back": "moved back to its place at the source",
    "sheet-kept": "published sample sheet kept as a snapshot, and replaced",
    "led-away": "blobs held bytes from outside the run, and were overwritten",
}
"""What a run's history notes beside states."""
_NEXT_BY_STATE = {
    State.EXPECTED: "uploaded when its folder appears",
    State.SEEN: "scanned in the next pass",
    State.WAITING: "checked again in every pass",
    State.UPLOADING: "verified, then published",
    State.VERIFIED: "published",
    State.REMOVING: "removed in the next pass",
    State.FLAGGED: "the operator decides",
    State.FAILING: "retried in the next pass",
}
_NEXT_BY_OVERRIDE = {
    "hold": "nothing, until it is released",
    "ignore": "nothing, until it is released",
    "retry": "checked again from the start in the next pass",
    "accept": "published as it is, once it is unchanged for long enough",
}
_NEXT = {
    "flag-missing": "uploaded when {flags} exists and the run is unchanged for long enough",
    "stalled": "uploaded when {flags} exists",
    "not-quiet-yet": "uploaded from {from} on",
    "not-quiet-additions": "new files are uploaded from {from} on",
    "accepted-not-quiet": "published again from {from} on",
    "changed-meanwhile": "uploaded when it is unchanged for long enough",
    "no-sheet-yet": "published when {sheet} exists",
    "sheet-named-otherwise": "published when {sheet} exists",
    "sheet-not-quiet": "its sample sheet is published from {from} on",
    "no-run-yet": "uploaded when its folder appears",
    "empty": "uploaded when it contains a file",
    "storage": "retried in the next pass",
    "removal-due": "removed from {from} on",
    "removal-after-credentials": "removed from {from} on",
    "continuous": "new files are uploaded when they are old enough and unchanged",
    "half-a-data-set": "uploaded when {lacks} exists",
    "other-main-folder": "{command} takes it over, if that flow no longer exists",
    "claimed-by-other-flow": "{command} takes it over, if that flow no longer exists",
    "removal-later": "removed as soon as that is resolved",
    "removal-read-back": "read back and removed in the next passes",
    "removal-archived": "checked again every day, and removed when they can be read",
    "clocks-differ": "removed when they agree",
}

_ADVICE = {
    "no-profile": "set completion-flag or profile, or ignore the folder; docs/instruments.md",
    "runs-below": "set main-folder to the folder that contains the runs; docs/instruments.md",
    "unjudged": "set completion-flag or profile, or ignore the folder; docs/instruments.md",
    "no-run-itself": "set main-folder to the folder that contains the runs, or ignore this folder; docs/instruments.md",
    "stalled": "check the instrument; accept the run to upload it as it is, or ignore it",
    "failed-held": "accept it to upload it as it is, or set failed-runs to upload",
    "uncarried": "rename, repair or exclude them",
    "bad-run-name": "nothing of it is uploaded before that",
    "changed-after-verification": "put the verified files back (the destination has them), or rename the run's folder"
    " to upload it as another run, or accept the files as they are now; docs/operations.md",
    "changed-after-accept": "check them, and accept the files as they are now, or release the run",
    "withdraw-refused": "grant the role the right to delete blobs, or release the run",
    "snapshot-refused": "without snapshots the old bytes would be lost: allow them, or release the run",
    "sheet-named-otherwise": "if that is its sample sheet, save it as CSV under the expected name",
    "sheet-is-none": "put the published sheet back, if this was not intended",
    "sheets-at-once": "ransomware changes files like that: check some of them, and put the published sheets back"
    " if this was not intended",
    "sheet-not-kept": "allow snapshots of blobs, or put the published sheet back",
    "clocks-differ": "set this machine's clock, and keep it by NTP; check compares the two",
    "removal-archived": "rehydrate them (az storage blob set-tier --tier Cool, takes hours), or remove the"
    " source by hand",
    "blob-lost": "restore the blobs or the source; docs/operations.md",
    "taken-over-differs": "compare them, and move away what is wrong, or accept the files of the source;"
    " docs/operations.md",
    "other-main-folder": "give one of the two flows another destination or container-name; if that flow no longer"
    " exists, accept the run",
    "claimed-by-other-flow": "give one of the two flows another destination or container-name; if that flow no longer"
    " exists, accept the run",
    "destination-of-other-flow": "rename the run's folder, or give one of the two flows another destination",
    "other-kind": "set the profile back, or give this flow another destination",
    "vanished-waiting": "find out where its folder went; ignore the run if this was intended",
    "left-behind": "check both folders",
    "never-ended": "check the instrument; accept the run to upload them as they are, or exclude them",
    "rehash-differs": "compare them with the destination, whose copy is safe; docs/operations.md",
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


def _first(names: Sequence[object], count: int) -> str:
    """Up to ten of ``count`` names; of more than ten the first five and a number. Not all of them may be known."""
    count = max(count, len(names))
    shown = names if count == len(names) <= _ALL_SHOWN else names[:_SHOWN]
    listed = ", ".join(str(name) for name in shown)
    return f"{listed} and {count - len(shown)} more" if listed and count > len(shown) else listed


_SHOWN, _ALL_SHOWN = 5, 10
"""Names in a sentence."""

_TEXTS = {
    "flag-missing": "waiting: {flags} is missing",
    "no-profile": "waiting: completion-flag is not set, and {problem}",
    "runs-below": "waiting: not a run itself: runs of {family} are {levels} below it",
    "unjudged": "cannot tell when it is finished: completion-flag is not set, and {problem}",
    "no-run-itself": "not a run itself, and not uploaded: runs of {family} are {levels} below it",
    "stalled": "unfinished: {flags} is missing, and nothing has changed since {since}",
    "failed-held": "not uploaded (failed-runs = hold): {problem}",
    "not-quiet-yet": "waiting: unchanged since {since}, uploaded from {from} on",
    "not-quiet-additions": "published; new files found, unchanged since {since}, uploaded from {from} on",
    "changed-meanwhile": "waiting: files changed during the upload; the waiting time starts again",
    "no-sheet-yet": "uploaded and verified; waiting for {sheet} in the sample sheet folder (or --sheet-optional)",
    "sheet-named-otherwise": "uploaded and verified; waiting for {sheet} in the sample sheet folder, which has {near}",
    "sheet-not-quiet": "its sample sheet {sheet} was modified: unchanged since {since}, published from {from} on",
    "sheet-ambiguous": "two sample sheets fit this run: {sheets}; keep one",
    "sheet-unreadable": "its sample sheet {sheet} cannot be read: {problem}",
    "sheet-in-the-way": "{sheet} is not uploaded: the run's own sheet cannot be kept as {blob}, a published file of"
    " the run has that name",
    "sheet-is-none": "its sample sheet {sheet} changed and can no longer be read ({problem}): the published one was"
    " not replaced; {command} publishes the new one",
    "sheets-at-once": "its sample sheet {sheet} changed, and those of other published runs, {count} at once: nothing"
    " was replaced; {command} publishes them",
    "sheet-not-kept": "its sample sheet changed; the published one cannot be kept as a snapshot, so it is not replaced:"
    " {problem}",
    "continuous": "continuous project: {files} files uploaded and verified, {waiting} waiting",
    "half-a-data-set": "waiting: {lacks} is missing from the main folder",
    "never-ended": "{count} .raw files are marked as still being acquired, and have not changed for long: {names}",
    "no-run-yet": "its sample sheet exists, its folder does not (yet)",
    "empty": "waiting: the folder contains no file to upload",
    "uncarried": "{count} entries cannot be uploaded and block publication: {names}",
    "bad-run-name": "cannot be uploaded under this name: {problem}; rename the folder",
    "changed-after-verification": "{count} files changed after they were verified; the good copy was kept: {names}",
    "changed-after-accept": "{count} files differ from those that were accepted (or are missing): {names}; nothing was"
    " published",
    "accepted-not-quiet": "its changed files were accepted and its marker was withdrawn; unchanged since {since},"
    " published from {from} on",
    "withdraw-refused": "its changed files were accepted, but its marker must not be withdrawn; nothing was changed:"
    " {problem}",
    "snapshot-refused": "its changed files were accepted, but the blobs they replace cannot be kept; nothing was"
    " changed: {problem}",
    "held": "waiting: held by the operator",
    "blob-lost": "{count} blobs are missing or wrong and the source no longer matches the manifest: {names}",
    "taken-over-differs": "{count} blobs that another writer published differ from the source, nothing was"
    " overwritten: {names}",
    "other-main-folder": "another flow published a run of this name at the destination, nothing is uploaded: {theirs}",
    "claimed-by-other-flow": "another flow uploads a run of this name to the destination, nothing was sent: {theirs}",
    "destination-of-other-flow": "{prefix} is the destination of another flow: {theirs}; nothing is uploaded",
    "other-kind": "the destination has it as {there}, which does not match this profile; nothing of it is uploaded",
    "vanished-waiting": "its folder vanished before {count} waiting files were uploaded; all others were published",
    "failed": "{problem}",
    "vanished": "its folder vanished before it was uploaded",
    "not-there": "its folder no longer exists; it was published before",
    "storage": "not uploaded in this pass: {problem}",
    "left-behind": "its removal left entries that are not in its manifest in {folder}: {names}",
    "removal-later": "published; removal waits: {problem}",
    "clocks-differ": "published; nothing is removed: {problem}",
    "removal-read-back": "published; {count} files, {size}, must be read back before it is removed: this pass"
    " reached read-back-limit",
    "removal-archived": "published, not removed: {count} blobs, {size}, must be read back first, and are archived:"
    " {names}",
    "removal-due": "published; will be removed from {from} on",
    "removal-after-credentials": "published; will be removed from {from} on, when the last credential that AzCopy was"
    " given for it has expired",
    "rehash-differs": "published, not removed: {count} files hold other bytes than were published, with the same size"
    " and time: {names}",
    "moved-aside": "being removed; moved aside, nothing is deleted yet",
    "unlinking": "being removed",
    "unlink-refused": "being removed; interrupted, continues in the next pass: {problem}",
    "audit-wrong": "audit: not as it was published ({found})",
    "audit-solved": "audit: earlier findings are resolved",
    "dry-run": "would be uploaded: {files} files, {size}",
}
