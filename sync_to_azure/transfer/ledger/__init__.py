"""The ledger: one SQLite file of what was seen and done. Losing it loses time, never data."""

from sync_to_azure.transfer.ledger.files import Files
from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.lock import Lock
from sync_to_azure.transfer.ledger.run import Flow, Run

__all__ = ["Files", "Flow", "Ledger", "Lock", "Run"]
