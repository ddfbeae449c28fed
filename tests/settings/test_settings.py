"""Settings: which source counts, what each key accepts, what is derived, and that all problems are told at once."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings.options import OPTIONS
from sync_to_azure.settings import Settings, load

REQUIRED = {"main-folder": "/data/runs", "container-name": "runs", "storage-account": "lake"}
SAS = "?sv=2025-01-05&ss=b&sig=ab%2Bcd%3D&se=2030-01-01"
KEY = base64.b64encode(bytes(range(64))).decode()
PRINCIPAL = {"tenant-id": "t-1", "application-id": "a-1"}


class Flat:
    """Settings with the value of each option as an attribute: a test names the option, not its group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        for option in OPTIONS:
            if option.name == name:
                return self._settings.value(option)
        return getattr(self._settings, name)

    def __repr__(self) -> str:
        return repr(self._settings)


Load = Callable[..., Flat]


@pytest.fixture
def load_with(tmp_path: Path) -> Load:
    """Settings from keys of the command line over what is required; a key with None is left out."""

    def settings(
        keys: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        file: str | None = None,
        bare: bool = False,
    ) -> Flat:
        if file is not None:
            (tmp_path / "azsync.cfg").touch(mode=0o600)
            (tmp_path / "azsync.cfg").write_text(file, encoding="utf-8")
        given: dict[str, object] = ({} if bare else dict(REQUIRED)) | dict(keys or {})
        return Flat(load(given, environ or {}, tmp_path))

    return settings


