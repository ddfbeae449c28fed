"""NextSeq 1000, NextSeq 2000.

- Finished: CopyComplete.txt (knowledge.illumina.com, article 2443, File paths on the NextSeq 1000/2000: its flag
  files).
- Base calls: one .cbcl a lane, surface and cycle (support-docs.illumina.com, NextSeq 1000/2000, Sequencing Output
  Files).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="nextseq-2000",
        title="NextSeq 1000/2000",
        instruments=r"V[HL]\d{4,6}",
        software=("NextSeq 1000/2000 Control Software", "NextSeq1000", "NextSeq2000"),
        flags=illumina.flags("CopyComplete.txt"),
        calls=illumina.PER_SURFACE,
        source="Illumina article 2443; NextSeq 1000/2000, Sequencing Output Files",
    )
)
