"""The claim: a small blob beside DEST/RUN that says which flow uploads the run. It is written before the first byte.

Receipts say whose a published run is; until there is one, the claim does. It is created only where there is none
(If-None-Match) and replaced only while it is as it was read (If-Match), so of two flows one goes on. It is never
deleted. Where the service refuses to replace it (an immutability policy, a lease, the archive tier, a role that may not
overwrite), the next one gets the next number; the highest number counts.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import logging
import os
from collections.abc import Callable
from typing import Any

from sync_to_azure import __version__
from sync_to_azure.core.clock import iso
from sync_to_azure.core.errors import AccessRefused, BlobRefused, BlobReplaced, RunError
from sync_to_azure.transfer.ledger.flows import Claim, Flows
from sync_to_azure.transfer.ledger.words import used_up
from sync_to_azure.core.names import CLAIMS_FOLDER
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import neighbours, words
from sync_to_azure.transfer.steps.origin import Origin, origin_in
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

OLD = 24 * 3600.0
"""Seconds after which a claim can be taken over if all that was uploaded under it is at our source, too."""
RENEWED_EVERY = 6 * 3600.0
"""Seconds after which a claim is renewed within one pass."""
FLOW = "flow"
"""What ``accept`` accepts of a run that another flow claims or published: that this flow takes it over."""
_GAP = 1000
_TRIES = 3
_MOST = 64 * 1024


class OtherFlow(RunError):
    """The destination holds this run for another flow. ``reason`` flags the run and names the command to solve it."""

    def __init__(self, rooms: Rooms, work: Work, code: str, theirs: Origin, identity: str) -> None:
        parameters = {
            "theirs": theirs.described(rooms.origin),
            "flow": identity,
            "command": words.command(rooms.settings, "accept", work.key),
        }
        self.reason = Reason(code, parameters)
        super().__init__(f"{work.key}: {self.reason.text}", self.reason.advice)


class Whose(enum.Enum):
    OURS = "ours"
    SAME_FOLDER = "same folder, another ledger"
    OLD = "may be taken over if all that was uploaded is at our source"
    OTHERS = "another flow's"


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The newest claim of a run. ``origin`` is None if nobody can read it; ``age`` in seconds by the service's clock,
    0 where it does not say."""

    number: int
    etag: str
    origin: Origin | None
    age: float = 0.0

    @property
    def identity(self) -> str:
        """What ``accept`` names: exactly this flow, or exactly this claim."""
        flow = self.origin.flow if self.origin is not None else None
        return flow or f"claim {self.number} {self.etag}"


def whose(found: Found, ours: Origin) -> Whose:
    """Pure."""
    theirs = found.origin
    if theirs is None:
        return Whose.OTHERS
    if theirs.flow == ours.flow:
        return Whose.OURS
    if ours.is_same_folder(theirs):
        return Whose.SAME_FOLDER
    return Whose.OLD if found.age >= OLD else Whose.OTHERS


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
        if accepted and work.word is not None:
            used_up(rooms.ledger, work.word)
            work.word = None
        return
    raise RunError(f"{work.key}: its claim was changed by somebody else again and again")


def _judge(rooms: Rooms, work: Work, found: Found, all_is_ours: Callable[[], bool]) -> bool:
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
    if takes_over(work, found.identity):
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


def takes_over(work: Work, identity: str) -> bool:
    """Did a person accept that this flow takes the run over from exactly that one?"""
    return words.accepts(work, FLOW) and work.word is not None and work.word.about.get("flow") == identity


def newest(rooms: Rooms, work: Work) -> Found | None:
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
        return Found(number, etag, None)
    if read is None:
        return Found(number, etag, None)
    return Found(number, read.etag, origin_of_claim(read.content), read.age)


def must_stand(rooms: Rooms, work: Work) -> None:
    """Before documents are written. Raises RunError if another flow took the run over during this pass."""
    if work.claim is not None and _listed(rooms, work) != (work.claim.number, work.claim.etag):
        raise _overtaken(work)


def keep(rooms: Rooms, work: Work) -> None:
    """Called during a long upload: a claim that nobody renews can be taken over after a day."""
    if work.claim is None or rooms.clock.monotonic() - work.claimed_at < RENEWED_EVERY:
        return
    claim = work.claim
    must_stand(rooms, work)
    try:
        _write(rooms, work, Found(claim.number, claim.etag, rooms.origin, OLD), claim)
    except BlobReplaced as error:
        raise _overtaken(work) from error


def _overtaken(work: Work) -> RunError:
    return RunError(
        f"{work.key}: another flow took it over during this pass; nothing more of it is uploaded",
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
    return _newest(found)


def _newest(found: list[tuple[int, str]]) -> tuple[int, str] | None:
    """Pure. Claims are numbered one by one and kept: what stands far above all others was not numbered by us, and after
    it there would be no number left."""
    newest: tuple[int, str] | None = None
    for claim in sorted(found):
        if claim[0] - (newest[0] if newest is not None else 0) > _GAP:
            break
        newest = claim
    return newest


def _write(rooms: Rooms, work: Work, found: Found | None, noted: Claim | None) -> None:
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
    text = claim_text(rooms, work)
    digest = hashlib.md5(text, usedforsecurity=False).digest()
    name = _name(rooms, work, number)
    return rooms.lake().put(name, text, len(text), digest, "application/json", replaces=replaces, hot=True)


def _name(rooms: Rooms, work: Work, number: int | None) -> str:
    """DEST/.sync_to_azure-claims/RUN/NUMBER, or without the number. In a folder of its own: who lists DEST sees one
    entry, and no name of a run begins so."""
    folder = rooms.base(CLAIMS_FOLDER)
    return f"{folder}/{work.key}/{'' if number is None else number}"


def claim_text(rooms: Rooms, work: Work) -> bytes:
    """``try`` makes each one different, so that an answer that was lost is known by size and MD5."""
    settings = rooms.settings
    values: dict[str, Any] = {
        "schema": 1,
        "claim": "This flow uploads this run; no other flow writes to it. Kept for ever, do not delete.",
        "run": work.key,
        "source": rooms.origin.values(),
        "destination": {"container": settings.container_name, "prefix": settings.destination},
        "time": iso(rooms.clock.now()),
        "try": os.urandom(8).hex(),
        "tool": f"sync_to_azure {__version__}",
    }
    return json.dumps(values, indent=2).encode() + b"\n"


def origin_of_claim(text: bytes) -> Origin | None:
    """Who wrote a claim; None for what is no claim that this version can read."""
    values = neighbours.parsed(text)
    if values is None or values.get("schema") != 1 or "claim" not in values:
        return None
    origin = origin_in(values.get("source"))
    return origin if origin.flow is not None else None
