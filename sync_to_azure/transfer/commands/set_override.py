"""Operator overrides of a run: `hold`, `ignore`, `retry`, `accept`, `release`. They are written to the ledger at once,
also during a pass; passes act on them."""

from __future__ import annotations

import os
import pwd
import socket
import sys
import time
from typing import Any

import click

from sync_to_azure.transfer.commands.explain import changed_lines, folder_named
from sync_to_azure.transfer.commands.writing_ledger import open_ledger
from sync_to_azure.transfer.views.records import reading, unknown
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.reader import ChangedFile, LedgerReader, offer
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.transfer.ledger.overrides import (
    ACCEPT,
    HOLD,
    IGNORE,
    RELEASE,
    RETRY,
    Override,
    current,
    set_override,
)
from sync_to_azure.core.model import State
from sync_to_azure.settings.options import CONTINUOUS
from sync_to_azure.core.reasons import Reason
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.steps.claims import FLOW
from sync_to_azure.transfer.steps.placing import key_of
from sync_to_azure.transfer.steps.flagging import OF_THE_SHEET
from sync_to_azure.transfer.steps.sheet_changes import SHEET
from sync_to_azure.transfer.steps.override_checks import command, config_option
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import Redactor, plain
from sync_to_azure.notify.terminal import human_size

_NAMES = 50
_DONE = {
    HOLD: "is held: nothing of it is uploaded, published or removed until it is released",
    IGNORE: "is ignored: nothing of it is uploaded, published, removed or reported until it is released",
    RETRY: "is checked again from the start in the next pass, and its problems are reported again",
}


def speak(settings: Settings, action: str, name: str, reason: str | None, expected: bool = False) -> int:
    """hold, ignore or retry."""
    name = key_of(settings.completion, name)
    there = _is_there(settings, name)
    if not there and ("/" in name or name in ("", ".", "..")):
        raise ConfigurationError(f"{name!r} is no run's name", "give the name of its folder alone")
    if not there and (action == RETRY or not expected):
        error = unknown(name, _names(settings))
        if action != RETRY:
            error.advice += "; for a run that does not exist yet, add --expected"
        raise error
    with open_ledger(settings) as ledger:
        before = _give(settings, ledger, action, name, reason, {})
    _tell(settings, f"{plain(name)} {_DONE[action]}.")
    if not there:
        _tell(settings, "No run of that name is known yet: this applies once it appears.")
    if before is not None:
        _tell(settings, f"It replaces: {before.action} by {plain(before.by)}.")
    _without_reason(settings, reason)
    return 0


def release(settings: Settings, name: str, reason: str | None) -> int:
    name = key_of(settings.completion, name)
    with open_ledger(settings) as ledger:
        if current(ledger, name) is None:
            if not _is_there(settings, name):
                raise unknown(name, _names(settings))
            raise ConfigurationError(
                f"there is no override for {name}",
                f"{command(settings.general, 'explain', name)} shows its state",
            )
        before = _give(settings, ledger, RELEASE, name, reason, {})
    assert before is not None
    _tell(
        settings,
        f"{plain(name)} is released: {before.action} by {plain(before.by)} ended; the next pass continues with"
        " it.",
    )
    return 0


def accept_sheets(settings: Settings, reason: str | None, yes: bool, every: bool) -> int:
    """The new sample sheets of all runs that are flagged for them."""
    opened = reading(settings)
    if opened is None:
        raise ConfigurationError("no sample sheet waits to be accepted", "no pass has run yet")
    with opened as ledger:
        runs = [run for run in ledger.runs() if _is_flagged_for_its_sheet(run)]
        stopped = {key for key, override in ledger.overrides().items() if override.stops}
    for run in runs:
        if run.key in stopped:
            _tell(settings, f"{plain(run.key)} is left out: it is held or ignored.")
    runs = [run for run in runs if run.key not in stopped]
    if not runs:
        raise ConfigurationError(
            "no sample sheet waits to be accepted",
            f"sync_to_azure status{config_option(settings.general)} shows all runs",
        )
    _tell(settings, f"The new sample sheets of {len(runs)} runs replace the published ones:")
    for run in runs if every else runs[:_NAMES]:
        _tell(settings, f"  {plain(run.key)}: {plain(_sheet_of(run))}")
    if len(runs) > _NAMES and not every:
        _tell(settings, f"  … and {len(runs) - _NAMES} more (--all lists them)")
    _tell(settings, _SHEETS_KEPT)
    _confirm(settings, f"{len(runs)} sample sheets", yes)
    with open_ledger(settings) as writing:
        for run in runs:
            _give(settings, writing, ACCEPT, run.key, reason, _new_sheet(run)[0])
    _tell(settings, f"{len(runs)} sample sheets are accepted; the next pass publishes them.")
    _without_reason(settings, reason)
    return 0


