"""`check`, without a completion-flag: of which families of instruments the runs are, and which folders nobody can
judge because they are of none."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence

from sync_to_azure.instruments import completion, profiles
from sync_to_azure.core.errors import SyncError
from sync_to_azure.files.folder_view import look_at
from sync_to_azure.instruments.profiles.profile import Profile
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.source import RunFolder
from sync_to_azure.transfer.steps.instruments import unrecognised_reason

MOST = 200
"""Folders that are looked into, the newest: a person waits."""
_NAMES = 5


def families(runs: Sequence[RunFolder]) -> tuple[list[str], list[tuple[str, str]]]:
    """(What was recognised, in words; for each reason why a folder is of no family the words and what to do). What
    cannot be read is told elsewhere, and an empty folder will be recognised when it is none any more."""
    newest = sorted(runs, key=lambda run: run.mtime_ns, reverse=True)[:MOST]
    known: collections.Counter[str] = collections.Counter()
    others: dict[str, tuple[Reason, list[str]]] = {}
    for run, profile, reason in _looked_at(newest):
        if profile is not None:
            known[profile.title] += 1
        elif reason is not None:
            others.setdefault(reason.text, (reason, []))[1].append(run.key)
    counted = [f"{count} {title}" for title, count in sorted(known.items())]
    return counted, [_words(reason, sorted(names)) for reason, names in others.values()]


def of_families(
    runs: Sequence[RunFolder], chosen: str, flags: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """For each family with a completion flag of its own how many of its runs hold it, and what to do if none does."""
    holding: collections.Counter[str] = collections.Counter()
    counted: collections.Counter[str] = collections.Counter()
    newest = sorted(runs, key=lambda run: run.mtime_ns, reverse=True)[:MOST] if flags else []
    for run in newest:
        try:
            view, found = look_at(run.place, chosen)
        except SyncError:
            continue
        if found.profile is not None and found.profile.name in flags:
            family = found.profile.name
            counted[family] += 1
            holding[family] += not completion.missing_flags(flags[family], view.files)
    for family, wanted in sorted(flags.items()):
        names = " and ".join(wanted)
        if counted[family] and not holding[family]:
            yield f"no run of {family} holds {names} ([family {family}])", f"is {wanted[0]} what it writes last?"
        elif counted[family]:
            yield f"{holding[family]} of {counted[family]} runs of {family} hold {names}", ""
        else:
            yield f"no run of {family} is there yet ([family {family}])", ""


def _looked_at(
    runs: Sequence[RunFolder],
) -> Iterator[tuple[RunFolder, Profile | None, Reason | None]]:
    for run in runs:
        try:
            view, found = look_at(run.place, profiles.AUTO)
            is_empty = not view.files and not view.folders
            wanting = found.profile is None and not is_empty
            yield run, found.profile, unrecognised_reason(run.place, found.reason) if wanting else None
        except SyncError:
            continue


def _words(reason: Reason, names: Sequence[str]) -> tuple[str, str]:
    shown = ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")
    return (
        f"{len(names)} cannot be judged and would not be uploaded, {shown}: {reason.text.removeprefix('waiting: ')}",
        reason.advice,
    )
