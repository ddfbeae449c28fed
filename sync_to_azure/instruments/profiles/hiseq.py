"""HiSeq 1000 to 4000, HiSeq X.

- Finished: RTAComplete.txt; on HiSeq 3000, 4000 and X (RTA 2) also SequencingComplete.txt, which comes minutes later
  (run 151005_ST-00295_0022_BHH5VTCCXX of roryk/tiny-test-data: 13 minutes; bcftbx/platforms.py, 'hiseq4000').
- Base calls: s_[lane]_[tile].bcl.gz a tile and cycle in L00[X]/C[cycle].1 (HiSeq X System Guide 15050091, Sequencing
  Output Files), .bcl on older ones.
- Ids: 10X Genomics, tenkit, illumina_instrument.py.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.profile import REAL
from sync_to_azure.instruments.profiles.view import View


def _flags(view: View) -> tuple[str, ...]:
    parameters = illumina.run_parameters_of(view)
    if parameters is not None and parameters.analysis_version.startswith("2."):
        return ("RTAComplete.txt", "SequencingComplete.txt")
    return ("RTAComplete.txt",)


PROFILE = illumina.profile(
    illumina.Family(
        name="hiseq",
        title="HiSeq",
        instruments=r"(HWI-)?[CDJK]\d{5}|(HWI-)?(ST|SN)-?E?\d{3,7}|E\d{5}|7001\d{3}",
        software=("HiSeq Control Software", "HiSeq X Control Software", "HiSeq 3000/4000 Control Software"),
        flags=illumina.Flags(
            _flags,
            "`RTAComplete.txt`; with RTA 2 (3000, 4000, X) also `SequencingComplete.txt`",
        ),
        calls=illumina.PER_TILE,
        source="roryk/tiny-test-data, bcftbx/platforms.py, HiSeq X System Guide",
        tried=REAL,
    )
)
