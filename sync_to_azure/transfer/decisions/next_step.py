"""What is to be done next with a run: a table from what is known of it now to one step. Pure.

A pass finds out about a run from the cheapest to the dearest: what the ledger says, the top of its folder, a walk, the
documents at the destination, a listing. ``Facts`` are what it knows so far, ``next_step`` is the next thing to find out
or to do, until nothing is left for this pass. docs/design.md has the drawing.
"""

from __future__ import annotations

import dataclasses
import enum

from sync_to_azure.core.model import State


class Readiness(enum.StrEnum):
    """Is an unpublished run finished? ``STALLED``: it is not, and nothing moves; ``HELD``: it failed, and waits for an
    operator. Both are flagged, unless the destination holds the run already."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    STALLED = "stalled"
    HELD = "held"


class Removal(enum.StrEnum):
    """May the source go? ``LACKS_DOCUMENTS``: it may, but what is published has to be written again before. ``DONE``:
    it was tried in this pass."""

    NOT_NOW = "not now"
    WANTED = "wanted"
    LACKS_DOCUMENTS = "missing documents"
    DONE = "done"


class Action(enum.StrEnum):
    """Looking: ``CHECK_FINISHED`` to ``COMPARE``, ``CHECK_REMOTE``, ``CONSIDER_REMOVAL``. Writing at the destination:
    ``UPLOAD`` to ``PUBLISH``. Ending what a pass does with a run: ``WAIT``, ``FLAG``, ``SETTLE``, ``PREVIEW``,
    ``HANDLE_MISSING_SOURCE``."""

    HANDLE_MISSING_SOURCE = "handle missing source"
    RESUME = "resume"
    PREPARE = "prepare"
    CHECK_FINISHED = "check finished"
    ADOPT = "adopt"
    READ_SHEET = "read sheet"
    SCAN = "scan"
    COMPARE = "compare"
    UPDATE_MANIFEST = "update manifest"
    PREVIEW = "preview"
    CHECK_REMOTE = "check remote"
    UPLOAD = "upload"
    REPLACE_FOREIGN = "replace foreign"
    WRITE_SHEET = "write sheet"
    PUBLISH = "publish"
    WAIT = "wait"
    FLAG = "flag"
    SETTLE = "settle"
    PLAN_AGAIN = "plan again"
    CONSIDER_REMOVAL = "consider removal"
    PUBLISH_AGAIN = "publish again"
    REMOVE = "remove"
    STOP = "stop"


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """``why``: the kind of a ``WAIT`` or a ``FLAG``."""

    action: Action
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one run now."""

    # On record
    state: State
    is_published: bool = False
    remote_known: bool = False
    """Does the ledger know what is published? Else the destination is asked."""
    manifest_kept: bool = False
    """Are the published files in the ledger?"""
    dry_run: bool = False

    # At the source, by its top level
    has_source: bool = True
    bad_name: bool = False
    is_unchanged: bool = False
    """Published, and neither its folder nor its sheet moved since."""
    waits_only_for_sheet: bool = False
    """Uploaded and verified, and neither its folder nor its sheet moved since."""
    is_continuous: bool = False
    kind_changed: bool = False
    """Published as a run that ends, and configured as a folder that never does; or the other way round."""
    is_half: bool = False
    """Of a continuous folder: its other half is not there yet."""

    # Found in this plan of this pass
    begun: bool = False
    prepared: bool = False
    remote_asked: bool = False
    """Was the destination asked since the last look at the source?"""
    readiness: Readiness | None = None
    sheet_read: bool = False
    scanned: bool = False
    is_quiet: bool = False
    compared: bool = False
    source_changed: bool = False
    """Published files became others at the source."""
    replaces_pending: bool = False
    """Changes that an operator accepted are applied and not published yet."""
    manifest_updated: bool = False

    # Why more has to be done for a published run
    has_additions: bool = False
    is_due: bool = False
    """A thorough look is due; documents have to be written again; it is flagged or failing for something that only the
    destination can answer; a pass may have been cut off while it replaced something."""
    sheet_differs: bool = False

    # At the destination
    is_overtaken: bool | None = None
    """Was more published there than the ledger knows?"""
    verified: bool = False
    has_lost: bool = False
    """Published blobs are wrong, and the source no longer matches them."""
    has_foreign: bool = False
    """Blobs that others published differ."""
    foreign_offered: bool = False
    """An operator did not accept that those are replaced."""
    has_unusable: bool = False
    """Entries of the source cannot be uploaded, and must be."""
    is_empty: bool = False
    has_broken_off: bool = False
    """Of a continuous folder: an acquisition ended without its end."""
    sheet_written: bool = False
    sheet_lost: bool = False
    sheet_undecided: bool = False
    """Whether its new sheet may replace the published one is decided at the end of the pass."""
    sheet_awaited: bool = False
    documents_due: bool = False
    """Documents have to be written: something was healed, or they are not as they were published."""
    written: bool = False

    # The end
    ended: bool = False
    removal: Removal | None = None

    @property
    def needs_upload(self) -> bool:
        """False of a published run of which nothing is new."""
        return not self.is_published or self.has_additions or self.is_due or self.sheet_differs


