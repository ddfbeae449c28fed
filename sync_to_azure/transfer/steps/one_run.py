"""One run in one pass: what is known of it is gathered, ``next_step`` says what to do, it is done, and again, until
nothing is left to do in this pass. The only loop; no step calls back into it.
"""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import Overtaken, RunError
from sync_to_azure.transfer.decisions.next_step import Action, next_step
from sync_to_azure.transfer.steps import actions, early, rest, sheets, override_checks
from sync_to_azure.transfer.steps.findings import Findings
from sync_to_azure.transfer.steps.gathering import facts_of
from sync_to_azure.transfer.steps.rooms import Rooms, Work

_log = logging.getLogger(__name__)

_PLANS = 3


def step(rooms: Rooms, work: Work) -> None:
    """Bring a run as far as it goes now, unless an operator said otherwise. Raises RunError for this run,
    UnavailableError for what all runs need."""
    if override_checks.stops(rooms, work):
        override_checks.stand_still(rooms, work)
        return
    override_checks.begin(rooms, work)
    try:
        _bring_forward(rooms, work)
    except override_checks.OverrideChanged:
        _log.info("%s: a person's word came while it was worked on", work.key)
        override_checks.stand_still(rooms, work)
        return
    except RunError:
        override_checks.end(rooms.ledger, work.override)
        raise
    override_checks.end(rooms.ledger, work.override)


def _bring_forward(rooms: Rooms, work: Work) -> None:
    sheets.look(rooms, work)
    while True:
        todo = next_step(facts_of(rooms, work))
        if todo.action is Action.STOP:
            return
        try:
            work.found = actions.act(rooms, work, todo.action, todo.why)
        except Overtaken as error:
            if work.found.ended or not work.found.begun:
                raise
            work.found = _planned_again(rooms, work, error)


def _planned_again(rooms: Rooms, work: Work, error: Overtaken) -> Findings:
    """Somebody else wrote below the run since it was listed."""
    plan = work.found.plan
    if plan == _PLANS:
        raise RunError(
            f"{work.key}: somebody else writes to the same blobs, {_PLANS} plans of this pass were overtaken:"
            f" {error.message}",
            "find out who writes there; the next pass tries again",
        ) from error
    _log.warning("%s: %s", work.key, error)
    return actions.planned_again(rooms, work, plan + 1)


def carry_ahead(rooms: Rooms, work: Work) -> None:
    """What stands still of a run that waits; called when all that is finished was carried."""
    run, reason = work.run, work.run.reason
    assert reason is not None
    if override_checks.stops(rooms, work):
        override_checks.stand_still(rooms, work)
        return
    early.ahead(rooms, work)
    if run.is_published:
        # It is complete by the lake's word; the source is looked at in the next pass.
        rest.wait(rooms, work, reason)
    else:
        rooms.set_state(work, run.state, early.told(rooms.files, rooms.ledger, work.run, reason))
