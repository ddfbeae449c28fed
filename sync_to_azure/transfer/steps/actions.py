"""What each action of ``next_step`` does: a step of the pass, and what it found. None decides what comes next."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from sync_to_azure.core.errors import FilesChanged, RunError
from sync_to_azure.core.model import State
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.core.reasons import OF_NO_FAMILY, Reason
from sync_to_azure.notify.terminal import human_size
from sync_to_azure.transfer.decisions.next_step import Action, Removal
from sync_to_azure.transfer.steps import (
    accept,
    adopt,
    carry,
    claims,
    continuous,
    early,
    finished,
    flagging,
    frozen,
    gathering,
    gone,
    instrument_facts,
    instruments,
    look,
    placing,
    publish,
    remove,
    rest,
    sheet_changes,
    sheet_writing,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.findings import Findings, Proved
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

_also = dataclasses.replace


def act(rooms: Rooms, work: Work, action: Action, why: str) -> Findings:
    """Do it. Raises what the step raises: RunError for this run, UnavailableError for what all runs need."""
    if action is Action.FLAG:
        _flag(rooms, work, why)
    elif action is Action.WAIT:
        _wait(rooms, work, why)
    else:
        return _ACTIONS[action](rooms, work)
    return _also(work.found, ended=True, goes_on=_goes_on(work.found, why))


def planned_again(rooms: Rooms, work: Work, plan: int) -> Findings:
    """Somebody else wrote below the run: what stands there by now, and whose it is, is asked again."""
    rooms.ledger.doubt_remote(work.run)
    # Another flow may have taken it over.
    work.claim = None
    return work.found.planned_again(plan)


def _goes_on(found: Findings, why: str) -> bool:
    """Is it not finished, so that what stands still may be uploaded ahead? Nothing is of a folder of which nobody can
    say what it is."""
    judged = found.judged
    if why in ("unfinished", "stalled") and judged is not None and judged.waits is not None:
        return judged.waits.code not in OF_NO_FAMILY
    return why == "not-quiet"


# Looking


def _resume(rooms: Rooms, work: Work) -> Findings:
    """Cut off before the folder was moved aside: it is a published run as before."""
    rooms.set_state(work, State.PUBLISHED, None, folder_mtime_ns=None)
    return work.found


def _prepare(rooms: Rooms, work: Work) -> Findings:
    if work.continuous is not None:
        continuous.note_profile(rooms, work)
    accept.take_back(rooms, work)
    return _also(work.found, begun=True, prepared=True, remote_asked=False)


def _check_finished(rooms: Rooms, work: Work) -> Findings:
    return _also(work.found, judged=finished.judge(rooms, work))


def _adopt(rooms: Rooms, work: Work) -> Findings:
    found = _also(work.found, begun=True, remote_asked=True)
    adopt.publication(rooms, work)
    if not found.prepared:
        return found
    if work.continuous is not None:
        found = _also(found, is_doubted=work.run.is_published)
        if found.is_doubted:
            # Until it was compared.
            rooms.ledger.doubt_remote(work.run)
    elif found.quiet is not None:
        before = dict(work.renamed)
        _place_sheet(rooms, work)
        if work.renamed != before:
            look.into_ledger(rooms, work, finished=True)
    return found


def _read_sheet(rooms: Rooms, work: Work) -> Findings:
    sheet, problem = sheets.read(rooms, work)
    if problem is not None and work.run.is_published and work.sheet_waits is None:
        rest.tell_sheet_problem(rooms, work, problem)
    return _also(work.found, sheet_read=True, outside_sheet=sheet, sheet_problem=problem)


def _scan(rooms: Rooms, work: Work) -> Findings:
    rooms.files.scratch.clear_try()
    if work.continuous is not None:
        placing.into_ledger(rooms, work)
        # What is not quiet was let wait, file by file.
        return _also(work.found, quiet=finished.QUIET)
    _place_sheet(rooms, work)
    look.into_ledger(rooms, work, finished=True)
    return _also(work.found, quiet=finished.is_quiet(rooms, work), remote_asked=False)


def _place_sheet(rooms: Rooms, work: Work) -> None:
    sheet = sheet_changes.usable(rooms, work, work.found.outside_sheet)
    sheet_writing.place_own(rooms, work, sheet)


def _compare(rooms: Rooms, work: Work) -> Findings:
    """What the scan saw with what is published."""
    found, run = work.found, work.run
    if not run.is_published:
        return _also(found, changed=Differences())
    if work.continuous is not None:
        changed = continuous.compare(rooms, work)
    else:
        assert found.quiet is not None
        changed = frozen.changed_at_source(rooms, work)
        changed = accept.changed_files(rooms, work, changed, found.quiet.ready)
    return _also(found, changed=changed, replaces_pending=rooms.files.changes.pending(run) > 0)


def _update_manifest(rooms: Rooms, work: Work) -> Findings:
    rooms.files.plan.merge_walk(work.run)
    if work.continuous is None:
        early.settled(rooms, work)
    return _also(work.found, has_additions=rooms.files.unpublished(work.run) > 0)


def _check_remote(rooms: Rooms, work: Work) -> Findings:
    return _also(work.found, is_overtaken=adopt.is_overtaken(rooms, work))


def _plan_again(rooms: Rooms, work: Work) -> Findings:
    _log.warning("%s: more of it was published than we knew; its manifest is read anew", work.key)
    rooms.ledger.doubt_remote(work.run)
    return work.found.planned_again()


# Writing at the destination


def _upload(rooms: Rooms, work: Work) -> Findings:
    run, files = work.run, rooms.files
    if files.changes.pending(run) if run.is_published else run.state is not State.FLAGGED:
        # A flag stays until it is solved: known trouble, that is looked at again, is no news.
        rooms.set_state(work, State.UPLOADING, None)
    try:
        verdict = carry.until_verified(rooms, work)
    except FilesChanged:
        raise
    except RunError:
        rest.tell_change(rooms, work, _changed(work.found))
        raise
    if look.fingerprint_now(rooms, work) != work.fingerprint or instruments.tells_otherwise(work):
        raise FilesChanged(f"{work.key}: files changed while they were carried")
    others = sheets.recognise(rooms.files, work.run, work.sheets, work.sheet)
    rooms.ledger.set(run, weakest=int(verdict.weakest), verified_at=rooms.clock.now())
    count, unusable = files.plan.uncarried(run, holding_up=True)
    names = [f"{path} ({kind}{': ' + detail if detail else ''})" for path, kind, detail in unusable[:20]]
    lost, foreign = files.scratch.held("lost"), files.scratch.held("taken-over")
    return _also(work.found, proved=Proved(verdict, lost, foreign, (count, names), others))


def _replace_foreign(rooms: Rooms, work: Work) -> Findings:
    if accept.taken_over(rooms, work, _proved(work.found).other_sheets):
        return work.found.planned_again()
    return _also(work.found, foreign_offered=True)


def _write_sheet(rooms: Rooms, work: Work) -> Findings:
    """Only now: a published run's sheet and its manifest change together."""
    if not work.run.is_published:
        # Nothing had to be sent, perhaps; what is written from here on is.
        claims.take(rooms, work, lambda: carry.all_is_ours(rooms, work))
    sheet_writing.carry(rooms, work, work.sheet)
    is_lost = sheets.is_lost(rooms.files, work.run)
    if work.run.is_published and not is_lost and not adopt.documents_stand(rooms, work):
        work.republish = True
    return _also(work.found, sheet_written=True, has_additions=rooms.files.unpublished(work.run) > 0)


