"""Agilent: a project folder with one folder NAME.d an acquisition, or a single such folder (MassHunter).

- In it AcqData with MSPeak.bin, MSProfile.bin or MSScan.bin (ProteoWizard, Reader_Agilent.cpp). Bruker's folders end in
  .d as well: where both are, Bruker's family has the project.
- There is no flag, and nothing says how an acquisition ended: standing still must do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles import bruker
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted


def _recognise(view: View) -> Sign:
    if bruker.of_agilent(view) and not bruker.has_brukers(view):
        return Sign(Strength.FILES, "it holds AcqData/MS….bin in a folder .d, as MassHunter writes it")
    return NO_SIGN


def _facts(view: View) -> Mapping[str, Any]:
    return {"acquisitions": len(bruker.of_agilent(view))}


PROFILE = Profile(
    name="agilent",
    title="Agilent .d",
    words=Words(
        recognised="`AcqData/MS*.bin` in a folder `*.d`",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="ProteoWizard, Reader_Agilent",
        tried=DOCUMENTED,
        know="no file shows that an acquisition failed; next to `.d` folders of Bruker it is part of their project",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    facts=_facts,
    wanted=tuple(Wanted(pattern, 0, head=True) for pattern in bruker.ACQ_DATA),
    quiet=24 * 3600.0,
)
