"""The claim: a small blob beside DEST/RUN that says which flow uploads the run. It is written before the first byte.

Receipts say whose a published run is; until there is one, the claim does. It is created only where there is none
(If-None-Match) and replaced only while it is as it was read (If-Match), so of two flows one goes on. It is never
deleted. Where the service refuses to replace it (an immutability policy, a lease, the archive tier, a role that may not
overwrite), the next one gets the next number; the highest number counts.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from sync_to_azure.core.errors import AccessRefused, BlobRefused, BlobReplaced, RunError
from sync_to_azure.transfer.ledger.flows import Claim, Flows
from sync_to_azure.transfer.ledger.overrides import Override, mark_used
from sync_to_azure.core.names import CLAIMS_FOLDER
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import neighbours, override_checks
from sync_to_azure.manifest.claims import (
    OLD,
    NewestClaim,
    Whose,
    newest_of,
    origin_of_claim,
    text as claim_text,
    whose,
)
from sync_to_azure.manifest.origin import Origin, origin_in
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

RENEWED_EVERY = 6 * 3600.0
"""Seconds after which a claim is renewed within one pass."""
FLOW = "flow"
"""What ``accept`` accepts of a run that another flow claims or published: that this flow takes it over."""
_TRIES = 3
_MOST = 64 * 1024


class OtherFlow(RunError):
    """The destination holds this run for another flow. ``reason`` flags the run and names the command to solve it."""

    def __init__(
        self, context: PassContext, current: RunContext, code: str, theirs: Origin, identity: str
    ) -> None:
        parameters = {
            "theirs": theirs.described(context.origin),
            "flow": identity,
            "command": override_checks.command(context.settings.general, "accept", current.key),
        }
        self.reason = Reason(code, parameters)
        super().__init__(f"{current.key}: {self.reason.text}", self.reason.advice)


def take(context: PassContext, current: RunContext, all_is_ours: Callable[[], bool]) -> None:
    """Write the claim, once a pass, before the first byte of a run. ``all_is_ours``: is every blob below the prefix
    a file of our source, by size and MD5? Raises OtherFlow; ConfigurationError where the destination is inside
    another flow's run; Redirected, before an uploader that would follow one."""
    if current.claim is not None:
        return
    neighbours.none_above(context)
    noted = Flows(context.ledger).claim(current.run)
    if noted is not None and not noted.is_fixed:
        try:
            _replace(context, current, noted.number, noted.etag)
            return
        except (BlobReplaced, BlobRefused, AccessRefused) as error:
            _log.info("%s: its claim is read again: %s", current.key, error)
    for _ in range(_TRIES):
        found = newest(context, current)
        accepted = (
            found is not None
            and not current.run.is_published
            and _judge(context, current, found, all_is_ours)
        )
        try:
            _write(context, current, found, noted)
        except BlobReplaced:
            continue
        if accepted and current.override is not None:
            mark_used(context.ledger, current.override)
            current.override = None
        return
    raise RunError(f"{current.key}: its claim was changed by another writer several times")


def _judge(
    context: PassContext, current: RunContext, found: NewestClaim, all_is_ours: Callable[[], bool]
) -> bool:
    """May we go on over this claim? True if a person said so. Raises OtherFlow."""
    ours = context.origin
    judged = whose(found, ours)
    if judged is Whose.OURS:
        return False
    theirs = found.origin or origin_in(None)
    who = theirs.described(ours)
    if judged is Whose.SAME_FOLDER:
        _log.info("%s: claimed from this folder with another ledger; this one continues", current.key)
        return False
    if takes_over(current.override, found.identity):
        _log.warning("%s: taken over from another flow (%s), as accepted", current.key, who)
        return True
    if judged is Whose.OLD and all_is_ours():
        _log.warning(
            "%s: the claim of another flow (%s) is %d h old and the source has all that it uploaded; taken over",
            current.key,
            who,
            found.age / 3600,
        )
        return False
    raise OtherFlow(context, current, "claimed-by-other-flow", theirs, found.identity)


def takes_over(override: Override | None, identity: str) -> bool:
    """Did a person accept that this flow takes the run over from exactly that one?"""
    return (
        override_checks.accepts(override, FLOW)
        and override is not None
        and override.about.get("flow") == identity
    )


