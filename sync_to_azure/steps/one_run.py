"""One run in one pass: from a look at its folder to its removal. The life of a run, in order."""

from __future__ import annotations

import logging

from sync_to_azure.errors import RunChanged, RunError
from sync_to_azure.ledger.audits import Audits
from sync_to_azure.model import State
from sync_to_azure.names import SHEET_BLOB
from sync_to_azure.options import CONTINUOUS
from sync_to_azure.reasons import Reason
from sync_to_azure.steps import (
    accept,
    adopt,
    carry,
    continuous,
    early,
    frozen,
    instrument_facts,
    instruments,
    look,
    publish,
    remove,
    sheets,
    words,
)
from sync_to_azure.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

SHEET_PATIENCE = 48 * 3600.0
"""Seconds after which a run without its sheet, or a sheet without its run, is told."""

_AT_THE_SOURCE = (
    "changed-after-verification",
    "changed-after-accept",
    "withdraw-refused",
    "snapshot-refused",
    "never-ended",
)
"""Flags that lie at the source alone: the lake need not be asked again, and they end when the folder goes."""


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
    if work.folder is None:
        without_folder(rooms, work)
        return
    problem = look.name_problem(work.folder)
    if problem:
        flag(rooms, work, Reason("bad-run-name", {"problem": problem}))
        return
    if run.state is State.REMOVING:
        # Cut off before the folder was moved aside: it is a published run as before.
        rooms.set_state(work, State.PUBLISHED, None, folder_mtime_ns=None)
    if look.nothing_new(rooms, work):
        if remove.wanted(rooms, work):
            _remove(rooms, work)
        return
    if run.state is State.VERIFIED and _only_a_sheet_lacks(rooms, work):
        tell_missing_sheet(rooms, work)
        return
    carry_and_publish(rooms, work)
    if remove.wanted(rooms, work):
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
        if waits is not None and unfinished(rooms, work, waits):
            # Of a folder of which nobody can say what it is, nothing.
            work.goes_on = waits.code not in instruments.OF_NO_FAMILY
            return
        held = instruments.held(rooms, work) if not run.is_published else None
        if held is not None and not _was_published(rooms, work):
            flag(rooms, work, held)
            return
    sheet, sheet_problem = sheets.read(work)
    work.sheet = sheet.content if sheet is not None else None
    if sheet_problem is not None and run.is_published:
        tell_sheet_problem(rooms, work, sheet_problem)
    files.clear_try()
    if run.is_published and not run.rows_kept:
        adopt.publication(rooms, work)
    sheets.place_own(rooms, work, sheet)
    look.into_ledger(rooms, work, finished=True)
    decision = look.is_quiet(rooms, work)
    if not run.is_published and not decision.ready:
        assert decision.reason is not None
        wait(rooms, work, decision.reason)
        work.goes_on = True
        return
    if not run.lake_known or not run.is_published:
        # Asked each time: a ledger that was set back, or another machine, must not make us send over what is published.
        adopt.publication(rooms, work)
        before = dict(work.renamed)
        sheets.place_own(rooms, work, sheet)
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
        wait(rooms, work, Reason("not-quiet-additions", parameters), changed)
        return
    _what_lacks(rooms, work, sheet, sheet_problem, changed)


def _what_lacks(
    rooms: Rooms,
    work: Work,
    sheet: sheets.Sheet | None,
    sheet_problem: Reason | None,
    changed: frozen.Differences,
) -> None:
    """The manifest says what the source holds: carry what the lake lacks of it, and publish."""
    run, files = work.run, rooms.files
    if rooms.settings.dry_run:
        carry.take_listing(rooms, work)
        if run.is_published and needs_the_lake(rooms, work, sheet, changed):
            frozen.mark_what_to_heal(rooms, work)
        count, size = files.to_send(run)
        rooms.set_state(work, run.state, Reason("dry-run", {"files": count, "bytes": size}))
        return
    if not needs_the_lake(rooms, work, sheet, changed):
        settle(rooms, work, changed)
        return
    if run.is_published and adopt.is_overtaken(rooms, work):
        _log.warning("%s: more of it was published than we knew; its manifest is read anew", work.key)
        rooms.ledger.set(run, lake_known=0)
        carry_and_publish(rooms, work)
        return
    _verify_and_publish(rooms, work, sheet, sheet_problem, changed)


