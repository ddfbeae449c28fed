"""The steps of a pass, one file each; every one records itself in the ledger and can be run again."""
