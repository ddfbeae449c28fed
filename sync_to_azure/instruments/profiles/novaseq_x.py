"""NovaSeq X, NovaSeq X Plus.

- Finished: CopyComplete.txt (support-docs.illumina.com, NovaSeq X, Output Folder Structure).
- Base calls: one .cbcl a lane, surface and cycle (the same, Sequencing Output Files).
- Manifest.tsv lists the files that were transferred (Clinical-Genomics/cg, pull request 2403): those in Data and
  InterOp must be there, too. Where it is missing or cannot be read, the base calls alone are counted.
- RunParameters.xml calls the software "control-software"; InstrumentType is NovaSeqX or NovaSeqXPlus (run
  20230418_LH00130_0003_B223YTFLT3 of miso-lims/runscanner).
"""

from __future__ import annotations

import dataclasses

from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.profiles.completeness import Every, Expectation, Paths
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts import manifest_tsv
from sync_to_azure.instruments.run_facts.text import MalformedFile

_MANIFEST = "manifest.tsv"
_FAMILY = illumina.Family(
    name="novaseq-x",
    title="NovaSeq X",
    instruments=r"LH\d{5}",
    software=("NovaSeqX",),
    flags=illumina.flags("CopyComplete.txt"),
    calls=illumina.PER_SURFACE,
    source="Illumina, NovaSeq X, Output Folder Structure; miso-lims/runscanner; Clinical-Genomics/cg",
    know="the checksums in `Manifest.tsv` are not compared",
)


def _listed(view: View) -> Paths | None:
    """None where there is no list that can be read."""
    try:
        found = view.read(_MANIFEST)
        paths = manifest_tsv.read_manifest(found[1]) if found else ()
    except MalformedFile:
        return None
    return Paths("the files in Data and InterOp that Manifest.tsv lists", paths) if paths else None


def _expect(view: View) -> Expectation | None:
    parts = [each for each in (illumina.expect(_FAMILY, view), _listed(view)) if each is not None]
    return Every(parts) if parts else None


_BASE = illumina.profile(_FAMILY)
PROFILE = dataclasses.replace(
    _BASE,
    words=dataclasses.replace(
        _BASE.words,
        completeness=f"{_BASE.words.completeness}, and the files in `Data` and `InterOp` that `Manifest.tsv` lists",
    ),
    expect=_expect,
    wanted=(*_BASE.wanted, Wanted(_MANIFEST, manifest_tsv.MOST_BYTES)),
)
