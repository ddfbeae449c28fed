"""A continuous folder at the source: what is carried as one, where each of its files goes, and which of them wait.

The walk finds entries, the profile (pure) gives them their places; then what is too young, not seen unchanged for long
enough, or still being acquired is let wait. What is left is what this pass carries, and what the second look looks at.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sync_to_azure.instruments import profiles
from sync_to_azure.core.clock import local_time
from sync_to_azure.core.errors import SourceUnavailable
from sync_to_azure.files.folder import Folder, Place
from sync_to_azure.transfer.ledger.stability import Stability
from sync_to_azure.transfer.ledger.deferrals import Deferrals
from sync_to_azure.core.model import Entry, FileToSend, Kind, Progress
from sync_to_azure.core.names import blob_name, shown
from sync_to_azure.instruments.profiles.continuous import Continuous, ContinuousRules, Unit
from sync_to_azure.instruments.run_facts import thermo_raw
from sync_to_azure.transfer.source import MainFolderContents, RunFolder
from sync_to_azure.transfer.steps import override_checks
from sync_to_azure.transfer.steps.looks import Scanned
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.notify.terminal import human_time
from sync_to_azure.files.walk import SHARE_GONE, FingerprintBuilder, walk

if TYPE_CHECKING:
    from sync_to_azure.settings.values import CompletionSettings

_log = logging.getLogger(__name__)

_NO_FILES = frozenset({Kind.JUNK, Kind.EXCLUDED, Kind.EMPTY_FOLDER, Kind.LEFT})


def units(context: PassContext, continuous: Continuous, found: MainFolderContents) -> tuple[RunFolder, ...]:
    """The folders of the main folder as they are carried: projects, data sets. What is neither is told, once."""
    names = [os.fsdecode(folder.name) for folder in found.runs]
    for other in continuous.others(names, rules_of(context.settings.completion)):
        if context.ledger.report_once(f"other:{shown(os.fsencode(other))}", context.clock.now()):
            _log.warning("%s in the main folder is skipped (reported once)", shown(os.fsencode(other)))
    return as_units(context.settings.completion, continuous, found)


def as_units(
    completion: "CompletionSettings", continuous: Continuous, found: MainFolderContents
) -> tuple[RunFolder, ...]:
    names = {os.fsdecode(folder.name): folder for folder in found.runs}
    return tuple(
        _unit_folder(found.main, unit, names) for unit in continuous.units(tuple(names), rules_of(completion))
    )


def _unit_folder(main: Folder, unit: Unit, names: dict[str, RunFolder]) -> RunFolder:
    if unit.inside:
        return dataclasses.replace(names[unit.inside], name=os.fsencode(unit.key), unit=unit)
    newest = max((names[each].mtime_ns for each in unit.folders), default=0)
    return RunFolder(os.fsencode(unit.key), Place(main, b""), newest, unit)


def key_of(completion: "CompletionSettings", name: str) -> str:
    """A person may say the name of a folder, or that at the destination."""
    profile = profiles.BY_NAME.get(completion.profile)
    if profile is None or profile.continuous is None:
        return name
    return next((unit.key for unit in profile.continuous.units((name,), rules_of(completion))), name)


def rules_of(completion: "CompletionSettings") -> ContinuousRules:
    return ContinuousRules(completion.project_glob, completion.blank_glob)


def age_of(completion: "CompletionSettings", continuous: Continuous) -> float:
    """Seconds since a file was written, before it is carried."""
    return completion.min_file_age if completion.min_file_age is not None else continuous.min_age


def into_ledger(context: PassContext, current: RunContext) -> None:
    """Walk it into ``seen``, let wait what must wait, and take the fingerprint of the rest."""
    continuous, now, settings = _of(current), context.clock.now(), context.settings
    context.files.scratch.take_walk(_counted(context, current, _placed(context, current, continuous)), {})
    # A first look counts from the end of its walk, a second one (``now``) from the begin of its own.
    Stability(context.ledger).note(current.run, context.clock.now())
    waits = Deferrals(context.ledger, current.run, continuous.is_frozen)
    age = age_of(settings.completion, continuous)
    waits.written_after(now - age, now, f"written less than {human_time(age)} ago")
    delay = settings.completion.completion_delay
    if delay:
        waits.moved_after(now - delay, f"not seen unchanged for {human_time(delay)} yet")
    acquiring = _let_wait_what_is_being_acquired(context, current, waits)
    builder = FingerprintBuilder()
    for path, size, mtime_ns in waits.files():
        builder.add(Entry(path, Kind.FILE, size, mtime_ns))
    found = builder.result()
    current.scanned = Scanned(found.digest, acquiring=tuple(acquiring))
    if found.newest_ns > (now + 120) * 1e9 and context.ledger.report_once(f"future:{current.key}", now):
        _log.warning(
            "%s: the newest file is from %s, which is in the future; a clock is wrong",
            current.key,
            local_time(min(found.newest_ns / 1e9, 253402300799.0)),
        )


def fingerprint_now(context: PassContext, current: RunContext) -> str:
    """A second look, at what is carried alone: what waits may move."""
    continuous = _of(current)
    waits = Deferrals(context.ledger, current.run, continuous.is_frozen)
    builder = FingerprintBuilder()
    for entry in _counted(context, current, _placed(context, current, continuous)):
        if entry.kind is Kind.FILE and waits.carries(entry.blob):
            builder.add(Entry(entry.path, Kind.FILE, entry.size, entry.mtime_ns))
    return builder.result().digest


def _of(current: RunContext) -> Continuous:
    assert current.continuous is not None
    return current.continuous


def _walk(context: PassContext, current: RunContext, continuous: Continuous) -> Iterator[Entry]:
    unit = current.folder.unit if current.folder is not None else None
    assert unit is not None
    folders = [os.fsencode(each) for each in unit.folders]
    return walk(
        current.root,
        context.rules,
        current.prefix,
        folders,
        lambda folder: continuous.enters(os.fsdecode(folder)),
    )


def _placed(context: PassContext, current: RunContext, continuous: Continuous) -> Iterator[Entry]:
    """Each entry under each of its places; LEFT if it has none."""
    rules = rules_of(context.settings.completion)
    survey = {}
    if continuous.survey is not None:
        paths = (os.fsdecode(e.path) for e in _walk(context, current, continuous) if e.kind not in _NO_FILES)
        survey = dict(continuous.survey(paths))
    for entry in _walk(context, current, continuous):
        if entry.kind in _NO_FILES:
            yield entry
            continue
        places = continuous.places(os.fsdecode(entry.path), survey, rules)
        if not places:
            yield dataclasses.replace(entry, kind=Kind.LEFT, detail="its profile has no place for it")
        elif entry.kind is Kind.SYMLINK:
            # Into the project, but what it leads to need not have a place of its own.
            yield dataclasses.replace(entry, kind=Kind.SPECIAL, detail=f"a symlink {entry.detail}")
        elif entry.kind is not Kind.FILE:
            yield entry
        for place in places if entry.kind is Kind.FILE else ():
            name, problem = blob_name(os.fsencode(place), current.prefix)
            if name is None:
                yield dataclasses.replace(entry, kind=Kind.BAD_NAME, detail=problem)
            else:
                yield dataclasses.replace(entry, blob=name)


def _counted(context: PassContext, current: RunContext, entries: Iterator[Entry]) -> Iterator[Entry]:
    for number, entry in enumerate(entries):
        if number % 1000 == 999:
            context.progress(current, Progress(current.key, "looking", number + 1))
        yield entry


def has_broken_off(context: PassContext, since: float) -> bool:
    """Of a file that says that it is being acquired and stands as it does ``since`` then."""
    patience = context.settings.completion.stale_after * 3600
    return patience > 0 and context.clock.now() - since >= patience


def _let_wait_what_is_being_acquired(
    context: PassContext, current: RunContext, waits: Deferrals
) -> list[tuple[str, float]]:
    """Of the .raw files that would be carried for the first time. A person accepts those that broke off, and no other
    that is being acquired by now. Returns them, and since when each is as it is."""
    acquiring: list[tuple[str, float]] = []
    why: dict[str, str] = {}
    accepted = override_checks.accepts(current.override, "unfinished")
    for file, since in waits.unproved():
        told = _is_being_acquired(current.root, file) if file.blob.lower().endswith(".raw") else ""
        if told and not (accepted and has_broken_off(context, since)):
            acquiring.append((file.blob, since))
            why[file.blob] = told
    waits.wait(why.items())
    return acquiring


def _is_being_acquired(root: Place, file: FileToSend) -> str:
    """By what, or an empty string."""
    if file.size == 0:
        # Opened by the acquisition software (MannLabs/alphakraken, acquisition_monitor.py).
        return "it is empty: opened, and not written yet"
    try:
        with root.open() as folder, open(folder.file(file.path)[0], "rb") as opened:
            acquiring = thermo_raw.is_being_acquired(opened.read(thermo_raw.MOST_BYTES))
    except OSError as error:
        if error.errno in SHARE_GONE:
            what = shown(os.path.join(root.path, file.path))
            raise SourceUnavailable(f"{what} cannot be read: {error.strerror}") from error
        # Gone, or not for us to read: hashing says so.
        return ""
    return "its header says that it is being acquired" if acquiring else ""
