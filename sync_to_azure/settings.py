"""Merges command line, environment, config file and defaults into Settings; all problems are told at once.

The only place that knows the order of the sources. What needs a network or the main folder is checked later.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_to_azure import configfile
from sync_to_azure.errors import ConfigurationError
from sync_to_azure.options import BY_KEY, DEFAULT_CONFIG_FILE, ENVIRONMENT_PREFIX, OPTIONS, Option, Type

PUBLIC_CLOUD = "blob.core.windows.net"


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """A warning for the pass to tell; ``once``: not again in every pass. ``key`` stays the same."""

    key: str
    text: str
    once: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a pass works with, complete and consistent. Paths are absolute; delays and times in seconds."""

    main_folder: Path
    samplesheet_folder: Path | None
    completion_flag: tuple[str, ...]
    completion_delay: float
    exclude: tuple[str, ...]
    only_run: str | None
    sheet_optional: bool
    remove_source: bool
    storage_account: str
    blob_endpoint: str
    container_name: str
    destination: str
    tenant_id: str | None
    application_id: str | None
    credentials: Path | None
    secret: str | None = dataclasses.field(repr=False)
    auth: str
    authority_host: str | None
    azcopy: str | None
    azcopy_logs: Path | None
    azcopy_log_level: str
    cap_mbps: float | None
    retry_times: int
    timeout: float
    source_readers: int
    dry_run: bool
    thorough: bool
    state_file: Path | None
    log_file: Path | None
    log_level: str
    log_recipient: tuple[str, ...]
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = dataclasses.field(repr=False)
    smtp_security: str
    config_file: Path | None
    notices: tuple[Notice, ...]
    origin: Mapping[str, str]
    """Key -> where its value came from: 'command line', 'environment X', 'nextseq.cfg line 4', 'default', 'from …'."""

    def secret_values(self) -> tuple[str, ...]:
        """Every text that no log, mail or message may hold; of a SAS also the signature alone, in both spellings."""
        found = [self.secret, self.smtp_password]
        if self.auth == "sas" and self.secret:
            for signature in re.findall(r"(?:^|&)sig=([^&]+)", self.secret):
                found += [signature, urllib.parse.unquote(signature)]
        return tuple(dict.fromkeys(value for value in found if value))


