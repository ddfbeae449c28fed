"""What is known of a run now, for ``next_step``: from the ledger, from the top of its folder as the main folder was
listed, and from what the steps of this pass found. Nothing is opened, and nothing is asked over the network.
"""

from __future__ import annotations

from sync_to_azure.core.model import State
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.settings.options import CONTINUOUS
from sync_to_azure.transfer.decisions.next_step import Facts
from sync_to_azure.transfer.steps import continuous, flagging, scan, outcomes, sheets, override_checks
from sync_to_azure.transfer.steps.context import PassContext, RunContext


def facts_of(context: PassContext, current: RunContext) -> Facts:
    run, found, folder = current.run, current.found, current.folder
    is_first = not (found.begun or found.ended)
    proved = found.proved
    return Facts(
        state=run.state,
        is_published=run.is_published,
        remote_known=run.remote_state_current,
        manifest_kept=run.manifest_cached,
        dry_run=context.settings.mode.dry_run,
        has_source=folder is not None,
        bad_name=is_first and folder is not None and bool(scan.name_problem(folder)),
        is_unchanged=is_first and scan.nothing_new(context, current),
        waits_only_for_sheet=is_first and waits_only_for_sheet(context, current),
        is_continuous=current.continuous is not None,
        kind_changed=run.is_published and (run.profile in CONTINUOUS) is not (current.continuous is not None),
        is_half=folder is not None and folder.unit is not None and bool(folder.unit.lacks),
        begun=found.begun,
        prepared=found.prepared,
        remote_asked=found.remote_asked,
        readiness=found.judged.readiness if found.judged is not None else None,
        sheet_read=found.sheet_read,
        scanned=found.quiet is not None,
        is_quiet=found.quiet is not None and found.quiet.ready,
        compared=found.changed is not None,
        source_changed=found.changed is not None and found.changed.count > 0,
        replaces_pending=found.replaces_pending,
        manifest_updated=found.has_additions is not None,
        has_additions=bool(found.has_additions),
        is_due=found.has_additions is not None and _is_due(context, current),
        sheet_differs=found.has_additions is not None and _sheet_differs(context, current),
        is_overtaken=found.is_overtaken,
        verified=proved is not None,
        has_lost=proved is not None and proved.lost[0] > 0,
        has_foreign=proved is not None and proved.foreign[0] > 0,
        foreign_offered=found.foreign_offered,
        has_unusable=proved is not None and proved.unusable[0] > 0,
        is_empty=proved is not None and proved.verdict.files == 0,
        has_broken_off=proved is not None and continuous.never_ended(context, current) is not None,
        sheet_written=found.sheet_written,
        sheet_lost=found.sheet_written and sheets.is_lost(context.files, current.run),
        sheet_undecided=current.sheet_counted is not None,
        sheet_awaited=found.sheet_written and sheets.is_awaited(context, current, current.sheet),
        documents_due=current.republish or (run.is_published and current.sent_files > 0),
        written=found.written,
        ended=found.ended,
        removal=found.removal,
    )


def waits_only_for_sheet(context: PassContext, current: RunContext) -> bool:
    """Uploaded and verified, and nothing moved since: no listing until the sheet comes, or is quiet."""
    run, folder = current.run, current.folder
    if run.state is not State.VERIFIED or folder is None:
        return False
    waits = run.reason is not None and run.reason.code in sheets.AWAITED
    optional = context.settings.source.sheet_optional or context.settings.source.samplesheet_folder is None
    at_rest = run.folder_mtime_ns == folder.mtime_ns and not override_checks.thorough(context, current)
    not_there = not optional and not current.sheets
    return waits and at_rest and (not_there or current.sheet_waits is not None)


def _is_due(context: PassContext, current: RunContext) -> bool:
    """Must a published run be looked at in the lake, though nothing came to it?"""
    run = current.run
    if current.republish or current.found.is_doubted or override_checks.thorough(context, current):
        return True
    known_only = run.reason is not None and run.reason.code in (
        *outcomes.AT_THE_SOURCE,
        *flagging.OF_THE_SHEET,
    )
    return run.state in (State.FLAGGED, State.FAILING) and not known_only


def _sheet_differs(context: PassContext, current: RunContext) -> bool:
    if current.sheet is None:
        return False
    published = context.files.get(current.run, SHEET_BLOB)
    return published is None or published.md5 != current.sheet.md5
