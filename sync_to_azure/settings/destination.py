"""Checks of where runs come from and go to: folders, container, account, endpoint, prefix."""

from __future__ import annotations

import re
import urllib.parse

from sync_to_azure.core.names import OURS_PREFIX, is_ours
from sync_to_azure.settings.family_sections import is_a_files_name
from sync_to_azure.settings.options import BY_KEY, CONTINUOUS
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.values import Notice

PUBLIC_CLOUD = "blob.core.windows.net"


def check_source(merge: Merge, is_needed: bool) -> None:
    if merge.values["main-folder"] is None and not is_needed and "main-folder" not in merge.wrong:
        merge.values["main-folder"] = merge.cwd
        merge.origin["main-folder"] = "not given"
    elif merge.values["main-folder"] is None:
        merge.missing("main-folder", "main-folder is not given: the folder that holds the runs")
    for name in merge.values["completion-flag"]:
        if not is_a_files_name(name):
            merge.problem(
                "completion-flag", f"{name!r} is not the name of a file in the run folder: leave the path out"
            )


_ONLY_OF = {"project-glob": CONTINUOUS[:1], "blank-glob": CONTINUOUS[:1], "min-file-age": CONTINUOUS}
_REFUSED = {
    "remove-source": "a continuous project is never finished, so its files are never removed; leave it out",
    "completion-flag": "such a folder is never done, so no flag ends it; leave it out",
    "samplesheet-folder": "such a folder has no sample sheet; leave it out",
    "incremental": "such a folder is uploaded file by file anyway; leave it out",
}


def check_continuous(merge: Merge) -> None:
    """What goes with a profile whose folders are never done, and what only with it."""
    profile = merge.values["profile"]
    if profile in CONTINUOUS:
        for key, why in _REFUSED.items():
            if merge.values[key]:
                merge.problem(key, f"does not go with profile = {profile}: {why}")
    for key, profiles in _ONLY_OF.items():
        if profile is not None and profile not in profiles and merge.origin[key] != "default":
            text = f"{merge.origin[key]}: {key} means something only with profile = {' or '.join(profiles)}"
            merge.notices.append(Notice(f"only-of:{key}", text, once=True))


def check_destination(merge: Merge) -> None:
    values = merge.values
    container = values["container-name"]
    if container is None:
        merge.missing("container-name", "container-name is not set: the container to upload runs to")
    elif not re.fullmatch(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", container):
        merge.problem(
            "container-name",
            f"{BY_KEY['container-name'].shown(container)} is no container's name: 3 to 63 of a-z, 0-9 and single"
            " dashes between them",
        )
    if values["destination"] is not None:
        values["destination"] = _destination(merge, values["destination"])
    account, endpoint = values["storage-account"], values["blob-endpoint"]
    if account is not None:
        # Names are lower-case; in addresses, which the predecessor made of it, the case never mattered.
        values["storage-account"] = account = account.lower()
        if not re.fullmatch(r"[a-z0-9]{3,24}", account):
            merge.problem(
                "storage-account", "is no account's name: 3 to 24 of a-z and 0-9, not an address or a key"
            )
    if endpoint is not None:
        try:
            values["blob-endpoint"], named = _endpoint(endpoint, bool(values["allow-plain-http"]))
        except ValueError as error:
            merge.problem("blob-endpoint", str(error))
            return
        if named and account and named != account and "storage-account" not in merge.wrong:
            merge.problem(
                "blob-endpoint",
                f"names the account '{named}', but {_said(merge, 'storage-account')} '{account}'",
            )
        elif named and not account:
            values["storage-account"], merge.origin["storage-account"] = named, "from blob-endpoint"
        elif not account:
            merge.missing(
                "storage-account", "storage-account is not given, and blob-endpoint does not name it"
            )
    elif account is not None:
        values["blob-endpoint"] = f"https://{account}.{PUBLIC_CLOUD}"
        merge.origin["blob-endpoint"] = "from storage-account"
    elif not merge.wrong & {"storage-account", "blob-endpoint"}:
        merge.missing("storage-account", "storage-account is not given (or blob-endpoint, for another cloud)")


def _said(merge: Merge, key: str) -> str:
    return f"{key} ({merge.origin[key]}) is"


def _destination(merge: Merge, text: str) -> str:
    inner = text.removeprefix("/").removesuffix("/")
    bad = sorted(set(inner) & set("\\?#"))
    segments = inner.split("/") if inner else []
    if bad:
        merge.problem(
            "destination", f"{text!r} holds {bad[0]}, which does not survive the way to a blob's name"
        )
    elif any(part.strip() == "" for part in segments):
        merge.problem("destination", f"{text!r} has an empty segment between two slashes")
    elif any(part.endswith(".") for part in segments):
        merge.problem("destination", f"{text!r} has a segment that ends in a dot; the service would drop it")
    elif any(is_ours(part) for part in segments):
        merge.problem(
            "destination", f"{text!r} has a segment that begins with {OURS_PREFIX}, as only our own names do"
        )
    elif any("\ud800" <= letter <= "\udfff" or "\x80" <= letter < "\xa0" for letter in inner):
        merge.problem("destination", f"{text!r} is not UTF-8, or holds control characters")
    return inner


def _endpoint(text: str, plain_http: bool) -> tuple[str, str]:
    """(address without trailing slash, name of the account or '') of a blob endpoint; ValueError without the text:
    people paste addresses with a SAS in them."""
    example = f"give an address such as https://ACCOUNT.{PUBLIC_CLOUD}"
    if re.search(r"\s", text) or not text.isascii():
        raise ValueError(f"holds a space or a letter that no address has; {example}")
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"is not an address; {example}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"is not an http(s) address; {example}")
    if "?" in text or "#" in text or "@" in parts.netloc:
        raise ValueError(
            "holds more than an address: a query (a SAS?), a fragment or a user; give a secret as credentials"
        )
    numeric, loopback = _address(host)
    if parts.scheme == "http" and not loopback and not plain_http:
        raise ValueError(
            "is plain http, which anyone on the network can read; give https (http is for loopback, or where"
            " allow-plain-http says so)"
        )
    path = parts.path.strip("/")
    labels = host.split(".")
    if "dfs" in labels[1:]:
        raise ValueError("is a dfs endpoint; give the blob endpoint of the same account (.blob. for .dfs.)")
    host_style = not numeric and len(labels) > 2 and "blob" in labels[1:]
    if "/" in path or (path and host_style):
        raise ValueError(
            "holds a path; the container and the folder are given by container-name and destination"
        )
    if numeric and not path:
        raise ValueError(f"does not name the account, as in {parts.scheme}://{parts.netloc}/devstoreaccount1")
    account = path or (labels[0] if host_style else "")
    if account and not re.fullmatch(r"[a-z0-9]{3,24}", account):
        raise ValueError(f"names the account '{account}', which is no account's name: 3 to 24 of a-z and 0-9")
    standing = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        standing += f":{port}"
    return f"{parts.scheme}://{standing}" + (f"/{path}" if path else ""), account


def is_loopback(host: str) -> bool:
    return _address(host)[1]


def _address(host: str) -> tuple[bool, bool]:
    """(needs the account in the path, is loopback)."""
    import ipaddress

    if host == "localhost":
        return True, True
    try:
        return True, ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False, False
