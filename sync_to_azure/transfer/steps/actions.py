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
    incremental,
    finished,
    flagging,
    frozen,
    gathering,
    missing_source,
    instrument_facts,
    instruments,
    scan,
    placing,
    publish,
    remove,
    outcomes,
    sheet_changes,
    sheet_writing,
    sheets,
    override_checks,
)
from sync_to_azure.transfer.steps.findings import Findings, Proved
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

_also = dataclasses.replace


def act(context: PassContext, current: RunContext, action: Action, why: str) -> Findings:
    """Do it. Raises what the step raises: RunError for this run, UnavailableError for what all runs need."""
    if action is Action.FLAG:
        _flag(context, current, why)
    elif action is Action.WAIT:
        _wait(context, current, why)
    else:
        return _ACTIONS[action](context, current)
    return _also(current.found, ended=True, goes_on=_goes_on(current.found, why))


def planned_again(context: PassContext, current: RunContext, plan: int) -> Findings:
    """Somebody else wrote below the run: what stands there by now, and whose it is, is asked again."""
    context.ledger.doubt_remote(current.run)
    # Another flow may have taken it over.
    current.claim = None
    return current.found.planned_again(plan)


def _goes_on(found: Findings, why: str) -> bool:
    """Is it not finished, so that what stands still may be uploaded ahead? Nothing is of a folder of which nobody can
    say what it is."""
    judged = found.judged
    if why in ("unfinished", "stalled") and judged is not None and judged.waits is not None:
        return judged.waits.code not in OF_NO_FAMILY
    return why == "not-quiet"


# Looking


def _resume(context: PassContext, current: RunContext) -> Findings:
    """Cut off before the folder was moved aside: it is a published run as before."""
    context.set_state(current, State.PUBLISHED, None, folder_mtime_ns=None)
    return current.found


def _prepare(context: PassContext, current: RunContext) -> Findings:
    if current.continuous is not None:
        continuous.note_profile(context, current)
    accept.take_back(context, current)
    return _also(current.found, begun=True, prepared=True, remote_asked=False)


def _check_finished(context: PassContext, current: RunContext) -> Findings:
    return _also(current.found, judged=finished.judge(context, current))


def _adopt(context: PassContext, current: RunContext) -> Findings:
    found = _also(current.found, begun=True, remote_asked=True)
    adopt.publication(context, current)
    if not found.prepared:
        return found
    if current.continuous is not None:
        found = _also(found, is_doubted=current.run.is_published)
        if found.is_doubted:
            # Until it was compared.
            context.ledger.doubt_remote(current.run)
    elif found.quiet is not None:
        before = dict(current.renamed)
        _place_sheet(context, current)
        if current.renamed != before:
            scan.into_ledger(context, current, finished=True)
    return found


def _read_sheet(context: PassContext, current: RunContext) -> Findings:
    sheet, problem = sheets.read(context, current)
    if problem is not None and current.run.is_published and current.sheet_waits is None:
        outcomes.tell_sheet_problem(context, current, problem)
    return _also(current.found, sheet_read=True, outside_sheet=sheet, sheet_problem=problem)


def _scan(context: PassContext, current: RunContext) -> Findings:
    context.files.scratch.clear_try()
    if current.continuous is not None:
        placing.into_ledger(context, current)
        # What is not quiet was let wait, file by file.
        return _also(current.found, quiet=finished.QUIET)
    _place_sheet(context, current)
    scan.into_ledger(context, current, finished=True)
    return _also(current.found, quiet=finished.is_quiet(context, current), remote_asked=False)


def _place_sheet(context: PassContext, current: RunContext) -> None:
    sheet = sheet_changes.usable(context, current, current.found.outside_sheet)
    sheet_writing.place_own(context, current, sheet)


def _compare(context: PassContext, current: RunContext) -> Findings:
    """What the scan saw with what is published."""
    found, run = current.found, current.run
    if not run.is_published:
        return _also(found, changed=Differences())
    if current.continuous is not None:
        changed = continuous.compare(context, current)
    else:
        assert found.quiet is not None
        changed = frozen.changed_at_source(context, current)
        changed = accept.changed_files(context, current, changed, found.quiet.ready)
    return _also(found, changed=changed, replaces_pending=context.files.changes.pending(run) > 0)


