"""MiSeq, MiSeqDx.

- Finished: RTAComplete.txt. From control software 4.0 on the Universal Copy Service brings the files to the output
  folder (knowledge.illumina.com, article 1678, File paths for the MiSeq) and writes CopyComplete.txt last: seen
  beside RTAComplete.txt and RunCompletionStatus.xml in GenomiqueENS/aozan issue 17, a run of 2023.
- Base calls: s_1_1101.bcl a tile and cycle in Data/Intensities/BaseCalls/L001/C1.1 (MiSeq System Guide; the layout in
  bcl2fastq2's guide), .bcl.gz where compression is on.
- Ids M00146, M02439, M70123 (Dx), HWI-M00123 (10X Genomics, tenkit, illumina_instrument.py).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.profile import REAL
from sync_to_azure.instruments.profiles.view import View


def _flags(view: View) -> tuple[str, ...]:
    parameters = illumina.run_parameters_of(view)
    if parameters is not None and (parameters.major or 0) >= 4:
        return ("RTAComplete.txt", "CopyComplete.txt")
    return ("RTAComplete.txt",)


PROFILE = illumina.profile(
    illumina.Family(
        name="miseq",
        title="MiSeq",
        instruments=r"(HWI-)?M\d{4,6}",
        software=("MiSeq Control Software",),
        flags=illumina.Flags(
            _flags,
            "`RTAComplete.txt`; from control software 4.0 on also `CopyComplete.txt`",
        ),
        calls=illumina.PER_TILE,
        source="Illumina article 1678, aozan#17",
        tried=REAL,
    )
)
