"""Singular Genomics G4: a folder DATE_INSTRUMENT_NUMBER_POSITION_FLOWCELL, as 220622_G4X1234_0057_2_FC000007A.

- In it run_config.json, run_summary.json, samplesheet.csv, and folders of FASTQ files (knowledge.singulargenomics.com,
  Run Folder).
- Finished: transfer_complete.txt, "generated when copying the files to the remote location is complete";
  run_complete.txt before it says that all sequencing operations are (the same page). Neither says how they ended.
"""

from __future__ import annotations

import re

from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View

_FLAG = "transfer_complete.txt"
_FOLDERS = {"demux_filtered_fastqs", "unfiltered_fastqs", "phix_stats"}
_NAME = re.compile(r"\d{6}_G4[A-Za-z0-9-]*_\d{1,4}_[1-4]_[A-Za-z0-9-]+", re.ASCII)


def _recognise(view: View) -> Sign:
    folders = sorted(folder for folder in view.folders if folder.lower() in _FOLDERS)
    if view.has("run_config.json") and (folders or view.has("run_complete.txt") or view.has(_FLAG)):
        return Sign(Strength.FILES, "it has run_config.json and what else a G4 writes")
    if _NAME.fullmatch(view.name):
        return Sign(Strength.NAME, "it is named as a run of a G4")
    return NO_SIGN


PROFILE = Profile(
    name="singular",
    title="Singular G4",
    words=Words(
        recognised="`run_config.json` with its folders or flags, or a name such as `220622_G4X1234_0057_2_FC000007A`",
        finished=f"`{_FLAG}`",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="knowledge.singulargenomics.com, Run Folder",
        tried=DOCUMENTED,
        know="no file shows how a run ended; its sample sheet is uploaded, but not read",
    ),
    recognise=_recognise,
    waits_for=lambda view: () if view.has(_FLAG) else (_FLAG,),
)
