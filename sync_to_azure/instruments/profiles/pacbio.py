"""PacBio Revio, Vega, Sequel II: a run folder rNNNNN_YYYYMMDD_HHMMSS with one folder a SMRT cell (1_A01).

- Layout: pacbiofileformats.readthedocs.io, Revio & Vega file structure; Sequel's cells hold their files without
  folders.
- Finished: every cell has its MOVIE.transferdone, in metadata/ (Revio, Vega) or in the cell's folder (Sequel, with a
  leading dot), as miso-lims/runscanner does (RevioPacBioProcessor). All cells' folders are made when the run begins:
  in the public run r84028_20230214_022129 the last cell's Transfer_Test is ten seconds younger than the run's name.
- A Sequel that became a Sequel II has a U behind its number: movies m54329U_190607_185248 of the Human Pangenome
  Reference Consortium.
- Completeness: the files that each transferdone lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.completeness import Expectation, Paths
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.text import MalformedFile
from sync_to_azure.instruments.run_facts.transferdone import read_transferdone

_CELL = re.compile(r"\d_[A-Z]\d{2}", re.ASCII)
_RUN = re.compile(r"r\d{5}[eU]?_\d{8}_\d{6}", re.ASCII)
_PATTERNS = ("[0-9]_[a-z][0-9][0-9]/metadata/*.transferdone", "[0-9]_[a-z][0-9][0-9]/*.transferdone")


def _cells(view: View) -> list[str]:
    return sorted(folder for folder in view.folders if _CELL.fullmatch(folder))


def _transfers(view: View) -> dict[str, str]:
    """The path of the transferdone of each cell that has one."""
    found = [path for pattern in _PATTERNS for path, _ in view.matching(pattern)]
    return {path.partition("/")[0]: path for path in sorted(found)}


def _recognise(view: View) -> Sign:
    if _transfers(view):
        return Sign(Strength.STATED, "a SMRT cell has its transferdone")
    if _RUN.fullmatch(view.name) is None:
        return NO_SIGN
    if _cells(view):
        return Sign(Strength.FILES, "it is named as a PacBio run, and holds folders of SMRT cells")
    return Sign(Strength.NAME, "it is named as a PacBio run")


def _waits_for(view: View) -> tuple[str, ...]:
    cells, there = _cells(view), _transfers(view)
    return (
        tuple(f"{cell}/…transferdone" for cell in cells if cell not in there) if cells else ("a SMRT cell",)
    )


def _listed(view: View) -> dict[str, tuple[str, ...]]:
    """The files of each cell, below the run. Raises Problem."""
    listed = {}
    contents = {path: content for pattern in _PATTERNS for path, content in view.each(pattern)}
    for cell, path in _transfers(view).items():
        movie = path.rpartition("/")[2].removeprefix(".").removesuffix(".transferdone")
        try:
            files = read_transferdone(contents[path], movie).files
        except MalformedFile as problem:
            raise MalformedFile(f"{path} {problem}") from problem
        listed[cell] = tuple(f"{cell}/{file}" for file in files)
    return listed


def _outcome(view: View) -> RunOutcome:
    waiting = _waits_for(view)
    if waiting:
        return RunOutcome(End.UNKNOWN, f"not transferred yet: {', '.join(waiting)}")
    try:
        listed = _listed(view)
    except MalformedFile as problem:
        return RunOutcome(End.UNKNOWN, str(problem))
    return RunOutcome(
        End.COMPLETED,
        "transferdone: " + ", ".join(f"{cell} {len(files)} files" for cell, files in sorted(listed.items())),
    )


def _expect(view: View) -> Expectation | None:
    try:
        listed = _listed(view)
    except MalformedFile:
        return None
    there = {file for files in listed.values() for file in files}
    return Paths("the files that each transferdone lists", there, _waits_for(view)) if listed else None


def _facts(view: View) -> Mapping[str, Any]:
    found: dict[str, Any] = {"run_id": view.name, "cells": len(_cells(view))}
    movies = [path.rpartition("/")[2].removeprefix(".") for path in _transfers(view).values()]
    if movies:
        found["movies"] = sorted(movie.removesuffix(".transferdone") for movie in movies)
    return found


PROFILE = Profile(
    name="pacbio",
    title="PacBio",
    words=Words(
        recognised="`*.transferdone` in a SMRT cell's folder, or a name such as `r84028_20230214_022129`",
        finished="a `*.transferdone` for every SMRT cell's folder",
        outcome="`*.transferdone`",
        completeness="the files that each `*.transferdone` lists",
        sheet="none",
        source="pacbiofileformats.readthedocs.io; miso-lims/runscanner",
        tried=DOCUMENTED,
        know="let the main folder be the one that holds the runs themselves",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    outcome=_outcome,
    expect=_expect,
    facts=_facts,
    wanted=tuple(Wanted(pattern, 4 * 2**20) for pattern in _PATTERNS),
)
