"""Sections, keys and variables that are unknown, or not where they belong: each is named, with the one that is meant.

What another component has in its own section and variables is that component's matter, and ends nothing here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from sync_to_azure.settings import components
from sync_to_azure.settings.components import PASS, Component
from sync_to_azure.settings.configfile import ConfigFile, ConfigEntry, Section, looks_like_a_key
from sync_to_azure.settings.values import Notice

_ALIKE = 0.75
"""How near a word must be to a component's name to be meant for it: catalog, streams."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean '…'?``, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def suggestion(key: str, component: Component) -> str:
    """For a key that the component does not have: the nearest of those that a file can hold."""
    known = [option.key for option in component.options or () if not option.obsolete and option.in_file]
    return nearest(key.strip("-"), known)


def file_problems(file: ConfigFile, name: str, component: Component) -> list[str]:
    """Everything that is wrong with what a file, called ``name``, says to ``component``, in order of lines."""
    found = list(file.problems)
    for title, section in file.sections.items():
        owner = components.of_section(title)
        if owner is None:
            text = f"{name} line {section.line}: {_unknown_section(title, section)}"
            found.append((section.line, text))
        elif owner is component:
            found += section.problems
            found += _own_keys(section, component)
        elif owner.options is not None:
            found += _keys_of_ours(section, owner, component)
    return [text for _, text in sorted(found)]


def file_notices(file: ConfigFile, name: str, component: Component) -> Iterator[Notice]:
    """Sections that no part of this version reads: to pass over them in silence would hide a key that slipped there."""
    for title, section in file.sections.items():
        owner = components.of_section(title)
        if owner is None or owner.options is not None:
            continue
        text = (
            f"{name} line {section.line}: section {section.shown} is reserved; this version does not read it"
        )
        slipped = sorted(section.entries.keys() & component.keys.keys())
        if slipped and not owner.named:
            text += f", nor {', '.join(slipped)} there: what a pass shall read belongs in {component.header}"
        yield Notice(f"reserved:{title}", text, once=True)


def environment_problems(environ: Mapping[str, str], component: Component) -> Iterator[str]:
    """Unknown variables in our names. Those of other components are left to them."""
    known = {**PASS.variables, **component.variables}
    for name, text in sorted(environ.items()):
        if not text.strip() or name in known:
            continue
        owner = components.of_variable(name)
        if owner is PASS or owner is component:
            yield f"environment {name}: unknown variable{_near_variable(name, known)}"
        elif owner is None and name.upper() in known:
            yield f"environment {name}: variables are in capitals{nearest(name.upper(), known)}"


def _unknown_section(title: str, section: Section) -> str:
    kind, _, rest = title.partition(" ")
    named = [each for each in components.COMPONENTS if each.named]
    if not rest and any(each.section == kind for each in named):
        return f"section {section.shown} needs a name, such as [{kind} nextseq-500]"
    headers = {each.section: each.header for each in components.COMPONENTS}
    near = difflib.get_close_matches(title if title in headers else kind, headers, 1)
    hint = f"did you mean {headers[near[0]]}?" if near else f"sections are {', '.join(headers.values())}"
    return f"unknown section {section.shown}; {hint}"


def _own_keys(section: Section, component: Component) -> Iterator[tuple[int, str]]:
    keys = component.keys
    for key, entry in section.entries.items():
        option = keys.get(key)
        if option is None:
            yield entry.line, f"{entry.origin}: {_unknown_key(key, component)}"
        elif not option.in_file:
            variable = component.variable(option)
            other = "a file with credentials" if option.secret else "the option on the command line"
            text = f"key '{key}' has no place in a config file; give the environment variable {variable}, or {other}"
            yield entry.line, f"{entry.origin}: {text}"


def _unknown_key(key: str, component: Component) -> str:
    for other in components.COMPONENTS:
        if other is not component and key in other.keys:
            return f"key '{key}' belongs in section {other.header}"
    shown = repr(key) if looks_like_a_key(key) else "(not repeated: is it a value?)"
    return f"unknown key {shown}{suggestion(key, component)}"


def _keys_of_ours(section: Section, owner: Component, component: Component) -> Iterator[tuple[int, str]]:
    """Keys that only we know, in a section of another: not to read them would do other than what was meant."""
    for key, entry in section.entries.items():
        if key in component.keys and key not in owner.keys:
            yield entry.line, _belongs(key, entry, component)


def _belongs(key: str, entry: ConfigEntry, component: Component) -> str:
    return f"{entry.origin}: key '{key}' belongs in section {component.header}"


def _near_variable(name: str, known: Iterable[str]) -> str:
    prefix = PASS.prefix or ""
    word, _, rest = name.removeprefix(prefix).partition("_")
    begins = {
        each.prefix.removeprefix(prefix).removesuffix("_"): each.prefix
        for each in components.COMPONENTS
        if each.prefix is not None and each is not PASS
    }
    part = difflib.get_close_matches(word, begins, 1, _ALIKE)
    if part and part[0] != word and rest:
        return f"; did you mean '{begins[part[0]]}{rest}'?"
    shortened = {each.removeprefix(prefix): each for each in known}
    near = difflib.get_close_matches(name.removeprefix(prefix), shortened, 1)
    return f"; did you mean '{shortened[near[0]]}'?" if near else ""
