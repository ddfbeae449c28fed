"""Options on a pass as a whole, and on where its state and its config file are."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options.kinds import flag, obsolete, path

DEFAULT_CONFIG_FILE = "azsync.cfg"

MODE = (
    flag("dry-run", "mode", "Show what a pass would do, and change nothing."),
    flag(
        "thorough",
        "mode",
        "Scan and list every published run again, and find what changed at either end.",
    ),
    Option(
        "reverify-after",
        Type.NUMBER,
        "mode",
        "In each pass, check thoroughly a few published runs not checked for this many days; 0: none.",
        "",
        "0",
        "DAYS",
        unit="days",
        least=0,
    ),
)

STATE = (
    path(
        "state-file",
        "state",
        "Keep the ledger in this file; without it, in the user's state folder.",
        "The ledger records what was seen and done.",
    ),
)

GENERAL = (
    Option(
        "config-file",
        Type.PATH,
        "general",
        f"Read options from this file; without it, from {DEFAULT_CONFIG_FILE} in the current folder.",
        placeholder="FILE",
        in_file=False,
    ),
)

OBSOLETE = (obsolete("pid-file", "a lock of the system keeps two passes apart; remove the key"),)
