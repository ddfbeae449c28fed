"""PacBio RS, RS II: a folder a run, in it one a SMRT cell (A01_1) with MOVIE.metadata.xml and Analysis_Results.

- Layout: smrt-analysis.readthedocs.io, Data files you received from your service provider. A movie is named
  m140415_143853_42175_c100635972550000001823121909121417_s1_p0.
- There is no flag that says that a run is finished: each cell's *.xfer.xml are written as its parts are transferred,
  and which cells are to come nobody knows. So nothing but standing still does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted

_METADATA = "[a-h][0-9][0-9]_[0-9]*/m[0-9]*.metadata.xml"


def _cells(view: View) -> list[str]:
    return sorted({path.partition("/")[0] for path, _ in view.matching(_METADATA)})


def _recognise(view: View) -> Sign:
    cells = _cells(view)
    return Sign(Strength.FILES, f"{cells[0]} is a SMRT cell of an RS II") if cells else NO_SIGN


def _facts(view: View) -> Mapping[str, Any]:
    movies = {path.rpartition("/")[2].removesuffix(".metadata.xml") for path, _ in view.matching(_METADATA)}
    return {"run_id": view.name, "cells": len(_cells(view)), "movies": sorted(movies)}


PROFILE = Profile(
    name="pacbio-rs",
    title="PacBio RS II",
    words=Words(
        recognised="`*.metadata.xml` in a SMRT cell's folder, `A01_1`",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="smrt-analysis.readthedocs.io, Data files",
        tried=DOCUMENTED,
        know="a cell that arrives after a day is uploaded as a late file",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    facts=_facts,
    wanted=(Wanted(_METADATA, 0, head=True),),
    quiet=24 * 3600.0,
)
