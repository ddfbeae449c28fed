"""One run in one pass: from a look at its folder to its removal. The life of a run, in order."""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import Overtaken, RunChanged, RunError
from sync_to_azure.core.model import State
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.settings.options import CONTINUOUS
from sync_to_azure.core.reasons import OF_NO_FAMILY, Reason
from sync_to_azure.transfer.steps import (
    accept,
    adopt,
    carry,
    claims,
    continuous,
    early,
    flagging,
    frozen,
    gone,
    instrument_facts,
    instruments,
    look,
    publish,
    remove,
    rest,
    sheet_changes,
    sheet_writing,
    sheets,
    words,
)
from sync_to_azure.transfer.steps.looks import Sheet
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.notify.terminal import human_size

_log = logging.getLogger(__name__)

_PLANS = 3


def step(rooms: Rooms, work: Work) -> None:
    """Bring a run as far as it goes now, unless a person said otherwise. Raises RunError for this run,
    SurroundingsError for what all runs need."""
    if words.stops(rooms, work):
        words.stand_still(rooms, work)
        return
    words.begin(rooms, work)
    try:
        _step(rooms, work)
    except words.Spoken:
        _log.info("%s: a person's word came while it was worked on", work.key)
        words.stand_still(rooms, work)
        return
    except RunError:
        words.end(rooms, work)
        raise
    words.end(rooms, work)


def _step(rooms: Rooms, work: Work) -> None:
    run = work.run
    sheets.look(rooms, work)
    if work.folder is None:
        gone.without_folder(rooms, work)
        return
    problem = look.name_problem(work.folder)
    if problem:
        flagging.flag(rooms, work, Reason("bad-run-name", {"problem": problem}))
        return
    if run.state is State.REMOVING:
        # Cut off before the folder was moved aside: it is a published run as before.
        rooms.set_state(work, State.PUBLISHED, None, folder_mtime_ns=None)
    if look.nothing_new(rooms, work):
        if remove.wanted(rooms, work):
            _remove(rooms, work)
        return
    if run.state is State.VERIFIED and _only_a_sheet_lacks(rooms, work):
        if work.sheet_waits is not None:
            rooms.set_state(work, State.VERIFIED, work.sheet_waits)
        rest.tell_missing_sheet(rooms, work)
        return
    carry_and_publish(rooms, work)
    if work.sheet_counted is None and remove.wanted(rooms, work):
        _remove(rooms, work)


def _remove(rooms: Rooms, work: Work) -> None:
    words.go_on(rooms, work)
    if adopt.lacks_documents(rooms, work):
        # With the source the ledger's rows go too: what stands in the lake is the only manifest from then on.
        _log.warning(
            "%s: what its manifest, receipt or checksums were is written anew before it is removed", work.key
        )
        work.republish = True
        carry_and_publish(rooms, work)
        return
    remove.remove(rooms, work)


def carry_and_publish(rooms: Rooms, work: Work) -> None:
    """Planned again, up to three times, where somebody else wrote below the run since it was listed: what stands there
    by now, and whose it is, is asked again."""
    for plan in range(1, _PLANS + 1):
        try:
            _carry_and_publish(rooms, work)
            return
        except Overtaken as error:
            if plan == _PLANS:
                raise RunError(
                    f"{work.key}: somebody else writes to the same blobs, {_PLANS} plans of this pass were overtaken:"
                    f" {error.message}",
                    "find out who writes there; the next pass tries again",
                ) from error
            _log.warning("%s: %s", work.key, error)
            rooms.ledger.doubt_remote(work.run)
            # Whose it is, is asked again: another flow may have taken it over.
            work.claim = None


