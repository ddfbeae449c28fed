"""Looking at the source: can the main folder be believed, which runs are there, is one complete, what does it hold?"""

from __future__ import annotations

import dataclasses
import fnmatch
import logging
from collections.abc import Iterator

from sync_to_azure.core.clock import local_time
from sync_to_azure.core.errors import SourceUnavailable
from sync_to_azure.files.folder import Place
from sync_to_azure.transfer.ledger import Run
from sync_to_azure.transfer.ledger.folders import Folders
from sync_to_azure.core.model import Entry, Progress, State
from sync_to_azure.core.names import run_name_problem
from sync_to_azure.files.mounts import UNKNOWN_MOUNT
from sync_to_azure.transfer.source import (
    MainFolderContents,
    RunFolder,
    find_runs,
    find_sheets,
    names_alike,
    sheets_for,
)
from sync_to_azure.transfer.steps import instruments, placing, sheets, override_checks
from sync_to_azure.transfer.steps.looks import Scanned
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.files.walk import FingerprintBuilder, walk

_log = logging.getLogger(__name__)

_NOT_HERE = (State.REMOVED, State.REMOVING, State.GONE, State.EXPECTED)


def at_main_folder(context: PassContext) -> MainFolderContents:
    """Scan the main folder. Raises SourceUnavailable when what it shows cannot be the truth (an unmounted share)."""
    settings, ledger, now = context.settings, context.ledger, context.clock.now()
    found = find_runs(settings.source.main_folder)
    unknown = (UNKNOWN_MOUNT.kind, UNKNOWN_MOUNT.source)
    mount = (found.mount.kind, found.mount.source)
    known = ledger.mount()
    if known == unknown:
        # Earlier versions noted it, when a share was stale at the very first look.
        known = None
    if known is not None and mount == unknown:
        raise SourceUnavailable(
            f"main folder {settings.source.main_folder}: its file system is not known now; last time it"
            f" was {known[1]} ({known[0]})",
            "check the mount",
        )
    if known is not None and known != mount:
        raise SourceUnavailable(
            f"main folder {settings.source.main_folder} is on another file system than last time:"
            f" {mount[1]} ({mount[0]}) instead of {known[1]} ({known[0]})",
            f"mount the share; if it was really moved, delete the state file {ledger.path} (costs time, no data)",
        )
    here = [run for run in ledger.runs().values() if not _known_gone(run)]
    if not found.runs and not found.aside and here:
        raise SourceUnavailable(
            f"main folder {settings.source.main_folder} is empty, but {len(here)} runs were there before"
            f" ({here[0].key} …)",
            "is the share mounted? If all of them were really moved away, delete the state file"
            f" {ledger.path} (costs time, no data)",
        )
    if known is None and mount != unknown:
        ledger.set_mount(*mount)
    context.main_folder = found.main
    if not found.runs and not found.aside and not ledger.runs():
        _log.warning("main folder %s holds no runs", settings.source.main_folder)
    ledger.note_left(len(found.strays) - len(found.links), len(found.links))
    for stray in found.strays:
        if ledger.report_once(f"stray:{stray}", now):
            _log.warning("%s in the main folder is not a folder and is skipped (reported once)", stray)
    if context.continuous is not None:
        return dataclasses.replace(found, runs=placing.units(context, context.continuous, found))
    return found


def _known_gone(run: Run) -> bool:
    flagged_since = run.reason is not None and bool(run.reason.parameters.get("source_gone"))
    return run.state in _NOT_HERE or (run.state is State.FLAGGED and flagged_since)


