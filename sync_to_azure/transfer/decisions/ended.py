"""How a run ended, as the ledger keeps it, and what follows for its source. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_to_azure.transfer.ledger.run import Run

_ENDED = {"ended-early": "ended early", "failed": "failed"}
_KNOWN = frozenset({"completed", *_ENDED})


def badly(run: Run) -> bool:
    """Does the instrument say that it did not end as planned? What it does not say is not bad."""
    return run.outcome in _ENDED


def said(outcome: str, words: str) -> str:
    return f"its instrument reported that it {_ENDED[outcome]} ({words})"


def stands(run: Run) -> bool:
    """Was it published with an outcome that the instrument told? That stays true, whatever goes from the source
    later."""
    return run.is_published and run.outcome in _KNOWN


def of_receipt(receipt: Mapping[str, Any]) -> dict[str, object]:
    """The ledger's columns, as the receipt of the published run tells them: its source may have changed since. Empty
    where it does not; anything may stand in a receipt that somebody else wrote."""
    about = receipt.get("instrument")
    if not isinstance(about, dict):
        return {}
    outcome, complete = about.get("outcome"), about.get("complete")
    columns: dict[str, object] = {}
    if isinstance(outcome, str) and outcome in _KNOWN:
        columns |= {"outcome": outcome, "outcome_detail": str(about.get("outcome_detail"))[:500]}
    if isinstance(complete, bool):
        columns |= {"complete": int(complete), "completeness": "as its receipt says"}
    return columns


def never_removed(run: Run) -> str:
    """Why its source is never removed by itself, or an empty string."""
    if badly(run):
        return said(str(run.outcome), str(run.outcome_detail))
    if run.complete is not None and not run.complete:
        return f"files that its instrument announced are missing: {run.completeness}"
    return ""
