"""NextSeq 500, 550, 550Dx.

- Finished: RTAComplete.txt and RunCompletionStatus.xml (run 170609_NB551051_0017_AHLFFJBGX2 of miso-lims/runscanner,
  control software 2.1; Illumina's guide says RTAComplete.xml, which counts as well). From control software 4.0 on the
  Universal Copy Service writes CopyComplete.txt last (miso-lims#2254; bcftbx/platforms.py waits for it).
- Base calls: one [Cycle].bcl.bgzf a lane and cycle (support-docs.illumina.com, NextSeq 550, Sequencing Output Files).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.profile import REAL
from sync_to_azure.instruments.profiles.view import View


def _flags(view: View) -> tuple[str, ...]:
    base_calling = "RTAComplete.xml" if view.has("RTAComplete.xml") else "RTAComplete.txt"
    parameters = illumina.run_parameters_of(view)
    if parameters is not None and (parameters.major or 0) >= 4:
        return (base_calling, "CopyComplete.txt")
    return (base_calling, "RunCompletionStatus.xml")


PROFILE = illumina.profile(
    illumina.Family(
        name="nextseq-500",
        title="NextSeq 500/550",
        instruments=r"(NB|NS|NDX)\d{4,6}",
        software=("NextSeq Control Software",),
        flags=illumina.Flags(
            _flags,
            "`RTAComplete.txt` (or `.xml`) and `RunCompletionStatus.xml`; from control software 4.0 on"
            " `CopyComplete.txt` instead of the latter",
        ),
        calls=illumina.PER_LANE,
        source="miso-lims/runscanner, miso-lims#2254, Illumina, NextSeq 550, Sequencing Output Files",
        tried=REAL,
    )
)
