"""Why a run stands where it stands, and what comes next: codes with parameters, as the ledger keeps them, and the words
for a person. Every state and every reason has its words here and nowhere else."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from sync_to_azure.core.clock import local_time
from sync_to_azure.core.model import State


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
    def next(self) -> str:
        """What comes next, and when, or an empty string where the state alone says it (``what_next``)."""
        return self._filled(_NEXT.get(self.code, ""))

    @property
    def text(self) -> str:
        words = _WORDS.get(self.code)
        said = f"; {self.parameters['said']}" if "said" in self.parameters else ""
        ahead = self.parameters.get("ahead")
        carried = f"; carried ahead and not published: {ahead}" if ahead else ""
        return (self.code if words is None else self._filled(words)) + said + carried

    def _filled(self, words: str) -> str:
        values = {key: _value(key, value) for key, value in self.parameters.items()}
        names, count = self.parameters.get("names"), self.parameters.get("count")
        if isinstance(names, (list, tuple)):
            values["names"] = _first(names, count if isinstance(count, int) else 0)
        return words.format_map(_Forgiving(values))


class RunStatus(enum.StrEnum):
    """How a run stands for the person who asks: the one word that a state and its reason come down to."""

    SAFE = "safe"
    WAITS = "waits"
    AGAIN = "tried again"
    PERSON = "needs a person"
    HELD = "held"
    IGNORED = "ignored"
    EMPTY = "nothing to carry"


def run_status(
    state: State, reason: Reason | None, published: bool, override: str | None = None, damaged: bool = False
) -> RunStatus:
    """Pure. ``word``: a person's word that is in force; ``published``: is a generation at the destination? ``damaged``:
    an audit found that it is not there as it was published."""
    if override == "hold":
        return RunStatus.HELD
    if override == "ignore":
        return RunStatus.IGNORED
    if state is State.FLAGGED or damaged:
        return RunStatus.PERSON
    if state is State.FAILING:
        return RunStatus.AGAIN
    if state is State.GONE and not published:
        return RunStatus.PERSON if reason is not None and reason.code == "vanished" else RunStatus.EMPTY
    if reason is not None and reason.code == "vanished-waiting":
        return RunStatus.PERSON
    if published and state in (State.PUBLISHED, State.REMOVING, State.REMOVED, State.GONE):
        return RunStatus.SAFE
    if published and reason is not None and reason.code == "continuous":
        return RunStatus.WAITS if reason.parameters.get("waiting") else RunStatus.SAFE
    return RunStatus.WAITS


def what_next(state: State, reason: Reason | None, override: str | None = None, damaged: bool = False) -> str:
    """What comes next for a run, in a few words."""
    by_word = _NEXT_BY_WORD.get(override or "", "") or (
        "a person has it healed (explain says how)" if damaged else ""
    )
    return by_word or (reason.next if reason is not None else "") or _NEXT_BY_STATE.get(state, "")


STATES = {
    State.EXPECTED: "only its sample sheet is there",
    State.SEEN: "seen, not looked at yet",
    State.WAITING: "not finished, or not quiet for long enough",
    State.UPLOADING: "being carried",
    State.VERIFIED: "carried and verified; not published yet, or a project that is never done",
    State.PUBLISHED: "verified, with manifest, receipt and marker at the destination",
    State.REMOVING: "published, and being removed from the source",
    State.REMOVED: "published, and removed from the source by us",
    State.FLAGGED: "a person should look",
    State.FAILING: "tried without success, and tried again",
    State.GONE: "its folder left the source, not by us",
}
"""What each state means."""

OF_NO_FAMILY = ("no-profile", "runs-below", "unjudged", "no-run-itself")
"""Reasons of a folder of which nobody can say what it is; the last two after a day."""

DAMAGED = "what stands at the destination is not what was published"
"""In place of them, after an audit found it."""
EVENTS = {
    "adopted": "its published manifest was read from the container",
    "published-again": "published again",
    "put-back": "put back at the source",
    "sheet-kept": "the published sample sheet was kept as a snapshot, and replaced",
    "led-away": "blobs held other bytes than the run, and were overwritten",
}
"""What a run's history notes beside states."""
_NEXT_BY_STATE = {
    State.EXPECTED: "carried when its folder comes",
    State.SEEN: "looked at in the next pass",
    State.WAITING: "looked at in every pass",
    State.UPLOADING: "verified, then published",
    State.VERIFIED: "published",
    State.REMOVING: "removed in the next pass",
    State.FLAGGED: "a person decides",
    State.FAILING: "tried again in the next pass",
}
_NEXT_BY_WORD = {
    "hold": "nothing, until it is released",
    "ignore": "nothing, until it is released",
    "retry": "looked at anew in the next pass",
    "accept": "published as it is, when it is quiet",
}
_NEXT = {
    "flag-missing": "carried when {flags} is there and nothing moves any more",
    "stalled": "carried when {flags} is there",
    "not-quiet-yet": "carried from {from} on",
    "not-quiet-additions": "new files are carried from {from} on",
    "accepted-not-quiet": "published anew from {from} on",
    "changed-meanwhile": "carried when nothing moves any more",
    "no-sheet-yet": "published when {sheet} is there",
    "sheet-named-otherwise": "published when {sheet} is there",
    "sheet-not-quiet": "its sample sheet is published from {from} on",
    "no-run-yet": "carried when its folder comes",
    "empty": "carried when there is a file in it",
    "storage": "tried again in the next pass",
    "removal-due": "removed from {from} on",
    "removal-after-credentials": "removed from {from} on",
    "continuous": "new files are carried when they are old enough and stand still",
    "half-a-data-set": "carried when {lacks} is there",
    "other-main-folder": "{command} takes it over, if that flow no longer exists",
    "claimed-by-other-flow": "{command} takes it over, if that flow no longer exists",
    "removal-later": "removed as soon as that is gone",
    "removal-read-back": "read back and removed in the next passes",
    "removal-archived": "looked at again every day, and removed when they can be read",
    "clocks-differ": "removed when they agree",
}

