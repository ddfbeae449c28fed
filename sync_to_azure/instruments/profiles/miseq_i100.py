"""MiSeq i100, MiSeq i100 Plus.

- Finished: CopyComplete.txt, as on NextSeq 1000/2000, NovaSeq 6000 and NovaSeq X: laboratories wait for it on SH
  instruments, too. No page of the maker's that says so was found.
- RunParameters.xml has Application "MiSeqi100Series Control Software" and InstrumentType MiSeqi100 or MiSeqi100Plus
  (mll-lab/php-utils, RunParameters.php); a run is named 20260205_SH01038_0007_ASC2139476-SC3 (the same, its test).
- Base calls are CBCL files (support-docs.illumina.com, MiSeq i100 Plus, Sequencing Overview); how many a complete run
  has is not documented, so nothing is claimed.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina

PROFILE = illumina.profile(
    illumina.Family(
        name="miseq-i100",
        title="MiSeq i100",
        instruments=r"SH\d{5}",
        software=("MiSeqi100Series Control Software", "MiSeqi100"),
        flags=illumina.flags("CopyComplete.txt"),
        calls=illumina.NOT_KNOWN,
        source="mll-lab/php-utils; Illumina, MiSeq i100 Plus, Sequencing Overview",
        know="its base calls are not counted",
    )
)