def _publish(rooms: Rooms, work: Work) -> Findings:
    publish.publish(rooms, work, _proved(work.found).verdict)
    instrument_facts.tell_sheet(rooms, work)
    return _also(work.found, written=True, has_additions=False)


# The end


def _settle(rooms: Rooms, work: Work) -> Findings:
    sheets.note_carried(rooms.ledger, work.run, work.sheet)
    if work.found.proved is not None:
        rest.answer_audit(rooms, work)
        if work.found.is_doubted:
            rooms.ledger.trust_remote(work.run)
    rest.settle(rooms, work, _changed(work.found))
    return _also(work.found, ended=True)


def _preview(rooms: Rooms, work: Work) -> Findings:
    """Of a dry run: what would be uploaded."""
    found, run, files = work.found, work.run, rooms.files
    carry.take_listing(rooms, work)
    if run.is_published and gathering.facts_of(rooms, work).needs_upload:
        frozen.mark_what_to_heal(rooms, work)
    count, size = files.plan.to_send(run)
    rooms.set_state(work, run.state, Reason("dry-run", {"files": count, "size": human_size(size)}))
    if count or not run.is_published:
        remove.preview_after_carrying(rooms, work, work.sheet, found.sheet_problem, _changed(work.found))
    return _also(found, ended=True)


def _handle_missing_source(rooms: Rooms, work: Work) -> Findings:
    gone.without_folder(rooms, work)
    return _also(work.found, ended=True)