def works(context: PassContext, found: MainFolderContents) -> Iterator[RunContext]:
    """The union of folders, sheets and runs on record, those that ``--only-run`` lets through, in order of names."""
    settings, ledger = context.settings, context.ledger
    outside = find_sheets(settings.source.samplesheet_folder)
    known = ledger.runs()
    folders = {folder.key: folder for folder in found.runs}
    with_folder = {key.casefold() for key in folders}
    # A sheet belongs to a run without regard to case; only one that fits no folder stands for a run of its own.
    alone = {
        sheet.stem: sheet
        for fitting in outside.values()
        for sheet in fitting
        if sheet.stem.casefold() not in with_folder
    }
    on_record = {key.casefold() for key in known}
    alike = names_alike(set(folders) | {key for key, run in known.items() if not _is_sheet_alone(run)})
    keys = set(folders) | set(known) | {stem for stem in alone if stem.casefold() not in on_record}
    for key in sorted(keys):
        if settings.source.only_run and not fnmatch.fnmatchcase(key, settings.source.only_run):
            continue
        run = known.get(key)
        if (
            run is not None
            and run.state is State.EXPECTED
            and key not in folders
            and key.casefold() in with_folder
        ):
            # Its folder came, in another case: the sheet belongs to that run now.
            ledger.set_state(run, State.GONE, None, context.clock.now())
        if run is None:
            state = State.SEEN if key in folders else State.EXPECTED
            run = ledger.add_run(key, state, context.clock.now())
        fitting = sheets_for(key, outside, alike)
        folder = folders.get(key)
        if folder is not None:
            # By a later look, the main folder may have been mounted again.
            folder = dataclasses.replace(folder, place=Place(context.main(), folder.place.name))
        current = RunContext(run, folder, fitting, context.base(key), context.clock.monotonic())
        current.continuous = context.continuous
        yield current


def again(context: PassContext, current: RunContext) -> RunContext:
    """The same run, to be looked at once more in this pass."""
    return RunContext(
        current.run,
        current.folder,
        current.sheets,
        current.base,
        current.started,
        continuous=current.continuous,
    )


def _is_sheet_alone(run: Run) -> bool:
    """Nothing but a sheet was ever there of it, or what was there vanished before it was published."""
    return not run.is_published and run.state in (State.EXPECTED, State.GONE)


def name_problem(folder: RunFolder) -> str:
    problem = folder.unit.problem if folder.unit is not None else ""
    return problem or run_name_problem(folder.name)


def nothing_new(context: PassContext, current: RunContext) -> bool:
    """The cheap look at a published run: its folder's own mtime and its sheet are as they were. No stat inside it: the
    folders below have their own schedule (``late_files``), which takes the mtime away where one changed."""
    run, folder = current.run, current.folder
    if current.continuous is not None:
        # A file that is written anew does not move its folder's mtime.
        return False
    if context.settings.removal.remove_source and run.outcome is None:
        # Published by a version that did not ask how it ended: not removed unasked.
        return False
    if override_checks.thorough(context, current) or run.state is not State.PUBLISHED or folder is None:
        return False
    return run.folder_mtime_ns == folder.mtime_ns and not sheets.has_changed(current)


def into_ledger(context: PassContext, current: RunContext, finished: bool = False) -> None:
    """Walk the run into the ledger's ``seen`` table and take its fingerprint; warn of times in the future. Of a
    ``finished`` run it is noted how it ended and what it lacks."""
    builder = FingerprintBuilder()
    folders = Folders(context.ledger)
    entries = _entries(context, current, builder, folders)
    if finished:
        entries = instruments.watched(context, current, entries)
    began = context.clock.now()
    context.files.scratch.take_walk(entries, current.renamed)
    folders.flush()
    if finished:
        instruments.note(context, current)
    fingerprint = builder.result()
    current.scanned = Scanned(fingerprint.digest, began)
    now = context.clock.now()
    if fingerprint.newest_ns > (now + 120) * 1e9 and context.ledger.report_once(f"future:{current.key}", now):
        _log.warning(
            "%s: the newest file is from %s, which is in the future; a clock is wrong, the run is not delayed",
            current.key,
            local_time(min(fingerprint.newest_ns / 1e9, 253402300799.0)),
        )


def fingerprint_now(context: PassContext, current: RunContext) -> str:
    """A second look, after the work: the digest only."""
    if current.continuous is not None:
        return placing.fingerprint_now(context, current)
    builder = FingerprintBuilder()
    for _ in _entries(context, current, builder):
        pass
    return builder.result().digest


def _entries(
    context: PassContext, current: RunContext, builder: FingerprintBuilder, folders: Folders | None = None
) -> Iterator[Entry]:
    def saw(path: bytes, mtime_ns: int) -> None:
        if folders is not None:
            folders.note(path, mtime_ns, context.clock.now())

    for number, entry in enumerate(walk(current.root, context.rules, current.prefix, saw_folder=saw)):
        builder.add(entry)
        if number % 1000 == 999:
            context.progress(current, Progress(current.key, "looking", number + 1))
        yield entry