def problems(settings: Load, *arguments: Any, **options: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(*arguments, **options)
    assert caught.value.exit_code == 2
    return caught.value.problems


def credentials(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "secret"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


# Sources


def test_defaults(load_with: Load) -> None:
    settings = load_with()
    assert settings.main_folder == Path("/data/runs")
    assert settings.samplesheet_folder is None
    assert settings.completion_flag == settings.exclude == settings.log_recipient == ()
    assert settings.notices == ()
    assert settings.completion_delay == 3600 and settings.timeout == 300 and settings.cap_mbps is None
    assert (settings.retry_times, settings.source_readers, settings.smtp_port) == (5, 4, 0)
    assert (settings.azcopy_log_level, settings.log_level, settings.smtp_security) == (
        "WARNING",
        "INFO",
        "auto",
    )
    assert (settings.destination, settings.auth) == ("", "default")
    assert settings.blob_endpoint == "https://lake.blob.core.windows.net"
    assert not (settings.remove_source or settings.sheet_optional or settings.dry_run or settings.thorough)
    assert settings.config_file is None
    assert settings.origin["timeout"] == "default" and settings.origin["main-folder"] == "command line"


def test_command_line_before_environment_before_file_before_default(load_with: Load) -> None:
    keys = {"timeout": "1"}
    environ = {"SYNC_TO_AZURE_TIMEOUT": "2", "SYNC_TO_AZURE_RETRY_TIMES": "2"}
    file = "timeout = 3\nretry-times = 3\nsource-readers = 3\n"
    settings = load_with(keys, environ, file)
    assert (settings.timeout, settings.retry_times, settings.source_readers, settings.smtp_port) == (
        1,
        2,
        3,
        0,
    )
    assert [settings.origin[key] for key in ("timeout", "retry-times", "source-readers", "smtp-port")] == [
        "command line",
        "environment SYNC_TO_AZURE_RETRY_TIMES",
        "azsync.cfg line 3",
        "default",
    ]


def test_every_option_has_an_origin(load_with: Load) -> None:
    assert set(load_with().origin) == {option.key for option in OPTIONS}


def test_field_names_are_accepted_for_keys(load_with: Load) -> None:
    assert load_with({"retry_times": 7, "main_folder": None, "exclude": ()}).retry_times == 7


def test_the_command_line_overrules_a_switch_of_the_file(load_with: Load) -> None:
    assert load_with(file="remove-source = yes").remove_source
    assert not load_with({"remove-source": False}, file="remove-source = yes").remove_source


def test_a_list_is_replaced_not_added_to(load_with: Load) -> None:
    assert load_with({"exclude": ("a",)}, file="exclude = b\n  c").exclude == ("a",)


def test_empty_is_unset_in_environment_and_file(load_with: Load) -> None:
    environ = {"SYNC_TO_AZURE_TIMEOUT": " ", "SYNC_TO_AZURE_NONSENSE": ""}
    assert load_with({}, environ, "timeout =\nlog-level =\n").timeout == 300


def test_empty_on_the_command_line_is_a_variable_that_was_not_set(load_with: Load) -> None:
    found = problems(load_with, {"samplesheet-folder": "", "container-name": ""})
    assert found == [
        "command line: --samplesheet-folder is empty; give a value or leave it out",
        "command line: --container-name is empty; give a value or leave it out",
    ]


def test_a_fault_in_an_overruled_source_is_none(load_with: Load) -> None:
    assert load_with({"timeout": "5"}, file="timeout = soon").timeout == 5


def test_lists_in_the_environment_stand_on_lines(load_with: Load) -> None:
    environ = {"SYNC_TO_AZURE_EXCLUDE": "a b\n*,c\n", "SYNC_TO_AZURE_LOG_RECIPIENT": "x@y.org, root"}
    settings = load_with({"smtp-host": "mail"}, environ)
    assert settings.exclude == ("a b", "*,c")
    assert settings.log_recipient == ("x@y.org", "root")


def test_config_file_named_by_command_line_or_environment(load_with: Load, tmp_path: Path) -> None:
    other = tmp_path / "nextseq.cfg"
    other.write_text("timeout = 9\n", encoding="utf-8")
    settings = load_with({"config-file": "nextseq.cfg"}, file="timeout = 8\n")
    assert (settings.timeout, settings.config_file) == (9, other)
    assert settings.origin["timeout"] == "nextseq.cfg line 1"
    assert load_with({}, {"SYNC_TO_AZURE_CONFIG_FILE": str(other)}).timeout == 9
    assert load_with().config_file == tmp_path / "azsync.cfg"


def test_relative_paths_and_home(load_with: Load, tmp_path: Path) -> None:
    keys = {"main-folder": "runs", "log-file": "~/log", "azcopy": "azcopy", "state-file": "~root/x"}
    settings = load_with(keys, {"HOME": "/home/lab"})
    assert settings.main_folder == tmp_path / "runs"
    assert settings.log_file == Path("/home/lab/log")
    assert settings.state_file == Path(os.path.expanduser("~root/x"))
    assert settings.azcopy == "azcopy"
    assert load_with({"azcopy": "bin/azcopy"}).azcopy == str(tmp_path / "bin/azcopy")
    assert "there is no such user" in problems(load_with, {"log-file": "~nobody-here/x"})[0]


# Problems


def test_all_problems_at_once_each_with_its_source(load_with: Load) -> None:
    file = (
        "# runs\nmain-folder = /data\n\nmain-foldr = /data\ncompletion-delay = soon\nremove-source = maybe\n"
    )
    found = problems(
        load_with,
        {"retry-times": "0", "smtp_port": "70000"},
        {"SYNC_TO_AZURE_TIMEOUT": "nan", "SYNC_TO_AZURE_CONTAINER_NAM": "x"},
        file,
        bare=True,
    )
    assert found == [
        "azsync.cfg line 4: unknown key 'main-foldr'; did you mean 'main-folder'?",
        "environment SYNC_TO_AZURE_CONTAINER_NAM: unknown variable; did you mean 'SYNC_TO_AZURE_CONTAINER_NAME'?",
        "azsync.cfg line 5: completion-delay 'soon' is not accepted: give a number from 0 up",
        "azsync.cfg line 6: remove-source 'maybe' is neither yes nor no: give true/yes/on/1 or false/no/off/0",
        "command line: retry-times '0' is not accepted: give a whole number from 1 up",
        "environment SYNC_TO_AZURE_TIMEOUT: timeout 'nan' is not accepted:"
        " give a number above 0, at most 1,000,000,000",
        "command line: smtp-port '70000' is not accepted: give a whole number from 0 to 65535",
        "container-name is not set: the container to upload runs to",
        "storage-account is not given (or blob-endpoint, for another cloud)",
    ]


def test_what_is_required(load_with: Load) -> None:
    found = problems(load_with, bare=True)
    assert [problem.split(" ")[0] for problem in found] == [
        "main-folder",
        "container-name",
        "storage-account",
    ]


@pytest.mark.parametrize(
    "text", ["inf", "-1", "1e999", "1_0", "\u0663", "", "0x10", "1,5", "two", "nan", "1 2"]
)
@pytest.mark.parametrize("key", ["completion-delay", "timeout", "cap-mbps", "retry-times", "smtp-port"])
def test_numbers_that_are_none(load_with: Load, key: str, text: str) -> None:
    assert len(problems(load_with, {key: text})) == 1


def test_numbers(load_with: Load) -> None:
    settings = load_with({"completion-delay": "0", "timeout": " 1.5 ", "cap-mbps": "1e2", "smtp-port": "465"})
    assert (settings.completion_delay, settings.timeout, settings.cap_mbps, settings.smtp_port) == (
        0,
        1.5,
        100,
        465,
    )
    assert len(problems(load_with, {"cap-mbps": "0", "timeout": "0", "source-readers": "9" * 5000})) == 3


@pytest.mark.parametrize(
    ("key", "largest", "above", "told"),
    [
        ("timeout", "1e9", "1e10", "above 0, at most 1,000,000,000"),
        ("cap-mbps", "1e6", "1e300", "above 0, at most 1,000,000"),
        ("source-readers", "256", "100000", "from 1 to 256"),
    ],
)
def test_numbers_that_a_socket_azcopy_or_the_system_would_not_take(
    load_with: Load, key: str, largest: str, above: str, told: str
) -> None:
    load_with({key: largest})
    [problem] = problems(load_with, {key: above})
    assert key in problem and told in problem


@pytest.mark.parametrize("word", ["true", "YES", "on", "1"])
@pytest.mark.parametrize("other", ["false", "No", "OFF", "0"])
def test_switches(load_with: Load, word: str, other: str) -> None:
    settings = load_with({}, {"SYNC_TO_AZURE_THOROUGH": other}, f"dry-run = {word}")
    assert settings.dry_run and not settings.thorough


def test_levels_in_any_case(load_with: Load) -> None:
    settings = load_with(file="log-level = info\nazcopy-log-level = Debug\nsmtp-security = STARTTLS")
    assert (settings.log_level, settings.azcopy_log_level, settings.smtp_security) == (
        "INFO",
        "DEBUG",
        "starttls",
    )
    assert problems(load_with, {"log-level": "loud"}) == [
        "command line: log-level 'loud' is not accepted: give DEBUG, INFO, WARNING, ERROR or CRITICAL"
    ]


def test_an_indented_next_key_is_found(load_with: Load) -> None:
    (found,) = problems(load_with, file="log-level = INFO\n  log-file = x\n")
    assert found.startswith("azsync.cfg line 1: log-level has 2 lines of value")


def test_keys_that_have_no_place_in_a_file(load_with: Load) -> None:
    found = problems(load_with, file="secret = abc\nconfig-file = x\n")
    assert "SYNC_TO_AZURE_SECRET" in found[0] and "abc" not in found[0]
    assert "config-file" in found[1]


def test_an_unreadable_config_file_is_the_only_problem(load_with: Load, tmp_path: Path) -> None:
    found = problems(load_with, {"config-file": "none.cfg"}, bare=True)
    assert found == ["config file none.cfg: there is no such file"]
    found = problems(load_with, {}, {"SYNC_TO_AZURE_CONFIG_FILE": "none.cfg"}, bare=True)
    assert found == ["environment SYNC_TO_AZURE_CONFIG_FILE: config file none.cfg: there is no such file"]
    (tmp_path / "azsync.cfg").mkdir()
    assert problems(load_with, bare=True) == ["config file azsync.cfg: is a folder, not a file"]


def test_completion_flags(load_with: Load) -> None:
    settings = load_with(file="completion-flag = CopyComplete.txt, RTA Complete.txt\n   third\n")
    assert settings.completion_flag == ("CopyComplete.txt", "RTA Complete.txt", "third")
    assert "leave the path out" in problems(load_with, {"completion-flag": ("Data/Done.txt",)})[0]


def test_quotes_around_a_path_are_told(load_with: Load) -> None:
    assert "leave them out" in problems(load_with, file='log-file = "/var/log/x"')[0]


# Destination


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Runs", "-runs", "runs-", "ru--ns", "ru_ns", "r\u00fcns", "$web"]
)
def test_container_names_that_are_none(load_with: Load, name: str) -> None:
    assert len(problems(load_with, {"container-name": name})) == 1


@pytest.mark.parametrize("name", ["abc", "a" * 63, "0-9", "a-b-c"])
def test_container_names(load_with: Load, name: str) -> None:
    assert load_with({"container-name": name}).container_name == name


@pytest.mark.parametrize(
    ("text", "normal"),
    [("/", ""), ("//", ""), ("a", "a"), ("/a/b c/", "a/b c"), ("a.b/\u00e4", "a.b/\u00e4"), (".a", ".a")],
)
def test_destination(load_with: Load, text: str, normal: str) -> None:
    assert load_with({"destination": text}).destination == normal


@pytest.mark.parametrize(
    "text",
    [
        "a\\b",
        "a?b",
        "a#b",
        "a//b",
        "a/./b",
        "../a",
        "a/..",
        "a.",
        "a./b",
        "a\tb",
        "a\x7f",
        "a\x85",
        "a/ /b",
        "a/.sync_to_azure-claims",
        "\udcff",
    ],
)
def test_destinations_that_are_none(load_with: Load, text: str) -> None:
    assert len(problems(load_with, {"destination": text})) == 1


@pytest.mark.parametrize(
    ("text", "endpoint", "account"),
    [
        ("https://lake.blob.core.windows.net/", "https://lake.blob.core.windows.net", "lake"),
        ("HTTPS://LAKE.Blob.core.chinacloudapi.cn:443", "https://lake.blob.core.chinacloudapi.cn", "lake"),
        ("https://lake.z01.blob.storage.azure.net", "https://lake.z01.blob.storage.azure.net", "lake"),
        ("https://lake.privatelink.blob.core.windows.net:8443", None, "lake"),
        ("http://127.0.0.1:10000/devstoreaccount1", None, "devstoreaccount1"),
        (
            "http://127.9.9.9:10000/devstoreaccount1/",
            "http://127.9.9.9:10000/devstoreaccount1",
            "devstoreaccount1",
        ),
        ("http://[::1]:10000/devstoreaccount1", None, "devstoreaccount1"),
        ("http://localhost:10000/devstoreaccount1", None, "devstoreaccount1"),
        ("https://storage.example.org/lake", None, "lake"),
    ],
)
def test_endpoints(load_with: Load, text: str, endpoint: str | None, account: str) -> None:
    settings = load_with({"storage-account": None, "blob-endpoint": text})
    assert (settings.blob_endpoint, settings.storage_account) == (endpoint or text, account)
    assert settings.origin["storage-account"] == "from blob-endpoint"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lake.blob.core.windows.net", "is not an http"),
        ("ftp://lake.blob.core.windows.net", "is not an http"),
        ("https://", "is not an http"),
        ("https://[::1", "is not an address"),
        ("https://lake.blob.core.windows.net:99999", "is not an address"),
        ("https://la ke.blob.core.windows.net", "holds a space"),
        ("http://lake.blob.core.windows.net", "plain http"),
        ("http://10.0.0.1/lake", "plain http"),
        ("http://localhost.example.org/lake", "plain http"),
        ("https://lake.blob.core.windows.net?sv=1&sig=hidden", "holds more than an address"),
        ("https://me:hidden@lake.blob.core.windows.net", "holds more than an address"),
        ("https://lake.blob.core.windows.net/runs", "holds a path"),
        ("http://127.0.0.1:10000/devstoreaccount1/runs", "holds a path"),
        ("http://127.0.0.1:10000", "does not name the account"),
        ("https://lake.dfs.core.windows.net", "dfs endpoint"),
        ("https://lake-secondary.blob.core.windows.net", "no account's name"),
        ("https://storage.example.org", "does not name it"),
    ],
)
def test_endpoints_that_are_none(load_with: Load, text: str, words: str) -> None:
    (found,) = problems(load_with, {"storage-account": None, "blob-endpoint": text})
    assert words in found and "hidden" not in found


