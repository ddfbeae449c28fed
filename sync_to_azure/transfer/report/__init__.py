"""`report`: static pages of how the runs stand, from the ledger and what still stands at the source."""
