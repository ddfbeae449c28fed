"""The fault matrix: the real command against faults of network, storage, machine and share; docs/reliability.md."""