def _carry_and_publish(rooms: Rooms, work: Work) -> None:
    run, files = work.run, rooms.files
    assert work.folder is not None
    if run.is_published and (run.profile in CONTINUOUS) is not (work.continuous is not None):
        # The profile was changed. The lake says as what it was published, and no flag was asked for then.
        adopt.publication(rooms, work)
    if work.continuous is not None:
        changed = continuous.prepare(rooms, work)
        if changed is not None:
            _what_lacks(rooms, work, None, None, changed)
        return
    accept.take_back(rooms, work)
    if not run.is_published:
        waits = look.unfinished(rooms, work)
        if waits is not None and rest.unfinished(rooms, work, waits):
            # Of a folder of which nobody can say what it is, nothing.
            work.goes_on = waits.code not in OF_NO_FAMILY
            return
        held = instruments.held(rooms, work) if not run.is_published else None
        if held is not None and not adopt.was_published(rooms, work):
            flagging.flag(rooms, work, held)
            return
    found, sheet_problem = sheets.read(rooms, work)
    if sheet_problem is not None and run.is_published and work.sheet_waits is None:
        rest.tell_sheet_problem(rooms, work, sheet_problem)
    files.clear_try()
    if run.is_published and not run.rows_kept:
        adopt.publication(rooms, work)
    sheet = sheet_changes.usable(rooms, work, found)
    sheet_writing.place_own(rooms, work, sheet)
    look.into_ledger(rooms, work, finished=True)
    decision = look.is_quiet(rooms, work)
    if not run.is_published and not decision.ready:
        assert decision.reason is not None
        rest.wait(rooms, work, decision.reason)
        work.goes_on = True
        return
    if not run.lake_known or not run.is_published:
        # Asked each time: a ledger that was set back, or another machine, must not make us send over what is published.
        adopt.publication(rooms, work)
        before = dict(work.renamed)
        sheet = sheet_changes.usable(rooms, work, found)
        sheet_writing.place_own(rooms, work, sheet)
        if work.renamed != before:
            look.into_ledger(rooms, work, finished=True)
    changed = frozen.Differences()
    if run.is_published:
        changed = frozen.changed_at_source(rooms, work)
        changed = accept.changed_files(rooms, work, changed, decision.ready)
        if files.pending(run) and not decision.ready:
            parameters = dict(decision.reason.parameters) if decision.reason else {}
            rooms.set_state(work, State.WAITING, Reason("accepted-not-quiet", parameters))
            return
    files.merge_walk(run)
    early.settled(rooms, work)
    if run.is_published and files.unpublished(run) and not decision.ready:
        parameters = dict(decision.reason.parameters) if decision.reason else {}
        rest.wait(rooms, work, Reason("not-quiet-additions", parameters), changed)
        return
    _what_lacks(rooms, work, sheet, sheet_problem, changed)


def _what_lacks(
    rooms: Rooms,
    work: Work,
    sheet: Sheet | None,
    sheet_problem: Reason | None,
    changed: frozen.Differences,
) -> None:
    """The manifest says what the source holds: carry what the lake lacks of it, and publish."""
    run, files = work.run, rooms.files
    if rooms.settings.mode.dry_run:
        carry.take_listing(rooms, work)
        if run.is_published and needs_the_lake(rooms, work, sheet, changed):
            frozen.mark_what_to_heal(rooms, work)
        count, size = files.to_send(run)
        rooms.set_state(work, run.state, Reason("dry-run", {"files": count, "size": human_size(size)}))
        if count or not run.is_published:
            remove.preview_after_carrying(rooms, work, sheet, sheet_problem, changed)
        return
    if not needs_the_lake(rooms, work, sheet, changed):
        rest.settle(rooms, work, changed)
        return
    if run.is_published and adopt.is_overtaken(rooms, work):
        _log.warning("%s: more of it was published than we knew; its manifest is read anew", work.key)
        rooms.ledger.doubt_remote(run)
        _carry_and_publish(rooms, work)
        return
    _verify_and_publish(rooms, work, sheet, sheet_problem, changed)


def carry_ahead(rooms: Rooms, work: Work) -> None:
    """What stands still of a run that waits; called when all that is finished was carried."""
    run, reason = work.run, work.run.reason
    assert reason is not None
    if words.stops(rooms, work):
        words.stand_still(rooms, work)
        return
    early.ahead(rooms, work)
    if run.is_published:
        # It is complete by the lake's word; the source is looked at in the next pass.
        rest.wait(rooms, work, reason)
    else:
        rooms.set_state(work, run.state, early.told(rooms, work, reason))


def needs_the_lake(rooms: Rooms, work: Work, sheet: Sheet | None, changed: frozen.Differences) -> bool:
    """False for a published run of which nothing is new, unless a thorough look or an open flag asks for more."""
    run = work.run
    if not run.is_published or work.republish or rooms.files.unpublished(run) or words.thorough(rooms, work):
        return True
    if work.is_doubted:
        return True
    known_only = run.reason is not None and run.reason.code in (*rest.AT_THE_SOURCE, *flagging.OF_THE_SHEET)
    if run.state in (State.FLAGGED, State.FAILING) and not known_only:
        return True
    if sheet is None:
        return False
    carried = rooms.files.get(run, SHEET_BLOB)
    if carried is not None and carried.md5 == sheet.md5:
        sheets.note_carried(rooms, work, sheet)
        return False
    return True