def _was_published(rooms: Rooms, work: Work) -> bool:
    """Before a run is flagged as not carried: does the lake hold it, and only our ledger forgot? Asked once."""
    if not work.run.lake_known and not rooms.settings.dry_run:
        adopt.publication(rooms, work)
    return work.run.is_published


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
        wait(rooms, work, reason)
    else:
        rooms.set_state(work, run.state, early.told(rooms, work, reason))


def needs_the_lake(rooms: Rooms, work: Work, sheet: sheets.Sheet | None, changed: frozen.Differences) -> bool:
    """False for a published run of which nothing is new, unless a thorough look or an open flag asks for more."""
    run = work.run
    if not run.is_published or work.republish or rooms.files.unpublished(run) or words.thorough(rooms, work):
        return True
    if work.is_doubted:
        return True
    known_only = run.reason is not None and run.reason.code in _AT_THE_SOURCE
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
    sheet: sheets.Sheet | None,
    sheet_problem: Reason | None,
    changed: frozen.Differences,
) -> None:
    run, files = work.run, rooms.files
    if files.pending(run) if run.is_published else run.state is not State.FLAGGED:
        # A flag stays until it is solved: known trouble, that is looked at again, is no news.
        rooms.set_state(work, State.UPLOADING, None)
    verdict = carry.until_verified(rooms, work)
    if look.fingerprint_now(rooms, work) != work.fingerprint or instruments.tells_otherwise(work):
        raise RunChanged(f"{work.key}: files changed while they were carried")
    other_sheets = sheets.recognise(rooms, work, sheet)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    if files.held("taken-over")[0] and accept.taken_over(rooms, work, other_sheets):
        carry_and_publish(rooms, work)
        return
    for hold, code in (("lost", "blob-lost"), ("taken-over", "taken-over-differs")):
        count, names = files.held(hold)
        if count:
            flag(rooms, work, Reason(code, {"count": count, "names": names}))
            return
    count, uncarried = files.uncarried(run, holding_up=True)
    if count and changed.count:
        # The graver of the two: what an intruder leaves beside must not hide what he did.
        settle(rooms, work, changed)
        return
    if count:
        told = [f"{path} ({kind}{': ' + detail if detail else ''})" for path, kind, detail in uncarried[:20]]
        flag(rooms, work, Reason("uncarried", {"count": count, "names": told}))
        return
    if verdict.files == 0:
        never_ended = continuous.never_ended(rooms, work)
        if never_ended is not None:
            flag(rooms, work, never_ended)
            return
        wait(rooms, work, Reason("empty", {}) if work.continuous is None else continuous.at_rest(rooms, work))
        return
    # Only now: a published run's sheet and its manifest change together.
    sheets.carry(rooms, work, sheet)
    if sheets.is_lost(rooms, work):
        flag(rooms, work, Reason("blob-lost", {"count": 1, "names": [SHEET_BLOB]}))
        return
    healed = run.is_published and work.sent_files > 0
    if run.is_published and not adopt.documents_stand(rooms, work):
        work.republish = True
    if files.unpublished(run) or work.republish or healed:
        if sheets.is_awaited(rooms, work, sheet):
            reason = sheet_problem or Reason("no-sheet-yet", {"sheet": f"{work.key}.csv"})
            rooms.set_state(
                work, State.VERIFIED, reason, folder_mtime_ns=work.folder and work.folder.mtime_ns
            )
            tell_missing_sheet(rooms, work)
            return
        publish.publish(rooms, work, verdict)
        instrument_facts.tell_sheet(rooms, work)
    sheets.note_carried(rooms, work, sheet)
    _answer_audit(rooms, work)
    if work.is_doubted:
        rooms.ledger.set(run, lake_known=1)
    settle(rooms, work, changed)


def _answer_audit(rooms: Rooms, work: Work) -> None:
    """Files and documents of a published run were just proved: what an audit found before may be solved by that."""
    if Audits(rooms.ledger).answer(work.run, rooms.clock.now()):
        _log.info("%s: what an audit found is solved", work.key)


