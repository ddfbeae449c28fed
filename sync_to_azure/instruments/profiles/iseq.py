"""iSeq 100.

- Finished: RTAComplete.txt (the default of fls-bioinformatics-core/genomics, bcftbx/platforms.py; no source was found
  that names a later file for this family, so the quiet time over the whole tree has to do the rest).
- Base calls: one [Cycle].bcl.bgzf a cycle in BaseCalls/L001 (support-docs.illumina.com, iSeq 100, Output Files).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="iseq",
        title="iSeq 100",
        instruments=r"FS\d{4,8}",
        software=("iSeq Control Software", "iSeq 100 Control Software"),
        flags=illumina.flags("RTAComplete.txt"),
        calls=illumina.PER_LANE,
        source="Illumina, iSeq 100, Output Files",
    )
)
