"""Oxford Nanopore, MinKNOW of 2017 and 2018: YYYYMMDD_HHMM_SAMPLE with fast5/ or fastq/, before there were final
summaries and before the flow cell was in the name.

- Layout: 20180122_1224_SAMPLE/fast5/pass/0/….fast5, below /var/lib/MinKNOW/data/reads (paths in public scripts of that
  time; stab.st-andrews.ac.uk, MinKNOW folders and log files, has pass, fail and skip).
- Nothing but standing still says that it is finished.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import nanopore
from sync_to_azure.instruments.profiles.profile import NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View

_READS = {"fast5", "fastq"}


def _recognise(view: View) -> Sign:
    reads = sorted(folder for folder in view.folders if folder.lower() in _READS)
    if reads and nanopore.is_named_as_in_2018(view):
        return Sign(Strength.FILES, f"it holds {reads[0]}/ and is named as MinKNOW named a run in 2018")
    return NO_SIGN


PROFILE = Profile(
    name="nanopore-2018",
    title="Oxford Nanopore, 2017 and 2018",
    words=Words(
        recognised="`fast5` or `fastq` in a folder with a name such as `20180122_1224_sample`",
        finished="nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="public scripts of that time",
        tried="paths in public scripts",
        know="the last part of its name is the sample's, and appears in messages",
    ),
    recognise=_recognise,
    waits_for=lambda view: (),
    quiet=24 * 3600.0,
)