def _update_manifest(context: PassContext, current: RunContext) -> Findings:
    context.files.plan.merge_walk(current.run)
    if current.continuous is None:
        incremental.settled(context, current)
    return _also(current.found, has_additions=context.files.unpublished(current.run) > 0)


def _check_remote(context: PassContext, current: RunContext) -> Findings:
    return _also(current.found, is_overtaken=adopt.is_overtaken(context, current))


def _plan_again(context: PassContext, current: RunContext) -> Findings:
    _log.warning(
        "%s: more of it was published than the state file shows; its manifest is read again", current.key
    )
    context.ledger.doubt_remote(current.run)
    return current.found.planned_again()


# Writing at the destination


def _upload(context: PassContext, current: RunContext) -> Findings:
    run, files = current.run, context.files
    if files.changes.pending(run) if run.is_published else run.state is not State.FLAGGED:
        # A flag stays until it is solved: known trouble, that is looked at again, is no news.
        context.set_state(current, State.UPLOADING, None)
    try:
        verdict = carry.until_verified(context, current)
    except FilesChanged:
        raise
    except RunError:
        outcomes.tell_change(context, current, _changed(current.found))
        raise
    if scan.fingerprint_now(context, current) != current.fingerprint or instruments.outcome_changed(current):
        raise FilesChanged(f"{current.key}: files changed during the upload")
    others = sheets.recognise(context.files, current.run, current.sheets, current.sheet)
    context.ledger.set(run, weakest=int(verdict.weakest), verified_at=context.clock.now())
    count, unusable = files.plan.uncarried(run, holding_up=True)
    names = [f"{path} ({kind}{': ' + detail if detail else ''})" for path, kind, detail in unusable[:20]]
    lost, foreign = files.scratch.held("lost"), files.scratch.held("taken-over")
    return _also(current.found, proved=Proved(verdict, lost, foreign, (count, names), others))


def _replace_foreign(context: PassContext, current: RunContext) -> Findings:
    if accept.taken_over(context, current, _proved(current.found).other_sheets):
        return current.found.planned_again()
    return _also(current.found, foreign_offered=True)


def _write_sheet(context: PassContext, current: RunContext) -> Findings:
    """Only now: a published run's sheet and its manifest change together."""
    if not current.run.is_published:
        # Nothing had to be sent, perhaps; what is written from here on is.
        claims.take(context, current, lambda: carry.all_is_ours(context, current))
    sheet_writing.carry(context, current, current.sheet)
    is_lost = sheets.is_lost(context.files, current.run)
    if current.run.is_published and not is_lost and not adopt.documents_stand(context, current):
        current.republish = True
    return _also(current.found, sheet_written=True, has_additions=context.files.unpublished(current.run) > 0)


def _publish(context: PassContext, current: RunContext) -> Findings:
    publish.publish(context, current, _proved(current.found).verdict)
    instrument_facts.tell_sheet(context, current)
    return _also(current.found, written=True, has_additions=False)


# The end


def _settle(context: PassContext, current: RunContext) -> Findings:
    sheets.note_carried(context.ledger, current.run, current.sheet)
    if current.found.proved is not None:
        outcomes.answer_audit(context, current)
        if current.found.is_doubted:
            context.ledger.trust_remote(current.run)
    outcomes.settle(context, current, _changed(current.found))
    return _also(current.found, ended=True)


def _preview(context: PassContext, current: RunContext) -> Findings:
    """Of a dry run: what would be uploaded."""
    found, run, files = current.found, current.run, context.files
    carry.take_listing(context, current)
    if run.is_published and gathering.facts_of(context, current).needs_upload:
        frozen.mark_what_to_heal(context, current)
    count, size = files.plan.to_send(run)
    context.set_state(current, run.state, Reason("dry-run", {"files": count, "size": human_size(size)}))
    if count or not run.is_published:
        remove.preview_after_carrying(
            context, current, current.sheet, found.sheet_problem, _changed(current.found)
        )
    return _also(found, ended=True)


