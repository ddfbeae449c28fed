"""Waters: a project folder with one folder NAME.raw an acquisition, or a single such folder (MassLynx).

- In it _FUNC001.DAT and more, one a function (ProteoWizard, Reader_Waters.cpp), with _HEADER.TXT and _extern.inf.
- There is no flag, and nothing says how an acquisition ended: standing still must do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted

_FUNCTION = "*.raw/_func001.dat"
_OWN = "_func[0-9]*.dat"


def _acquisitions(view: View) -> int:
    inner = sum(1 for _ in view.matching(_FUNCTION))
    return inner or int(view.name.lower().endswith(".raw") and view.find(_OWN) is not None)


def _recognise(view: View) -> Sign:
    if _acquisitions(view):
        return Sign(Strength.FILES, "it holds _FUNC….DAT in a folder .raw, as MassLynx writes it")
    return NO_SIGN


def _facts(view: View) -> Mapping[str, Any]:
    return {"acquisitions": _acquisitions(view)}


PROFILE = Profile(
    name="waters",
    title="Waters .raw",
    words=Words(
        recognised="`_FUNC001.DAT` in a folder `*.raw`",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="ProteoWizard, Reader_Waters",
        tried=DOCUMENTED,
        know="no file shows that an acquisition failed",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    facts=_facts,
    wanted=(Wanted(_FUNCTION, 0, head=True),),
    quiet=24 * 3600.0,
)
