"""MGI MGISEQ-2000, DNBSEQ-G400: a folder named by its flow cell, with one folder a lane, L01 to L04.

- Each lane's folder has BioInfo.csv; FLOWCELL…_Success.txt beside the lanes says that something was written to the end
  (sharpevo/seqbot, sequencer/mgi2000.go). The maker documents neither in public, nor whether the file is the last: so
  the folder must also have stood still for 24 h.
- A DNBSEQ-T7 writes its flags elsewhere (seqbot, dnbseqt7.go): it waits here, until it is given a completion flag.
"""

from __future__ import annotations

from sync_to_azure.instruments.profiles.profile import NO_SIGN, Profile, Sign, Strength, Words
from sync_to_azure.instruments.profiles.view import View, Wanted

_LANE = "l0[1-8]/bioinfo.csv"
_FLAG = "*_success.txt"


def _recognise(view: View) -> Sign:
    lane = next(view.matching(_LANE), None)
    return Sign(Strength.FILES, f"it has {lane[0]}") if lane is not None else NO_SIGN


PROFILE = Profile(
    name="mgi",
    title="MGI DNBSEQ",
    words=Words(
        recognised="`BioInfo.csv` in a lane's folder, `L01` to `L08`",
        finished="`*_Success.txt`, and nothing moved for 24 h",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="sharpevo/seqbot",
        tried="what one laboratory's program reads",
        know="the maker documents nothing in public; a DNBSEQ-T7 needs a completion flag",
    ),
    recognise=_recognise,
    waits_for=lambda view: () if view.find(_FLAG) else ("*_Success.txt",),
    wanted=(Wanted(_LANE, 0, head=True),),
    quiet=24 * 3600.0,
)