def _handle_missing_source(context: PassContext, current: RunContext) -> Findings:
    missing_source.without_folder(context, current)
    return _also(current.found, ended=True)


def _wait(context: PassContext, current: RunContext, why: str) -> None:
    found = current.found
    if why == "unfinished":
        assert found.judged is not None and found.judged.waits is not None
        outcomes.wait(context, current, found.judged.waits)
    elif why == "not-quiet":
        assert found.quiet is not None
        outcomes.wait(context, current, found.quiet.reason)
    elif why == "half-a-data-set":
        continuous.wait_for_half(context, current)
    elif why == "accepted-not-quiet":
        context.set_state(current, State.WAITING, Reason(why, _quiet_since(current.found)))
    elif why == "not-quiet-additions":
        outcomes.wait(context, current, Reason(why, _quiet_since(current.found)), _changed(current.found))
    elif why == "empty":
        is_run = current.continuous is None
        outcomes.wait(
            context, current, Reason("empty", {}) if is_run else continuous.at_rest(context, current)
        )
    elif why == "same-sheet":
        if current.sheet_waits is not None:
            context.set_state(current, State.VERIFIED, current.sheet_waits)
        outcomes.tell_missing_sheet(context, current)
    else:
        assert why == "sheet"
        reason = current.sheet_waits or found.sheet_problem or sheets.missing(context, current)
        context.set_state(current, State.VERIFIED, reason, folder_mtime_ns=outcomes.at_rest(context, current))
        outcomes.tell_missing_sheet(context, current)


def _flag(context: PassContext, current: RunContext, why: str) -> None:
    found = current.found
    if why == "changed":
        outcomes.settle(context, current, _changed(current.found))
    elif why == "bad-run-name":
        assert current.folder is not None
        flagging.flag(context, current, Reason(why, {"problem": scan.name_problem(current.folder)}))
    elif why == "held":
        assert found.judged is not None and found.judged.reason is not None
        flagging.flag(context, current, found.judged.reason)
    elif why == "stalled":
        assert found.judged is not None and found.judged.reason is not None
        flagging.flag(
            context,
            current,
            incremental.told(context.files, context.ledger, current.run, found.judged.reason),
        )
    elif why == "never-ended":
        never_ended = continuous.never_ended(context, current)
        assert never_ended is not None
        flagging.flag(context, current, never_ended)
    elif why == "sheet-lost":
        flagging.flag(context, current, Reason("blob-lost", {"count": 1, "names": [SHEET_BLOB]}))
    else:
        proved = _proved(current.found)
        held = {"blob-lost": proved.lost, "taken-over-differs": proved.foreign, "uncarried": proved.unusable}
        count, names = held[why]
        flagging.flag(context, current, Reason(why, {"count": count, "names": names}))


def _consider_removal(context: PassContext, current: RunContext) -> Findings:
    removal = Removal.NOT_NOW
    if remove.wanted(context, current):
        override_checks.go_on(context, current)
        removal = Removal.LACKS_DOCUMENTS if adopt.lacks_documents(context, current) else Removal.WANTED
    return _also(current.found, ended=True, removal=removal)


def _publish_again(context: PassContext, current: RunContext) -> Findings:
    """With the source the ledger's rows go too: what stands at the destination is the only manifest from then on."""
    _log.warning("%s: its manifest, receipt or checksums are written again before it is removed", current.key)
    current.republish = True
    return _also(current.found.planned_again(1), removal=Removal.DONE)


def _remove(context: PassContext, current: RunContext) -> Findings:
    remove.remove(context, current)
    return _also(current.found, removal=Removal.DONE)


def _changed(found: Findings) -> Differences:
    return found.changed or Differences()


def _proved(found: Findings) -> Proved:
    assert found.proved is not None
    return found.proved


def _quiet_since(found: Findings) -> dict[str, object]:
    quiet = found.quiet
    return dict(quiet.reason.parameters) if quiet is not None and quiet.reason is not None else {}


_ACTIONS: dict[Action, Callable[[PassContext, RunContext], Findings]] = {
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
