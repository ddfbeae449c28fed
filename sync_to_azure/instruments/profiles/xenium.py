"""10x Xenium: YYYYMMDD__HHMMSS__RUN with one folder a region, output-SERIAL__SLIDE__REGION__YYYYMMDD__HHMMSS; or a
single such folder of a region.

- Layout, and experiment.xenium, the manifest of each region: 10xgenomics.com, Xenium Onboard Analysis, Understanding
  Xenium Outputs.
- Which file is written last is not documented: every region has its experiment.xenium, and nothing moved for 24 h.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted

_RUN = re.compile(r"\d{8}__\d{6}__.+", re.ASCII)
_REGION = re.compile(r"output-[^_]+__[^_].*__\d{8}__\d{6}", re.ASCII)
_MANIFEST = "experiment.xenium"
_PATTERN = f"output-*/{_MANIFEST}"


def _regions(view: View) -> list[str]:
    return sorted(folder for folder in view.folders if _REGION.fullmatch(folder))


def _recognise(view: View) -> Sign:
    if view.has(_MANIFEST) or next(view.matching(_PATTERN), None) is not None:
        return Sign(Strength.FILES, f"it holds {_MANIFEST}")
    if _RUN.fullmatch(view.name) and _regions(view):
        return Sign(Strength.FILES, "it is named as a run of a Xenium, and holds folders of regions")
    if _RUN.fullmatch(view.name) or _REGION.fullmatch(view.name):
        return Sign(Strength.NAME, "it is named as a run of a Xenium")
    return NO_SIGN


def _waits_for(view: View) -> tuple[str, ...]:
    if view.has(_MANIFEST):
        return ()
    there = {path.partition("/")[0] for path, _ in view.matching(_PATTERN)}
    lacking = sum(region not in there for region in _regions(view))
    if there and not lacking:
        return ()
    # A region is named by a person: its name is not told.
    return (f"{_MANIFEST} of {lacking} regions",) if lacking else (_MANIFEST,)


def _facts(view: View) -> Mapping[str, Any]:
    return {"regions": len(_regions(view)) or 1}


PROFILE = Profile(
    name="xenium",
    title="10x Xenium",
    words=Words(
        recognised="`experiment.xenium`, or a name such as `20250131__173305__run`",
        finished="`experiment.xenium` in each region's folder, and nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="10xgenomics.com, Understanding Xenium Outputs",
        tried=DOCUMENTED,
        know="let the main folder be the one that holds the runs (`output`)",
    ),
    recognise=_recognise,
    waits_for=_waits_for,
    facts=_facts,
    wanted=(Wanted(_PATTERN, 0, head=True),),
    quiet=24 * 3600.0,
)