_ADVICE = {
    "no-profile": "set completion-flag, or profile, or have it ignored; docs/instruments.md",
    "runs-below": "set main-folder to the folder that holds the runs themselves; docs/instruments.md",
    "unjudged": "set completion-flag, or profile, or have it ignored; docs/instruments.md",
    "no-run-itself": "set main-folder to the folder that holds the runs themselves, or have it ignored;"
    " docs/instruments.md",
    "stalled": "look at the instrument; accept the run to have it carried as it is, or have it ignored",
    "failed-held": "accept it to have it carried as it is, or set failed-runs to upload",
    "uncarried": "rename, repair or exclude them",
    "bad-run-name": "nothing of it is carried before",
    "changed-after-verification": "put the verified files back (they are in the lake), or rename the run's folder to"
    " have it carried as another run, or accept what is there now; docs/operations.md",
    "changed-after-accept": "look at them, and accept what is there now, or release the run",
    "withdraw-refused": "give the role the right to delete blobs, or release the run",
    "snapshot-refused": "without snapshots the old bytes would be lost: allow them, or release the run",
    "sheet-named-otherwise": "if that is its sample sheet, save it as CSV under the name that is waited for",
    "sheet-is-none": "put the published sheet back, if that was not meant",
    "sheets-at-once": "encrypting software changes files like that: look into some, and put the published sheets back"
    " if that was not meant",
    "sheet-not-kept": "allow snapshots of blobs, or put the published sheet back",
    "clocks-differ": "set this machine's clock, and keep it by NTP; check compares the two",
    "removal-archived": "rehydrate them (az storage blob set-tier --tier Cool, takes hours), or remove the"
    " source by hand",
    "blob-lost": "restore the blobs or the source; docs/operations.md",
    "taken-over-differs": "compare them, and move away what is wrong, or accept what the source holds;"
    " docs/operations.md",
    "other-main-folder": "give one of the two flows another destination or container-name; if that flow no longer"
    " exists, accept the run",
    "claimed-by-other-flow": "give one of the two flows another destination or container-name; if that flow no longer"
    " exists, accept the run",
    "destination-of-other-flow": "rename the run's folder, or give one of the two flows another destination",
    "other-kind": "set the profile back, or give this flow another destination",
    "vanished-waiting": "look where its folder went; ignore the run if that was meant",
    "left-behind": "look at both folders",
    "never-ended": "look at the instrument; accept it to have them carried as they are, or exclude them",
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


def _first(names: Sequence[object], count: int) -> str:
    """Up to ten of ``count`` names; of more than ten the first five and a number. Not all of them may be known."""
    count = max(count, len(names))
    shown = names if count == len(names) <= _ALL_SHOWN else names[:_SHOWN]
    listed = ", ".join(str(name) for name in shown)
    return f"{listed} and {count - len(shown)} more" if listed and count > len(shown) else listed


_SHOWN, _ALL_SHOWN = 5, 10
"""Names in a sentence."""

_WORDS = {
    "flag-missing": "waiting: {flags} is missing",
    "no-profile": "waiting: no completion-flag is given, and {problem}",
    "runs-below": "waiting: it is no run itself: runs of {family} lie {levels} below it",
    "unjudged": "nobody can say when it is finished: no completion-flag is given, and {problem}",
    "no-run-itself": "it is no run itself, and is not uploaded: runs of {family} lie {levels} below it",
    "stalled": "unfinished: {flags} is missing, and nothing has moved since {since}",
    "failed-held": "not carried (failed-runs = hold): {problem}",
    "not-quiet-yet": "waiting: quiet since {since}, carried from {from} on",
    "not-quiet-additions": "published; new files are there, quiet since {since}, carried from {from} on",
    "changed-meanwhile": "waiting: files changed while they were carried; the quiet time starts over",
    "no-sheet-yet": "carried and verified; waiting for {sheet} in the sample sheet folder (or --sheet-optional)",
    "sheet-named-otherwise": "carried and verified; waiting for {sheet} in the sample sheet folder, which has {near}",
    "sheet-not-quiet": "its sample sheet {sheet} was modified: quiet since {since}, published from {from} on",
    "sheet-ambiguous": "two sample sheets fit this run: {sheets}; keep one",
    "sheet-unreadable": "its sample sheet {sheet} cannot be read: {problem}",
    "sheet-in-the-way": "{sheet} is not carried: the run's own sheet cannot be kept as {blob}, a published file of"
    " the run has that name",
    "sheet-is-none": "its sample sheet {sheet} changed and cannot be read any more ({problem}): the published one was"
    " not replaced; {command} publishes the new one",
    "sheets-at-once": "its sample sheet {sheet} changed, and those of other published runs, {count} at once: nothing"
    " was replaced; {command} publishes them",
    "sheet-not-kept": "its sample sheet changed; the published one cannot be kept as a snapshot, so it is not replaced:"
    " {problem}",
    "continuous": "never done: {files} files carried and verified, {waiting} wait",
    "half-a-data-set": "waiting: {lacks} is not in the main folder",
    "never-ended": "{count} .raw files say that they are still being acquired, and nothing has moved for long: {names}",
    "no-run-yet": "its sample sheet is there, its folder is not (yet)",
    "empty": "waiting: the folder holds no file to carry",
    "uncarried": "{count} entries cannot be carried and hold publishing up: {names}",
    "bad-run-name": "cannot be carried under this name: {problem}; rename the folder",
    "changed-after-verification": "{count} files changed after they were verified, the good copy stays: {names}",
    "changed-after-accept": "what was accepted is not what is there now, {count} files are others (or gone): {names};"
    " nothing of it is published",
    "accepted-not-quiet": "its changed files were accepted and its marker is withdrawn; quiet since {since}, published"
    " from {from} on",
    "withdraw-refused": "its changed files were accepted, but its marker may not be withdrawn; nothing was changed:"
    " {problem}",
    "snapshot-refused": "its changed files were accepted, but what they replace cannot be kept; nothing was changed:"
    " {problem}",
    "held": "waiting: held by a person",
    "blob-lost": "{count} blobs are missing or wrong and the source no longer matches the manifest: {names}",
    "taken-over-differs": "{count} blobs that somebody else published differ from the source, nothing was"
    " overwritten: {names}",
    "other-main-folder": "another flow published a run of this name at the destination, nothing is uploaded: {theirs}",
    "claimed-by-other-flow": "another flow uploads a run of this name to the destination, nothing is sent: {theirs}",
    "destination-of-other-flow": "{prefix} is the destination of another flow: {theirs}; nothing is uploaded",
    "other-kind": "the destination holds it as {there}, which it is not with this profile; nothing of it is carried",
    "vanished-waiting": "its folder vanished before {count} files that waited were carried; all others were published",
    "failed": "{problem}",
    "vanished": "its folder vanished before it was carried",
    "not-there": "its folder is not there any more; it was published before",
    "storage": "not carried in this pass: {problem}",
    "left-behind": "its removal left entries that are not in its manifest in {folder}: {names}",
    "removal-later": "published; removal waits: {problem}",
    "clocks-differ": "published; nothing is removed: {problem}",
    "removal-read-back": "published; {count} files, {size}, are still to be read back before it is removed: this pass"
    " reached read-back-limit",
    "removal-archived": "published, not removed: {count} blobs, {size}, have to be read back before, and are archived:"
    " {names}",
    "removal-due": "published; to be removed from {from} on",
    "removal-after-credentials": "published; to be removed from {from} on, when the last credential that AzCopy was"
    " given for it has expired",
    "rehash-differs": "published, not removed: {count} files hold other bytes than were published, with the same size"
    " and time: {names}",
    "moved-aside": "being removed; moved aside, nothing is unlinked yet",
    "unlinking": "being removed",
    "unlink-refused": "being removed; it stopped, and goes on in the next pass: {problem}",
    "audit-wrong": "audit: not as it was published ({found})",
    "audit-solved": "audit: what was found is solved",
    "dry-run": "would be carried: {files} files, {size}",
}
