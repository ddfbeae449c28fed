"""`python -m sync_to_azure` is the command."""

from __future__ import annotations

import sys

from sync_to_azure.cli import main

if __name__ == "__main__":
    sys.exit(main())
