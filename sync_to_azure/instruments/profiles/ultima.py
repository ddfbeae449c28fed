"""Ultima UG 100: a folder RUN-YYYYMMDD_HHMM with RUN_LibraryInfo.xml.

- Finished: UploadCompleted.json at the top level; a delivery of a sequencing centre has it as RUN_UploadCompleted.json
  (wtsi-npg/npg_tracking, Monitor::Ultimagen::RunFolder, takes a run for mirrored by it; its test data have the names).
- What it says of how the run ended is not documented, nor how many files there must be.
"""

from __future__ import annotations

import re

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View

_LIBRARY = "[0-9]*_libraryinfo.xml"
_FLAGS = ("UploadCompleted.json", "[0-9]*_uploadcompleted.json")
_NAME = re.compile(r"\d{6}-\d{8}_\d{4}", re.ASCII)


def _recognise(view: View) -> Sign:
    library = view.find(_LIBRARY)
    if library is not None:
        return Sign(Strength.FILES, f"it has {library}")
    if _NAME.fullmatch(view.name):
        return Sign(Strength.NAME, "it is named as a run of a UG 100")
    return NO_SIGN


PROFILE = Profile(
    name="ultima",
    title="Ultima UG 100",
    words=Words(
        recognised="`*_LibraryInfo.xml`, or a name such as `424090-20250822_0117`",
        finished="`UploadCompleted.json`",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="wtsi-npg/npg_tracking",
        tried=DOCUMENTED,
        know="no file shows how a run ended",
    ),
    recognise=_recognise,
    waits_for=lambda view: () if any(map(view.find, _FLAGS)) else _FLAGS[:1],
)
