"""NovaSeq X, NovaSeq X Plus.

- Finished: CopyComplete.txt (support-docs.illumina.com, NovaSeq X, Output Folder Structure).
- Base calls: one .cbcl a lane, surface and cycle (the same, Sequencing Output Files).
- RunParameters.xml calls the software "control-software"; InstrumentType is NovaSeqX or NovaSeqXPlus (run
  20230418_LH00130_0003_B223YTFLT3 of miso-lims/runscanner).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="novaseq-x",
        title="NovaSeq X",
        instruments=r"LH\d{5}",
        software=("NovaSeqX",),
        flags=illumina.flags("CopyComplete.txt"),
        calls=illumina.PER_SURFACE,
        source="Illumina, NovaSeq X, Output Folder Structure; miso-lims/runscanner",
    )
)
