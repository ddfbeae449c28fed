"""`explain RUN`: everything that is known of one run, in plain words, from the ledger and a look at its folder."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence

from sync_to_azure.instruments import completion, profiles
from sync_to_azure.core.clock import mtime_ns
from sync_to_azure.transfer.views import audit_text
from sync_to_azure.transfer.views.records import Record, reading, records, unknown
from sync_to_azure.transfer.views.sentences import progress, scanned, zoned
from sync_to_azure.core.errors import SyncError
from sync_to_azure.files.folder import Place, open_folder
from sync_to_azure.files.folder_view import look_at
from sync_to_azure.transfer.ledger import azcopy_history
from sync_to_azure.transfer.ledger.audits import NO_MANIFEST, Audited
from sync_to_azure.transfer.ledger.reader import ChangedFile, LedgerEvent, LedgerReader, offer
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.transfer.ledger.overrides import ACCEPT, Override
from sync_to_azure.core.model import Evidence, State
from sync_to_azure.core.names import PUBLISHED_SUFFIXES
from sync_to_azure.instruments.profiles.continuous import Continuous
from sync_to_azure.core.reasons import EVENTS, Reason
from sync_to_azure.settings import Settings
from sync_to_azure.settings.values import CompletionSettings
from sync_to_azure.transfer.source import (
    RunFolder,
    find_runs,
    find_sheets,
    nearly_sheets,
    names_alike,
    sheets_for,
    top_level_files,
)
from sync_to_azure.transfer.decisions import removal_gate
from sync_to_azure.transfer.decisions.ended import never_removed
from sync_to_azure.transfer.steps.placing import age_of, as_units, key_of
from sync_to_azure.transfer.steps.override_checks import command, config_option
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import Redactor, plain
from sync_to_azure.notify.terminal import folded, human_size, human_time, terminal_width

_NAMES = 50
_EVENTS = 200
_AT_A_PIPE = 110


def run(settings: Settings, name: str) -> int:
    now, name = time.time(), key_of(settings.completion, name)
    found = records(settings)
    record = next((each for each in found.runs if each.run.key == name), None)
    elsewhere = next((each for each in found.elsewhere if each.run == name), None)
    folder = folder_named(settings, name)
    width = terminal_width(sys.stdout) if sys.stdout.isatty() else _AT_A_PIPE
    parts: list[Part] = []
    if record is None:
        override = next((each for each in found.expected if each.key == name), None)
        if folder is None and override is None and elsewhere is None:
            raise unknown(name, [each.run.key for each in found.runs])
        parts = not_on_record(settings, name, folder, override)
    # What only the lake knows is no run of this main folder, but its findings are told.
    opened = reading(settings)
    if opened is not None:
        with opened as ledger:
            if record is not None:
                parts = list(about(settings, ledger, record, folder, now))
            elif elsewhere is not None:
                parts.append(("Audited", list(_audited(settings, ledger, name, elsewhere))))
    # Names of files are data, also where one holds a secret: what is told of them is clean before it is folded.
    redact = Redactor(settings.secret_values())
    show(laid_out([(heading, [redact(line) for line in lines]) for heading, lines in parts], width))
    return 0


Part = tuple[str, Sequence[str]]
"""A heading and its lines."""


def not_on_record(
    settings: Settings, name: str, folder: RunFolder | None, override: Override | None
) -> list[Part]:
    if folder is None:
        lines = ["It is not on record, and the main folder has no folder of that name."]
    else:
        lines = [
            "Its folder exists; no pass has scanned it yet. The next one will.",
            *_conditions(settings.completion, folder),
            *_sheet(settings, name),
        ]
    if override is not None:
        lines.append(_said(override))
    return [(plain(name), lines)]


def about(
    settings: Settings, ledger: LedgerReader, record: Record, folder: RunFolder | None, now: float
) -> Iterator[Part]:
    run = record.run
    yield plain(run.key), list(_standing(settings, ledger, record, now))
    yield "Complete?", list(_completion(settings, record, folder, now))
    if run.outcome is not None:
        yield "Instrument", list(_instrument(run))
    yield "Uploaded", list(_carried(ledger, run))
    changed = ledger.changed(run)
    if changed:
        yield "Different from the destination", list(_changed(settings, run, changed))
    not_carried = ledger.uncarried(run)
    if not_carried:
        yield "Not uploaded", list(_not_carried(not_carried))
    if run.is_published:
        yield "Published", list(_published(settings, run))
        yield "Audited", list(_audited(settings, ledger, run.key, record.audited))
    yield "Removal from the source", [_removal(settings, ledger, run, now)]
    spoken = ledger.override_history(run.key)
    if spoken:
        yield "Operator override", [_said(override) for override in spoken]
    yield "History", list(_history(ledger.events(run)))


def _standing(settings: Settings, ledger: LedgerReader, record: Record, now: float) -> Iterator[str]:
    run = record.run
    yield f"{record.status}: {run.state} ({record.state_words}) since {zoned(run.since)}"
    if record.live is not None:
        yield f"A pass is working on it: {progress(record)}."
    if record.audited is not None and record.damaged:
        yield f"It is {audit_text.brief(record.audited)}; see Audited below for what to do."
    if run.reason is not None:
        yield run.reason.text
        if run.reason.advice:
            yield f"What to do: {run.reason.advice}."
    if record.override is not None:
        yield f"{_said(record.override)}. {command(settings.general, 'release', run.key)} undoes this."
    if record.next and record.next not in record.why:
        yield f"Next: {record.next}."
    if run.state is State.FAILING or (run.state is State.FLAGGED and record.override is None):
        yield f"{command(settings.general, 'retry', run.key)} checks it again from the start, and reports what lasts."


def _completion(settings: Settings, record: Record, folder: RunFolder | None, now: float) -> Iterator[str]:
    run = record.run
    if folder is None:
        yield (
            "Its folder is not in the main folder."
            if not run.is_published
            else "Its folder no longer exists."
        )
        return
    yield from _conditions(settings.completion, folder)
    if _continuous(settings.completion) is not None:
        return
    if not run.is_published:
        yield from _sheet(settings, run.key)
    delay = settings.completion.completion_delay
    if run.is_published:
        # Not "so it was complete": a person may have accepted it as it was.
        yield "      it is published; later files are added once they are unchanged"
        scan = scanned(record, now)
        if scan:
            yield f"      its folders: {scan}"
    if run.quiet_since is None:
        yield f"[no]  unchanged for {human_time(delay)}: not counted yet"
        return
    left = run.quiet_since + delay - now
    if left <= 0:
        yield f"[yes] unchanged for {human_time(delay)}: since {zoned(run.quiet_since)}, at the last scan"
    else:
        yield f"[no]  unchanged for {human_time(delay)}: since {zoned(run.quiet_since)}, {human_time(left)} left"


def _sheet(settings: Settings, run: str) -> Iterator[str]:
    if settings.source.samplesheet_folder is None:
        return
    try:
        runs = {run, *(folder.key for folder in find_runs(settings.source.main_folder).runs)}
        found = sheets_for(run, find_sheets(settings.source.samplesheet_folder), names_alike(runs))
    except SyncError as error:
        yield f"[?]   {error}"
        return
    if len(found) > 1:
        names = ", ".join(sorted(plain(sheet.path.name) for sheet in found))
        yield f"[no]  two sample sheets fit it: {names}; keep one"
    elif found:
        name, at = plain(found[0].path.name), zoned(found[0].mtime_ns / 1e9)
        yield f"[yes] its sample sheet {name} is there, of {at}"
    elif settings.source.sheet_optional:
        yield f"[yes] its sample sheet {plain(run)}.csv is missing, and sheet-optional: it is published without"
    else:
        near = ", ".join(map(plain, nearly_sheets(settings.source.samplesheet_folder, run)))
        beside = f"; the folder has {near}: if that is it, save it as {plain(run)}.csv" if near else ""
        missing = f"[no]  its sample sheet {plain(run)}.csv is missing"
        yield f"{missing}: it is uploaded, and published when the sheet exists{beside}"


def _flags(when: CompletionSettings, folder: RunFolder) -> Iterator[str]:
    try:
        wanted = _named_flags(when, folder)
        if not wanted:
            yield from _by_its_family(when, folder)
            return
        names = top_level_files(folder)
    except SyncError as error:
        yield f"[?]   {error}"
        return
    missing = completion.missing_flags(wanted, names)
    there = {name.casefold(): name for name in names}
    for flag in wanted:
        if flag in missing:
            yield f"[no]  {flag} is missing"
            continue
        try:
            with folder.place.open() as opened:
                at = opened.stat(os.fsencode(there[flag.casefold()]))
            yield f"[yes] {flag} is there, of {zoned(mtime_ns(at) / 1e9)}"
        except OSError:
            yield f"[yes] {flag} is there"


def _named_flags(when: CompletionSettings, folder: RunFolder) -> tuple[str, ...]:
    """Those that a person named for this run."""
    profile = look_at(folder.place, when.profile)[1].profile if when.family_flags else None
    family = profile.name if profile is not None else None
    return completion.named_flags(family, when.completion_flag, when.family_flags)


def _by_its_family(when: CompletionSettings, folder: RunFolder) -> Iterator[str]:
    try:
        view, found = look_at(folder.place, when.profile)
    except SyncError as error:
        yield f"[?]   {error}"
        return
    if found.profile is None:
        yield f"[no]  no completion-flag is given, and {plain(found.reason)}"
        return
    waits = found.profile.waits_for(view)
    for each in waits:
        yield f"[no]  {plain(each)} is missing ({found.profile.title}: {plain(found.reason)})"
    if not waits:
        yield f"[yes] finished, as a run of {found.profile.title} is ({plain(found.reason)})"
    if found.profile.quiet > when.completion_delay:
        yield f"      it writes no flag: it must be unchanged for {human_time(found.profile.quiet)}"


def _instrument(run: Run) -> Iterator[str]:
    yield f"{run.profile}: {plain(str(run.recognised_by))}"
    yield f"It ended: {run.outcome} ({plain(str(run.outcome_detail))})"
    if run.completeness is not None:
        yield f"{'Complete' if run.complete else 'Not complete'}: {plain(run.completeness)}"


def _continuous(when: CompletionSettings) -> Continuous | None:
    profile = profiles.BY_NAME.get(when.profile)
    return profile.continuous if profile is not None else None


def _conditions(when: CompletionSettings, folder: RunFolder) -> Iterator[str]:
    continuous = _continuous(when)
    if continuous is None:
        yield from _flags(when, folder)
        return
    if folder.unit is not None and folder.unit.lacks:
        yield f"[no]  {plain(folder.unit.lacks)} is missing in the main folder"
    yield (
        f"It is a continuous project (profile = {when.profile}): each file is uploaded once it was"
        f" written {human_time(age_of(when, continuous))} ago and was seen unchanged for"
        f" {human_time(when.completion_delay)}; a .raw also not as long as its header says that it is"
        " being acquired. What is waiting is listed below."
    )


def folder_named(settings: Settings, name: str) -> RunFolder | None:
    continuous = _continuous(settings.completion)
    if continuous is not None:
        try:
            there = as_units(settings.completion, continuous, find_runs(settings.source.main_folder))
        except SyncError:
            return None
        return next((each for each in there if each.key == name), None)
    if "/" in name:
        return None
    try:
        main = open_folder(os.fsencode(settings.source.main_folder))
        status = main.stat(os.fsencode(name))
    except OSError:
        return None
    place = Place(main, os.fsencode(name))
    return RunFolder(place.name, place, mtime_ns(status)) if stat.S_ISDIR(status.st_mode) else None


def _carried(ledger: LedgerReader, run: Run) -> Iterator[str]:
    evidence = ledger.evidence(run)
    if not evidence:
        if run.is_published:
            yield f"{run.files} files, {human_size(run.bytes)}; their rows are kept in the published manifest only"
        else:
            yield "Nothing yet."
    for each, (count, size) in sorted(evidence.items(), reverse=True):
        yield f"{count} files, {human_size(size)}: {_PROVED[each]}"
    if run.verified_at is not None and run.weakest is not None:
        yield f"Verified last {zoned(run.verified_at)}; weakest evidence then: {Evidence(run.weakest).label}."


_PROVED = {
    Evidence.READ_BACK: "read-back: downloaded and hashed",
    Evidence.VALIDATED: "validated: the service checked every byte on arrival",
    Evidence.LISTED: "listed: the listing shows the right size and MD5",
    Evidence.NONE: "not uploaded yet, or not proved",
}


def _changed(settings: Settings, run: Run, changed: list[ChangedFile]) -> Iterator[str]:
    told = offer(changed)
    accept = command(settings.general, ACCEPT, run.key)
    yield f"{told.count} files; accepting them publishes what the source holds: {accept}"
    yield from changed_lines(changed[:_NAMES])
    if len(changed) > _NAMES:
        yield f"… and {len(changed) - _NAMES} more"


def changed_lines(changed: Sequence[ChangedFile]) -> Iterator[str]:
    for file in changed:
        before = human_size(file.old_size) if file.old_size is not None else "?"
        if file.size < 0:
            yield f"  {plain(file.blob)}: not at the source any more"
        else:
            now = f"{human_size(file.size)} now, of {zoned(file.mtime_ns / 1e9)}"
            yield f"  {plain(file.blob)}: {before} published, {now}"


def _not_carried(entries: list[tuple[str, str, str]]) -> Iterator[str]:
    for path, kind, detail in entries[:_NAMES]:
        yield f"  {plain(path)}: {kind}{f' ({plain(detail)})' if detail else ''}"
    if len(entries) > _NAMES:
        yield f"… and {len(entries) - _NAMES}{' or' if len(entries) >= 1000 else ''} more"


def _published(settings: Settings, run: Run) -> Iterator[str]:
    base = f"{settings.destination.destination}/{run.key}" if settings.destination.destination else run.key
    times = f"generation {run.generation}"
    if run.published_at is not None:
        times += f", published {zoned(run.published_at)}"
    if run.first_published is not None and run.generation > 1:
        times += f", first {zoned(run.first_published)}"
    yield times
    continuous = _continuous(settings.completion)
    suffixes = PUBLISHED_SUFFIXES if continuous is None else PUBLISHED_SUFFIXES[:-1]
    names = ", ".join(plain(base) + suffix for suffix in suffixes)
    yield f"in container {settings.destination.container_name}: {plain(base)}/…, {names}"


def _audited(settings: Settings, ledger: LedgerReader, key: str, audited: Audited | None) -> Iterator[str]:
    """What audits found: whether it still stands as it was published, and if not, what a person does."""
    if audited is None or audited.listed_at is None:
        how = f"sync_to_azure audit --run{audit_text.option_for(key)}{config_option(settings.general)}"
        yield f"Not yet; {how} compares it with its manifest."
        return
    if audited.outcome == NO_MANIFEST:
        yield f"Cannot be: it has no manifest (looked for {zoned(audited.listed_at)})."
        return
    yield f"Listed {zoned(audited.listed_at)}: {audited.files} files, {human_size(audited.bytes)}."
    if audited.read_at is not None:
        left_out = "without what was known to be wrong" + (", or archived" if audited.archived else "")
        yield f"All bytes were read back last {zoned(audited.read_at)}, {left_out}."
    if not audited.is_wrong:
        yield "Nothing that an audit found is wrong with it now."
        return
    findings = ledger.findings(key)
    for each in findings[:_NAMES]:
        what = "cannot be read: " if each.kind == "unreadable" else ""
        yield f"  {plain(each.name)} {what}{plain(each.detail)}"
    left = len(findings) - _NAMES + audited.uncounted
    if left > 0:
        yield f"… and {left} more"
    yield f"What to do: {audit_text.advice(key, audited.counts)}."
    yield "Resolved once such a pass, or the next audit, has checked it."


def _removal(settings: Settings, ledger: LedgerReader, run: Run, now: float) -> str:
    """What the gate of ``transfer/decisions/removal_gate.py`` says, by what is on record; before it, the lake is asked
    once more."""
    if run.state is State.REMOVED:
        return "Done."
    if _continuous(settings.completion) is not None:
        return "Never: it is a continuous project."
    if not settings.removal.remove_source:
        return "Off (remove-source is not set)."
    if not run.is_published:
        return "Waits until it is published."
    never = never_removed(run)
    if never:
        return f"It is never removed by itself: {plain(never)}."
    proved = ledger.evidence(run)
    facts = removal_gate.PublishedRun(
        marker=run.published_at if run.remote_state_current else None,
        published=run.published_at,
        now=now,
        service_now=now,
        after=settings.removal.remove_after * removal_gate.DAY if settings.removal.remove_after else 0.0,
        wrong=proved.get(Evidence.NONE, (0, 0))[0],
        unpublished=ledger.unpublished(run),
        credentials=azcopy_history.expiry(ledger.connection, run),
    )
    why = removal_gate.objection(facts)
    if not why and run.state is not State.PUBLISHED:
        why = f"it is {run.state}"
    listed = proved.get(Evidence.LISTED, (0, 0))[0]
    if not why and listed:
        why = f"{listed} files are only listed; they are read back first"
    due = max(removal_gate.due_at(facts), facts.credentials)
    if due > now:
        why += f"; from {zoned(due)} on"
    in_the_way = len(ledger.uncarried(run))
    if in_the_way:
        why += f"{'; ' if why else ''}{in_the_way} entries in it are not uploaded"
    return (
        f"Waits: {why}."
        if why
        else "The next pass removes it, after checking every file and the destination once more."
    )


def _said(override: Override) -> str:
    said = f": {plain(override.reason)}" if override.reason else ", no reason given"
    accepted = ""
    about = override.about
    if about.get("kind"):
        counted = f", {about['count']} files" if "count" in about else ""
        accepted = f" ({about['kind']}{counted})"
    ended = f" [{override.ended}]" if override.ended and override.action != "release" else ""
    return f"{override.action}{accepted} by {plain(override.by)}, {zoned(override.at)}{said}{ended}"


def _history(events: list[LedgerEvent]) -> Iterator[str]:
    if len(events) > _EVENTS:
        yield f"… {len(events) - _EVENTS} earlier ones are left out"
    for event in events[-_EVENTS:]:
        yield f"{zoned(event.at)}  {_happened(event)}"


def _happened(event: LedgerEvent) -> str:
    state, _, code = event.code.partition(":")
    if state == "word":
        reason = event.parameters.get("reason")
        return f"operator override: {code} by {plain(str(event.parameters.get('by')))}" + (
            f": {plain(str(reason))}" if reason else ""
        )
    text = Reason(code, event.parameters).text if code else ""
    if text.startswith(state):
        return plain(text)
    state = EVENTS.get(state, state)
    return f"{state}: {plain(text)}" if text else state


def laid_out(parts: Sequence[Part], width: int) -> str:
    """Headings, and below each its lines, folded to ``width`` columns."""
    lines: list[str] = []
    for heading, texts in parts:
        lines += ["", plain(heading)] if lines else [plain(heading)]
        for text in map(plain, texts):
            margin = "  " + " " * (len(text) - len(text.lstrip()))
            first, *rest = folded(text.strip(), max(width - len(margin) - 2, 20)) or [""]
            lines += [margin + first, *(f"{margin}  {each}" for each in rest)]
    return "\n".join(lines)