def settle(rooms: Rooms, work: Work, changed: frozen.Differences) -> None:
    """A published run at rest: remembered by its folder's mtime, or flagged because its source became another."""
    if work.continuous is None:
        early.forget(rooms, work)
    # Also here: a pass that was killed after the marker told nothing.
    instruments.tell_end(rooms, work)
    if changed.count:
        flag(rooms, work, Reason(changed.code, {"count": changed.count, "names": changed.names}))
        return
    never_ended = continuous.never_ended(rooms, work)
    if never_ended is not None:
        flag(rooms, work, never_ended)
        return
    if work.run.state is State.FLAGGED:
        _log.info("%s: what was flagged is solved", work.key)
    if work.continuous is not None:
        rooms.set_state(work, State.VERIFIED, continuous.at_rest(rooms, work))
        words.accepted(rooms, work)
        return
    mtime_ns = work.folder.mtime_ns if work.folder is not None else None
    rooms.set_state(work, State.PUBLISHED, None, folder_mtime_ns=mtime_ns)
    words.accepted(rooms, work)


def wait(rooms: Rooms, work: Work, reason: Reason | None, changed: frozen.Differences | None = None) -> None:
    if work.run.is_published:
        settle(rooms, work, changed or frozen.Differences())
        if work.run.state is State.PUBLISHED:
            # Not at rest: the next pass must look again, whatever the folder's mtime says.
            rooms.set_state(work, State.PUBLISHED, reason, folder_mtime_ns=None)
    else:
        rooms.set_state(work, State.WAITING, reason and early.told(rooms, work, reason))


def unfinished(rooms: Rooms, work: Work, waits: Reason, ask: bool = True) -> bool:
    """Nobody says that it is finished: it waits, or stands still for so long that a person should look. False where
    the lake holds it (it was accepted as it is, and our ledger forgot that): then it is an ordinary published run.
    """
    look.forget_quiet(rooms, work)
    stalled = look.stalled(rooms, work, waits) if waits.code == "flag-missing" else None
    if stalled is not None and ask and _was_published(rooms, work):
        return False
    if stalled is not None:
        flag(rooms, work, early.told(rooms, work, stalled))
    else:
        wait(rooms, work, waits)
    return True


def flag(rooms: Rooms, work: Work, reason: Reason) -> None:
    """A person should look. It is news once; as long as it lasts, it is known trouble."""
    if work.folder is None:
        reason = Reason(reason.code, {**reason.parameters, "source_gone": True})
    news = rooms.set_state(work, State.FLAGGED, reason)
    advice = f" ({reason.advice})" if reason.advice else ""
    how = f"; {words.command(rooms.settings, 'explain', work.key)}"
    rooms.trouble(
        f"{work.key}:{reason.code}", f"{work.key}: {reason.text}{advice}{how}", exit_code=1, new=news
    )


def changed_meanwhile(rooms: Rooms, work: Work, error: RunChanged) -> None:
    """The source moved while it was carried: nothing failed, the quiet time starts over."""
    _log.warning("%s", error)
    columns = {"fingerprint": None, "quiet_since": None}
    if work.run.is_published and not rooms.files.pending(work.run):
        state = State.PUBLISHED if work.continuous is None else State.WAITING
        rooms.set_state(work, state, Reason("changed-meanwhile"), **columns, folder_mtime_ns=None)
    else:
        rooms.set_state(work, State.WAITING, Reason("changed-meanwhile"), **columns)


def _only_a_sheet_lacks(rooms: Rooms, work: Work) -> bool:
    """Carried and verified, and nothing moved since: no listing until the sheet comes."""
    run, folder = work.run, work.folder
    assert folder is not None
    waits = run.reason is not None and run.reason.code in (
        "no-sheet-yet",
        "sheet-ambiguous",
        "sheet-unreadable",
    )
    optional = rooms.settings.sheet_optional or rooms.settings.samplesheet_folder is None
    at_rest = run.folder_mtime_ns == folder.mtime_ns and not words.thorough(rooms, work)
    return waits and not optional and not work.sheets and at_rest