def newest(context: PassContext, current: RunContext) -> NewestClaim | None:
    """The claim that counts, read; None if nobody claimed this run."""
    listed = _listed(context, current)
    if listed is None:
        return None
    number, etag = listed
    lake = context.lake()
    try:
        read = lake.get_dated(_name(context, current, number), _MOST)
    except BlobRefused:
        # In the archive tier: it can be listed, not read.
        return NewestClaim(number, etag, None)
    if read is None:
        return NewestClaim(number, etag, None)
    return NewestClaim(number, read.etag, origin_of_claim(read.content), read.age)


def must_stand(context: PassContext, current: RunContext) -> None:
    """Before documents are written. Raises RunError if another flow took the run over during this pass."""
    if current.claim is not None and _listed(context, current) != (current.claim.number, current.claim.etag):
        raise _overtaken(current.key)


def keep(context: PassContext, current: RunContext) -> None:
    """Called during a long upload: a claim that nobody renews can be taken over after a day."""
    if current.claim is None or context.clock.monotonic() - current.claimed_at < RENEWED_EVERY:
        return
    claim = current.claim
    must_stand(context, current)
    try:
        _write(context, current, NewestClaim(claim.number, claim.etag, context.origin, OLD), claim)
    except BlobReplaced as error:
        raise _overtaken(current.key) from error


def _overtaken(key: str) -> RunError:
    return RunError(
        f"{key}: another flow took it over during this pass; nothing more of it is uploaded",
        "the next pass checks which flow owns it",
    )


def _listed(context: PassContext, current: RunContext) -> tuple[int, str] | None:
    """(number, ETag) of the claim with the highest number."""
    prefix = _name(context, current, None)
    found = []
    for blob in context.lake().list(prefix):
        number = blob.name[len(prefix) :]
        if number.isascii() and number.isdigit() and len(number) < 10:
            found.append((int(number), blob.etag))
    return newest_of(found)


def _write(context: PassContext, current: RunContext, found: NewestClaim | None, noted: Claim | None) -> None:
    """Over the claim that was found, or beside it. Raises BlobReplaced if somebody was faster."""
    if found is None:
        _create(context, current, 1, is_fixed=False)
        return
    is_ours = found.origin is not None and found.origin.flow == context.origin.flow
    is_fixed = noted is not None and noted.is_fixed and noted.number == found.number
    if is_fixed and is_ours and found.age >= RENEWED_EVERY:
        _create(context, current, found.number + 1, is_fixed=True)
        return
    try:
        _replace(context, current, found.number, found.etag)
    except (BlobRefused, AccessRefused):
        if is_ours and found.age < RENEWED_EVERY:
            # It was asked for, and the service itself refused: that is enough until it is old.
            written = context.clock.now() - found.age
            _hold(context, current, Claim(found.number, found.etag, written, is_fixed=True))
            return
        _create(context, current, found.number + 1, is_fixed=True)


def _create(context: PassContext, current: RunContext, number: int, is_fixed: bool) -> None:
    etag = _put(context, current, number, None)
    _hold(context, current, Claim(number, etag, context.clock.now(), is_fixed))


def _replace(context: PassContext, current: RunContext, number: int, etag: str) -> None:
    new = _put(context, current, number, etag)
    _hold(context, current, Claim(number, new, context.clock.now()))


def _hold(context: PassContext, current: RunContext, claim: Claim) -> None:
    Flows(context.ledger).note_claim(current.run, claim)
    current.claim, current.claimed_at = claim, context.clock.monotonic()


def _put(context: PassContext, current: RunContext, number: int, replaces: str | None) -> str:
    context.must_hold_lock()
    settings = context.settings
    text = claim_text(
        current.key,
        context.origin,
        settings.destination.container_name,
        settings.destination.destination,
        context.clock.now(),
    )
    digest = hashlib.md5(text, usedforsecurity=False).digest()
    name = _name(context, current, number)
    return context.lake().put(name, text, len(text), digest, "application/json", replaces=replaces, hot=True)


def _name(context: PassContext, current: RunContext, number: int | None) -> str:
    """DEST/.sync_to_azure-claims/RUN/NUMBER, or without the number. In a folder of its own: who lists DEST sees one
    entry, and no name of a run begins so."""
    folder = context.base(CLAIMS_FOLDER)
    return f"{folder}/{current.key}/{'' if number is None else number}"