def _is_flagged_for_its_sheet(run: Run) -> bool:
    return run.state is State.FLAGGED and run.reason is not None and run.reason.code in OF_THE_SHEET


def _sheet_of(run: Run) -> str:
    return str(run.reason.parameters.get("sheet")) if run.reason is not None else ""


_SHEETS_KEPT = (
    "What is published now is kept as snapshots. A sheet that changes once more is not accepted. Ransomware"
    " changes sheets like that: check some of them first."
)


def _new_sheet(run: Run) -> tuple[dict[str, Any], list[str]]:
    parameters = run.reason.parameters if run.reason is not None else {}
    return {"kind": SHEET, "md5": parameters.get("md5")}, [
        f"The new sample sheet of {plain(run.key)}, {plain(_sheet_of(run))}, replaces the published one.",
        _SHEETS_KEPT,
    ]


def accept(settings: Settings, name: str, reason: str | None, yes: bool, every: bool) -> int:
    name = key_of(settings.completion, name)
    opened = reading(settings)
    if opened is None:
        raise unknown(name, [])
    with opened as ledger:
        run = ledger.run(name)
        if run is None:
            raise unknown(name, ledger.names())
        about, lines = _accepted(settings, ledger, run, every)
    for line in lines:
        _tell(settings, line)
    _confirm(settings, name, yes)
    with open_ledger(settings) as writing:
        before = _give(settings, writing, ACCEPT, name, reason, about)
    _tell(
        settings,
        f"{plain(name)} is accepted; the next pass does it. {command(settings.general, RELEASE, name)} undoes this.",
    )
    if before is not None:
        _tell(settings, f"It replaces: {before.action} by {plain(before.by)}.")
    _without_reason(settings, reason)
    return 0


def _accepted(
    settings: Settings, ledger: LedgerReader, run: Run, every: bool
) -> tuple[dict[str, Any], list[str]]:
    """What exactly would be accepted, for the record and for the person. Raises ConfigurationError: nothing."""
    code = run.reason.code if run.reason is not None else ""
    if code in ("other-main-folder", "claimed-by-other-flow") and run.reason is not None:
        return _flow(run, run.reason)
    if _is_flagged_for_its_sheet(run):
        return _new_sheet(run)
    changed = ledger.changed(run)
    if changed and (run.is_published or run.foreign_blobs):
        return _changed(settings, run, changed, every)
    if code == "failed-held" and run.reason is not None:
        return {"kind": "failed"}, [
            f"{plain(run.key)} is {plain(run.reason.text)}.",
            "It is uploaded and published as it is once it is unchanged long enough; its receipt says how it ended.",
        ]
    if code in ("no-profile", "unjudged"):
        return {"kind": "unfinished", "flags": []}, [
            f"Nothing shows that {plain(run.key)} finished: it belongs to no known instrument family.",
            "It is uploaded and published as it is once it is unchanged for long enough; its receipt says so.",
        ]
    if code == "never-ended":
        return {"kind": "unfinished", "flags": []}, [
            f"{plain(run.key)}: {plain(run.reason.text if run.reason is not None else '')}.",
            "They are uploaded as they are; from then on they must not change.",
        ]
    if code in ("flag-missing", "stalled") and run.reason is not None:
        flags = run.reason.parameters.get("flags")
        told = ", ".join(flags) if isinstance(flags, list) else "?"
        return {"kind": "unfinished", "flags": flags}, [
            f"{plain(run.key)} has no {plain(told)}: nothing shows that it finished.",
            "It is uploaded and published as it is once it is unchanged for long enough; its receipt says so.",
        ]
    raise ConfigurationError(
        f"nothing of {run.key} waits to be accepted: it is {run.state}"
        + (f" ({run.reason.text})" if run.reason else ""),
        f"{command(settings.general, 'explain', run.key)} shows the details",
    )