def tell_missing_sheet(rooms: Rooms, work: Work) -> None:
    reason = work.run.reason
    now = rooms.clock.now()
    if reason is not None and reason.code in ("sheet-ambiguous", "sheet-unreadable"):
        tell_sheet_problem(rooms, work, reason)
    elif now - work.run.first_seen >= SHEET_PATIENCE and rooms.ledger.tell_once(f"no-sheet:{work.key}", now):
        text = f"{work.key} has been without its sample sheet for 48 h; without it, it is not published"
        rooms.trouble(f"{work.key}:no-sheet", text, once=True)


def tell_sheet_problem(rooms: Rooms, work: Work, reason: Reason) -> None:
    if rooms.ledger.tell_once(f"{reason.code}:{work.key}", rooms.clock.now()):
        rooms.trouble(f"{work.key}:{reason.code}", f"{work.key}: {reason.text}", once=True)


def without_folder(rooms: Rooms, work: Work) -> None:
    """Only a sheet, or only the ledger, knows this run: its folder is not there (yet, or any more)."""
    run, now = work.run, rooms.clock.now()
    if run.state is State.REMOVING:
        remove.settle_absent(rooms, work)
        return
    accept.take_back(rooms, work)
    first_look_at_sheet = run.state is State.EXPECTED and not run.lake_known and bool(work.sheets)
    if first_look_at_sheet or (
        run.is_published and (look.sheet_changed(work) or not run.lake_known or words.thorough(rooms, work))
    ):
        in_the_lake_only(rooms, work)
    if run.is_published:
        solved = run.state is not State.FLAGGED or (run.reason and run.reason.code in _AT_THE_SOURCE)
        if solved and run.state not in (State.REMOVED, State.GONE):
            reason = continuous.left(rooms, work) or Reason("not-there")
            rooms.set_state(work, State.GONE, reason)
            _log.info("%s: %s", work.key, reason.text)
            if reason.advice:
                rooms.trouble(
                    f"{work.key}:{reason.code}", f"{work.key}: {reason.text} ({reason.advice})", once=True
                )
        elif (
            not solved
            and run.reason is not None
            and not any(t.key.startswith(f"{run.key}:") for t in rooms.troubles)
        ):
            flag(rooms, work, run.reason)
    elif run.state is State.EXPECTED:
        if not work.sheets:
            rooms.set_state(work, State.GONE, None)
        elif now - run.first_seen >= SHEET_PATIENCE and rooms.ledger.tell_once(f"no-run:{work.key}", now):
            text = f"sample sheet {work.key}.csv has been waiting for its run for 48 h"
            rooms.trouble(f"{work.key}:no-run", text, once=True)
    elif run.state is not State.GONE:
        reason = early.told(rooms, work, Reason("vanished"))
        rooms.set_state(work, State.GONE, reason)
        rooms.trouble(f"{work.key}:vanished", f"{work.key}: {reason.text}", once=True)
    elif work.sheets:
        rooms.set_state(work, State.EXPECTED, Reason("no-run-yet"))


def in_the_lake_only(rooms: Rooms, work: Work) -> None:
    """The source is gone: what is published is looked at in the lake, and a late or changed sheet is carried."""
    run, files = work.run, rooms.files
    files.clear_try()
    if not run.lake_known or (run.is_published and not run.rows_kept):
        adopt.publication(rooms, work)
    if not run.is_published or rooms.settings.dry_run:
        return
    sheet, _ = sheets.read(work)
    work.sheet = sheet.content if sheet is not None else None
    if run.rows_kept:
        sheets.place_own(rooms, work, sheet)
        carry.take_listing(rooms, work)
    verdict = files.verdict(run)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    of_the_sheet = int(sheet is not None and sheets.is_lost(rooms, work))
    if not run.rows_kept or verdict.wrong_count > of_the_sheet:
        names = list(verdict.wrong) or [f"{work.key}.sync"]
        flag(rooms, work, Reason("blob-lost", {"count": max(verdict.wrong_count, 1), "names": names}))
        return
    state = State.REMOVED if run.state is State.REMOVED else State.GONE
    sheets.carry(rooms, work, sheet)
    if work.republish or not adopt.documents_stand(rooms, work):
        publish.publish(rooms, work, verdict)
    sheets.note_carried(rooms, work, sheet)
    _answer_audit(rooms, work)
    rooms.set_state(work, state, Reason("not-there") if state is State.GONE else None)
    rooms.ledger.set(run, rows_kept=0)
    files.forget(run)
