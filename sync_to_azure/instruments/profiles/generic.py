"""Any folder: finished when nothing in it moves any more. It is never recognised by itself, only chosen by a person."""

from __future__ import annotations

from sync_to_azure.instruments.profiles.profile import NO_SIGN, PASSES, Profile, Words

PROFILE = Profile(
    name="generic",
    title="any folder",
    words=Words(
        recognised="never by itself: `profile = generic`",
        finished="nothing moved for `completion-delay`",
        outcome="unknown",
        completeness="not known",
        sheet="none",
        source="none",
        tried=PASSES,
        know="any files, complete or not",
    ),
    recognise=lambda view: NO_SIGN,
    waits_for=lambda view: (),
)
