"""Merges command line, environment, config file and defaults into Settings; all problems are told at once.

The only place that knows the order of the sources. What needs a network or the main folder is checked later.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings.options import BY_KEY, OPTIONS
from sync_to_azure.settings.foreign_secrets import SECRET_VARIABLES, not_for_children, foreign_secrets
from sync_to_azure.settings.destination import PUBLIC_CLOUD, check_continuous, check_destination, check_source
from sync_to_azure.settings.family_sections import flags_of_families
from sync_to_azure.settings.login_options import check_identity, check_who_reads
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.values import GROUP_TYPES, Notice, Settings
from sync_to_azure.settings.webhook_options import check_events

__all__ = ["Notice", "PUBLIC_CLOUD", "SECRET_VARIABLES", "Settings", "load", "not_for_children"]


def load(
    command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path, needs_source: bool = True
) -> Settings:
    """Settings from all sources. ``command_line``: option key or field name -> value; None, () are unset. Where the
    source is not needed, the current folder stands for a main folder that is not given."""
    merge = Merge(command_line, environ, cwd)
    merge.take_config_file()
    merge.take_all()
    family_flags = flags_of_families(merge)
    check_source(merge, needs_source)
    check_continuous(merge)
    check_destination(merge)
    check_identity(merge)
    check_telling(merge)
    webhook_key = check_events(merge)
    check_who_reads(merge)
    if merge.problems:
        raise ConfigurationError(merge.problems, merge.advice)
    parts = {
        group: kind(
            **{
                option.name: merge.values[option.key]
                for option in OPTIONS
                if option.group == group and not option.obsolete
            }
        )
        for group, kind in GROUP_TYPES.items()
    }
    parts["completion"] = parts["completion"]._replace(family_flags=family_flags)
    foreign = foreign_secrets(environ)
    return Settings(
        **parts,
        foreign_secrets=foreign,
        notify_key_text=webhook_key,
        notices=tuple(merge.notices),
        origin=merge.origin,
    )


def check_telling(merge: Merge) -> None:
    values = merge.values
    for address in values["log-recipient"]:
        if not re.fullmatch(r"([^<>@]*<[^\s<>@]+(@[^\s<>@]+)?>)|([^\s<>@]+(@[^\s<>@]+)?)", address):
            merge.problem("log-recipient", f"{address!r} is no mail address")
    if values["log-recipient"] and not values["smtp-host"]:
        merge.missing("smtp-host", "log-recipient is set without smtp-host: set the mail server")
    if values["smtp-host"] and re.search(r"[\s/@]", values["smtp-host"]):
        merge.problem("smtp-host", "is no host: give its name alone, without scheme, user or path")
    if values["ping"] is not None:
        check_ping(merge, values["ping"])
    for key in ("smtp-password", "ping", "notify-url"):
        if values[key] and merge.origin[key] == "command line":
            text = f"{key} is given on the command line, where process lists show it: put it into the config file"
            text += f" or into {merge.variable(BY_KEY[key])}"
            merge.notices.append(Notice(f"{key}-on-command-line", text, once=False))


def check_ping(merge: Merge, url: str) -> None:
    """The address is not repeated: whoever knows it can say that all is well."""
    try:
        parts = urllib.parse.urlsplit(url)
        fits = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[!-~]+", url) or "#" in url or "@" in parts.netloc:
        merge.problem("ping", "is no http(s) address, such as https://hc-ping.com/YOUR-UUID")
