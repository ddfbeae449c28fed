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
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

RENEWED_EVERY = 6 * 3600.0
"""Seconds after which a claim is renewed within one pass."""
FLOW = "flow"
"""What ``accept`` accepts of a run that another flow claims or published: that this flow takes it over."""
_TRIES = 3
_MOST = 64 * 1024


class OtherFlow(RunError):
    """The destination holds this run for another flow. ``reason`` flags the run and names the command to solve it."""

    def __init__(self, rooms: Rooms, work: Work, code: str, theirs: Origin, identity: str) -> None:
        parameters = {
            "theirs": theirs.described(rooms.origin),
            "flow": identity,
            "command": override_checks.command(rooms.settings.general, "accept", work.key),
        }
        self.reason = Reason(code, parameters)
        super().__init__(f"{work.key}: {self.reason.text}", self.reason.advice)


def take(rooms: Rooms, work: Work, all_is_ours: Callable[[], bool]) -> None:
    """Write the claim, once a pass, before the first byte of a run. ``all_is_ours``: is every blob below the prefix
    a file of our source, by size and MD5? Raises OtherFlow; ConfigurationError where the destination is inside
    another flow's run; Redirected, before an uploader that would follow one."""
    if work.claim is not None:
        return
    neighbours.none_above(rooms)
    noted = Flows(rooms.ledger).claim(work.run)
    if noted is not None and not noted.is_fixed:
        try:
            _replace(rooms, work, noted.number, noted.etag)
            return
        except (BlobReplaced, BlobRefused, AccessRefused) as error:
            _log.info("%s: its claim is read again: %s", work.key, error)
    for _ in range(_TRIES):
        found = newest(rooms, work)
        accepted = found is not None and not work.run.is_published and _judge(rooms, work, found, all_is_ours)
        try:
            _write(rooms, work, found, noted)
        except BlobReplaced:
            continue
        if accepted and work.override is not None:
            mark_used(rooms.ledger, work.override)
            work.override = None
        return
    raise RunError(f"{work.key}: its claim was changed by somebody else again and again")


def _judge(rooms: Rooms, work: Work, found: NewestClaim, all_is_ours: Callable[[], bool]) -> bool:
    """May we go on over this claim? True if a person said so. Raises OtherFlow."""
    ours = rooms.origin
    judged = whose(found, ours)
    if judged is Whose.OURS:
        return False
    theirs = found.origin or origin_in(None)
    who = theirs.described(ours)
    if judged is Whose.SAME_FOLDER:
        _log.info("%s: claimed from this folder with another ledger; this one continues", work.key)
        return False
    if takes_over(work.override, found.identity):
        _log.warning("%s: taken over from another flow (%s), as accepted", work.key, who)
        return True
    if judged is Whose.OLD and all_is_ours():
        _log.warning(
            "%s: the claim of another flow (%s) is %d h old and all that it uploaded is at our source; taken over",
            work.key,
            who,
            found.age / 3600,
        )
        return False
    raise OtherFlow(rooms, work, "claimed-by-other-flow", theirs, found.identity)


def takes_over(override: Override | None, identity: str) -> bool:
    """Did a person accept that this flow takes the run over from exactly that one?"""
    return (
        override_checks.accepts(override, FLOW)
        and override is not None
        and override.about.get("flow") == identity
    )


def newest(rooms: Rooms, work: Work) -> NewestClaim | None:
    """The claim that counts, read; None if nobody claimed this run."""
    listed = _listed(rooms, work)
    if listed is None:
        return None
    number, etag = listed
    lake = rooms.lake()
    try:
        read = lake.get_dated(_name(rooms, work, number), _MOST)
    except BlobRefused:
        # In the archive tier: it can be listed, not read.
        return NewestClaim(number, etag, None)
    if read is None:
        return NewestClaim(number, etag, None)
    return NewestClaim(number, read.etag, origin_of_claim(read.content), read.age)


