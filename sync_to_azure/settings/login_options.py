"""Checks of who we are at the service: the secret, and the kind of login that what is given allows."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path

from sync_to_azure.settings import configfile, evidence_key
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings.components import COMPONENTS
from sync_to_azure.settings.options import BY_KEY
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.values import Notice


def check_identity(merge: Merge) -> None:
    values = merge.values
    for key in ("tenant-id", "application-id"):
        if values[key] and not re.fullmatch(r"[A-Za-z0-9._-]+", values[key]):
            merge.problem(key, "is no id: letters, digits, dots and dashes; not an address, not a secret")
    if values["authority-host"]:
        values["authority-host"] = _authority(merge, values["authority-host"])
    _take_credentials(merge)
    _take_evidence_key(merge)
    secret = values["secret"]
    if merge.wrong & {"credentials", "secret", "auth", "tenant-id", "application-id"}:
        return
    if secret is not None and "://" in secret:
        merge.problem("secret", "is a whole address; keep only what follows the question mark, the SAS")
    elif secret is not None and "accountkey=" in secret.lower():
        merge.problem("secret", "is a connection string; keep only the value of AccountKey")
    elif values["auth"] is None:
        values["auth"] = _derived_auth(merge)
        merge.origin["auth"] = "from what is given"
    else:
        check_auth(merge)
    if values["auth"] == "sas" and secret:
        values["secret"] = secret.removeprefix("?")
    if values["auth"] in ("sas", "account-key") and values["uploader"] == "azcopy":
        text = f"auth = {values['auth']}: process lists show the signature of a SAS while AzCopy runs; the logins"
        text += " service-principal and default do without"
        merge.notices.append(Notice("signature-in-process-list", text, once=True))


def check_who_reads(merge: Merge) -> None:
    """A config file that holds a secret needs as much care as a credentials file."""
    path: Path | None = merge.values["config-file"]
    secret = {key for each in COMPONENTS for key, option in each.keys.items() if option.secret}
    # Of any component, in any section: a file is read as a whole.
    held = [key for section in merge.sections.values() for key in section.entries if key in secret]
    if path is None or not held:
        return
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return
    if mode & 0o044:
        warning = f"config file {path} holds {held[0]} and can be read by others (mode {mode:04o}): chmod 600 {path}"
        merge.notices.append(Notice("config-file-readable", warning, once=False))


def _take_credentials(merge: Merge) -> None:
    """The secret of the credentials file becomes the value of `secret`."""
    values = merge.values
    path: Path | None = values["credentials"]
    if path is None:
        return
    if values["secret"] is not None:
        merge.problem(
            "credentials", f"and {merge.variable(BY_KEY['secret'])} are both given; give one of them"
        )
        return
    try:
        text = configfile.read_text(path, f"file {path}").strip()
        mode = path.stat().st_mode & 0o777
    except (ConfigurationError, OSError) as error:
        merge.problem("credentials", str(error))
        return
    if not text:
        merge.problem("credentials", f"file {path}: is empty; it must hold the secret")
    elif re.search(r"[\x00-\x1f\x7f]", text):
        merge.problem("credentials", f"file {path}: has several lines; it must hold nothing but the secret")
    values["secret"], merge.origin["secret"] = text, f"file {path}"
    if mode & 0o044:
        warning = f"credentials file {path} can be read by others (mode {mode:04o}): chmod 600 {path}"
        merge.notices.append(Notice("credentials-readable", warning, once=False))


def _take_evidence_key(merge: Merge) -> None:
    """A key that others may read vouches for nothing: whoever writes to the container could be one of them."""
    values = merge.values
    if (
        values["evidence-key"] is None
        and "evidence-key" not in merge.wrong
        and values["credentials"] is not None
    ):
        values["evidence-key"] = evidence_key.beside(values["credentials"])
        merge.origin["evidence-key"] = evidence_key.DERIVED
    path: Path | None = values["evidence-key"]
    if path is None or not os.access(path, os.R_OK):
        # What cannot be read is a pass's trouble; commands that only look need no key.
        return
    try:
        evidence_key.read(path)
    except ConfigurationError as error:
        merge.problem("evidence-key", str(error))


def _derived_auth(merge: Merge) -> str | None:
    """The kind of login that what is given allows; None, and a problem, where that is not clear."""
    values = merge.values
    secret, principal = values["secret"], [key for key in ("tenant-id", "application-id") if values[key]]
    if secret is None and not principal:
        return "default"
    if secret is not None and len(principal) == 2:
        return "service-principal"
    if secret is not None and _is_sas(secret):
        return "sas"
    if secret is not None and not principal and _key_length(secret) >= 32:
        return "account-key"
    if principal:
        needed = _needed_for_principal(merge)
        merge.missing(
            "auth",
            f"auth: {' and '.join(principal)} given, but not {' and '.join(needed)}: give what is missing for a service"
            " principal, or say auth = default",
        )
    else:
        merge.missing(
            "auth",
            f"auth: the secret ({merge.origin['secret']}) is neither a SAS nor an account key: give tenant-id and"
            " application-id if it is a client secret, or say what it is by auth",
        )
    return None


def check_auth(merge: Merge) -> None:
    """What was said by auth has all that it needs."""
    values, secret = merge.values, merge.values["secret"]
    match values["auth"]:
        case "service-principal" if needed := _needed_for_principal(merge):
            merge.missing(
                "auth", f"{merge.origin['auth']}: auth = service-principal needs {' and '.join(needed)}"
            )
        case "sas" | "account-key" if secret is None:
            merge.missing("auth", f"{merge.origin['auth']}: auth = {values['auth']} needs credentials")
        case "sas" if not _is_sas(secret):
            merge.problem("auth", f"= sas, but the secret ({merge.origin['secret']}) has no sv= and sig=")
        case "account-key" if not _key_length(secret):
            merge.problem("auth", f"= account-key, but the secret ({merge.origin['secret']}) is not base64")
        case "default" if secret is not None:
            text = f"auth = default does not use the secret ({merge.origin['secret']})"
            merge.notices.append(Notice("secret-unused", text, once=True))


def _needed_for_principal(merge: Merge) -> list[str]:
    needed = [key for key in ("tenant-id", "application-id") if not merge.values[key]]
    return needed if merge.values["secret"] else needed + ["credentials"]


def _is_sas(secret: str) -> bool:
    names = {part.partition("=")[0] for part in secret.removeprefix("?").split("&")}
    return {"sv", "sig"} <= names


def _key_length(secret: str) -> int:
    """Bytes of a base64 text; 0 if it is none."""
    try:
        return len(base64.b64decode(secret, validate=True))
    except (binascii.Error, ValueError):
        return 0


def _authority(merge: Merge, text: str) -> str:
    """azure-identity takes a host name or an https address, and nothing else."""
    address = text.removesuffix("/")
    if not re.fullmatch(r"(https://)?[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)?", address):
        merge.problem(
            "authority-host", "is neither a host nor an https address, such as login.microsoftonline.us"
        )
    return address
