"""The options of a pass, one table: command line, environment, config file, documents and ``settings`` follow it."""

from __future__ import annotations

from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options.destination import DESTINATION, IDENTITY
from sync_to_azure.settings.options.general import DEFAULT_CONFIG_FILE, GENERAL, MODE, OBSOLETE, STATE
from sync_to_azure.settings.options.notification import EVENTS, LOG, MAIL, MONITORING
from sync_to_azure.settings.options.source import COMPLETION, CONTINUOUS, EARLY, REMOVAL, SOURCE
from sync_to_azure.settings.options.upload import UPLOAD

__all__ = ["BY_KEY", "CONTINUOUS", "DEFAULT_CONFIG_FILE", "EVERYDAY", "GROUPS", "OPTIONS"]

GROUPS = {
    "source": "Source",
    "completion": "When a run is complete",
    "early": "Early upload",
    "removal": "Removal from the source",
    "destination": "Destination",
    "identity": "Identity",
    "upload": "Upload",
    "mode": "The pass",
    "state": "State",
    "log": "Log",
    "mail": "Mail",
    "monitoring": "Monitoring",
    "events": "Events and webhook",
    "general": "General",
    "obsolete": "Obsolete",
}
"""Group -> its heading, in the order in which people see them."""

OPTIONS: tuple[Option, ...] = (
    *SOURCE,
    *COMPLETION,
    *EARLY,
    *REMOVAL,
    *DESTINATION,
    *IDENTITY,
    *UPLOAD,
    *MODE,
    *STATE,
    *LOG,
    *MAIL,
    *MONITORING,
    *EVENTS,
    *GENERAL,
    *OBSOLETE,
)

BY_KEY = {option.key: option for option in OPTIONS}

EVERYDAY = (
    "config-file",
    "main-folder",
    "storage-account",
    "container-name",
    "destination",
    "dry-run",
    "only-run",
    "thorough",
    "remove-source",
    "log-level",
)
"""Keys of what ``--help`` shows; ``--help-all`` shows all."""