def load(command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Settings:
    """Settings from all sources. ``command_line``: option key or field name -> value; None, () are unset."""
    merge = _Merge(command_line, environ, cwd)
    merge.take_config_file()
    merge.take_all()
    _check_source(merge)
    _check_destination(merge)
    _check_identity(merge)
    _check_telling(merge)
    if merge.problems:
        raise ConfigurationError(merge.problems, merge.advice)
    names = {field.name for field in dataclasses.fields(Settings)}
    values = {option.name: merge.values[option.key] for option in OPTIONS if option.name in names}
    return Settings(**values, notices=tuple(merge.notices), origin=merge.origin)


class _Merge:
    """Values taken so far, by key; where each came from; what is wrong; what is worth a warning."""

    def __init__(self, command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> None:
        self.command_line = {
            key.replace("_", "-"): value
            for key, value in command_line.items()
            if value is not None and value != ()
        }
        self.environ = environ
        self.cwd = cwd
        self.file = configfile.ConfigFile()
        self.file_is_readable = True
        self.values: dict[str, Any] = {}
        self.origin: dict[str, str] = {}
        self.wrong: set[str] = set()
        self.problems: list[str] = []
        self.notices: list[Notice] = []
        self.advice = ""

    def problem(self, key: str, text: str) -> None:
        """``key`` is wrong; told with its source, and the key counts as not usable for further checks."""
        self.problems.append(f"{self.origin[key]}: {key} {text}")
        self.wrong.add(key)

    def missing(self, key: str, text: str) -> None:
        """Something is not given; not told while the config file, where it may be, could not be read."""
        if self.file_is_readable and key not in self.wrong:
            self.problems.append(text)
            self.advice = "give what is missing as an option or in the config file; see sync_to_azure --help"

    def take_config_file(self) -> None:
        self.take(BY_KEY["config-file"])
        path: Path | None = self.values["config-file"]
        named = path is not None
        if path is None and os.path.lexists(self.cwd / DEFAULT_CONFIG_FILE):
            path = self.cwd / DEFAULT_CONFIG_FILE
            self.values["config-file"], self.origin["config-file"] = path, "current folder"
        if path is not None:
            try:
                self.file = configfile.read(path, self._name_of(path) if named else DEFAULT_CONFIG_FILE)
            except ConfigurationError as error:
                source = self.origin["config-file"]
                where = f"{source}: " if source.startswith("environment") else ""
                self.problems += [where + problem for problem in error.problems]
                self.file_is_readable = False
        elif "config-file" in self.wrong:
            self.file_is_readable = False
        self.problems += self.file.problems

    def _name_of(self, path: Path) -> str:
        return str(path.relative_to(self.cwd) if path.is_relative_to(self.cwd) else path)

    def take_all(self) -> None:
        for key in sorted(self.command_line.keys() - BY_KEY.keys()):
            self.problems.append(f"command line: unknown option --{key}{_meant(key)}")
        for key, entry in self.file.entries.items():
            if key in BY_KEY and not BY_KEY[key].in_file:
                hint = f"give the environment variable {BY_KEY[key].variable}"
                hint += (
                    ", or a file with credentials"
                    if key == "secret"
                    else " or the option on the command line"
                )
                self.problems.append(f"{entry.origin}: key '{key}' has no place in a config file; {hint}")
            elif key not in BY_KEY:
                self.problems.append(f"{entry.origin}: unknown key {key!r}{_meant(key)}")
        variables = {option.variable: option for option in OPTIONS}
        for name, text in sorted(self.environ.items()):
            if name.startswith(ENVIRONMENT_PREFIX) and name not in variables and text.strip():
                self.problems.append(f"environment {name}: unknown variable{_meant(name, list(variables))}")
        for option in OPTIONS:
            if option.key != "config-file":
                self.take(option)

    def take(self, option: Option) -> None:
        """Parse the value of the first source that has one; a fault in a source that does not count is no fault."""
        given, self.origin[option.key] = self._given(option)
        if option.obsolete:
            if given:
                text = f"{self.origin[option.key]}: {option.key} no longer means anything: {option.help}"
                self.notices.append(Notice(f"obsolete:{option.key}", text, once=True))
            return
        if option.commas:
            given = [part.strip() for text in given for part in text.split(",") if part.strip()]
        self.values[option.key] = () if option.repeatable else None
        if len(given) > 1 and not option.repeatable:
            self.problem(
                option.key, f"has {len(given)} lines of value, but takes one; is the next line indented?"
            )
            return
        parsed: list[object] = []
        for text in given:
            try:
                value = option.parse(text)
                parsed.append(self._path(option, text) if option.type is Type.PATH else value)
            except ValueError as error:
                self.problem(option.key, str(error))
        if option.key not in self.wrong:
            self.values[option.key] = tuple(parsed) if option.repeatable else parsed[0] if parsed else None

    def _given(self, option: Option) -> tuple[list[str], str]:
        value = self.command_line.get(option.key)
        if value is not None and option.on_command_line:
            texts = [str(part) for part in (value if isinstance(value, (tuple, list)) else (value,))]
            if not option.obsolete and not all(text.strip() for text in texts):
                self.problems.append(f"command line: --{option.key} is empty; give a value or leave it out")
                self.wrong.add(option.key)
            return [text for text in texts if text.strip()], "command line"
        text = self.environ.get(option.variable, "")
        if text.strip():
            lines = (
                text.splitlines()
                if option.repeatable
                else [text.strip("\r\n") if option.secret else text.strip()]
            )
            return [line.strip() for line in lines if line.strip()], f"environment {option.variable}"
        entry = self.file.entries.get(option.key)
        if entry and entry.values and option.in_file:
            return list(entry.values), entry.origin
        return [] if option.default is None else [option.default], "default"

    def _path(self, option: Option, text: str) -> Path | str:
        if text == "~" or text.startswith("~/"):
            text = self.environ.get("HOME", os.path.expanduser("~")) + text[1:]
        elif text.startswith("~"):
            expanded = os.path.expanduser(text)
            if expanded == text:
                raise ValueError(f"{text!r}: there is no such user; for a file of this name write ./{text}")
            text = expanded
        if option.key == "azcopy":  # a bare name is looked up on the PATH
            return str(self.cwd / text) if "/" in text else text
        return self.cwd / text


def _meant(word: str, words: list[str] | None = None) -> str:
    import difflib

    known = words or [option.key for option in OPTIONS if not option.obsolete and option.in_file]
    near = difflib.get_close_matches(word.strip("-") if words is None else word, known, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _check_source(merge: _Merge) -> None:
    if merge.values["main-folder"] is None:
        merge.missing("main-folder", "main-folder is not given: the folder that holds the runs")
    for name in merge.values["completion-flag"]:
        if "/" in name or name in (".", ".."):
            merge.problem(
                "completion-flag", f"{name!r} is not the name of a file in the run folder: leave the path out"
            )


def _check_destination(merge: _Merge) -> None:
    values = merge.values
    container = values["container-name"]
    if container is None:
        merge.missing("container-name", "container-name is not given: the container that runs are carried to")
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
            values["blob-endpoint"], named = _endpoint(endpoint)
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


def _said(merge: _Merge, key: str) -> str:
    return f"{key} ({merge.origin[key]}) is"


def _destination(merge: _Merge, text: str) -> str:
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
    elif any("\ud800" <= letter <= "\udfff" or "\x80" <= letter < "\xa0" for letter in inner):
        merge.problem("destination", f"{text!r} is not UTF-8, or holds control characters")
    return inner


def _endpoint(text: str) -> tuple[str, str]:
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
    if parts.scheme == "http" and not loopback:
        raise ValueError(
            "is plain http, which anybody on the way can read; give https (http is for loopback only)"
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


def _address(host: str) -> tuple[bool, bool]:
    """(needs the account in the path, is loopback)."""
    import ipaddress

    if host == "localhost":
        return True, True
    try:
        return True, ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False, False


def _check_identity(merge: _Merge) -> None:
    values = merge.values
    for key in ("tenant-id", "application-id"):
        if values[key] and not re.fullmatch(r"[A-Za-z0-9._-]+", values[key]):
            merge.problem(key, "is no id: letters, digits, dots and dashes; not an address, not a secret")
    if values["authority-host"]:
        values["authority-host"] = _authority(merge, values["authority-host"])
    _take_credentials(merge)
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
        _check_auth(merge)
    if values["auth"] == "sas" and secret:
        values["secret"] = secret.removeprefix("?")
    if values["auth"] in ("sas", "account-key"):
        text = f"auth = {values['auth']}: process lists show the signature of a SAS while AzCopy runs; the logins"
        text += " service-principal and default do without"
        merge.notices.append(Notice("signature-in-process-list", text, once=True))


def _take_credentials(merge: _Merge) -> None:
    """The secret of the credentials file becomes the value of `secret`."""
    values = merge.values
    path: Path | None = values["credentials"]
    if path is None:
        return
    if values["secret"] is not None:
        merge.problem("credentials", f"and {BY_KEY['secret'].variable} are both given; give one of them")
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


def _derived_auth(merge: _Merge) -> str | None:
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


def _check_auth(merge: _Merge) -> None:
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


def _needed_for_principal(merge: _Merge) -> list[str]:
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


def _authority(merge: _Merge, text: str) -> str:
    """azure-identity takes a host name or an https address, and nothing else."""
    address = text.removesuffix("/")
    if not re.fullmatch(r"(https://)?[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)?", address):
        merge.problem(
            "authority-host", "is neither a host nor an https address, such as login.microsoftonline.us"
        )
    return address


def _check_telling(merge: _Merge) -> None:
    values = merge.values
    for address in values["log-recipient"]:
        if not re.fullmatch(r"([^<>@]*<[^\s<>@]+(@[^\s<>@]+)?>)|([^\s<>@]+(@[^\s<>@]+)?)", address):
            merge.problem("log-recipient", f"{address!r} is no mail address")
    if values["log-recipient"] and not values["smtp-host"]:
        merge.missing(
            "smtp-host", "log-recipient is given without smtp-host: say which server takes the mail"
        )
    if values["smtp-host"] and re.search(r"[\s/@]", values["smtp-host"]):
        merge.problem("smtp-host", "is no host: give its name alone, without scheme, user or path")
    if values["smtp-password"] and merge.origin["smtp-password"] == "command line":
        text = "smtp-password is given on the command line, where process lists show it: put it into the config file"
        text += f" or into {BY_KEY['smtp-password'].variable}"
        merge.notices.append(Notice("smtp-password-on-command-line", text, once=False))
