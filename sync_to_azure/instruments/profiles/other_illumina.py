"""Any other instrument of Illumina's, weaker than every family: one that nobody knows yet does not wait for ever.

- RunInfo.xml is in every run (bcl2fastq and BCL Convert read it), and CopyComplete.txt is the last file of all families
  since the NextSeq 1000 and NovaSeq 6000 (support-docs.illumina.com, Output Folder Structure).
- Older ones that are no family here have no CopyComplete.txt: they wait, and are flagged after ``stale-after``.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.profile import DOCUMENTED, NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View

_FLAG = "CopyComplete.txt"


def _recognise(view: View) -> Sign:
    run_info = illumina.run_info_of(view)
    if run_info is None or not (run_info.run or run_info.instrument):
        return NO_SIGN
    return Sign(Strength.FALLBACK, f"RunInfo.xml names instrument {run_info.instrument or '(none)'}")


PROFILE = Profile(
    name="other-illumina",
    title="other Illumina",
    words=Words(
        recognised="`RunInfo.xml`, where no family fits",
        finished=f"`{_FLAG}`",
        outcome="`RunCompletionStatus.xml`, else `CompletedJobInfo.xml`",
        completeness="not known",
        sheet="`SampleSheet.csv`",
        source="Illumina, NovaSeq X, Output Folder Structure",
        tried=DOCUMENTED,
        know="an older instrument may never write `CopyComplete.txt`: give it a completion flag",
    ),
    recognise=_recognise,
    waits_for=lambda view: () if view.has(_FLAG) else (_FLAG,),
    outcome=illumina.outcome,
    facts=illumina.facts,
    wanted=illumina.WANTED,
    sheet=illumina.SHEET,
)
