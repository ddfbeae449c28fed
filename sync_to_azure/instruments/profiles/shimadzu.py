"""Shimadzu: a project folder of .lcd files (LabSolutions; ProteoWizard, Reader_Shimadzu.cpp).

- There is no flag, and nothing says how an acquisition ended: standing still must do.
- Recognised by a file's name alone: every family that is recognised by content is believed before.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View


def _recognise(view: View) -> Sign:
    return Sign(Strength.NAME, "it holds .lcd files") if view.find("*.lcd") is not None else NO_SIGN


PROFILE = Profile(
    name="shimadzu",
    title="Shimadzu .lcd",
    words=Words(
        recognised="a `.lcd` file at its top level",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="ProteoWizard, Reader_Shimadzu",
        tried=DOCUMENTED,
        know="no file shows that an acquisition failed",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    quiet=24 * 3600.0,
)