def must_stand(rooms: Rooms, work: Work) -> None:
    """Before documents are written. Raises RunError if another flow took the run over during this pass."""
    if work.claim is not None and _listed(rooms, work) != (work.claim.number, work.claim.etag):
        raise _overtaken(work.key)


def keep(rooms: Rooms, work: Work) -> None:
    """Called during a long upload: a claim that nobody renews can be taken over after a day."""
    if work.claim is None or rooms.clock.monotonic() - work.claimed_at < RENEWED_EVERY:
        return
    claim = work.claim
    must_stand(rooms, work)
    try:
        _write(rooms, work, NewestClaim(claim.number, claim.etag, rooms.origin, OLD), claim)
    except BlobReplaced as error:
        raise _overtaken(work.key) from error


def _overtaken(key: str) -> RunError:
    return RunError(
        f"{key}: another flow took it over during this pass; nothing more of it is uploaded",
        "the next pass reads whose it is",
    )


def _listed(rooms: Rooms, work: Work) -> tuple[int, str] | None:
    """(number, ETag) of the claim with the highest number."""
    prefix = _name(rooms, work, None)
    found = []
    for blob in rooms.lake().list(prefix):
        number = blob.name[len(prefix) :]
        if number.isascii() and number.isdigit() and len(number) < 10:
            found.append((int(number), blob.etag))
    return newest_of(found)


def _write(rooms: Rooms, work: Work, found: NewestClaim | None, noted: Claim | None) -> None:
    """Over the claim that was found, or beside it. Raises BlobReplaced if somebody was faster."""
    if found is None:
        _create(rooms, work, 1, is_fixed=False)
        return
    is_ours = found.origin is not None and found.origin.flow == rooms.origin.flow
    is_fixed = noted is not None and noted.is_fixed and noted.number == found.number
    if is_fixed and is_ours and found.age >= RENEWED_EVERY:
        _create(rooms, work, found.number + 1, is_fixed=True)
        return
    try:
        _replace(rooms, work, found.number, found.etag)
    except (BlobRefused, AccessRefused):
        if is_ours and found.age < RENEWED_EVERY:
            # It was asked for, and the service itself refused: that is enough until it is old.
            written = rooms.clock.now() - found.age
            _hold(rooms, work, Claim(found.number, found.etag, written, is_fixed=True))
            return
        _create(rooms, work, found.number + 1, is_fixed=True)


def _create(rooms: Rooms, work: Work, number: int, is_fixed: bool) -> None:
    etag = _put(rooms, work, number, None)
    _hold(rooms, work, Claim(number, etag, rooms.clock.now(), is_fixed))


def _replace(rooms: Rooms, work: Work, number: int, etag: str) -> None:
    new = _put(rooms, work, number, etag)
    _hold(rooms, work, Claim(number, new, rooms.clock.now()))


def _hold(rooms: Rooms, work: Work, claim: Claim) -> None:
    Flows(rooms.ledger).note_claim(work.run, claim)
    work.claim, work.claimed_at = claim, rooms.clock.monotonic()


def _put(rooms: Rooms, work: Work, number: int, replaces: str | None) -> str:
    rooms.must_hold_lock()
    settings = rooms.settings
    text = claim_text(
        work.key,
        rooms.origin,
        settings.destination.container_name,
        settings.destination.destination,
        rooms.clock.now(),
    )
    digest = hashlib.md5(text, usedforsecurity=False).digest()
    name = _name(rooms, work, number)
    return rooms.lake().put(name, text, len(text), digest, "application/json", replaces=replaces, hot=True)


def _name(rooms: Rooms, work: Work, number: int | None) -> str:
    """DEST/.sync_to_azure-claims/RUN/NUMBER, or without the number. In a folder of its own: who lists DEST sees one
    entry, and no name of a run begins so."""
    folder = rooms.base(CLAIMS_FOLDER)
    return f"{folder}/{work.key}/{'' if number is None else number}"
