"""What a person's word means in a pass. It is asked for anew before anything that cannot be taken back, as it may be
given while the pass is at work on that very run."""

from __future__ import annotations

import logging
from typing import Any

from sync_to_azure.transfer.ledger import Ledger, words
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.settings.values import GeneralSettings
from sync_to_azure.transfer.steps.rooms import Rooms, Work
from sync_to_azure.notify.output import quoted
from sync_to_azure.transfer.ledger.words import Word

_log = logging.getLogger(__name__)

_ON_ITS_WAY = (State.SEEN, State.UPLOADING)
_LEFT = (State.EXPECTED, State.REMOVED, State.REMOVING, State.GONE)


class Spoken(Exception):
    """A person's word came, or was taken back, while the run was worked on: it is left where it is."""


def command(general: GeneralSettings, verb: str, run: str) -> str:
    """The words that a person types about a run, with the config file of this flow."""
    if run.startswith("-"):
        # Else it would be taken for an option.
        return f"sync_to_azure {verb}{config_option(general)} -- {quoted(run)}"
    return f"sync_to_azure {verb} {quoted(run)}{config_option(general)}"


def config_option(general: GeneralSettings) -> str:
    return f" --config-file {quoted(str(general.config_file))}" if general.config_file else ""


def stops(rooms: Rooms, work: Work) -> bool:
    """Is the run held or ignored now?"""
    work.word = words.current(rooms.ledger, work.key)
    return work.word is not None and work.word.stops


def go_on(rooms: Rooms, work: Work) -> None:
    """Before anything that cannot be taken back. Raises Spoken when the run was held or ignored meanwhile, or what was
    accepted was taken back; LockLost."""
    rooms.must_hold_lock()
    before = work.word
    if stops(rooms, work):
        raise Spoken
    if (
        before is not None
        and before.word == words.ACCEPT
        and (work.word is None or work.word.id != before.id)
    ):
        raise Spoken


def stand_still(rooms: Rooms, work: Work) -> None:
    """Held or ignored: its state stays what it was, and is gone on with when the word is taken back."""
    run, word = work.run, work.word
    if word is None:
        return
    if work.folder is None and run.state not in _LEFT:
        reason = Reason("not-there" if run.is_published else "vanished")
        rooms.set_state(work, State.GONE, reason)
        if word.word == words.HOLD and not run.is_published:
            rooms.trouble(f"{work.key}:vanished", f"{work.key}: {reason.text}", once=True)
    elif run.state in _ON_ITS_WAY and not run.is_published:
        rooms.set_state(work, State.WAITING, Reason("held"))
    if word.word == words.HOLD:
        _log.info("%s: held by %s%s", work.key, word.by, f": {word.reason}" if word.reason else "")


def begin(rooms: Rooms, work: Work) -> None:
    """``retry``: forget what was told, the flag, and the memory of its rest; once for this pass."""
    run, word = work.run, work.word
    if word is None or word.word != words.RETRY:
        return
    rooms.ledger.untell_run(work.key)
    columns: dict[str, Any] = {"fingerprint": None, "quiet_since": None, "folder_mtime_ns": None}
    rooms.ledger.doubt_remote(run)
    if run.state in (State.FLAGGED, State.FAILING):
        state = State.PUBLISHED if run.is_published else State.SEEN
        rooms.set_state(work, State.GONE if work.folder is None else state, None, **columns)
    else:
        rooms.ledger.set(run, **columns)
    _log.info("%s: looked at anew, as %s asked", work.key, word.by)


def end(ledger: Ledger, word: Word | None) -> None:
    """The run was looked at as ``retry`` asked."""
    if word is not None and word.word == words.RETRY:
        words.used_up(ledger, word)


def spoken(ledger: Ledger, key: str) -> list[words.Word]:
    """Every word on this run that counts: one that was taken back or replaced accepted nothing."""
    ever = words.spoken(ledger.connection, ledger.flow_id, key)
    return [word for word in ever if word.word != words.ACCEPT or word.ended in (None, words.USED)]


def accepts(word: Word | None, kind: str) -> bool:
    return word is not None and word.accepts(kind)


def accepted(rooms: Rooms, work: Work) -> None:
    """What was accepted is published."""
    if work.word is not None and work.word.word == words.ACCEPT:
        words.used_up(rooms.ledger, work.word)
        work.word = None
    rooms.files.changes.forget_changes(work.run)


def thorough(rooms: Rooms, work: Work) -> bool:
    """Is this run looked at thoroughly: the whole pass is, a person asked for this one, or its turn has come?"""
    asked = work.word is not None and work.word.word == words.RETRY
    return rooms.settings.mode.thorough or asked or work.key in rooms.due
