"""NovaSeq 6000, 6000Dx.

- Finished: CopyComplete.txt, "the flag file generated at output folder to confirm data transfer to output location is
  completed" (miso-lims#2254); bcftbx/platforms.py waits for RTAComplete.txt and SequenceComplete.txt as well.
- Base calls: one .cbcl a lane, surface and cycle (NovaSeq 6000 System Guide 1000000019358, Sequencing Output Files).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="novaseq-6000",
        title="NovaSeq 6000",
        instruments=r"A\d{5}",
        software=("NovaSeq Control Software", "NovaSeq 6000", "NovaSeqDx Control Software"),
        flags=illumina.flags("CopyComplete.txt"),
        calls=illumina.PER_SURFACE,
        source="miso-lims#2254; NovaSeq 6000 System Guide, Sequencing Output Files",
    )
)