def _flow(run: Run, reason: Reason) -> tuple[dict[str, Any], list[str]]:
    parameters = reason.parameters
    return {"kind": FLOW, "flow": parameters.get("flow")}, [
        f"{plain(run.key)}: the destination holds it for another flow: {plain(str(parameters.get('theirs')))}.",
        "This flow takes it over. If the other flow still runs, stop it first: only one may upload a run.",
        "What is published stays as it is: files that differ are reported, and not replaced.",
    ]


def _changed(
    settings: Settings, run: Run, changed: list[ChangedFile], every: bool
) -> tuple[dict[str, Any], list[str]]:
    told = offer(changed)
    if told.gone:
        gone = next(file.blob for file in changed if file.size < 0)
        what = "are being compared by a running pass; try again when it has finished"
        if any(file.size == -1 for file in changed):
            what = "are not at the source any more; put them back, or release the run"
        raise ConfigurationError(f"files of {run.key} ({gone} …) {what}")
    theirs = not run.is_published or (run.reason is not None and run.reason.code == "taken-over-differs")
    kind = "taken-over" if theirs else "changed"
    whose = "that another writer published" if theirs else "that were published"
    lines = [
        f"{told.count}{f' of {run.files}' if run.files else ''} files of {plain(run.key)} {whose} are replaced by what"
        f" the source holds now, {human_size(told.bytes)}:",
        *changed_lines(changed if every else changed[:_NAMES]),
    ]
    if len(changed) > _NAMES and not every:
        lines.append(f"  … and {len(changed) - _NAMES} more (--all lists them)")
    if run.is_published and told.count * 4 >= run.files > 3:
        lines.append(
            "That is a large part of the run. Ransomware changes files like that: check some of them first."
        )
    marker = "" if settings.completion.profile in CONTINUOUS else "The marker RUN.sync is withdrawn first. "
    lines.append(
        f"{marker}The current blobs are kept as snapshots. Nothing else is accepted: what changes from"
        " now on is reported again."
    )
    about = {"kind": kind, "count": told.count, "bytes": told.bytes, "digest": told.digest}
    return about, lines


def _confirm(settings: Settings, name: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{name}: nothing was accepted, because it was not confirmed", "read the above, and add --yes"
        )
    if not click.confirm("Accept this?", default=False):
        raise ConfigurationError(f"{name}: nothing was accepted")


def _give(
    settings: Settings, ledger: Ledger, action: str, name: str, reason: str | None, about: dict[str, Any]
) -> Override | None:
    clean = Redactor(settings.secret_values())(reason or "")
    return set_override(ledger, name, action, speaker(), time.time(), clean, about)


def speaker() -> str:
    """Login name @ host; behind sudo also whose it was before."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    before = os.environ.get("SUDO_USER")
    who = f"{before} (as {name})" if before and before != name else name
    return f"{who}@{socket.gethostname()}"


def _is_there(settings: Settings, name: str) -> bool:
    """On record, or a folder in the main folder that no pass has seen yet."""
    return name in _names(settings) or folder_named(settings, name) is not None


def _names(settings: Settings) -> list[str]:
    opened = reading(settings)
    if opened is None:
        return []
    with opened as ledger:
        return ledger.names()


def _without_reason(settings: Settings, reason: str | None) -> None:
    if not reason:
        _tell(settings, "No reason was given; --reason TEXT records one.")


def _tell(settings: Settings, text: str) -> None:
    """One line."""
    show(plain(Redactor(settings.secret_values())(text)))
