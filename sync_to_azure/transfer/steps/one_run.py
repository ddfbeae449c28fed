"""One run in one pass: what is known of it is gathered, ``next_step`` says what to do, it is done, and again, until
nothing is left to do in this pass. The only loop; no step calls back into it.
"""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import Overtaken, RunError
from sync_to_azure.transfer.decisions.next_step import Action, next_step
from sync_to_azure.transfer.steps import actions, incremental, outcomes, sheets, override_checks
from sync_to_azure.transfer.steps.findings import Findings
from sync_to_azure.transfer.steps.gathering import facts_of
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

_PLANS = 3


def step(context: PassContext, current: RunContext) -> None:
    """Bring a run as far as it goes now, unless an operator said otherwise. Raises RunError for this run,
    UnavailableError for what all runs need."""
    if override_checks.stops(context, current):
        override_checks.stand_still(context, current)
        return
    override_checks.begin(context, current)
    try:
        _bring_forward(context, current)
    except override_checks.OverrideChanged:
        _log.info("%s: an operator override changed during the pass", current.key)
        override_checks.stand_still(context, current)
        return
    except RunError:
        override_checks.end(context.ledger, current.override)
        raise
    override_checks.end(context.ledger, current.override)


def _bring_forward(context: PassContext, current: RunContext) -> None:
    sheets.look(context, current)
    while True:
        todo = next_step(facts_of(context, current))
        if todo.action is Action.STOP:
            return
        try:
            current.found = actions.act(context, current, todo.action, todo.why)
        except Overtaken as error:
            if current.found.ended or not current.found.begun:
                raise
            current.found = _planned_again(context, current, error)


def _planned_again(context: PassContext, current: RunContext, error: Overtaken) -> Findings:
    """Somebody else wrote below the run since it was listed."""
    plan = current.found.plan
    if plan == _PLANS:
        raise RunError(
            f"{current.key}: another writer writes to the same blobs, {_PLANS} plans of this pass were overtaken:"
            f" {error.message}",
            "find out who writes there; the next pass tries again",
        ) from error
    _log.warning("%s: %s", current.key, error)
    return actions.planned_again(context, current, plan + 1)


def carry_ahead(context: PassContext, current: RunContext) -> None:
    """What stands still of a run that waits; called when all that is finished was carried."""
    run, reason = current.run, current.run.reason
    assert reason is not None
    if override_checks.stops(context, current):
        override_checks.stand_still(context, current)
        return
    incremental.ahead(context, current)
    if run.is_published:
        # It is complete by the lake's word; the source is looked at in the next pass.
        outcomes.wait(context, current, reason)
    else:
        context.set_state(
            current, run.state, incremental.told(context.files, context.ledger, current.run, reason)
        )