def test_plain_http_where_it_is_said(load_with: Load) -> None:
    keys = {"storage-account": None, "blob-endpoint": "http://azurite:10000/devstoreaccount1"}
    (found,) = problems(load_with, keys)
    assert "plain http" in found and "allow-plain-http" in found
    settings = load_with(keys | {"allow-plain-http": "yes"})
    assert settings.blob_endpoint == "http://azurite:10000/devstoreaccount1"


def test_account_and_endpoint(load_with: Load) -> None:
    own = {"blob-endpoint": "https://storage.example.org"}
    assert load_with(own).storage_account == "lake"
    assert load_with({"storage-account": "Lake"}).blob_endpoint == "https://lake.blob.core.windows.net"
    (found,) = problems(load_with, {"blob-endpoint": "https://sea.blob.core.windows.net"})
    assert found == (
        "command line: blob-endpoint names the account 'sea', but storage-account (command line) is 'lake'"
    )
    (found,) = problems(load_with, {"storage-account": "AccountKey=hidden"})
    assert "no account's name" in found and "hidden" not in found


# Identity


def test_the_kind_of_login_follows_from_what_is_given(load_with: Load, tmp_path: Path) -> None:
    for secret, more, auth in [
        ("x~Q.client", PRINCIPAL, "service-principal"),
        (SAS, {}, "sas"),
        (KEY, {}, "account-key"),
        (KEY, PRINCIPAL, "service-principal"),
    ]:
        settings = load_with(more | {"credentials": credentials(tmp_path, f"\ufeff {secret}\n")})
        assert settings.auth == auth
        assert settings.secret == secret.removeprefix("?")
        assert settings.origin["secret"] == f"file {tmp_path / 'secret'}"
    assert load_with().auth == "default" and load_with().secret is None


