"""Secrets in our environment that we were not given: hidden wherever we write, and kept from children."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

from sync_to_azure.settings import components
from sync_to_azure.settings.components import COMPONENTS, PASS

_OF_OTHERS = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZCOPY_SPA_CLIENT_SECRET",
    "AZCOPY_SPA_CERT_PASSWORD",
)
"""Logins of azure-identity, az and AzCopy. None of them is ours, and no child of ours needs one: AzCopy is given the
login that was configured here, and nothing else."""

SECRET_VARIABLES = (
    *(name for each in COMPONENTS for name, option in each.variables.items() if option.secret),
    *_OF_OTHERS,
)
"""No child inherits these."""


def not_for_children(environ: Mapping[str, str]) -> list[str]:
    """Variables that no child inherits: secrets, and all of other components, which alone know what is secret there."""
    return [
        name
        for name in environ
        if name in SECRET_VARIABLES or components.of_variable(name) not in (None, PASS)
    ]


_ALSO_HIDDEN = ("IDENTITY_HEADER", "MSI_SECRET")
"""With these a managed identity is asked: children need them, nobody else."""

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def foreign_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Texts to hide: what these variables hold, keys and signatures within them, and passwords of proxies."""
    found: list[str] = []
    for name in (*_OF_OTHERS, *_ALSO_HIDDEN):
        text = environ.get(name, "")
        found += [text, *re.findall(r"AccountKey=([^;]+)", text), *re.findall(r"\bsig=([^;&]+)", text)]
    for name, text in environ.items():
        if name.lower() in _PROXIES:
            found.append(_password(text))
    return tuple(dict.fromkeys(each for each in found if each))


def _password(proxy: str) -> str:
    """The password in a proxy's address, unquoted (a redactor knows the quoted forms), or an empty text."""
    try:
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return urllib.parse.unquote(parts.password or "")
    except ValueError:
        return ""
