"""Secrets that are known by how they look: signatures of SAS, account keys, tokens, passwords. Pure.

The same shapes as sync_to_azure's ``notify/redact.py`` hides: what that program must not tell, a task of ours that runs
az, AzCopy or curl must not tell either. The two are packages of their own; a test of sync_to_azure compares them.
"""

from __future__ import annotations

import re

MASK = "***"

# The ends of names: "client_secret", "smtp-password" and all the others need not be spelt out, and it is fast.
_SECRET_NAMES = (
    r"secret|password|passwd|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)|sas[_-]?token"
    r"|client[_-]?assertion|(?:access|refresh|id)[_-]?token"
)
_QUOTED = r'"(?:[^"\\\r\n]|\\.)+"|' + r"'(?:[^'\\\r\n]|\\.)+'"
SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # A header, also of a dictionary or JSON: all of its value, to the closing quote or the end of the line.
        (
            r"(authorization(?:\\*[\"'])?(?:\s*[:=]\s*|%3a(?:%20|\+)?)(?:b?\\*[\"'])?)[^\r\n\"'\\]+",
            r"\1" + MASK,
        ),
        (
            r"\b((?:Bearer|SharedKey(?:Lite)?|AUTH (?:PLAIN|LOGIN|XOAUTH2))(?:\s|%20|\+)+)[^\s\"'<>*,;]+",
            r"\1" + MASK,
        ),
        # A password within an address, as proxies have it.
        (r"(://[^\s/?#:@\"'<>]*:)[^\s/?#\"'<>]+(?=@)", r"\1" + MASK),
        # A token as Entra gives it, whatever stands before it: three parts of base64, the first of JSON.
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", MASK),
        # The signature of a SAS; the rest of a SAS (times, permissions) is no secret and helps to find a fault.
        (r"(sig(?:\s?=|\\*[\"']\s?:|%(?:25)*3d)\s?(?:\\*[\"'])?)[A-Za-z0-9%+/=_~.-]+", r"\1" + MASK),
        (rf"((?:{_SECRET_NAMES})\s?(?:=|%(?:25)*3d)\s?)(?:{_QUOTED}|[^\s&;\"'<>]+)", r"\1" + MASK),
        # Not the end of a path: '/etc/passwd': no such file.
        (
            rf"((?<!/)(?:{_SECRET_NAMES})(?:\\*[\"'])\s?:\s?b?)(?:{_QUOTED}|\\\"[^\"\r\n]*\\\"|[^\s,;}}\"'\\]+)",
            r"\1" + MASK,
        ),
    )
)


def hide(text: str) -> str:
    """``text`` with ``***`` for each; too much is hidden rather than too little."""
    for pattern, replacement in SHAPES:
        text = pattern.sub(replacement, text)
    return text