def _wait(rooms: Rooms, work: Work, why: str) -> None:
    found = work.found
    if why == "unfinished":
        assert found.judged is not None and found.judged.waits is not None
        rest.wait(rooms, work, found.judged.waits)
    elif why == "not-quiet":
        assert found.quiet is not None
        rest.wait(rooms, work, found.quiet.reason)
    elif why == "half-a-data-set":
        continuous.wait_for_half(rooms, work)
    elif why == "accepted-not-quiet":
        rooms.set_state(work, State.WAITING, Reason(why, _quiet_since(work.found)))
    elif why == "not-quiet-additions":
        rest.wait(rooms, work, Reason(why, _quiet_since(work.found)), _changed(work.found))
    elif why == "empty":
        is_run = work.continuous is None
        rest.wait(rooms, work, Reason("empty", {}) if is_run else continuous.at_rest(rooms, work))
    elif why == "same-sheet":
        if work.sheet_waits is not None:
            rooms.set_state(work, State.VERIFIED, work.sheet_waits)
        rest.tell_missing_sheet(rooms, work)
    else:
        assert why == "sheet"
        reason = work.sheet_waits or found.sheet_problem or sheets.missing(rooms, work)
        rooms.set_state(work, State.VERIFIED, reason, folder_mtime_ns=rest.at_rest(rooms, work))
        rest.tell_missing_sheet(rooms, work)


def _flag(rooms: Rooms, work: Work, why: str) -> None:
    found = work.found
    if why == "changed":
        rest.settle(rooms, work, _changed(work.found))
    elif why == "bad-run-name":
        assert work.folder is not None
        flagging.flag(rooms, work, Reason(why, {"problem": look.name_problem(work.folder)}))
    elif why == "held":
        assert found.judged is not None and found.judged.reason is not None
        flagging.flag(rooms, work, found.judged.reason)
    elif why == "stalled":
        assert found.judged is not None and found.judged.reason is not None
        flagging.flag(rooms, work, early.told(rooms.files, rooms.ledger, work.run, found.judged.reason))
    elif why == "never-ended":
        never_ended = continuous.never_ended(rooms, work)
        assert never_ended is not None
        flagging.flag(rooms, work, never_ended)
    elif why == "sheet-lost":
        flagging.flag(rooms, work, Reason("blob-lost", {"count": 1, "names": [SHEET_BLOB]}))
    else:
        proved = _proved(work.found)
        held = {"blob-lost": proved.lost, "taken-over-differs": proved.foreign, "uncarried": proved.unusable}
        count, names = held[why]
        flagging.flag(rooms, work, Reason(why, {"count": count, "names": names}))


def _consider_removal(rooms: Rooms, work: Work) -> Findings:
    removal = Removal.NOT_NOW
    if remove.wanted(rooms, work):
        override_checks.go_on(rooms, work)
        removal = Removal.LACKS_DOCUMENTS if adopt.lacks_documents(rooms, work) else Removal.WANTED
    return _also(work.found, ended=True, removal=removal)


def _publish_again(rooms: Rooms, work: Work) -> Findings:
    """With the source the ledger's rows go too: what stands at the destination is the only manifest from then on."""
    _log.warning(
        "%s: what its manifest, receipt or checksums were is written anew before it is removed", work.key
    )
    work.republish = True
    return _also(work.found.planned_again(1), removal=Removal.DONE)


def _remove(rooms: Rooms, work: Work) -> Findings:
    remove.remove(rooms, work)
    return _also(work.found, removal=Removal.DONE)


def _changed(found: Findings) -> Differences:
    return found.changed or Differences()


def _proved(found: Findings) -> Proved:
    assert found.proved is not None
    return found.proved


def _quiet_since(found: Findings) -> dict[str, object]:
    quiet = found.quiet
    return dict(quiet.reason.parameters) if quiet is not None and quiet.reason is not None else {}


_ACTIONS: dict[Action, Callable[[Rooms, Work], Findings]] = {
    Action.HANDLE_MISSING_SOURCE: _handle_missing_source,
    Action.RESUME: _resume,
    Action.PREPARE: _prepare,
    Action.CHECK_FINISHED: _check_finished,
    Action.ADOPT: _adopt,
    Action.READ_SHEET: _read_sheet,
    Action.SCAN: _scan,
    Action.COMPARE: _compare,
    Action.UPDATE_MANIFEST: _update_manifest,
    Action.PREVIEW: _preview,
    Action.CHECK_REMOTE: _check_remote,
    Action.UPLOAD: _upload,
    Action.REPLACE_FOREIGN: _replace_foreign,
    Action.WRITE_SHEET: _write_sheet,
    Action.PUBLISH: _publish,
    Action.SETTLE: _settle,
    Action.PLAN_AGAIN: _plan_again,
    Action.CONSIDER_REMOVAL: _consider_removal,
    Action.PUBLISH_AGAIN: _publish_again,
    Action.REMOVE: _remove,
}