def test_the_secret_of_a_vault(load_with: Load, tmp_path: Path) -> None:
    settings = load_with(PRINCIPAL, {"SYNC_TO_AZURE_SECRET": "abc\n"})
    assert (settings.secret, settings.auth) == ("abc", "service-principal")
    keys = PRINCIPAL | {"credentials": credentials(tmp_path, "abc")}
    (found,) = problems(load_with, keys, {"SYNC_TO_AZURE_SECRET": "abc"})
    assert "both given" in found


@pytest.mark.parametrize(
    ("keys", "secret", "words"),
    [
        ({"tenant-id": "t"}, None, "tenant-id given, but not application-id and credentials"),
        (PRINCIPAL, None, "tenant-id and application-id given, but not credentials"),
        ({"application-id": "a"}, "x~y", "application-id given, but not tenant-id"),
        ({}, "x~y", "neither a SAS nor an account key"),
        ({}, base64.b64encode(bytes(16)).decode(), "neither a SAS nor an account key"),
        ({"auth": "service-principal"}, None, "needs tenant-id and application-id and credentials"),
        ({"auth": "sas"}, None, "auth = sas needs credentials"),
        ({"auth": "sas"}, KEY, "has no sv= and sig="),
        ({"auth": "account-key"}, "x~y", "is not base64"),
        ({"auth": "sas"}, f"https://lake.blob.core.windows.net/runs{SAS}", "is a whole address"),
        ({}, f"DefaultEndpointsProtocol=https;AccountName=lake;AccountKey={KEY}", "connection string"),
        ({"auth": "password"}, KEY, "is not accepted"),
        ({"tenant-id": "https://login/x"}, None, "is no id"),
        ({"authority-host": "http://login.example.org"}, None, "neither a host nor an https address"),
    ],
)
def test_logins_that_are_not_clear(
    load_with: Load, keys: dict[str, str], secret: str | None, words: str
) -> None:
    (found,) = problems(load_with, keys, {"SYNC_TO_AZURE_SECRET": secret} if secret else {})
    assert words in found
    assert secret is None or secret not in found


