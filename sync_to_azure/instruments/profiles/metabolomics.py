"""Metabolomics data sets, placed as the tool before this one placed them.

- A data set NAME is the folder ``RawData_NAME`` with ``DataProcessingMethod_NAME`` beside it in the main folder; its
  name at the destination is NAME. It is carried when both are there.
- In ``RawData_NAME`` each folder of digits is a run, of which the files at the top level are carried: to
  ``DIGITS/raw/`` if any of them is a ``.raw`` (they are converted later), else to ``DIGITS/mzML/``.
- Whatever is in ``DataProcessingMethod_NAME``, at any depth, goes with each run, to ``DIGITS/``.
- Each file at least 1 h old.

The source is that tool, a metabolomics centre's script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sync_to_azure.instruments.profiles.continuous import Continuous, ContinuousRules, Survey, Unit
from sync_to_azure.instruments.profiles.profile import NO_SIGN, PASSES, Profile, Words

_DATA, _METHODS = "RawData_", "DataProcessingMethod_"
_RAW, _MZML = "raw", "mzML"


def _named(folders: Sequence[str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): name
        for name in folders
        if name.startswith(prefix) and len(name) > len(prefix)
    }


def _units(folders: Sequence[str], rules: ContinuousRules) -> tuple[Unit, ...]:
    data, methods = _named(folders, _DATA), _named(folders, _METHODS)
    units = []
    for name in sorted(data.keys() | methods.keys()):
        both = (f"{_DATA}{name}", f"{_METHODS}{name}")
        lacks = ", ".join(folder for folder in both if folder not in (data.get(name), methods.get(name)))
        units.append(Unit(name, "", tuple(folder for folder in both if folder not in lacks), lacks=lacks))
    return tuple(units)


def _others(folders: Sequence[str], rules: ContinuousRules) -> tuple[str, ...]:
    known = {*_named(folders, _DATA).values(), *_named(folders, _METHODS).values()}
    return tuple(name for name in folders if name not in known)


def _run(path: str) -> str:
    """The run that a path below RawData_NAME belongs to, or nothing."""
    parts = path.split("/")
    is_run = len(parts) > 1 and parts[0].startswith(_DATA) and re.fullmatch(r"[0-9]+", parts[1], re.ASCII)
    return parts[1] if is_run else ""


def _enters(folder: str) -> bool:
    if folder.startswith(_METHODS):
        return True
    return folder.startswith(_DATA) and ("/" not in folder or (folder.count("/") == 1 and bool(_run(folder))))


def _survey(paths: Iterable[str]) -> Survey:
    """Each run and where its files go."""
    found: dict[str, str] = {}
    for path in paths:
        run = _run(path)
        if run and path.count("/") == 2 and found.get(run) != _RAW:
            found[run] = _RAW if path.lower().endswith(".raw") else _MZML
    return found


def _places(path: str, survey: Survey, rules: ContinuousRules) -> tuple[str, ...]:
    inside = path.partition("/")[2]
    if path.startswith(_METHODS):
        return tuple(f"{run}/{inside}" for run in sorted(survey))
    run = _run(path)
    if not run or path.count("/") != 2:
        return ()
    return (f"{run}/{survey.get(run, _MZML)}/{path.rpartition('/')[2]}",)


def _is_frozen(blob: str) -> bool:
    return re.match(rf"[0-9]+/({_RAW}|{_MZML})/[^/]+$", blob, re.ASCII) is not None


PROFILE = Profile(
    name="metabolomics",
    title="Metabolomics data sets",
    words=Words(
        recognised="never by itself: `profile = metabolomics`",
        finished="never: a file is uploaded once it is 1 h old (`min-file-age`), unchanged, and acquired",
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
        min_age=3600.0,
        units=_units,
        others=_others,
        enters=_enters,
        survey=_survey,
        places=_places,
        is_frozen=_is_frozen,
    ),
)
