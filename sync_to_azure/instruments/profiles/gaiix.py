"""Genome Analyzer II, IIx: long out of sale, and in every archive.

- Finished: the last read was copied: Basecalling_Netcopy_complete_READ2.txt (the number of its reads, after
  RunInfo.xml), or Basecalling_Netcopy_complete_SINGLEREAD.txt, or Basecalling_Netcopy_complete.txt of later software
  (chapmanb/bcbb and bcbio, _is_finished_dumping; MISO's old notification server, checkReadCompleteFiles).
  RTAComplete.txt does not say it: there it came after the first read (the same place in bcbb).
- Ids HWI-EAS100, HWUSI-EAS100R (Illumina's own example of a read's name, in Biopython), ILLUMINA-73D9FA
  (bcftbx/platforms.py).
- How many base calls a complete run has is not documented any more, so nothing is claimed.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.view import View

_COPIED = "Basecalling_Netcopy_complete"


def _flags(view: View) -> tuple[str, ...]:
    """One of those that say so is named; if none is there, the one that is to be expected."""
    run_info = illumina.run_info_of(view)
    last = len(run_info.reads) if run_info is not None else 0
    single = f"{_COPIED}_SINGLEREAD.txt"
    accepted = [f"{_COPIED}.txt"]
    accepted += [single] if last < 2 else []
    accepted += [f"{_COPIED}_READ{last or 2}.txt"]
    there = [flag for flag in accepted if view.has(flag)]
    return tuple(there[:1]) or (single if last == 1 else accepted[-1],)


PROFILE = illumina.profile(
    illumina.Family(
        name="gaiix",
        title="Genome Analyzer",
        instruments=r"(HWI|HWUSI)-EAS\d{1,5}R?|ILLUMINA-[0-9A-F]{6}",
        software=(),
        flags=illumina.Flags(
            _flags,
            f"`{_COPIED}_READ2.txt` (the number of its last read), `{_COPIED}_SINGLEREAD.txt`, or `{_COPIED}.txt`",
        ),
        calls=illumina.NOT_KNOWN,
        source="bcbb, MISO, bcftbx/platforms.py",
        know="an instrument that was named otherwise is not recognised: `profile = gaiix`, or a completion flag",
    )
)
