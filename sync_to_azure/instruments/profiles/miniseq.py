"""MiniSeq.

- Finished: CopyComplete.txt is the last (the pipelines of NTNU's core facility wait for it on MN00686).
- Base calls: one [Cycle].bcl.bgzf a cycle, four digits, in BaseCalls/L001 (MiniSeq System Guide, Appendix C).
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="miniseq",
        title="MiniSeq",
        instruments=r"MN\d{4,6}",
        software=("MiniSeq Control Software",),
        flags=illumina.flags("CopyComplete.txt"),
        calls=illumina.PER_LANE,
        source="MiniSeq System Guide, Appendix C; NTNU bfq pipeline",
    )
)
