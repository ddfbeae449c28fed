"""The webhook: its address, its key, and which events it gets. Neither address nor key is repeated in a message.

``events`` is imported where a webhook is configured: most flows have none, and every start would wait for it.
"""

from __future__ import annotations

import os
import re
import stat
import urllib.parse
from pathlib import Path

from sync_to_azure.settings.destination import is_loopback
from sync_to_azure.settings.merge import Merge

_MOST = 1024
_OTHERS = 0o077
_MAKE = "umask 077; openssl rand -hex 32 > FILE makes one"


def check_events(merge: Merge) -> str | None:
    """The text of the webhook's key, None where there is none or it may not be read by whoever only looks."""
    values = merge.values
    url, path = values["notify-url"], values["notify-key"]
    if merge.origin["notify-events"] != "default":
        _check_names(merge)
    if url is not None:
        if problem := _problem(url, bool(values["allow-plain-http"])):
            merge.problem("notify-url", problem)
        if path is None:
            merge.missing(
                "notify-key", f"notify-url is given without notify-key, the file with its key; {_MAKE}"
            )
    if path is None or not os.access(path, os.R_OK):
        # What cannot be read is a pass's trouble; commands that only look need no key.
        return None
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        problem = str(error.strerror if isinstance(error, OSError) else error)
        merge.problem("notify-key", f"file {path}: {problem}; {_MAKE}")
        return None


def _check_names(merge: Merge) -> None:
    from sync_to_azure.events.run_events import OF_RUNS

    for each in merge.values["notify-events"]:
        if each not in OF_RUNS:
            merge.problem("notify-events", f"{each!r} is no event: give {', '.join(OF_RUNS)}")


def _problem(url: str, plain_http: bool) -> str:
    """What is wrong with an address, without it: whoever knows it may be able to post there."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or not re.fullmatch(r"[!-~]+", url) or port == 0:
        return "is no http(s) address, such as https://lims.example.org/hooks/sync_to_azure"
    if "#" in url or "@" in parts.netloc:
        return "holds a user or a fragment; receivers know us by the signature that notify-key makes"
    if parts.scheme == "http" and not is_loopback(host) and not plain_http:
        return (
            "is plain http, which anyone on the network can read; give https (http is for loopback, or where"
            " allow-plain-http says so)"
        )
    return ""


def _read(path: Path) -> str:
    from sync_to_azure.events.webhook import key_of

    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no file")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise ValueError(
                f"can be read by others (mode {mode:04o}), who could sign as we do: chmod 600, or a new one"
            )
        try:
            text = os.read(handle, _MOST).decode("ascii").strip()
        except UnicodeDecodeError:
            raise ValueError("holds other characters than letters, digits and signs of ASCII") from None
    finally:
        os.close(handle)
    key_of(text)
    return text
