"""What others choose, names of files and answers of services, cannot act where it is told: no header, no line of its
own, no escape sequence."""

from __future__ import annotations

import os
import pathlib
import re
import typing
import unicodedata

import pytest

from tests.passes.bad_input.faults import write_run
from tests.passes.test_mail import HEADERS, PASSWORD, Postbox
from tests.passes.secrets.echo import Echo

NAMES = [
    b"bell\x07\x1b[2J\x1b]0;title\x07.txt",
    b"x\x01\nBcc: evil@example.org\n\nbody",
    b"x\x01\r\nSubject: other",
    b"x\x01\n2026-11-22 10:00:00+0000 INFO run: published, all is well",
    "x\x01\u202egnp.exe".encode(),
    "x\x01\u2028\u2029\x85next".encode(),
    b"x\x01<script>alert(1)<script>&amp;",
    b"x\x01%s %d %(levelname)s {0} {secret}",
    b"\x9b31mlatin-\xff",
]
LINE = re.compile(r"(\d{4}-\d\d-\d\dT?.*|    .*|)\Z")


@pytest.fixture
def config(everyday: dict[str, object], postbox: Postbox, tmp_path: pathlib.Path) -> dict[str, object]:
    return everyday | {
        "uploader": "native",
        "log-file": tmp_path / "pass.log",
        "log-level": "DEBUG",
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-user": "robot@example.org",
        "smtp-password": PASSWORD,
        "smtp-security": "none",
        "retry-times": 1,
    }


def acting(text: str) -> set[str]:
    """Characters that would do something, instead of being seen."""
    return {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}


def assert_tame(outcome: typing.Any, log: pathlib.Path, postbox: Postbox) -> None:
    """In output, log and the one mail."""
    lines = log.read_text("utf-8")
    mail = postbox.take()
    body = str(mail.get_content()).replace("\r\n", "\n")
    for text in (outcome.output, lines, body, str(mail["Subject"])):
        assert not acting(text), acting(text)
    assert "\n" not in str(mail["Subject"]) and set(mail.keys()) <= HEADERS
    assert mail["Bcc"] is None and len(mail.get_all("Subject")) == 1
    assert mail.get_content_type() == "text/plain", "in which nothing need be escaped as HTML"
    for line in lines.split("\n"):
        assert LINE.match(line), line
    assert "\n2026-11-22 10:00:00+0000 INFO" not in lines + body, "a name wrote a line of its own"


def test_names_of_files(
    run_command: typing.Any, config: dict[str, object], main_folder: pathlib.Path, postbox: Postbox
) -> None:
    run = write_run(main_folder, "run")
    for name in NAMES:
        with open(os.path.join(os.fsencode(run), name), "wb"):
            pass
    outcome = run_command(config=config)
    assert outcome.returncode == 1, outcome.output
    assert "bell\\x07\\x1b[2J" in outcome.output and "%s %d %(levelname)s {0}" in outcome.output
    assert_tame(outcome, pathlib.Path(str(config["log-file"])), postbox)


def test_names_of_runs(
    run_command: typing.Any, config: dict[str, object], main_folder: pathlib.Path, postbox: Postbox
) -> None:
    for name in NAMES:
        os.makedirs(os.path.join(os.fsencode(main_folder), name))
    outcome = run_command(config=config)
    assert outcome.returncode == 1, outcome.output
    assert_tame(outcome, pathlib.Path(str(config["log-file"])), postbox)


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_answers_of_services(
    run_command: typing.Any,
    config: dict[str, object],
    main_folder: pathlib.Path,
    postbox: Postbox,
    uploader: str,
) -> None:
    """The code of an error is a header that anybody may have written."""
    write_run(main_folder, "run")
    with Echo(403, "Refused\x1b[2J \u202e <b>all is well</b>".encode().decode("latin-1")) as echo:
        outcome = run_command(config=config | {"blob-endpoint": echo.endpoint, "uploader": uploader})
    assert outcome.returncode == 3, outcome.output
    assert_tame(outcome, pathlib.Path(str(config["log-file"])), postbox)