def _verify_and_publish(
    rooms: Rooms,
    work: Work,
    sheet: Sheet | None,
    sheet_problem: Reason | None,
    changed: frozen.Differences,
) -> None:
    run, files = work.run, rooms.files
    if files.pending(run) if run.is_published else run.state is not State.FLAGGED:
        # A flag stays until it is solved: known trouble, that is looked at again, is no news.
        rooms.set_state(work, State.UPLOADING, None)
    try:
        verdict = carry.until_verified(rooms, work)
    except RunChanged:
        raise
    except RunError:
        rest.tell_change(rooms, work, changed)
        raise
    if look.fingerprint_now(rooms, work) != work.fingerprint or instruments.tells_otherwise(work):
        raise RunChanged(f"{work.key}: files changed while they were carried")
    other_sheets = sheets.recognise(rooms, work, sheet)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    if files.held("taken-over")[0] and accept.taken_over(rooms, work, other_sheets):
        _carry_and_publish(rooms, work)
        return
    for hold, code in (("lost", "blob-lost"), ("taken-over", "taken-over-differs")):
        count, names = files.held(hold)
        if count:
            flagging.flag(rooms, work, Reason(code, {"count": count, "names": names}))
            return
    count, uncarried = files.uncarried(run, holding_up=True)
    if count and changed.count:
        # The graver of the two: what an intruder leaves beside must not hide what he did.
        rest.settle(rooms, work, changed)
        return
    if count:
        told = [f"{path} ({kind}{': ' + detail if detail else ''})" for path, kind, detail in uncarried[:20]]
        flagging.flag(rooms, work, Reason("uncarried", {"count": count, "names": told}))
        return
    if verdict.files == 0:
        never_ended = continuous.never_ended(rooms, work)
        if never_ended is not None:
            flagging.flag(rooms, work, never_ended)
            return
        rest.wait(
            rooms, work, Reason("empty", {}) if work.continuous is None else continuous.at_rest(rooms, work)
        )
        return
    if not run.is_published:
        # Nothing had to be sent, perhaps; what is written from here on is.
        claims.take(rooms, work, lambda: carry.all_is_ours(rooms, work))
    # Only now: a published run's sheet and its manifest change together.
    sheet_writing.carry(rooms, work, sheet)
    if sheets.is_lost(rooms, work):
        if work.sheet_counted is not None:
            # The end of the pass decides whether the new one takes its place.
            return
        flagging.flag(rooms, work, Reason("blob-lost", {"count": 1, "names": [SHEET_BLOB]}))
        return
    healed = run.is_published and work.sent_files > 0
    if run.is_published and not adopt.documents_stand(rooms, work):
        work.republish = True
    if files.unpublished(run) or work.republish or healed:
        if sheets.is_awaited(rooms, work, sheet):
            reason = work.sheet_waits or sheet_problem or sheets.missing(rooms, work)
            rooms.set_state(work, State.VERIFIED, reason, folder_mtime_ns=rest.at_rest(rooms, work))
            rest.tell_missing_sheet(rooms, work)
            return
        publish.publish(rooms, work, verdict)
        instrument_facts.tell_sheet(rooms, work)
    sheets.note_carried(rooms, work, sheet)
    rest.answer_audit(rooms, work)
    if work.is_doubted:
        rooms.ledger.trust_remote(run)
    rest.settle(rooms, work, changed)


def _only_a_sheet_lacks(rooms: Rooms, work: Work) -> bool:
    """Carried and verified, and nothing moved since: no listing until the sheet comes, or is quiet."""
    run, folder = work.run, work.folder
    assert folder is not None
    waits = run.reason is not None and run.reason.code in (
        *sheets.NOT_THERE,
        "sheet-ambiguous",
        "sheet-unreadable",
        sheets.NOT_QUIET,
    )
    optional = rooms.settings.source.sheet_optional or rooms.settings.source.samplesheet_folder is None
    at_rest = run.folder_mtime_ns == folder.mtime_ns and not words.thorough(rooms, work)
    not_there = not optional and not work.sheets
    return waits and at_rest and (not_there or work.sheet_waits is not None)
