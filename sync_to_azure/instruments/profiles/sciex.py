"""Sciex: a project folder of NAME.wiff files, each with its NAME.wiff.scan (Analyst, SCIEX OS; there also .wiff2).

- The spectra are in the .wiff.scan, which can come hours after the .wiff (a proteomics centre's experience); older
  software wrote none. So it is not waited for: nothing moved for 24 h.
- There is no flag, and nothing says how an acquisition ended.
- Recognised by a file's name alone: every family that is recognised by content is believed before.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View


def _recognise(view: View) -> Sign:
    found = view.find("*.wiff") or view.find("*.wiff2")
    return Sign(Strength.NAME, "it holds .wiff files") if found is not None else NO_SIGN


PROFILE = Profile(
    name="sciex",
    title="Sciex .wiff",
    words=Words(
        recognised="a `.wiff` or `.wiff2` file at its top level",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="ProteoWizard, Reader_ABI",
        tried=DOCUMENTED,
        know="a `.wiff.scan` that arrives after a day is uploaded as a late file",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    quiet=24 * 3600.0,
)