def test_said_logins(load_with: Load) -> None:
    short = base64.b64encode(b"key1").decode()
    settings = load_with({"auth": "account-key"}, {"SYNC_TO_AZURE_SECRET": short})
    assert settings.auth == "account-key" and settings.origin["auth"] == "command line"
    settings = load_with(PRINCIPAL | {"auth": "default", "authority-host": "login.microsoftonline.us/"})
    assert (settings.auth, settings.authority_host) == ("default", "login.microsoftonline.us")


def test_credentials_files_that_are_none(load_with: Load, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"a\0b")
    for path, words in [
        (tmp_path / "none", "there is no such file"),
        (tmp_path, "is a folder"),
        (binary, "is binary"),
        (credentials(tmp_path, " \n"), "is empty"),
    ]:
        (found,) = problems(load_with, {"credentials": path})
        assert found.startswith(f"command line: credentials file {path}: ") and words in found
    (found,) = problems(load_with, {"credentials": credentials(tmp_path, "hidden1\nhidden2\n")})
    assert "several lines" in found and "hidden" not in found


def test_secrets_are_named_for_the_redactor_and_not_shown(load_with: Load) -> None:
    environ = {"SYNC_TO_AZURE_SECRET": SAS, "SYNC_TO_AZURE_SMTP_PASSWORD": "pass-word"}
    settings = load_with({"smtp-host": "mail"}, environ)
    assert settings.secret_values() == (SAS[1:], "pass-word", "ab%2Bcd%3D", "ab+cd=")
    assert not any(value in repr(settings) for value in settings.secret_values())
    around = {
        "HTTPS_PROXY": "http://me:p%40ss-word@proxy:3128",
        "all_proxy": "me:other-word@proxy",
        "AZURE_CLIENT_SECRET": "of-another-tool",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=x;AccountKey=a2V5a2V5a2V5;Suffix=y",
        "NO_PROXY": "http://a:not-a-secret@b",
        "HTTP_PROXY": "http://[",
    }
    settings = load_with({}, around)
    assert {"p@ss-word", "other-word", "of-another-tool", "a2V5a2V5a2V5"} < set(settings.secret_values())
    assert "not-a-secret" not in settings.secret_values()
    assert not any(value in repr(settings) for value in settings.secret_values())
    assert load_with().secret_values() == ()


