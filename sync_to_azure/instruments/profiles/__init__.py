"""Families of instruments: by what a run is recognised, when it is finished, how it ended, what its files must be.

One small file for each; a new one is a copy of one of them, with its line here, in ``options`` and in
docs/instruments.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sync_to_azure.instruments.profiles import (
    agilent,
    bruker,
    element,
    gaiix,
    generic,
    hiseq,
    illumina,
    iseq,
    metabolomics,
    mgi,
    miniseq,
    miseq,
    miseq_i100,
    nanopore,
    nanopore_2018,
    nextseq_500,
    nextseq_2000,
    novaseq_6000,
    novaseq_x,
    other_illumina,
    pacbio,
    pacbio_rs,
    proteomics,
    sciex,
    shimadzu,
    singular,
    thermo,
    ultima,
    waters,
    xenium,
)
from sync_to_azure.instruments.profiles.profile import Profile, Strength
from sync_to_azure.instruments.profiles.view import View, Wanted
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome

AUTO = "auto"

PROFILES: tuple[Profile, ...] = (
    miseq.PROFILE,
    miseq_i100.PROFILE,
    miniseq.PROFILE,
    iseq.PROFILE,
    nextseq_500.PROFILE,
    nextseq_2000.PROFILE,
    novaseq_6000.PROFILE,
    novaseq_x.PROFILE,
    hiseq.PROFILE,
    gaiix.PROFILE,
    other_illumina.PROFILE,
    element.PROFILE,
    ultima.PROFILE,
    singular.PROFILE,
    mgi.PROFILE,
    nanopore.PROFILE,
    nanopore_2018.PROFILE,
    pacbio.PROFILE,
    pacbio_rs.PROFILE,
    xenium.PROFILE,
    thermo.PROFILE,
    bruker.PROFILE,
    agilent.PROFILE,
    waters.PROFILE,
    sciex.PROFILE,
    shimadzu.PROFILE,
    proteomics.PROFILE,
    metabolomics.PROFILE,
    generic.PROFILE,
)
BY_NAME = {profile.name: profile for profile in PROFILES}
WANTED: tuple[Wanted, ...] = tuple(dict.fromkeys(wanted for profile in PROFILES for wanted in profile.wanted))
"""All that is read of a folder, once for all profiles."""
DEEPER: tuple[Wanted, ...] = WANTED + tuple(wanted for profile in PROFILES for wanted in profile.deeper)
"""What is read where that gives no family, or one that has more below: more folders are listed for it."""

STATEMENTS: tuple[Callable[[View], RunOutcome], ...] = (illumina.outcome, element.outcome)
"""Readers of files that say how a run ended, and mean the same in a folder of any family or of none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recognised:
    """``profile`` is None where no family was recognised, or more than one as well as each other; ``reason`` says
    why."""

    profile: Profile | None
    reason: str


def title_by_name(name: str) -> str:
    """The family whose runs are named so, or an empty string."""
    profile = recognise(View(name)).profile
    return profile.title if profile is not None else ""


def recognise(view: View, chosen: str = AUTO) -> Recognised:
    """The family with the strongest sign, or the one that a person chose."""
    if chosen != AUTO:
        return Recognised(BY_NAME[chosen], f"chosen: profile = {chosen}")
    signs = [(profile, profile.recognise(view)) for profile in PROFILES if profile.continuous is None]
    best = max(sign.strength for _, sign in signs)
    if best is Strength.NO:
        return Recognised(None, "no family of instruments writes such a folder")
    fitting = [(profile, sign) for profile, sign in signs if sign.strength == best]
    if len(fitting) > 1:
        titles = ", ".join(profile.title for profile, _ in fitting)
        return Recognised(None, f"it could be of more than one family: {titles}")
    return Recognised(fitting[0][0], fitting[0][1].reason)


def outcome(view: View, recognised: Recognised) -> RunOutcome:
    """How the run ended: by its family; where that says nothing, by any file that states it. So a failed run of an
    unknown family, or of a profile that was chosen, is known to have failed."""
    profile = recognised.profile
    found = profile.outcome(view) if profile else RunOutcome(End.UNKNOWN, recognised.reason)
    if found.end is not End.UNKNOWN:
        return found
    return next((said for read in STATEMENTS if (said := read(view)).end is not End.UNKNOWN), found)