def next_step(facts: Facts) -> Step:
    """The one thing to do now."""
    if facts.ended:
        return _free_source(facts)
    if not facts.has_source:
        return Step(Action.HANDLE_MISSING_SOURCE)
    if facts.verified:
        # Nothing before that is decided again: a sheet that was written over a published one must be in the documents
        # of this pass.
        return _publish(facts)
    return _first_look(facts) or _look(facts) or _upload(facts)


def _first_look(facts: Facts) -> Step | None:
    """By the ledger and the top of the folder alone."""
    if facts.begun:
        return None
    if facts.bad_name:
        return Step(Action.FLAG, "bad-run-name")
    if facts.state is State.REMOVING:
        return Step(Action.RESUME)
    if facts.is_unchanged:
        return _free_source(facts)
    if facts.waits_only_for_sheet:
        return Step(Action.WAIT, "same-sheet")
    return None


def _look(facts: Facts) -> Step | None:
    """What is there, at the source and at the destination?"""
    if facts.kind_changed and not (facts.prepared or facts.remote_asked):
        return Step(Action.ADOPT)
    if not facts.prepared:
        return Step(Action.PREPARE)
    if not facts.is_published:
        step = _finished(facts)
        if step is not None:
            return step
    if not facts.scanned:
        return _scan(facts)
    if not facts.is_published and not facts.is_quiet:
        return Step(Action.WAIT, "not-quiet")
    if not facts.compared:
        if _asks_after_scan(facts):
            return Step(Action.ADOPT)
        return Step(Action.COMPARE)
    if facts.replaces_pending and not facts.is_quiet:
        return Step(Action.WAIT, "accepted-not-quiet")
    if not facts.manifest_updated:
        return Step(Action.UPDATE_MANIFEST)
    if facts.is_published and facts.has_additions and not facts.is_quiet:
        return Step(Action.WAIT, "not-quiet-additions")
    return None


def _finished(facts: Facts) -> Step | None:
    """Of an unpublished run."""
    if facts.is_continuous:
        return Step(Action.WAIT, "half-a-data-set") if facts.is_half else None
    if facts.readiness is None:
        return Step(Action.CHECK_FINISHED)
    if facts.readiness is Readiness.UNFINISHED:
        return Step(Action.WAIT, "unfinished")
    if facts.readiness is Readiness.FINISHED:
        return None
    if not (facts.remote_known or facts.remote_asked or facts.dry_run):
        # Was it accepted as it is, and only our ledger forgot that?
        return Step(Action.ADOPT)
    return Step(Action.FLAG, str(facts.readiness))


def _scan(facts: Facts) -> Step:
    if facts.is_continuous:
        # Before the scan: what is published and frozen is compared at any age.
        is_known = facts.remote_known and facts.is_published and facts.manifest_kept
        return Step(Action.SCAN) if is_known or facts.remote_asked else Step(Action.ADOPT)
    if not facts.sheet_read:
        return Step(Action.READ_SHEET)
    if facts.is_published and not (facts.manifest_kept or facts.remote_asked):
        return Step(Action.ADOPT)
    return Step(Action.SCAN)


def _asks_after_scan(facts: Facts) -> bool:
    """Asked each time of what is not published: a ledger that was set back, or another machine, must not make us upload
    over what is published."""
    is_known = facts.remote_known and facts.is_published
    return not (facts.is_continuous or is_known or facts.remote_asked)


def _upload(facts: Facts) -> Step:
    """What the destination lacks of it."""
    if facts.dry_run:
        return Step(Action.PREVIEW)
    if not facts.needs_upload:
        return Step(Action.SETTLE)
    if facts.is_published and facts.is_overtaken is None:
        return Step(Action.CHECK_REMOTE)
    return Step(Action.PLAN_AGAIN if facts.is_overtaken else Action.UPLOAD)


def _publish(facts: Facts) -> Step:
    """All that can be at the destination is there, and proved."""
    if facts.has_foreign and not facts.foreign_offered:
        return Step(Action.REPLACE_FOREIGN)
    if facts.has_lost:
        return Step(Action.FLAG, "blob-lost")
    if facts.has_foreign:
        return Step(Action.FLAG, "taken-over-differs")
    if facts.has_unusable:
        # The graver of the two: what an intruder leaves beside must not hide what he did.
        return Step(Action.FLAG, "changed" if facts.source_changed else "uncarried")
    if facts.is_empty:
        return Step(Action.FLAG, "never-ended") if facts.has_broken_off else Step(Action.WAIT, "empty")
    if not facts.sheet_written:
        return Step(Action.WRITE_SHEET)
    if facts.sheet_lost:
        return Step(Action.STOP) if facts.sheet_undecided else Step(Action.FLAG, "sheet-lost")
    if not facts.written and (facts.has_additions or facts.documents_due):
        return Step(Action.WAIT, "sheet") if facts.sheet_awaited else Step(Action.PUBLISH)
    return Step(Action.SETTLE)


def _free_source(facts: Facts) -> Step:
    if facts.state is not State.PUBLISHED or not facts.has_source or facts.sheet_undecided:
        return Step(Action.STOP)
    if facts.removal is None:
        return Step(Action.CONSIDER_REMOVAL)
    if facts.removal is Removal.WANTED:
        return Step(Action.REMOVE)
    if facts.removal is Removal.LACKS_DOCUMENTS:
        return Step(Action.PUBLISH_AGAIN)
    return Step(Action.STOP)
