"""`python -m sync_to_azure` is the command."""

from __future__ import annotations

import gc
import sys

from sync_to_azure import cli


def main() -> int:
    # The libraries make a hundred thousand objects that stay: to look them through again and again while they load, and
    # once more at the end, took a fifth of a short pass's processor time. Garbage in circles is still found.
    gc.set_threshold(50_000, 20, 50)
    code = cli.main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