# Log, mail, notices


def test_recipients(load_with: Load) -> None:
    assert "smtp-host" in problems(load_with, {"log-recipient": ("a@b.org",)})[0]
    file = "smtp-host = mail\nlog-recipient = a@b.org, c@d.org\n  Lab <lab@b.org>\n"
    assert load_with(file=file).log_recipient == ("a@b.org", "c@d.org", "Lab <lab@b.org>")
    for bad in ("a@b@c", "two words", "a@b\nBcc: c@d"):
        assert len(problems(load_with, {"smtp-host": "mail", "log-recipient": (bad,)})) == 1
    assert "is no host" in problems(load_with, {"smtp-host": "smtp://mail"})[0]


def test_every_key_of_the_predecessor_is_accepted(load_with: Load, tmp_path: Path) -> None:
    secret = credentials(tmp_path, "x~Q.client")
    file = f"""
tenant-id = t-1
application-id = a-1
storage-account = lake
container-name = runs
credentials = {secret}
main-folder = /data/runs
samplesheet-folder = /data/sheets
completion-flag = RTAComplete.txt
completion-delay = 3600
destination = /
remove-source = True
log-file = /var/log/x.log
log-level = info
log-recipient = a@b.org, c@d.org
smtp-host = mail
smtp-port = 0
smtp-user = u
smtp-password = p%w#d
azcopy-logs = /var/log/azcopy
azcopy-log-level = WARNING
state-file = /var/lib/state.json
pid-file = /run/x.pid
retry-times = 5
timeout = 300
project-glob = prot[0-9]*
blank-glob = blank*.raw
min-file-age = 86400
"""
    settings = load_with(file=file, bare=True)
    assert settings.remove_source and settings.smtp_password == "p%w#d"
    assert [(notice.key, notice.once) for notice in settings.notices] == [
        ("obsolete:pid-file", True),
        ("only-of:project-glob", True),
        ("only-of:blank-glob", True),
        ("only-of:min-file-age", True),
    ]
    assert settings.notices[0].text.startswith("azsync.cfg line 23: pid-file no longer means anything: ")


def test_notices(load_with: Load, tmp_path: Path) -> None:
    def keys_of(settings: Flat) -> dict[str, bool]:
        return {notice.key: notice.once for notice in settings.notices}

    keys = {"smtp-host": "mail", "smtp-password": "pass-word"}
    assert keys_of(load_with(keys)) == {"smtp-password-on-command-line": False}
    assert keys_of(load_with({}, {"SYNC_TO_AZURE_SMTP_PASSWORD": "x"})) == {}
    for mode in (0o640, 0o604):
        settings = load_with(PRINCIPAL | {"credentials": credentials(tmp_path, "abc", mode)})
        assert keys_of(settings) == {"credentials-readable": False}
        assert f"{mode:04o}" in settings.notices[0].text
    file = "smtp-host = mail\nsmtp-password = pass-word\n"
    assert keys_of(load_with(file=file)) == {}
    for mode in (0o640, 0o604):
        (tmp_path / "azsync.cfg").chmod(mode)
        settings = load_with(file=file)
        assert keys_of(settings) == {"config-file-readable": False}
        assert f"{mode:04o}" in settings.notices[0].text and "chmod 600" in settings.notices[0].text
    (tmp_path / "azsync.cfg").unlink()
    assert keys_of(load_with({}, {"SYNC_TO_AZURE_SECRET": SAS})) == {"signature-in-process-list": True}
    native = load_with({"uploader": "native"}, {"SYNC_TO_AZURE_SECRET": SAS})
    assert keys_of(native) == {}, "AzCopy is not started"
    assert keys_of(load_with({"auth": "default"}, {"SYNC_TO_AZURE_SECRET": "x"})) == {"secret-unused": True}
