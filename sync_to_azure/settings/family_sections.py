"""``[family NAME]``: what the config file says of the runs of one family of instruments, as one main folder often
serves several: their completion flag."""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.settings import placement
from sync_to_azure.settings.configfile import ConfigEntry, Section, looks_like_a_key
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.options import BY_KEY, CONTINUOUS

KEY = "completion-flag"
FAMILIES = tuple(name for name in BY_KEY["profile"].choices if name != "auto")

Flags = dict[str, tuple[str, ...]]


def flags_of_families(merge: Merge) -> Flags:
    """Flags by the name of their family. What is wrong goes to ``merge``; the config file has been taken before."""
    found: Flags = {}
    for family, section in _sections(merge):
        merge.problems += [text for _, text in section.problems]
        if family not in FAMILIES:
            hint = placement.nearest(family, FAMILIES) or f"; families are {', '.join(FAMILIES)}"
            merge.problems.append(f"{merge.file_name} line {section.line}: no family {section.shown}{hint}")
        elif family in CONTINUOUS:
            text = f"{section.shown}: such a folder is never done, so no flag ends it; leave it out"
            merge.problems.append(f"{merge.file_name} line {section.line}: {text}")
        elif (entry := section.entries.get(KEY)) is not None:
            found[family] = _flags(merge, family, entry)
        unknown = section.entries.keys() - {KEY} - merge.component.keys.keys()
        for key in sorted(unknown):
            merge.problems.append(f"{section.entries[key].origin}: {_unknown(key)}")
    return found


def _sections(merge: Merge) -> Iterator[tuple[str, Section]]:
    for title, section in merge.sections.items():
        kind, _, name = title.partition(" ")
        if kind == "family" and name:
            # A family is written as profile has it, or as a section is: nextseq-500, nextseq_500, NextSeq 500.
            yield name.replace("_", "-").replace(" ", "-"), section


def _flags(merge: Merge, family: str, entry: ConfigEntry) -> tuple[str, ...]:
    option = BY_KEY[KEY]
    names = [part.strip() for text in entry.values for part in text.split(",") if part.strip()]
    for name in names:
        try:
            option.parse(name)
            problem = "" if is_a_files_name(name) else f"{name!r} is not the name of a file in the run folder"
        except ValueError as error:
            problem = str(error)
        if problem:
            merge.problems.append(f"{entry.origin}: {KEY} of family {family} {problem}")
    return tuple(names)


def is_a_files_name(name: str) -> bool:
    return "/" not in name and name not in (".", "..")


def _unknown(key: str) -> str:
    shown = repr(key) if looks_like_a_key(key) else "(not repeated: is it a value?)"
    return f"key {shown} has no place in a section of a family: only {KEY} does"
