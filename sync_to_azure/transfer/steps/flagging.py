"""A run that a person should look at."""

from __future__ import annotations

from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.steps import override_checks
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.ledger import Run

OF_THE_SHEET = ("sheet-is-none", "sheets-at-once")
"""Flags for a new sample sheet alone: what is published is as it was."""


def flag(context: PassContext, current: RunContext, reason: Reason) -> None:
    """A person should look. It is news once; as long as it lasts, it is known trouble."""
    if current.folder is None:
        about: dict[str, object] = {**reason.parameters, "source_gone": True}
        before = current.run.reason.parameters if current.run.reason is not None else {}
        if current.run.state is State.REMOVED or before.get("removed"):
            about["removed"] = True
        reason = Reason(reason.code, about)
    news = context.set_state(current, State.FLAGGED, reason)
    how = f"; {override_checks.command(context.settings.general, 'explain', current.key)}"
    context.report_problem(
        f"{current.key}:{reason.code}",
        f"{current.key}: {reason.text}{advice(reason)}{how}",
        exit_code=1,
        new=news,
    )


def advice(reason: Reason) -> str:
    return f" ({reason.advice})" if reason.advice else ""


def is_flagged_for_its_sheet(run: Run) -> bool:
    return run.state is State.FLAGGED and run.reason is not None and run.reason.code in OF_THE_SHEET
