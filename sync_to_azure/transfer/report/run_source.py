"""What the run's own folder tells of it, and kept for the time when it is removed: facts, how it ended, quality."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.instruments import profiles
from sync_to_azure.core.errors import SyncError
from sync_to_azure.files.folder import Folder as SourceFolder
from sync_to_azure.files.folder import Place, open_folder
from sync_to_azure.files.folder_view import look_at
from sync_to_azure.instruments.profiles.view import View
from sync_to_azure.transfer.report import quality
from sync_to_azure.transfer.report.output_folder import KEPT, ReportFolder, page_name
from sync_to_azure.transfer.report.privacy import facts as without_names
from sync_to_azure.transfer.report.quality import Quality
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.sample_sheet import read_sheet
from sync_to_azure.instruments.run_facts.text import MalformedFile
from sync_to_azure.notify.redact import Redactor

SCHEMA = 1
_SHEET = "SampleSheet.csv"


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """``family``: the instruments' family, if it was recognised, ``recognised``: by what. ``outcome``: what the
    instrument says of how it ended. ``there``: does its folder stand; False also for what was kept of it."""

    family: str | None
    recognised: str
    outcome: str
    facts: Mapping[str, Any]
    quality: Quality
    there: bool


def instrument(run: str) -> tuple[str, str]:
    """(family, serial) by the run's name alone, "" for what it does not tell: all runs are asked, also those gone."""
    family = profiles.recognise(View(run)).profile
    facts = run.split("_")
    serial = facts[1] if family is not None and len(facts) > 2 and facts[0].isdigit() else ""
    return (family.title if family is not None else ""), serial


def about(main_folder: Path, run: str, folder: ReportFolder, names: bool, redact: Redactor) -> About | None:
    """From the folder if it stands, else as it was kept; None where nothing is known."""
    name = f"{KEPT}/{page_name(run)}.json"
    kept = _kept(folder, name, names)
    try:
        place = Place(open_folder(os.fsencode(main_folder)), os.fsencode(run))
        source = place.open()
    except OSError:
        return kept[1] if kept is not None else None
    with source:
        stamp = _stamp(source, names)
        if kept is not None and kept[0] == stamp:
            return dataclasses.replace(kept[1], there=True)
        try:
            view, _ = look_at(place, profiles.AUTO)
        except SyncError as error:
            return About(None, "", "", {}, Quality(problem=error.message), True)
        found = _without_secrets(_about(source, view, names), redact)
    values = {
        "schema": SCHEMA,
        "stamp": stamp,
        "family": found.family,
        "recognised": found.recognised,
        "outcome": found.outcome,
        "facts": dict(found.facts),
        "quality": quality.unparsed(found.quality),
    }
    folder.write(name, _text(values))
    return found


def _about(source: SourceFolder, view: View, names: bool) -> About:
    recognised = profiles.recognise(view)
    profile = recognised.profile
    if profile is None:
        outcome = profiles.outcome(view, recognised)
        words = "" if outcome.end is End.UNKNOWN else outcome.words
        return About(None, recognised.reason, words, {}, quality.read(source), True)
    facts = without_names(profile.facts(view), names)
    sheet = view.find(_SHEET)
    if names and sheet is not None and (small := view.small.get(sheet)) and small.content is not None:
        try:
            facts["samples"] = list(read_sheet(small.content).names)
        except MalformedFile:
            pass
    ended = _ended(profiles.outcome(view, recognised))
    return About(profile.title, recognised.reason, ended, facts, quality.read(source), True)


def _without_secrets(about: About, redact: Redactor) -> About:
    return dataclasses.replace(
        about,
        recognised=redact(about.recognised),
        outcome=redact(about.outcome),
        facts=redact.within(about.facts),
    )


def _ended(outcome: RunOutcome) -> str:
    return f"not known: {outcome.words}" if outcome.end is End.UNKNOWN else outcome.words


def _kept(folder: ReportFolder, name: str, names: bool) -> tuple[str, About] | None:
    """(stamp, what was kept); None where nothing was, or nothing that can be read. Names that were kept when they were
    asked for go from the file too: the folder is given away as a whole."""
    text = folder.read(name)
    try:
        values = json.loads(text) if text is not None else {}
        if values.get("schema") != SCHEMA:
            return None
        facts = without_names(values["facts"], names)
        if facts != values["facts"]:
            values["facts"] = facts
            folder.write(name, _text(values))
        about = About(
            values["family"],
            str(values["recognised"]),
            str(values["outcome"]),
            facts,
            quality.parsed(values["quality"]),
            False,
        )
        return str(values["stamp"]), about
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1) + "\n"


def _stamp(source: SourceFolder, names: bool) -> str:
    """Changes when the run's folder or its InterOp does."""
    parts = [f"{SCHEMA} {names}"]
    try:
        parts.append(str(os.fstat(source.handle).st_mtime_ns))
        with source.folder(b"InterOp") as folder, folder.entries() as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                status = entry.stat(follow_symlinks=False)
                parts.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    except OSError as error:
        parts.append(type(error).__name__)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
