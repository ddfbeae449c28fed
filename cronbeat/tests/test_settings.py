"""The ini files: which win, which faults are told, and that no secret is."""

from __future__ import annotations

import pathlib

import pytest
from cronbeat import settings
from cronbeat.errors import ConfigurationError

SECRET = "https://example.org/hook/0123456789abcdef"


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: pathlib.Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_the_order_of_the_files(home: pathlib.Path) -> None:
    etc = home / "etc"
    write(etc / "a.ini", "keep-days = 1\nlog-size = 1K\nremind-every = 1h\nretry-times = 1\nhttp-timeout=1")
    write(etc / "b.ini", "log-size = 2K\nremind-every = 2h\nretry-times = 2\nhttp-timeout=2")
    write(home / "cronbeat.ini", "remind-every = 3h\nretry-times = 3\nhttp-timeout=3")
    write(home / ".cronbeat.ini", "[any section]\nretry_times: 4\nhttp-timeout=4")
    found = settings.load({"cache": "/c"}, etc=etc)
    assert (found.keep_days, found.log_size, found.remind_every, found.retry_times) == (1, 2048, 10800, 4)
    assert found.cache == pathlib.Path("/c")
    write(home / "other.ini", "http-timeout = 9")
    only = settings.load({}, str(home / "other.ini"), etc)
    assert (only.http_timeout, only.retry_times) == (9, 5)


def test_a_percent_sign_and_a_hash_belong_to_the_value(home: pathlib.Path) -> None:
    write(home / ".cronbeat.ini", f"webhook = {SECRET}?sig=a%2Fb#c")
    assert settings.load({}, etc=home / "none").webhook == f"{SECRET}?sig=a%2Fb#c"


@pytest.mark.parametrize(
    "line", [f"webhook = {SECRET[8:]}", f"  stray\n{SECRET}\n = x", f"webhook = ftp://{SECRET}"]
)
def test_no_error_shows_the_webhook(home: pathlib.Path, line: str) -> None:
    write(home / ".cronbeat.ini", line + "\nlog-level = LOUD")
    with pytest.raises(ConfigurationError) as caught:
        settings.load({}, etc=home / "none")
    assert "0123456789abcdef" not in str(caught.value)
    assert ".cronbeat.ini" in str(caught.value)


def test_a_file_that_everybody_may_read_is_told(home: pathlib.Path) -> None:
    write(home / ".cronbeat.ini", f"webhook = {SECRET}", 0o644)
    (notice,) = settings.load({}, etc=home / "none").notices
    assert "chmod o-r" in notice and "0123456789abcdef" not in notice
    write(home / ".cronbeat.ini", f"webhook = {SECRET}", 0o640)
    assert not settings.load({}, etc=home / "none").notices


def test_an_unknown_key_is_told_and_does_nothing(home: pathlib.Path) -> None:
    write(home / ".cronbeat.ini", "webhok = x\n")
    (notice,) = settings.load({}, etc=home / "none").notices
    assert "'webhok' is unknown" in notice and "'webhook'" in notice


def test_the_webhook_is_in_no_repr(home: pathlib.Path) -> None:
    write(home / ".cronbeat.ini", f"webhook = {SECRET}\ncheck-ping = {SECRET}")
    assert "0123456789abcdef" not in repr(settings.load({}, etc=home / "none"))
