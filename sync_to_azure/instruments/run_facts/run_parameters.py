"""RunParameters.xml (runParameters.xml on MiSeq and HiSeq): which software on which instrument ran it. Names of its
elements differ with the family; the user's name and mail address, which some write, are left out."""

from __future__ import annotations

import dataclasses

from sync_to_azure.instruments.run_facts import safe_xml
from sync_to_azure.instruments.run_facts.text import MalformedFile, cached, short

_SOFTWARE = ("applicationname", "application")
_VERSION = ("applicationversion", "systemsuiteversion", "mcsversion")
_INSTRUMENT = (
    "instrumentserialnumber",
    "instrumentname",
    "instrumentid",
    "scannerid",
)
_FLOWCELL_TYPE = ("flowcellmode", "flowcelltype", "flowcellname", "flowcell")


@dataclasses.dataclass(frozen=True, slots=True)
class RunParameters:
    """Empty strings where the file does not tell. ``analysis_version`` is RTA's; ``kind`` is InstrumentType, which
    the newer families write. ``version`` of ``software``."""

    run: str
    instrument: str
    kind: str
    software: str
    version: str
    analysis_version: str
    flowcell_type: str
    chemistry: str
    side: str
    experiment: str

    @property
    def major(self) -> int | None:
        first = self.version.partition(".")[0]
        return int(first) if first.isascii() and first.isdigit() and len(first) < 5 else None


@cached
def read_run_parameters(content: bytes) -> RunParameters:
    """Raises Problem."""
    root = safe_xml.parse(content)
    if safe_xml.local_name(root) != "runparameters":
        raise MalformedFile(f"is no RunParameters but {short(root.tag, 60)}")
    found = safe_xml.texts(root)

    def first(names: tuple[str, ...]) -> str:
        return next((short(found[name], 200) for name in names if name in found), "")

    return RunParameters(
        run=first(("runid",)),
        instrument=first(_INSTRUMENT),
        kind=first(("instrumenttype",)),
        software=first(_SOFTWARE),
        version=first(_VERSION),
        analysis_version=first(("rtaversion",)),
        flowcell_type=first(_FLOWCELL_TYPE),
        chemistry=first(("chemistry",)),
        side=first(("side", "fcposition")),
        experiment=first(("experimentname",)),
    )
