"""Proteomics projects, placed as the tool before this one placed them, so that its pipelines go on.

- A project is a folder of the main folder whose name fits ``project-glob`` (``prot[0-9]*``), in any case; its name
  at the destination is in upper case. Files at its top level only.
- ``.raw`` to ``samples/``, those that fit ``blank-glob`` (``blank*.raw``) to ``blanks/``; ``.meth`` and ``.sld`` to
  ``other/``;
  ``Prot*.xlsx`` to ``results/`` and ``metadata.xlsx`` to the root, both in lower case. All others are left.
- ``results.ready`` starts the pipelines: written last, when results and metadata are both there and one of them
  changed.

The source is that tool, a proteomics centre's script; suffixes, globs and ``metadata.xlsx`` were compared there in any
case, ``Prot*.xlsx`` was not: here it is, because a share of Windows does not tell the cases apart either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from sync_to_azure.instruments.profiles.continuous import (
    Continuous,
    Ready,
    ContinuousRules,
    Survey,
    Unit,
    glob,
)
from sync_to_azure.instruments.profiles.profile import NO_SIGN, PASSES, Profile, Words

_OTHER = (".meth", ".sld")
_METADATA = "metadata.xlsx"


def _units(folders: Sequence[str], rules: ContinuousRules) -> tuple[Unit, ...]:
    projects: dict[str, list[str]] = {}
    for name in sorted(folders):
        if glob(name, rules.project_glob):
            projects.setdefault(name.upper(), []).append(name)
    return tuple(
        Unit(key, names[0], problem=_conflict(key, names) if len(names) > 1 else "")
        for key, names in projects.items()
    )


def _conflict(key: str, names: Sequence[str]) -> str:
    return f"the folders {' and '.join(names)} would both be {key} at the destination"


def _others(folders: Sequence[str], rules: ContinuousRules) -> tuple[str, ...]:
    return ()


def _enters(folder: str) -> bool:
    return folder == ""


def _places(path: str, survey: Survey, rules: ContinuousRules) -> tuple[str, ...]:
    if "/" in path:
        return ()
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".raw":
        return (f"blanks/{path}" if glob(path, rules.blank_glob) else f"samples/{path}",)
    if suffix in _OTHER:
        return (f"other/{path}",)
    if glob(path, "prot*.xlsx"):
        return (f"results/{path.lower()}",)
    return (_METADATA,) if path.lower() == _METADATA else ()


def _is_frozen(blob: str) -> bool:
    return blob.startswith(("samples/", "blanks/"))


def _is_result(blob: str) -> bool:
    return blob.startswith("results/")


def _is_metadata(blob: str) -> bool:
    return blob == _METADATA


PROFILE = Profile(
    name="proteomics",
    title="Proteomics projects",
    words=Words(
        recognised="never by itself: `profile = proteomics`",
        finished="never: a file is uploaded once it is 24 h old (`min-file-age`), unchanged, and acquired",
        outcome="not known",
        completeness="not known",
        sheet="none",
        source="the tool before this one; unfinnigan, RawFileReaderS",
        tried=PASSES,
        know="projects that are never done, below",
    ),
    recognise=lambda view: NO_SIGN,
    waits_for=lambda view: (),
    continuous=Continuous(
        min_age=24 * 3600.0,
        units=_units,
        others=_others,
        enters=_enters,
        survey=None,
        places=_places,
        is_frozen=_is_frozen,
        ready=Ready("results.ready", (_is_result, _is_metadata)),
    ),
)
