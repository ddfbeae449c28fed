"""The ledger: one SQLite file of what was seen and done. Losing it loses time, never data."""

from sync_to_azure.ledger.files import Files
from sync_to_azure.ledger.ledger import Ledger
from sync_to_azure.ledger.lock import Lock
from sync_to_azure.ledger.run import Flow, Run

__all__ = ["Files", "Flow", "Ledger", "Lock", "Run"]
